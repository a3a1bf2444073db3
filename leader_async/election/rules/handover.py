"""Giving the lead away: a holder's data, the appointment, the leave, and the withdrawal of an heir. Pure.

An appointment (Raft: leadership transfer) is one transaction of `record`: it checks the heir's znode, creates and
deletes the notice (Raft: TimeoutNow), deletes our znode, and writes `held` by the heir: twice, so that the version
stays even. A leave, where nobody can be named, deletes our znode and writes `left`; the next one claims.

 4. Our leave (an appointment is one) is sent, and a new place is taken, only after the work has ended. No claim before
    either.
    Broken by: "the place is given up before the work has ended", "`left` is written while the term goes on", "a new
    place is taken while the old work runs".

An appointment passes nobody over: a holder before its turn appoints only the candidate that it was asked to name, and
wakes it. Broken by: "who holds before its turn hands over to whoever stands behind it", "who is appointed behind others
is not told". A holder's data say what it will do, and no more; nothing is safe because of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...errors import NoNode
from ...zookeeper import messages as m
from . import ends
from . import record as r
from .candidate_data import NO_DATA, CandidateData
from .effects import Purpose, Send
from .ends import End
from .lease import Hold
from .state import Appointee, Role, Standing
from .story import Story

PASSED_ON = 8
"""Znodes behind it that a holder passes on to the one that it appoints, which then need not list the queue."""


class Handover:
    """See the module's docstring.

    Args:
        own: where we stand.
        story: what is remembered for people.
    """

    def __init__(self, own: Standing, story: Story) -> None:
        self._own, self._story = own, story
        self._notifies = True  # appointments give notice

    @property
    def in_turn(self) -> bool:
        """Whether we hold, and nobody stands ahead of us who would be passed over."""
        join = self._own.join
        return join.hold is not None and not join.queue.position

    @property
    def by_name(self) -> bool:
        """Whether we shall hand over by name."""
        # A term under the lease of who appointed us is followed by a claim, so that leases which were configured anew
        # come into use.
        hold = self._own.join.hold
        return self.in_turn and hold is not None and hold.lease == self._own.settings.lease

    def data(self, hold: Hold) -> bytes:
        """What our znode is to say while we hold; it is kept, as thousands of elections ask for it at every confirm."""
        join, by_name = self._own.join, self.by_name
        behind = join.behind
        made_from = hold.version, behind and behind[0], by_name
        if join.said is None or join.said[0] != made_from:
            own = self._own.settings
            said = own.identity, own.address, own.started_at, hold.number, hold.version, hold.token, hold.lease
            heir = behind[0] if behind and self.in_turn else ""
            join.said = made_from, CandidateData(*said, heir, bool(heir) and by_name).encode()
        return join.said[1]

    def give_up(self, hold: Hold) -> None:
        """Our work has ended: give the lead to the next one by name, or leave it."""
        own = self._own
        if not hold.read:
            own.read_record(Role.FOLLOWER)  # we got notice just now: what to pass on, and to whom, is there
        elif (appointment := self.appointment(hold)) is not None:
            own.ask(Purpose.APPOINT, appointment)
        else:
            left = own.record(hold.number, hold.holder, r.LeadState.LEFT, end=hold.end, past=self._story.past(hold))
            own.ask(Purpose.LEAVE, r.leave(own.settings.parent, left, hold.version))

    def withdraw(self) -> None:
        """Leave the queue as an heir; our predecessor may be handing over to us just now."""
        own, join = self._own, self._own.join
        assert join.znode is not None
        request = r.withdrawal(own.settings.parent, join.znode, join.named_at)
        own.ask(Purpose.WITHDRAW, request, join.znode)

    def appointment(self, hold: Hold) -> m.Multi | None:
        """How the lead is handed over by name; None if there is nobody to name.

        It is kept: asked for after each confirm, it is at hand when it is wanted.
        """
        join, by_name = self._own.join, self.by_name
        behind, to, end = join.behind or (), join.appointee, hold.end or ends.RESIGNED
        if to is None and not (behind and by_name):
            return None
        made_from = hold.version, hold.holder, behind, to, end, self._notifies, by_name, self._story.untold(hold)
        if join.prepared is None or join.prepared[0] != made_from:
            join.prepared = made_from, self._appoint(hold, to or Appointee(behind[0]), behind, end)
        return join.prepared[1]

    def _appoint(self, hold: Hold, to: Appointee, behind: tuple[str, ...], end: End) -> m.Multi:
        own, rest = self._own, behind[behind.index(to.znode) + 1 :] if to.znode in behind else ()
        record = r.Record(
            hold.number + 1, to.znode, r.LeadState.HELD, hold.lease,
            behind=rest[:PASSED_ON], end=end, token=hold.token + 1, past=self._story.past(hold),
        )  # fmt: skip
        wake = None
        # Who is next watches our end; but if others are ahead of us, that does not show it how we went.
        if to.through and not (to.through == hold.holder and self.in_turn):
            data = replace(to.data or NO_DATA, appointed=to.znode).encode()
            wake = m.SetData(own.path(to.through), data, m.ANY_VERSION)
        # Our heir, and nobody else, knows by our data what to wait for.
        notified = self._notifies and self.by_name and to.znode in behind[:1]
        return r.appointment(own.settings.parent, hold.holder, record, hold.version, wake, notified=notified)

    def _take_appointed(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        failure = answer.failure if isinstance(answer, m.Transacted) else None
        gave_notice = isinstance(asked.request, m.Multi) and isinstance(asked.request.operations[1], m.Create)
        if gave_notice and failure is not None and failure[0] == 1 and failure[1] != NoNode.code:
            self._notifies = False  # no znode may be created here, for a quota perhaps: it goes without notice
        elif failure is None or failure[1] != NoNode.code:
            self._take_left(asked, answer, sent, now)
        else:
            # Who was named is gone, or we are: a plain leave follows, which finds out.
            self._own.join.behind, self._own.join.appointee = (), None

    def _take_withdrawn(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        own = self._own
        failure = answer.failure if isinstance(answer, m.Transacted) else None
        if isinstance(answer, m.Transacted) and (failure is None or failure == (1, NoNode.code)):
            own.join.znode = None
        elif failure is not None:
            own.join.named_at = 0
            own.read_record(Role.FOLLOWER)  # it may be ours by now: then it must be left, not only abandoned
        else:
            own.trouble(asked, answer, now)

    def _take_left(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        join = self._own.join
        failure = answer.failure if isinstance(answer, m.Transacted) else None
        if isinstance(answer, m.Transacted) and failure in (None, (0, NoNode.code)):
            join.znode = None
        elif failure is not None and join.hold is not None:
            join.hold.forfeited = True  # refused for its version: a plain delete follows
        else:
            self._own.trouble(asked, answer, now)


TAKERS: dict[Purpose, Callable[[Handover, Send, m.Answer, float, float], None]] = {
    Purpose.LEAVE: Handover._take_left,
    Purpose.APPOINT: Handover._take_appointed,
    Purpose.WITHDRAW: Handover._take_withdrawn,
}
"""What the answer to each of these requests means; see `lead.TAKERS`."""
