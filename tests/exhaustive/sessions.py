"""The walk through one session's rules: `Session` and the embedded server, one connection after the other.

Actions: the client dials, sends the next request of its program, closes; the server takes what has arrived, the client
takes what has arrived; time passes by a step, or by a long one, which is an outage if it costs no session. Faults, of
which there is a budget: the connection is cut, and what was on its way up may arrive later, in front of or behind what
the next connection says, or never; the session is expired; the server denies a living session; it hangs up on a
handshake without a word; it says that the session has moved; it comes back with nothing of its data; somebody changes
what is watched.

Every promise of `Session` is checked after every step (`hostile.supervised`). Beyond that: the end of a session is told
only if it is over, or a server lied; nothing that was answered had not happened; after healing the session is up within
two handshakes, or over if that was wanted, and nothing of an older one is left.

What it leaves out: frames in pieces (see `hostile`), more than one server, more faults than the budget.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

from leader_async.embedded.alone import Alone
from leader_async.embedded.entries import Entry
from leader_async.embedded.quorum import Ticket
from leader_async.errors import SessionMoved
from leader_async.zookeeper import messages as m
from leader_async.zookeeper.session import PATIENCE, Phase

from ..hostile.supervised import TIMEOUT, Supervised
from ..support.endless import Endless
from . import explore
from .copying import copied
from .explore import Action

STEP = 2.1
"""Seconds: a little more than an answer, a handshake or a silent connection may last."""
LONG = PATIENCE * TIMEOUT + 1.0
"""Seconds after which servers that hang up are asked for a new session, and any session is over."""

PROGRAM: tuple[m.Request, ...] = (
    m.Create("/a", b"", ephemeral=True),
    m.GetData("/a", watch=True),
    m.SetData("/a", b"x", -1),
)
FAULTS = ("cut", "cut, late", "expire", "deny", "hang up", "move", "wipe", "change")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far to walk.

    Attributes:
        requests: how many of the program are sent.
        opens: how many times the client dials.
        total: how many faults.
        passes: how many steps of time.
        long: how many of these may be long, for the session or, in an outage, for the client alone.
    """

    requests: int
    opens: int
    total: int
    passes: int = 0
    long: int = 0


class Server(Alone):
    """The embedded server, which may say what is not so."""

    def __init__(self, start: int) -> None:
        super().__init__(tick=1.0, start=start, passwords=Endless(_password), wall=_no_wall)
        self.denies = self.silent = self.moved = False

    def resume(self, session: int, password: bytes, ticket: Ticket, now: float) -> None:
        if self.denies:
            self.denies = False
            self.host.resumed(session, ticket, None)
            return
        if self.silent:
            self.silent = False
            self.host.hang_up(ticket.connection)
            return
        self.moved = False
        super().resume(session, password, ticket, now)

    def submit(self, entry: Entry, ticket: Ticket) -> None:
        if self.moved:
            self.host.refused(ticket, SessionMoved.code)
        else:
            super().submit(entry, ticket)


def _password(number: int) -> bytes:
    return b"p" * 16


def _no_wall() -> float:
    return 0.0


