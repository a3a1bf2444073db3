"""Three servers around one log, each a host of the embedded server's with a tree of its own.

As ZooKeeper's: writes go to the one that orders them, which is not modelled as one of the three, and are committed
while there is a quorum; each server applies the log when it gets to it, so reads may be old; a server that is cut off
goes on answering reads and pings until it gives up. Sessions are watched by who orders: signs of life reach it through
servers that are not cut off. A session that has moved may not write through the server that it came from.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leader_async.embedded.entries import CloseSession, Entry, OpenSession
from leader_async.embedded.expiry import Expiry
from leader_async.embedded.host import Host
from leader_async.embedded.quorum import Ticket
from leader_async.embedded.tree import Tree
from leader_async.errors import SessionExpired, SessionMoved

from .timeline import Timeline

if TYPE_CHECKING:
    from .network import Connection

TICK = 0.1
"""Seconds between two looks at the sessions."""

HOP = 0.0001, 0.003
"""Seconds between two servers."""

GIVE_UP = 3.0
"""Seconds after which a server that is cut off stops serving its clients: ZooKeeper's syncLimit ticks."""

FOREIGN = -1
"""The session that a stranger's writes are made in; it never ends."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """One entry of the log, and whose it is."""

    entry: Entry
    server: Server | None
    ticket: Ticket | None


class Ensemble:
    """See the module's docstring.

    Args:
        timeline: whose time.
        rng: all of its chance.
        count: how many servers.
    """

    def __init__(self, timeline: Timeline, rng: random.Random, count: int = 3) -> None:
        self.timeline, self.rng = timeline, rng
        self.log: list[Ordered] = []
        self.tree = Tree()  # with all of the log applied
        self.expiry = Expiry(TICK)
        self.owners: dict[int, tuple[Server, int]] = {}
        self.denied: dict[int, int] = {}  # sessions that a server said to have expired, and the zxid then
        self.quorum = True
        self.wall = 0.0
        """By how much its wall clocks are ahead of the timeline."""
        self.latency = 0.004
        """Seconds that bytes from a server to a process take at most; the other way is always quick. So a confirm may
        be old when its answer comes, and it matters from when it counts."""
        self._waiting: list[Ordered] = []
        self._sessions = 0
        self.servers = [Server(self, number) for number in range(count)]
        self.tree.apply(Entry(FOREIGN, OpenSession(1e9, b"")))
        for server in self.servers:
            server.host.tree.apply(Entry(FOREIGN, OpenSession(1e9, b"")))
        self._tick()

    def new_session(self) -> tuple[int, bytes]:
        self._sessions += 1
        return self._sessions, self.rng.randbytes(16)

    def order(self, ordered: Ordered) -> None:
        """A write has reached who orders them."""
        entry, server, ticket = ordered.entry, ordered.server, ordered.ticket
        if not self.quorum:
            self._waiting.append(ordered)
            return
        if server is not None and ticket is not None:
            if isinstance(entry.write, OpenSession):
                self.owners[entry.session] = server, ticket.connection
            elif self.owners.get(entry.session) != (server, ticket.connection):
                code = SessionMoved.code if entry.session in self.owners else SessionExpired.code
                self.timeline.after(self.hop(), lambda: server.refused(ticket, code))
                return
        if isinstance(entry.write, CloseSession):
            self.expiry.forget(entry.session)
            self.owners.pop(entry.session, None)
        self.log.append(ordered)
        self.tree.apply(entry)
        for each in self.servers:
            self.timeline.after(self.hop(), each.catch_up)

    def resume(self, server: Server, session: int, password: bytes, ticket: Ticket) -> None:
        """A client wants to go on with its session at this server."""
        known = self.tree.sessions.get(session)
        if known is not None and known.password == password and self.quorum:
            self.owners[session] = server, ticket.connection
            self.expiry.touch(session, known.timeout, self.timeline.now)
        elif known is not None and known.password == password:
            return  # nobody can say
        else:
            known = None
        self.timeline.after(self.hop(), lambda: server.resumed(session, ticket, known))

    def set_quorum(self, quorum: bool) -> None:
        """Without a quorum nothing is committed; with one again, what waited is."""
        before, self.quorum = self.quorum, quorum
        if quorum and not before:
            # Who orders has no memory of when it last heard of whom: ZooKeeper's new leader grants all a whole timeout.
            for session, opened in self.tree.sessions.items():
                if session != FOREIGN:
                    self.expiry.touch(session, opened.timeout, self.timeline.now)
            waiting, self._waiting = self._waiting, []
            for ordered in waiting:
                self.order(ordered)

    def expire(self, session: int) -> None:
        """End this session, early or not."""
        if session in self.tree.sessions:
            self.order(Ordered(Entry(session, CloseSession()), None, None))

    def hop(self) -> float:
        return self.rng.uniform(*HOP)

    def _tick(self) -> None:
        if self.quorum:
            for session in self.expiry.due(self.timeline.now):
                self.expire(session)
        self.timeline.after(TICK, self._tick)


@dataclass(slots=True, eq=False)
class _Mail:
    """What a server has sent to who orders, while it cannot reach it."""

    stuck: list[Ordered] = field(default_factory=list)
    last: float = 0.0


class Server:
    """One server, and what can happen to it. A `Quorum` for its host."""

    def __init__(self, ensemble: Ensemble, number: int) -> None:
        self.ensemble, self.number = ensemble, number
        self.address = f"10.0.0.{number + 1}", 2181
        self._clients: dict[int, Connection] = {}
        self._applied = 0
        self._mail = _Mail()
        self._unread: list[Callable[[], None]] = []
        self.down = self.frozen = self.cut_off = self.lagging = self.denying = False
        self._cut_since = 0.0
        timeline = ensemble.timeline
        self.host = Host(Tree(), self, timeouts=(2 * TICK, 1000 * TICK), wall=lambda: ensemble.wall + timeline.now)

    # -- clients -------------------------------------------------------------------------------------------------------

    @property
    def takes_connections(self) -> bool:
        return not self.down and not (self.cut_off and self.ensemble.timeline.now > self._cut_since + GIVE_UP)

    def accept(self, client: Connection) -> int:
        number = self.host.open("client")
        self._clients[number] = client
        return number

    def received(self, number: int, data: bytes | None) -> None:
        if self.frozen:
            self._unread.append(lambda: self.received(number, data))
            return
        if number not in self._clients:
            return
        if data is None:
            self._clients.pop(number).down.send(None)
            self.host.lost(number)
        else:
            self.host.receive(number, data, self.ensemble.timeline.now)
        self.flush()

    def flush(self) -> None:
        for number, data in self.host.take():
            client = self._clients.get(number)
            if client is not None:
                client.down.send(data)
                if data is None:
                    del self._clients[number]

    @property
    def clients(self) -> list[Connection]:
        return list(self._clients.values())

    # -- the log -------------------------------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """Apply what there is of the log."""
        log = self.ensemble.log
        while self._applied < len(log) and not (self.lagging or self.cut_off or self.frozen or self.down):
            ordered = log[self._applied]
            self._applied += 1
            self.host.committed(ordered.entry, ordered.ticket if ordered.server is self else None)
        self.flush()

    def refused(self, ticket: Ticket, code: int) -> None:
        if self.frozen:
            self._unread.append(lambda: self.refused(ticket, code))
        elif not (self.cut_off or self.down):
            self.host.refused(ticket, code)
            self.flush()

    def resumed(self, session: int, ticket: Ticket, known: OpenSession | None) -> None:
        if self.frozen:
            self._unread.append(lambda: self.resumed(session, ticket, known))
        elif not (self.cut_off or self.down):
            self.host.resumed(session, ticket, known)
            self.flush()

    # -- as the host's quorum ------------------------------------------------------------------------------------------

    def submit(self, entry: Entry, ticket: Ticket) -> None:
        self._post(Ordered(entry, self, ticket))

    def sync(self, ticket: Ticket) -> None:
        if self.cut_off:
            return
        ensemble = self.ensemble

        def reached() -> None:
            length = len(ensemble.log)

            def back() -> None:
                if self.down or self.cut_off:
                    return
                if self._applied < length or self.frozen:
                    ensemble.timeline.after(TICK / 10, back)
                    return
                self.host.synced(ticket)
                self.flush()

            ensemble.timeline.after(ensemble.hop(), back)

        # Behind what this server has sent before.
        self._mail.last = max(self._mail.last, ensemble.timeline.now + ensemble.hop())
        ensemble.timeline.at(self._mail.last, reached)

    def touch(self, session: int, timeout: float, now: float) -> None:
        if not self.cut_off and self.ensemble.quorum:
            self.ensemble.expiry.touch(session, timeout, now)

    def new_session(self) -> tuple[int, bytes]:
        return self.ensemble.new_session()

    def resume(self, session: int, password: bytes, ticket: Ticket, now: float) -> None:
        ensemble = self.ensemble
        if self.denying:
            ensemble.denied.setdefault(session, ensemble.tree.zxid)
            ensemble.timeline.after(ensemble.hop(), lambda: self.resumed(session, ticket, None))
        elif not self.cut_off:
            ensemble.timeline.after(ensemble.hop(), lambda: ensemble.resume(self, session, password, ticket))

    def _post(self, ordered: Ordered) -> None:
        if self.cut_off:
            self._mail.stuck.append(ordered)
            return
        ensemble = self.ensemble
        self._mail.last = max(self._mail.last, ensemble.timeline.now + ensemble.hop())
        ensemble.timeline.at(self._mail.last, lambda: ensemble.order(ordered))

    # -- what can happen to it -----------------------------------------------------------------------------------------

    def freeze(self, frozen: bool) -> None:
        """It does nothing; what reaches it waits."""
        self.frozen = frozen
        if not frozen:
            unread, self._unread = self._unread, []
            for do in unread:
                do()
            self.catch_up()

    def lag(self, lagging: bool) -> None:
        """It gets nothing of the log, though what it sends is ordered."""
        self.lagging = lagging
        self.catch_up()

    def cut(self) -> None:
        """It can neither hear nor be heard by the others, and does not know it yet."""
        if self.cut_off or self.down:
            return
        self.cut_off, self._cut_since = True, self.ensemble.timeline.now
        since = self._cut_since
        self.ensemble.timeline.after(GIVE_UP, lambda: self._give_up(since))

    def _give_up(self, since: float) -> None:
        if self.cut_off and self._cut_since == since:
            self._hang_up_on_all()
            self._mail.stuck.clear()

    def heal(self) -> None:
        """It is heard again; what it had to say may come late, or never."""
        if not self.cut_off:
            return
        self.cut_off = False
        stuck, self._mail.stuck = self._mail.stuck, []
        if self.ensemble.rng.random() < 0.5:
            for ordered in stuck:
                self._post(ordered)
        else:
            self._hang_up_on_all()
        self.catch_up()

    def deny(self, denying: bool) -> None:
        """It hangs up on everybody, and says of all sessions that they have expired."""
        self.denying = denying
        if denying:
            self._hang_up_on_all()

    def crash(self) -> None:
        """It is gone, but not its disk."""
        if not self.down:
            self.heal_flags()
            self._hang_up_on_all()
            self.down = True
            self._unread.clear()

    def restart(self) -> None:
        """It is there again, with all that is known."""
        if self.down:
            self.down = False
            self.catch_up()

    def heal_flags(self) -> None:
        self.cut_off = self.frozen = self.lagging = self.denying = False
        self._mail.stuck.clear()

    def _hang_up_on_all(self) -> None:
        for number in list(self._clients):
            self.host.hang_up(number)
        self.flush()
