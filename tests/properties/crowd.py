"""A crowd: thousands of candidates of one election at one server, which answers at once; who asks what is counted.

Nothing is delayed and nothing is lost here: it is about how much is asked, not about the order of events.
"""

from __future__ import annotations

import itertools
from collections import Counter, deque
from dataclasses import dataclass, field

from leader_async.election.rules.candidacy import Candidacy
from leader_async.election.rules.confirm_rounds import ConfirmRounds, Round
from leader_async.election.rules.effects import ConfirmNow, Send, StartWork, StopWork
from leader_async.election.rules.state import Settings
from leader_async.embedded.entries import CloseSession, Entry, OpenSession
from leader_async.embedded.tree import Refused, Tree
from leader_async.embedded.watches import Watches, event_of
from leader_async.zookeeper import messages as m

PARENT = "/ELECTION/x"
READS = m.GetData | m.GetChildren | m.Exists


@dataclass(eq=False)
class Member:
    """One candidate and its session."""

    session: int
    candidacy: Candidacy
    keeper: ConfirmRounds = field(default_factory=ConfirmRounds)


class Crowd:
    """See the module's docstring."""

    def __init__(self) -> None:
        self.now = 100.0
        self.members: list[Member] = []
        self._asked: Counter[str] = Counter()
        self._woken = 0
        self._tree, self._watches = Tree(), Watches()
        self._numbers = itertools.count(1)
        self._by_session: dict[int, Member] = {}
        self._busy: deque[Member] = deque()

    @property
    def leader(self) -> Member:
        """The one that leads."""
        (found,) = (member for member in self.members if member.candidacy.is_leader(self.now))
        return found

    def join(self) -> Member:
        """One more candidate stands in the queue when this returns."""
        number = next(self._numbers)
        uuids = (f"{number:06d}-{join}" for join in itertools.count())
        settings = Settings(PARENT, f"member-{number}", "", 3.0, 0.0, history=False)
        member = Member(number, Candidacy(settings, uuids, 0.5))
        self.members.append(member)
        self._by_session[number] = member
        self._tree.apply(Entry(number, OpenSession(6.0, b"")))
        member.candidacy.connected(number, 6.0, self.now)
        member.candidacy.join(self.now)
        self._carry_out(member)
        return member

    def resign(self, member: Member) -> None:
        """This one leaves its place gracefully, for good."""
        member.candidacy.leave(self.now)
        self._carry_out(member)

    def die(self, member: Member) -> None:
        """The session of this one is over, without a word from it."""
        del self._by_session[member.session]
        self.members.remove(member)
        self._write(Entry(member.session, CloseSession()))
        self._work()

    def take_cost(self) -> tuple[Counter[str], int]:
        """What was asked since this was asked last, and how many candidates were woken."""
        asked, woken = self._asked, self._woken
        self._asked, self._woken = Counter(), 0
        return asked, woken

    # -- the server ----------------------------------------------------------------------------------------------------

    def _carry_out(self, member: Member) -> None:
        self._busy.append(member)
        self._work()

    def _work(self) -> None:
        while self._busy:
            member = self._busy.popleft()
            while (command := member.candidacy.next_command()) is not None:
                match command:
                    case Send():
                        reply = self._answer(member, command.request)
                        member.candidacy.answered(command, reply, self.now, self.now)
                    case StopWork():
                        member.candidacy.work_ended(self.now)
                    case ConfirmNow():
                        member.keeper.hurry()
                    case StartWork():
                        assert member.candidacy.is_leader(self.now)
            member.keeper.note(member.candidacy)
            for due in member.keeper.rounds(self.now):
                self._confirm(member, due)
                self._busy.append(member)

    def _confirm(self, member: Member, due: Round) -> None:
        member.keeper.answered(due, self._answer(member, due.request), self.now, self.now)

    def _answer(self, member: Member, request: m.Request) -> m.Reply:
        self._asked[type(request).__name__] += 1
        if not isinstance(request, READS):
            assert isinstance(request, m.Multi | m.Create | m.Delete | m.SetData | m.Check)
            return self._write(Entry(member.session, request))
        try:
            reply = self._tree.read(request)
        except Refused as refused:
            return m.Failed(refused.code)
        if request.watch and isinstance(request, m.GetChildren):
            self._watches.on_children(request.path, member.session)
        elif request.watch:
            self._watches.on_data(request.path, member.session)
        return reply

    def _write(self, entry: Entry) -> m.Reply:
        reply, happened = self._tree.apply(entry)
        for session, event in self._watches.fire(happened):
            if (woken := self._by_session.get(session)) is not None:
                self._woken += 1
                woken.candidacy.watched(event_of(event), self.now)
                self._busy.append(woken)
        return reply
