"""A little world for candidacies: one ordered log of transactions, a lagging replica for each session, one clock.

Enough of ZooKeeper to hold the rules of the election against: writes are ordered and checked where all is known, reads
are answered by a replica that may lag behind, watches fire as the replica applies what changed, replies and watch
events reach a client in one order. Connections can be cut between any two steps of a request; sessions can expire at
any time.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from leader_async.election import record as r
from leader_async.election.candidacy import Candidacy
from leader_async.election.commands import ConfirmNow, Left, Note, Send, StartWork, StopWork
from leader_async.election.keeper import Keeper, Round
from leader_async.election.standing import Settings
from leader_async.errors import BadVersion, NodeExists, NoNode, SessionExpired
from leader_async.zookeeper import messages as m

PARENT = "/ELECTION/x"


@dataclass(frozen=True)
class Znode:
    data: bytes
    stat: m.Stat
    counter: int = 0


Change: TypeAlias = tuple[str, Znode | None]
"""A path, and what stands there afterwards."""
Asked: TypeAlias = tuple[Send | Round, float]
"""What was asked, and when."""


class Refused(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


class Replica:
    """The znodes up to some point of the log, and the watches that wait there."""

    def __init__(self) -> None:
        self.nodes: dict[str, Znode] = {"/": Znode(b"", m.Stat())}
        self.data_watches: set[str] = set()
        self.child_watches: set[str] = set()

    def apply(self, changes: list[Change]) -> list[m.Watched]:
        events = []
        for path, node in changes:
            parent = path.rpartition("/")[0] or "/"
            before = self.nodes.pop(path, None)
            if node is not None:
                self.nodes[path] = node
            if before is None or node is None:
                kind = m.Change.CREATED if before is None else m.Change.DELETED
                watched = path in self.data_watches or path in self.child_watches
                if watched:
                    self.data_watches.discard(path)
                    self.child_watches.discard(path)
                    events.append(m.Watched(kind, path))
                if parent in self.child_watches:
                    self.child_watches.discard(parent)
                    events.append(m.Watched(m.Change.CHILDREN, parent))
            elif path in self.data_watches and before.data is not node.data:
                self.data_watches.discard(path)
                events.append(m.Watched(m.Change.DATA, path))
        return events

    def children(self, path: str) -> tuple[str, ...]:
        prefix = path.rstrip("/") + "/"
        return tuple(p[len(prefix) :] for p in self.nodes if p.startswith(prefix) and "/" not in p[len(prefix) :])

    def read(self, request: m.Request) -> m.Reply:
        match request:
            case m.GetData(path, watch):
                if path not in self.nodes:
                    return m.Failed(NoNode.code)
                if watch:
                    self.data_watches.add(path)
                return m.Data(self.nodes[path].data, self.nodes[path].stat)
            case m.GetChildren(path, watch):
                if path not in self.nodes:
                    return m.Failed(NoNode.code)
                if watch:
                    self.child_watches.add(path)
                return m.Children(self.children(path))
        raise AssertionError(request)


class Ensemble:
    """The log, and what stands at its end."""

    def __init__(self) -> None:
        self.log: list[list[Change]] = []
        self.now = Replica()
        self.sessions: set[int] = set()

    @property
    def zxid(self) -> int:
        return len(self.log)

    def commit(self, changes: list[Change]) -> None:
        self.log.append(changes)
        self.now.apply(changes)

    def write(self, session: int, request: m.Operation | m.Multi) -> m.Reply:
        if session not in self.sessions:
            return m.Failed(SessionExpired.code)
        operations = request.operations if isinstance(request, m.Multi) else (request,)
        changes: list[Change] = []
        results: list[m.OperationReply] = []
        scratch = dict(self.now.nodes)
        for index, operation in enumerate(operations):
            try:
                results.append(self._operate(session, operation, scratch, changes))
            except Refused as refused:
                if not isinstance(request, m.Multi):
                    return m.Failed(refused.code)
                rest = len(operations) - index - 1
                codes = [m.ROLLED_BACK] * index + [refused.code] + [m.RUNTIME_INCONSISTENCY] * rest
                return m.Transacted(tuple(map(m.Failed, codes)))
        self.commit(changes)
        return m.Transacted(tuple(results)) if isinstance(request, m.Multi) else results[0]

    def _operate(
        self, session: int, operation: m.Operation, nodes: dict[str, Znode], changes: list[Change]
    ) -> m.OperationReply:
        zxid = self.zxid + 1

        def put(path: str, node: Znode | None) -> None:
            changes.append((path, node))
            nodes.pop(path, None)
            if node is not None:
                nodes[path] = node

        def find(path: str) -> Znode:
            if path not in nodes:
                raise Refused(NoNode.code)
            return nodes[path]

        match operation:
            case m.Create(path, data, ephemeral, sequential):
                above = path.rpartition("/")[0] or "/"
                parent = find(above)
                if sequential:
                    path = f"{path}{parent.counter:010d}"
                if path in nodes:
                    raise Refused(NodeExists.code)
                put(path, Znode(data, m.Stat(zxid, zxid, 0, session if ephemeral else 0)))
                put(above, replace(parent, counter=parent.counter + 1))
                return m.Created(path)
            case m.Delete(path, version):
                self._versioned(find(path), version)
                put(path, None)
                return m.Deleted()
            case m.SetData(path, data, version):
                node = find(path)
                self._versioned(node, version)
                stat = replace(node.stat, mzxid=zxid, version=node.stat.version + 1)
                put(path, Znode(bytes(bytearray(data)), stat, node.counter))
                return m.DataSet(stat)
            case m.Check(path, version):
                self._versioned(find(path), version)
                return m.Checked()

    @staticmethod
    def _versioned(node: Znode, version: int) -> None:
        if version not in (m.ANY_VERSION, node.stat.version):
            raise Refused(BadVersion.code)

    def expire(self, session: int) -> None:
        self.sessions.discard(session)
        owned = [path for path, node in self.now.nodes.items() if node.stat.ephemeral_owner == session]
        if owned:
            self.commit([(path, None) for path in owned])


@dataclass
class Connection:
    """One session's connection: what is on its way to the server, and what is on its way back."""

    replica: Replica
    applied: int = 0
    up: deque[tuple[m.Request, Asked]] = field(default_factory=deque)
    down: deque[m.Watched | tuple[m.Reply, Asked]] = field(default_factory=deque)


