"""A little world for candidacies: one ordered log of transactions, a lagging replica for each session, one clock.

The znodes are those of the embedded server's tree, which is held to the real one's in `conformance/`.

Each process has one session and one keeper for as many elections as there are, and tells of terms, as in production.

Enough of ZooKeeper to hold the rules of the election against: writes are ordered and checked where all is known, reads
are answered by a replica that may lag behind, watches fire as the replica applies what changed, replies and watch
events reach a client in one order. Connections can be cut between any two steps of a request; sessions can expire at
any time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from leader_async.election.rules import queue as q
from leader_async.election.rules import record as r
from leader_async.election.rules.candidacy import Candidacy
from leader_async.election.rules.candidate_data import CandidateData
from leader_async.election.rules.confirm_rounds import ConfirmRounds, Round
from leader_async.election.rules.effects import Command, ConfirmNow, Send, StartWork, StopWork
from leader_async.election.rules.state import HOLD_OFF, WAIT_OUT, Appointee, Settings, Work
from leader_async.embedded.entries import CloseSession, Entry, Happened, OpenSession
from leader_async.embedded.tree import Refused, Tree
from leader_async.embedded.watches import Watches, event_of
from leader_async.zookeeper import messages as m

from ..support.endless import Endless

PARENT = "/ELECTION/x"
PARENTS = (PARENT, "/ELECTION/y", "/ELECTION/z")

SLOW, FAST = 1.05**-0.5, 1.05**0.5
"""Rates of clocks as far apart as is assumed."""

SETTLING = 0.2
"""Seconds of a step of `World.settle`."""

Asked: TypeAlias = tuple[Send | Round, float, int]
"""What was asked, and when, and for which of the elections (a round is for all of them)."""

WHO = 0
"""A replica serves one client, whose watches are all that it keeps."""


def applied(tree: Tree, entry: Entry) -> tuple[m.Reply, list[Happened]]:
    """Apply an entry; one that changes nothing takes no zxid, so that worlds that differ in nothing else are one."""
    reply, happened = tree.apply(entry)
    tree.zxid -= not happened
    return reply, happened


class Replica:
    """The znodes up to some point of the log, and the watches that wait there."""

    def __init__(self) -> None:
        self.tree = Tree()
        self.watches = Watches()

    def apply(self, entry: Entry) -> tuple[m.Reply, list[m.Watched]]:
        reply, happened = applied(self.tree, entry)
        return reply, [event_of(one) for _, one in self.watches.fire(happened)]

    def read(self, request: m.GetData | m.GetChildren | m.Exists) -> m.Reply:
        try:
            reply = self.tree.read(request)
        except Refused as refused:
            if request.watch and isinstance(request, m.Exists):
                self.watches.on_data(request.path, WHO)  # this one waits for a znode that is not there
            return m.Failed(refused.code)
        if request.watch and isinstance(request, m.GetData | m.Exists):
            self.watches.on_data(request.path, WHO)
        elif request.watch:
            self.watches.on_children(request.path, WHO)
        return reply


class Ensemble:
    """The log, and the tree at its end."""

    def __init__(self) -> None:
        self.log: list[Entry] = []
        self.head = Tree()

    @property
    def zxid(self) -> int:
        return len(self.log)

    @property
    def sessions(self) -> dict[int, OpenSession]:
        return self.head.sessions

    def commit(self, entry: Entry) -> m.Reply:
        self.log.append(entry)
        return applied(self.head, entry)[0]

    def expire(self, session: int) -> None:
        if session in self.sessions:
            self.commit(Entry(session, CloseSession()))


@dataclass
class Connection:
    """One session's connection: what is on its way to the server, and on its way back, with how far that server was."""

    replica: Replica
    applied: int = 0
    up: deque[tuple[m.Request, Asked]] = field(default_factory=deque)
    down: deque[tuple[m.Watched | tuple[m.Reply, Asked], int]] = field(default_factory=deque)