@dataclass(eq=False)
class State(explore.State):
    """The client, the server, what is between them, and what is left of the budget."""

    left: Bounds
    client: Supervised = field(default_factory=Supervised)
    server: Server = field(default_factory=lambda: Server(100))
    number: int = 0  # of the connection, at the server; 0 for none
    up: deque[bytes | None] = field(default_factory=deque)
    down: deque[bytes | None] = field(default_factory=deque)
    old: list[tuple[int, deque[bytes | None]]] = field(default_factory=list)  # connections that ended; may arrive yet
    lies: int = 0

    # -- what can happen -----------------------------------------------------------------------------------------------

    def possible(self) -> Iterator[Action]:
        phase, left = self.client.session.phase, self.left
        if phase is Phase.DOWN and left.opens:
            yield "open", 0
        if phase is Phase.UP and left.requests:
            yield "send", 0
        if phase in (Phase.DOWN, Phase.UP, Phase.SHAKING):
            yield "close", 0
        if self.up:
            yield "serve", 0
        if self.down:
            yield "receive", 0
        for index in range(len(self.old)):
            yield "serve old", index
        if left.passes and phase is not Phase.OVER:
            yield "pass", 0
            if left.long:
                yield "long", 0
                yield "outage", 0
        if left.total and phase is not Phase.OVER:
            yield from ((fault, 0) for fault in FAULTS if self._can(fault))

    def _can(self, fault: str) -> bool:
        session, sessions = self.client.session.session_id, self.server.host.tree.sessions
        match fault:
            case "cut":
                return bool(self.number)
            case "cut, late":
                return bool(self.number and self.up)
            case "expire" | "deny" | "hang up" | "move":
                return session in sessions
            case "change":
                return self.server.host.tree.find("/a") is not None
            case _:
                return bool(session)

    def after(self, action: Action) -> State:
        state = self._copy()
        state.before, state.action, state.depth = self, action, self.depth + 1
        state.do(*action)
        return state

    def _copy(self) -> State:
        parts = self.client, self.server, self.number, self.up, self.down, self.old, self.lies
        return State(self.left, *copied(parts))

    def do(self, kind: str, index: int) -> None:
        """Let it happen."""
        client, server = self.client, self.server
        match kind:
            case "open":
                self._spend(opens=1)
                self.open()
            case "send":
                client.send(PROGRAM[client.session._xid % len(PROGRAM)])
                self._spend(requests=1)
            case "close":
                client.close()
            case "serve":
                self.serve(self.number, self.up)
            case "serve old":
                number, up = self.old[index]
                self.serve(number, up)
                if not up:
                    del self.old[index]
            case "receive":
                self.receive()
            case "pass" | "long" | "outage":
                self._spend(passes=1, long=0 if kind == "pass" else 1)
                client.wait(STEP if kind == "pass" else LONG)
                if kind == "outage":  # whoever orders the writes anew grants all sessions a whole timeout
                    for number, opened in server.host.tree.sessions.items():
                        server.touch(number, opened.timeout, client.now)
                server.tick(client.now)
                client.tick()
            case _:
                self._spend(total=1)
                self._fault(kind)
        self._carry()
        self._check()

    def _spend(self, **what: int) -> None:
        left = self.left
        self.left = Bounds(
            *(getattr(left, name) - what.get(name, 0) for name in ("requests", "opens", "total", "passes", "long"))
        )

    def _fault(self, kind: str) -> None:
        server, session = self.server, self.client.session.session_id
        match kind:
            case "cut":
                server.host.lost(self.number)
                self.up.clear()
                self.client.hang_up()
            case "cut, late":
                self.client.hang_up()
            case "expire":
                server.expire(session)
            case "deny":
                server.denies = True
                self.lies += 1
            case "hang up":
                server.silent = True
            case "move":
                server.moved = True
            case "wipe":
                for number, _ in list(server.host.connections):
                    server.host.hang_up(number)
                self._route()
                self.old.clear()
                self.up.clear()
                # Its numbers go on: those of connections are not what this is about.
                self.server = Server(1)
                self.server.host._numbers = server.host._numbers
                self.lies += 1
            case "change":
                server.host.committed(Entry(0, m.SetData("/a", b"other", -1)), None)

    # -- the connection ------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """The client has dialled."""
        self.number = self.server.host.open("client")
        self.client.open(2.0)

    def serve(self, number: int, up: deque[bytes | None]) -> None:
        """The server takes what is next on this connection."""
        data = up.popleft()
        if data is None:
            self.server.host.lost(number)
        else:
            self.server.host.receive(number, data, self.client.now)

    def receive(self) -> None:
        """The client takes what is next."""
        data = self.down.popleft()
        if data is None:
            self.client.hang_up()
        else:
            self.client.hear(data)

    def _route(self) -> None:
        for number, data in self.server.host.take():
            if number == self.number:
                self.down.append(data)

    def _carry(self) -> None:
        """Put bytes on their way; close what the client has given up."""
        self._route()
        if self.client.out:
            self.up.append(bytes(self.client.out))
            self.client.out.clear()
        if self.number and self.client.session.phase in (Phase.DOWN, Phase.OVER):
            if self.up:
                self.old.append((self.number, self.up))
                self.up.append(None)
            else:
                self.server.host.lost(self.number)
            self.number, self.up, self.down = 0, deque(), deque()

    # -- what must hold ------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        session, tree = self.client.session, self.server.host.tree
        living = [one for one in self.client.expired if one in tree.sessions]
        assert len(living) <= self.lies, f"{living} are said to have expired, and live"
        if session.phase in (Phase.UP, Phase.CLOSING):
            assert session.session_id, "up without a session"

    def settle(self) -> None:
        self._copy().heal()

    def heal(self) -> None:
        """All is delivered, and time passes."""
        client, server = self.client, self.server
        server.denies = server.silent = server.moved = False
        closing = client.session.phase in (Phase.CLOSING, Phase.OVER)
        for _ in range(40):
            self.left = Bounds(0, 0, 0)
            if client.session.phase is Phase.DOWN:
                self.open()
            self._carry()
            while self.up or self.down or self.old:
                if self.old:
                    number, up = self.old.pop(0)
                    while up:
                        self.serve(number, up)
                elif self.up:
                    self.serve(self.number, self.up)
                else:
                    self.receive()
                self._carry()
            client.wait(1.0)
            server.tick(client.now)
            client.tick()
            self._carry()
        session = client.session
        assert session.phase is (Phase.OVER if closing else Phase.UP), f"after healing it is {session.phase.value}"
        sessions = set(server.host.tree.sessions) - {session.session_id}
        assert not sessions or closing, f"{sessions} are left over"

    # -- when two states are one ---------------------------------------------------------------------------------------

    def key(self) -> Hashable:
        session, now = self.client.session, self.client.now
        host, tree = self.server.host, self.server.host.tree

        def ago(at: float | None) -> float | None:
            return None if at is None else round(at - now, 3)

        return (
            self.left, session.phase, session.session_id, session.last_zxid, session._xid, session._anew,
            session._parting, session.serving,
            tuple(xid for xid, _ in session._asked), tuple((xid, ago(due)) for xid, due in session._due),
            ago(session._ping_due), ago(session._handshake_due) if session.phase is Phase.SHAKING else None,
            ago(session._hung_up_since), ago(session._last_sent) if self.number else None, tuple(self.client.expired),
            tree.zxid, tuple((path, node.version, node.owner) for path, node in tree.walk()), tuple(tree.sessions),
            tuple((number, ago(due)) for number, due in self.server._expiry._deadlines.items()),
            tuple((number, each.session, each.greeted) for number, each in host._connections.items()),
            tuple(host._watches._data), self.server.denies, self.server.silent, self.server.moved, self.lies,
            self.number, tuple(self.up), tuple(self.down), tuple((number, tuple(up)) for number, up in self.old),
        )  # fmt: skip


def walk(bounds: Bounds, *, seconds: float = 1e9, settle_every: int = 50) -> explore.Found:
    """Go through every state within the bounds; see `explore.explore`."""
    return explore.explore(State(bounds), seconds=seconds, settle_every=settle_every)


def replay(bounds: Bounds, actions: tuple[Action, ...]) -> State:
    """Do these actions again."""
    state = State(bounds)
    for action in actions:
        state = state.after(action)
    return state