class Process:
    """A candidacy, its keeper, its clock, and its connection."""

    def __init__(self, world: World, index: int, lease: float, rate: float) -> None:
        self.world, self.rate, self.offset = world, rate, 1000.0 * index
        self.name = f"p{index}"
        settings = Settings(PARENT, self.name, "", lease, 0.0)
        self.candidacy = Candidacy(settings, self._uuids(index), 0.5)
        self.keeper = Keeper()
        self.session = 0
        self.connection: Connection | None = None
        self.history = (Replica(), 0)  # the newest state this client has seen: no server behind it takes it
        self.obedient = True  # its work ends as soon as it is told to
        self.woken = 0
        self.tokens: list[int] = []

    @staticmethod
    def _uuids(index: int) -> Iterator[str]:
        # Descending, so that nothing can rely on the names' order where the numbers' is meant.
        return (f"{99999 - number:05d}{index}" for number in itertools.count())

    @property
    def now(self) -> float:
        return self.world.time * self.rate + self.offset

    @property
    def leads(self) -> bool:
        return self.candidacy.is_leader(self.now)

    # -- its connection --------------------------------------------------------------------------------------------

    def connect(self) -> None:
        assert self.connection is None
        ensemble = self.world.ensemble
        if self.session and self.session not in ensemble.sessions:
            self.session = 0
            self.candidacy.expired(self.now)
        if not self.session:
            self.session = self.world.new_session()
        # Another server: it may lag, but never behind what the client has seen; watches stay behind.
        seen, applied = self.history
        replica = Replica()
        replica.nodes = dict(seen.nodes)
        self.connection = Connection(replica, applied)
        self.candidacy.connected(self.session, 6.0, self.now)
        self.carry_out()

    def cut(self, executed: int) -> None:
        """The connection ends; of what was on its way, so many requests are executed all the same."""
        connection, self.connection = self.connection, None
        assert connection is not None
        for _ in range(min(executed, len(connection.up))):
            self._execute(connection)
        lost = [entry[1] for entry in connection.down if not isinstance(entry, m.Watched)]
        lost += [asked for _, asked in connection.up]
        self.candidacy.disconnected(self.now)
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
        if isinstance(request, m.GetData | m.GetChildren):
            reply: m.Reply = connection.replica.read(request)
        elif isinstance(request, m.Sync):
            self.catch_up(connection, ensemble.zxid)
            reply = m.Synced()
        else:
            assert isinstance(request, m.Multi | m.Create | m.Delete | m.SetData | m.Check)
            reply = ensemble.write(self.session, request)
            self.catch_up(connection, ensemble.zxid)  # a server answers a write when it has applied it
        connection.down.append((reply, asked))

    def catch_up(self, connection: Connection, until: int) -> None:
        while connection.applied < until:
            connection.down.extend(connection.replica.apply(self.world.ensemble.log[connection.applied]))
            connection.applied += 1

    def receive(self) -> None:
        """The oldest reply or event reaches the client."""
        assert self.connection is not None
        entry = self.connection.down.popleft()
        replica = Replica()
        replica.nodes = dict(self.connection.replica.nodes)
        self.history = (replica, self.connection.applied)
        if isinstance(entry, m.Watched):
            self.woken += 1
            self.candidacy.watched(entry, self.now)
        else:
            reply, asked = entry
            self._answer(asked, reply)
        self.carry_out()

    def _answer(self, asked: Asked, answer: m.Answer) -> None:
        what, sent = asked
        if isinstance(what, Send):
            self.candidacy.answered(what, answer, sent, self.now)
        else:
            self.keeper.answered(what, answer, sent, self.now)

    # -- its loop --------------------------------------------------------------------------------------------------

    def carry_out(self) -> None:
        while (command := self.candidacy.next_command()) is not None:
            match command:
                case Send():
                    if self.connection is None:
                        self.candidacy.unsent(command)
                    else:
                        self.connection.up.append((command.request, (command, self.now)))
                case StartWork(hold):
                    assert self.leads
                    self.tokens.append(hold.token)
                case StopWork():
                    if self.obedient:
                        self.candidacy.work_ended(self.now)
                case ConfirmNow():
                    self.keeper.hurry()
                case Left() | Note():
                    pass
        self.confirm()

    def confirm(self) -> None:
        due = self.keeper.round([self.candidacy], self.now) if self.connection is not None else None
        if due is not None and self.connection is not None:
            self.connection.up.append((due.request, (due, self.now)))

    def tick(self) -> None:
        self.candidacy.tick(self.now)
        self.carry_out()


