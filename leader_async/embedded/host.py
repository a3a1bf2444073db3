"""One server as its clients see it: a state machine without I/O. Pure.

The owner feeds it bytes of numbered connections and the time; `take` returns what to write and which connections to
close. Writes go to a `Quorum`, which other hosts may share, and come back by `committed`, in one order for all hosts.
Reads are answered from this host's own tree.

Rules:
1. The requests of one connection are answered in their order; a read waits for the writes before it.
2. A watch event is sent before any reply that shows the change.
3. A session has one connection: a client that asks to resume it closes the other.
4. A client that has seen more than this host has, or that breaks the protocol, loses its connection without a reply.
5. The end of a session ends its connection.
6. A client that does not read its replies gets no more of them: after `ENOUGH` bytes its further requests wait until
   the owner calls `go_on`, once there is room. That counts as a sign of life, since the pings of the client wait, too.
7. No step costs more among many sessions or connections than among few.

It does not promise that a read returns the newest state; neither does ZooKeeper.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from ..errors import AuthFailed, ProtocolError
from ..zookeeper import foreign
from ..zookeeper import messages as m
from ..zookeeper.identity import digest_of
from ..zookeeper.wire import server as wire
from ..zookeeper.wire.asked import Asked
from ..zookeeper.wire.frames import REQUEST_LIMIT, FrameReader
from .access import Proofs, allows
from .entries import CloseSession, Entry, Happened, OpenSession, Write
from .quorum import Quorum, Ticket
from .reading import Asker, ReadHandler
from .tree import Tree
from .watches import Watches, event_of

ENOUGH = 256 * 1024
"""Bytes for one connection in one `take` after which its further requests wait."""

COMMANDS = {b"ruok", b"srvr"}


@dataclass(slots=True)
class _Connection:
    number: int
    peer: str
    proofs: Proofs
    frames: FrameReader = field(default_factory=lambda: FrameReader(REQUEST_LIMIT))
    start: bytes = b""
    session: int = 0
    timeout: float = 0.0  # 0: not accepted yet
    greeted: bool = False  # the handshake has been read
    modern: bool = True
    waiting: bool = False  # for a write or a sync of its own
    syncing: str = ""
    sent: int = 0  # bytes since the last `take`
    serving: bool = False
    asked: deque[tuple[int, Asked]] = field(default_factory=deque)

    @property
    def asker(self) -> Asker:
        return Asker(self.number, self.session, self.proofs)


Output: TypeAlias = tuple[int, bytes | None]
"""Bytes for a connection; None: close it."""


class Host:
    """See the module's docstring.

    It grants session timeouts between these two, in seconds. The wall clock is for znodes' times.
    """

    def __init__(self, tree: Tree, quorum: Quorum, *, timeouts: tuple[float, float], wall: Callable[[], float]) -> None:
        self.tree = tree
        self._quorum = quorum
        self._timeouts = timeouts
        self._wall = wall
        self._watches = Watches()
        self._reader = ReadHandler(tree, self._watches)
        self._connections: dict[int, _Connection] = {}
        self._serving: dict[int, dict[int, None]] = {}  # which connections serve a session; a dict keeps the order
        self._numbers = 0
        self._out: list[Output] = []
        self.received = self.sent = 0

    # -- connections ---------------------------------------------------------------------------------------------------

    def open(self, peer: str) -> int:
        """Add the connection of a client from this address, and return its number."""
        self._numbers += 1
        self._connections[self._numbers] = _Connection(self._numbers, peer, (("ip", peer),))
        return self._numbers

    def receive(self, number: int, data: bytes, now: float) -> None:
        """Take bytes from a client."""
        connection = self._connections.get(number)
        if connection is None:
            return
        if not connection.greeted and len(connection.start) < 4:
            connection.start += data[: 4 - len(connection.start)]
            if connection.start in COMMANDS:
                self._out.append((number, self._command(connection.start)))
                self.hang_up(number)
                return
        try:
            for frame in connection.frames.feed(data):
                self._receive_frame(connection, frame, now)
                if number not in self._connections:
                    return
        except ProtocolError:
            self.hang_up(number)

    def lost(self, number: int) -> None:
        """The client's end of the connection is gone."""
        connection = self._connections.pop(number, None)
        if connection is not None:
            self._watches.forget(number)
            self._bind(connection, 0)

    def hang_up(self, number: int) -> None:
        """End this connection."""
        if number in self._connections:
            self._out.append((number, None))
            self.lost(number)

    def take(self) -> list[Output]:
        """Return what to write and to close, in order. Requests that wait for room are served by `go_on`."""
        out, self._out = self._out, []
        for number, _ in out:
            if number in self._connections:
                self._connections[number].sent = 0
        return out

    def waits(self, number: int) -> bool:
        """Whether requests of this connection wait for room for their replies."""
        connection = self._connections.get(number)
        return connection is not None and bool(connection.asked) and not connection.waiting

    def go_on(self, number: int, now: float) -> None:
        """Serve this connection's waiting requests: there is room for more replies."""
        connection = self._connections.get(number)
        if connection is not None:
            self._touch(connection, now)
            self._serve(connection)

    def greeted(self, number: int) -> bool:
        """Whether this client has a session."""
        connection = self._connections.get(number)
        return connection is not None and connection.timeout != 0

    def serving(self, session: int) -> tuple[int, ...]:
        """The numbers of the connections that serve this session."""
        return tuple(self._serving.get(session, ()))

    @property
    def connections(self) -> Iterator[tuple[int, int]]:
        """The numbers of all connections, with their sessions."""
        return ((number, connection.session) for number, connection in self._connections.items())

    @property
    def watches(self) -> int:
        """How many watches wait here."""
        return self._watches.count

    # -- frames --------------------------------------------------------------------------------------------------------

    def _receive_frame(self, connection: _Connection, frame: bytes, now: float) -> None:
        self.received += 1
        if not connection.greeted:
            self._greet(connection, wire.decode_connect(frame), now)
            return
        connection.asked.append(wire.decode_request(frame))
        self._touch(connection, now)
        self._serve(connection)

    def _touch(self, connection: _Connection, now: float) -> None:
        if connection.timeout:
            self._quorum.touch(connection.session, connection.timeout, now)

    def _greet(self, connection: _Connection, hello: wire.Hello, now: float) -> None:
        request = hello.connect
        connection.greeted, connection.modern = True, hello.modern
        if request.last_zxid > self.tree.zxid:
            self.hang_up(connection.number)
            return
        if request.session_id:
            connection.waiting = True
            # Before the quorum has decided, as ZooKeeper does.
            for other in self.serving(request.session_id):
                self.hang_up(other)
            self._quorum.resume(request.session_id, request.password, Ticket(connection.number, 0), now)
            return
        timeout = min(max(request.timeout, self._timeouts[0]), self._timeouts[1])
        session, password = self._quorum.new_session()
        self._bind(connection, session)
        self._quorum.touch(session, timeout, now)
        self._submit(connection, 0, OpenSession(timeout, password))

    def _bind(self, connection: _Connection, session: int) -> None:
        """Have the connection serve this session from now on, 0 for none."""
        if (before := self._serving.get(connection.session)) is not None:
            before.pop(connection.number, None)
            if not before:
                del self._serving[connection.session]
        connection.session = session
        if session:
            self._serving.setdefault(session, {})[connection.number] = None

    def _accept(self, connection: _Connection, session: OpenSession) -> None:
        connection.timeout = session.timeout
        accepted = m.Accepted(connection.session, session.timeout, session.password)
        self._send(connection, wire.encode_accepted(accepted, modern=connection.modern))

    # -- requests ------------------------------------------------------------------------------------------------------

    def _serve(self, connection: _Connection) -> None:
        if connection.serving:
            return  # `submit` has committed at once, inside the loop below
        connection.serving, number = True, connection.number
        while connection.asked and not connection.waiting and number in self._connections and connection.sent < ENOUGH:
            self._do(connection, *connection.asked.popleft())
        connection.serving = False

    def _do(self, connection: _Connection, xid: int, request: Asked) -> None:
        match request:
            case m.Create() | m.Delete() | m.SetData() | m.Multi() | m.SetAccess() | foreign.Impossible():
                self._submit(connection, xid, request)
            case m.Close():
                self._submit(connection, xid, CloseSession())
            case m.Check() | foreign.Unknown():
                self._send(connection, wire.encode_reply(xid, -1, m.Failed(foreign.UNIMPLEMENTED)))
                self.hang_up(connection.number)
            case foreign.Unreadable():
                self._answer(connection, xid, m.Failed(foreign.UNREADABLE))
            case m.Authenticate():
                self._authenticate(connection, xid, request)
            case m.SetWatches() | foreign.SetEveryWatch():
                for one in self._reader.set_again(connection.asker, request):
                    self._notify(connection, one, -1)
                self._answer(connection, xid, m.WatchesSet())
            case m.Sync(path):
                connection.waiting, connection.syncing = True, path
                self._quorum.sync(Ticket(connection.number, xid))
            case m.Ping():
                self._answer(connection, xid, m.Ponged())
            case _:
                self._answer(connection, xid, self._reader.answer(connection.asker, request))

    def _submit(self, connection: _Connection, xid: int, write: Write) -> None:
        connection.waiting = True
        entry = Entry(connection.session, write, connection.proofs, self._wall())
        self._quorum.submit(entry, Ticket(connection.number, xid))

    def _authenticate(self, connection: _Connection, xid: int, request: m.Authenticate) -> None:
        proved: Proofs = ()
        if request.scheme == "ip":  # every client has this proof
            proved = (("ip", connection.peer),)
        elif request.scheme == "digest" and not m.is_null(request.credentials):
            proved = (("digest", digest_of(request.credentials)),)
        connection.proofs = tuple(dict.fromkeys((*connection.proofs, *proved)))
        self._send(connection, wire.encode_reply(xid, 0, m.Authenticated() if proved else m.Failed(AuthFailed.code)))
        if not proved:
            self.hang_up(connection.number)

    # -- called by the quorum ------------------------------------------------------------------------------------------

    def committed(self, entry: Entry, ticket: Ticket | None) -> None:
        """Apply the next entry of the log; with the `ticket` of the write if it is this host's own."""
        reply, happened = self.tree.apply(entry)
        for number, one in list(self._watches.fire(happened)):
            self._notify(self._connections[number], one, self.tree.zxid)
        connection = None if ticket is None else self._connections.get(ticket.connection)
        if ticket is not None and connection is not None:
            if isinstance(entry.write, OpenSession):
                self._accept(connection, entry.write)
            else:
                self._answer(connection, ticket.xid, reply)
        if isinstance(entry.write, CloseSession):
            for number in self.serving(entry.session):
                self.hang_up(number)
        if connection is not None:
            self._go_on(connection)

    def resumed(self, session: int, ticket: Ticket, known: OpenSession | None) -> None:
        """A client may resume its session here; `known` is None if that is over, or not this client's."""
        connection = self._connections.get(ticket.connection)
        if connection is None:
            return
        if known is None:
            self._send(connection, wire.encode_accepted(m.Accepted(0, 0.0, bytes(16)), modern=connection.modern))
            self.hang_up(connection.number)
            return
        self._bind(connection, session)
        self._accept(connection, known)
        self._go_on(connection)

    def refused(self, ticket: Ticket, code: int) -> None:
        """The quorum has refused this write."""
        connection = self._connections.get(ticket.connection)
        if connection is not None:
            self._answer(connection, ticket.xid, m.Failed(code))
            self._go_on(connection)

    def synced(self, ticket: Ticket) -> None:
        """All that was ordered before this sync has been committed here."""
        connection = self._connections.get(ticket.connection)
        if connection is not None:
            self._answer(connection, ticket.xid, m.Synced(connection.syncing))
            self._go_on(connection)

    def _go_on(self, connection: _Connection) -> None:
        connection.waiting = False
        self._serve(connection)

    # -- sending -------------------------------------------------------------------------------------------------------

    def _notify(self, connection: _Connection, happened: Happened, zxid: int) -> None:
        if allows(happened.access, connection.proofs, m.Permission.READ):
            self._send(connection, wire.encode_watched(event_of(happened), zxid))

    def _answer(self, connection: _Connection, xid: int, reply: m.Reply | foreign.Reply) -> None:
        self._send(connection, wire.encode_reply(xid, self.tree.zxid, reply))

    def _send(self, connection: _Connection, data: bytes) -> None:
        self.sent += 1
        connection.sent += len(data)
        self._out.append((connection.number, data))

    def _command(self, name: bytes) -> bytes:
        if name == b"ruok":
            return b"imok"
        lines = {
            # Some clients decide by this version what the server supports.
            "Zookeeper version": "3.9.0-embedded-in-memory, built on 2026-11-28 00:00 UTC",
            "Received": self.received,
            "Sent": self.sent,
            "Connections": len(self._connections),
            "Outstanding": 0,
            "Zxid": hex(self.tree.zxid),
            "Mode": "standalone",
            "Node count": sum(1 for _ in self.tree.walk()),
        }
        return "".join(f"{key}: {value}\n" for key, value in lines.items()).encode()