class Process:
    """A candidacy in each election, their keeper, its clock, and its connection."""

    def __init__(self, world: World, index: int, lease: float, rate: float) -> None:
        self.world, self.rate, self.offset = world, rate, 1000.0 * index
        self.name = f"p{index}"
        self.candidacies = [
            Candidacy(Settings(parent, self.name, "", lease, 0.0, history=True), self._uuids(index), 0.5)
            for parent in world.parents
        ]
        self.keeper = ConfirmRounds()
        self.session = 0
        self.connection: Connection | None = None
        self.seen = 0  # how far a server was whose answer reached this client: none behind it takes it
        self.obedient = True  # its work ends as soon as it is told to
        self.woken = 0
        self.tokens: list[list[int]] = [[] for _ in world.parents]

    @staticmethod
    def _uuids(index: int) -> Iterator[str]:
        # Descending, so that nothing can rely on the names' order where the numbers' is meant.
        return Endless(partial(_uuid, index))

    @property
    def candidacy(self) -> Candidacy:
        """The one in the first election."""
        return self.candidacies[0]

    @property
    def now(self) -> float:
        return self.world.time * self.rate + self.offset

    @property
    def leads(self) -> bool:
        """Whether it leads the first election."""
        return self.candidacy.is_leader(self.now)

    def join(self) -> None:
        """Connect, and be in all queues from now on."""
        self.connect()
        for candidacy in self.candidacies:
            candidacy.join(self.now)
        self.carry_out()

    # -- its connection --------------------------------------------------------------------------------------------

    def connect(self) -> None:
        assert self.connection is None
        ensemble = self.world.ensemble
        if self.session and self.session not in ensemble.sessions:
            self.session = 0
            for candidacy in self.candidacies:
                candidacy.expired(self.now)
        if not self.session:
            self.session = self.world.new_session()
        # Another server: it may lag, but never behind what the client has seen; watches stay behind.
        replica = Replica()
        for entry in ensemble.log[: self.seen]:
            replica.apply(entry)
        self.connection = Connection(replica, self.seen)
        for candidacy in self.candidacies:
            candidacy.connected(self.session, 6.0, self.now)
        self.carry_out()

    def cut(self, executed: int) -> None:
        """The connection ends; of what was on its way, so many requests are executed all the same."""
        connection, self.connection = self.connection, None
        assert connection is not None
        for _ in range(min(executed, len(connection.up))):
            self._execute(connection)
        lost = [entry[1] for entry, _ in connection.down if not isinstance(entry, m.Watched)]
        lost += [asked for _, asked in connection.up]
        for candidacy in self.candidacies:
            candidacy.disconnected(self.now)
        for asked in lost:
            self._answer(asked, m.Lost())
        self.carry_out()

    def serve(self) -> None:
        """The server takes the oldest request."""
        assert self.connection is not None
        self._execute(self.connection)

    def _execute(self, connection: Connection) -> None:
        request, asked = connection.up.popleft()
        ensemble = self.world.ensemble
        if isinstance(request, m.GetData | m.GetChildren | m.Exists):
            reply: m.Reply = connection.replica.read(request)
        elif isinstance(request, m.Sync):
            self.catch_up(connection, ensemble.zxid)
            reply = m.Synced()
        else:
            assert isinstance(request, m.Multi | m.Create | m.Delete | m.SetData | m.Check)
            reply = ensemble.commit(Entry(self.session, request))
            self.catch_up(connection, ensemble.zxid)  # a server answers a write when it has applied it
        connection.down.append(((reply, asked), connection.applied))

    def catch_up(self, connection: Connection, until: int) -> None:
        while connection.applied < until:
            _, events = connection.replica.apply(self.world.ensemble.log[connection.applied])
            connection.applied += 1
            connection.down.extend((event, connection.applied) for event in events)

    def receive(self) -> None:
        """The oldest reply or event reaches the client."""
        assert self.connection is not None
        entry, applied = self.connection.down.popleft()
        if not isinstance(entry, m.Watched):
            self.seen = max(self.seen, applied)  # an event tells no zxid
        if isinstance(entry, m.Watched):
            self.woken += 1
            for parent, candidacy in zip(self.world.parents, self.candidacies, strict=True):
                if entry.path == parent or entry.path.startswith(parent + "/"):
                    candidacy.watched(entry, self.now)
        else:
            reply, asked = entry
            self._answer(asked, reply)
        self.carry_out()

    def _answer(self, asked: Asked, answer: m.Answer) -> None:
        what, sent, number = asked
        if isinstance(what, Send):
            self.candidacies[number].answered(what, answer, sent, self.now)
        else:
            self.keeper.answered(what, answer, sent, self.now)

    # -- its loop --------------------------------------------------------------------------------------------------

    def carry_out(self) -> None:
        for number, candidacy in enumerate(self.candidacies):
            while (command := candidacy.next_command()) is not None:
                self._do(number, candidacy, command)
        self.confirm()

    def _do(self, number: int, candidacy: Candidacy, command: Command) -> None:
        match command:
            case Send():
                if self.connection is None:
                    candidacy.unsent(command)
                else:
                    self.connection.up.append((command.request, (command, self.now, number)))
            case StartWork(hold):
                assert candidacy.is_leader(self.now)
                self.tokens[number].append(hold.token)
            case StopWork():
                if self.obedient:
                    candidacy.work_ended(self.now)
            case ConfirmNow():
                self.keeper.hurry(candidacy)

    def confirm(self) -> None:
        for candidacy in self.candidacies:
            self.keeper.note(candidacy)
        for due in self.keeper.rounds(self.now) if self.connection is not None else ():
            assert self.connection is not None
            self.connection.up.append((due.request, (due, self.now, 0)))

    def tick(self) -> None:
        for candidacy in self.candidacies:
            candidacy.tick(self.now)
        self.carry_out()

    def obey(self) -> None:
        """Work that was told to stop ends, now and from now on."""
        self.obedient = True
        for candidacy in self.candidacies:
            if candidacy.own.work is Work.STOPPING:
                candidacy.work_ended(self.now)
        self.carry_out()