class World:
    """Everybody, and the invariants that hold after every step."""

    def __init__(self, processes: int, lease: float = 3.0, rates: tuple[float, ...] = ()) -> None:
        self.time = 1.0
        self.ensemble = Ensemble()
        self._sessions = itertools.count(1)
        self.processes = [
            Process(self, index, lease, rates[index] if index < len(rates) else 1.0) for index in range(processes)
        ]
        self.led: dict[int, str] = {}

    def new_session(self) -> int:
        session = next(self._sessions)
        self.ensemble.sessions.add(session)
        return session

    def check(self) -> None:
        leaders = [process for process in self.processes if process.leads]
        assert len(leaders) <= 1, [process.name for process in leaders]
        for process in leaders:
            hold = process.candidacy.hold
            assert hold is not None
            assert self.led.setdefault(hold.token, process.name) == process.name, "a token belongs to one process"
            assert hold.token >= max(self.led), "tokens rise"
        record = self.ensemble.now.nodes.get(PARENT)
        for process in self.processes:
            assert process.tokens == sorted(process.tokens)
            hold = process.candidacy.hold
            if process.candidacy.working and record is not None and hold is not None:
                left = r.decode(record.data, record.stat.version)
                given_up = left.state is r.State.LEFT and left.holder == hold.holder
                assert not given_up, "the place is given up only after the work has ended"

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
            self.step(0.2)
        self.deliver()

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

    def queue(self) -> list[str]:
        """The names of the processes whose znodes stand in the queue, first first."""
        names = sorted(
            (path.rpartition("-n_")[2], node.stat.ephemeral_owner)
            for path, node in self.ensemble.now.nodes.items()
            if path.startswith(PARENT + "/")
        )
        owners = {process.session: process.name for process in self.processes}
        return [owners.get(owner, "?") for _, owner in names]