def _uuid(index: int, number: int) -> str:
    return f"{99999 - number:05d}{index}"


class World:
    """Everybody, and the invariants that hold after every step."""

    def __init__(
        self,
        processes: int,
        lease: float = 3.0,
        rates: tuple[float, ...] = (),
        leases: tuple[float, ...] = (),
        elections: int = 1,
    ) -> None:
        self.parents = PARENTS[:elections]
        self.time = 1.0
        self.ensemble = Ensemble()
        self._sessions = 0
        self.processes = [
            Process(
                self,
                index,
                leases[index] if index < len(leases) else lease,
                rates[index] if index < len(rates) else 1.0,
            )
            for index in range(processes)
        ]
        self.led: list[dict[int, str]] = [{} for _ in self.parents]
        self.strangers = False  # somebody has deleted what is not theirs: audits may have something to heal

    def new_session(self) -> int:
        self._sessions += 1
        self.ensemble.commit(Entry(self._sessions, OpenSession(6.0, b"")))
        return self._sessions

    def check(self) -> None:
        for number, parent in enumerate(self.parents):
            self._check(number, parent)

    def _check(self, number: int, parent: str) -> None:
        record, led = self.ensemble.head.find(parent), self.led[number]
        own = [(process, process.candidacies[number]) for process in self.processes]
        leaders = [each for each in own if each[1].is_leader(each[0].now)]
        assert len(leaders) <= 1, [process.name for process, _ in leaders]
        for process, candidacy in leaders:
            hold = candidacy.hold
            assert hold is not None
            assert led.setdefault(hold.token, process.name) == process.name, "a token belongs to one process"
            assert hold.token >= max(led), "tokens rise"
            if record is not None and record.version == hold.version:
                written = r.decode(record.data, record.version, "/e")
                told = written.holder, written.term, r.token_of(written, record.mzxid)
                assert told == (hold.holder, hold.number, hold.token), "a term is what the record says of it"
        for process, candidacy in own:
            assert process.tokens[number] == sorted(process.tokens[number])
            assert self.strangers or not candidacy.story.healed, "an audit has found what an event should have told"
            hold = candidacy.hold
            if candidacy.working and record is not None and hold is not None:
                left = r.decode(record.data, record.version, "/e")
                given_up = left.state is r.LeadState.LEFT and left.holder == hold.holder
                assert not given_up, "the place is given up only after the work has ended"
        uuids = {process.session: candidacy.uuid for process, candidacy in own}
        for name, owner in self.znodes(parent):
            theirs = owner not in uuids or name.startswith(q.prefix(uuids[owner]))
            assert theirs, "another join has begun before the last one's znode was gone"

    def delete_by_a_stranger(self, path: str) -> None:
        """Somebody deletes this znode."""
        self.strangers = True
        self.ensemble.commit(Entry(next(iter(self.ensemble.sessions), 0), m.Delete(path)))

    def step(self, seconds: float) -> None:
        self.time += seconds
        for process in self.processes:
            process.tick()
        self.check()

    def settle(self, *, wait: float = 60.0) -> None:
        """Let everything that is on its way arrive, and let time pass, until nothing is to be done any more."""
        for process in self.processes:
            if process.connection is None:
                process.connect()
        end = self.time + wait
        while self.time < end:
            self.deliver()
            self.step(SETTLING)
        self.deliver()

    @property
    def promised(self) -> float:
        """Seconds in which somebody leads once everything has healed, and works that were told to stop have ended.

        What arrives, arrives at once here, so that a handover takes no time. A holder that is gone, or is learnt to be,
        is waited out: 1.1 of its lease, by the slowest clock. If a stranger has deleted the znode of who waited, its
        claim is refused, and it waits once more from its next join on. Who was refused what is never refused holds off
        for a second. And the time of this world passes in steps. An audit takes six times as long, and is not waited
        for: whoever needs one has missed an event.
        """
        lease = max(process.candidacy.settings.lease for process in self.processes)
        out = WAIT_OUT * lease / min(process.rate for process in self.processes)
        return out * (2 if self.strangers else 1) + HOLD_OFF + 2 * SETTLING

    def heal(self) -> None:
        """Heal everything: then somebody leads soon, and everybody stands in the queue as soon.

        Raises:
            AssertionError: they do not.
        """
        self.settle(wait=self.promised)
        self._check_healed(everybody=not self.strangers)
        self.settle(wait=45.0)  # an audit finds what a stranger did
        self._check_healed(everybody=True)

    def _check_healed(self, *, everybody: bool) -> None:
        names = sorted(process.name for process in self.processes)
        for number, parent in enumerate(self.parents):
            leaders = [each.name for each in self.processes if each.candidacies[number].is_leader(each.now)]
            assert len(leaders) == 1, f"{parent}: after healing {leaders or 'nobody'} lead"
            queue = self.queue(parent)
            assert not everybody or sorted(queue) == names, f"{parent}: after healing the queue is {queue}"

    def deliver_to(self, process: Process) -> None:
        """Let everything that is on its way to and from this one arrive."""
        connection = process.connection
        assert connection is not None
        while True:
            process.catch_up(connection, self.ensemble.zxid)
            if connection.up:
                process.serve()
            elif connection.down:
                process.receive()
            else:
                return
            self.check()

    def deliver(self) -> None:
        busy = True
        while busy:
            busy = False
            for process in self.processes:
                connection = process.connection
                if connection is None:
                    continue
                if process.session not in self.ensemble.sessions:
                    process.cut(0)
                    process.connect()
                    busy = True
                    continue
                process.catch_up(connection, self.ensemble.zxid)
                while connection.up:
                    process.serve()
                    busy = True
                while connection.down:
                    process.receive()
                    busy = True
                self.check()

    def delete_election(self) -> None:
        """A stranger deletes the election's znode with all below it."""
        for name, _ in self.znodes():
            self.delete_by_a_stranger(f"{PARENT}/{name}")
        self.delete_by_a_stranger(PARENT)

    def znodes(self, parent: str = PARENT) -> list[tuple[str, int]]:
        """What stands in the queue, first first, and the sessions that it belongs to."""
        head, prefix = self.ensemble.head, parent + "/"
        found = [(path[len(prefix) :], node.owner) for path, node in head.walk() if path.startswith(prefix)]
        return sorted(found, key=lambda each: each[0].rpartition("-n_")[2])

    def appointee(self, number: int, parent: str = PARENT) -> Appointee | None:
        """Whoever stands at this place of the queue, and how to tell it that it leads; None without a queue."""
        names = [name for name, _ in self.znodes(parent)]
        if not names:
            return None
        place = number % len(names)
        if place == 0:
            return Appointee(names[0])
        through = names[place - 1]
        node = self.ensemble.head.find(f"{parent}/{through}")
        assert node is not None
        return Appointee(names[place], through, CandidateData.decode(node.data))

    def queue(self, parent: str = PARENT) -> list[str]:
        """The names of the processes whose znodes stand in the queue, first first."""
        owners = {process.session: process.name for process in self.processes}
        return [owners.get(owner, "?") for _, owner in self.znodes(parent)]
