"""A host that is the whole ensemble: it commits each write at once, and ends sessions that have gone silent.

Pure: time and passwords are arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .entries import CloseSession, Entry
from .expiry import Expiry
from .host import Host
from .quorum import Ticket
from .tree import Tree


class Alone:
    """A `Quorum` of one. Sessions last 2 to 20 ticks (of so many seconds), and end on one.

    Zxids and session ids count from `start`. It must exceed those of any server that the clients have known before, or
    they would refuse this one as behind.
    """

    def __init__(self, *, tick: float, start: int, passwords: Iterator[bytes], wall: Callable[[], float]) -> None:
        self._expiry = Expiry(tick)
        self._sessions = start
        self._passwords = passwords
        self._wall = wall
        self.host = Host(Tree(start), self, timeouts=(2 * tick, 20 * tick), wall=wall)

    def submit(self, entry: Entry, ticket: Ticket) -> None:
        """See `Quorum`."""
        if isinstance(entry.write, CloseSession):
            self._expiry.forget(entry.session)
        self.host.committed(entry, ticket)

    def sync(self, ticket: Ticket) -> None:
        """See `Quorum`."""
        self.host.synced(ticket)

    def touch(self, session: int, timeout: float, now: float) -> None:
        """See `Quorum`."""
        self._expiry.touch(session, timeout, now)

    def new_session(self) -> tuple[int, bytes]:
        """See `Quorum`."""
        self._sessions += 1
        return self._sessions, next(self._passwords)

    def resume(self, session: int, password: bytes, ticket: Ticket, now: float) -> None:
        """See `Quorum`."""
        known = self.host.tree.sessions.get(session)
        if known is not None and known.password == password:
            self._expiry.touch(session, known.timeout, now)
            self.host.resumed(session, ticket, known)
        else:
            self.host.resumed(session, ticket, None)

    def deadline(self) -> float | None:
        """When to call `tick` next."""
        return self._expiry.deadline()

    def tick(self, now: float) -> None:
        """End the sessions that have gone silent."""
        for session in self._expiry.due(now):
            self.expire(session)

    def restart(self, now: float) -> None:
        """Serve again after a pause: every session has its whole timeout again."""
        for session, known in self.host.tree.sessions.items():
            self._expiry.touch(session, known.timeout, now)

    def expire(self, session: int) -> None:
        """End this session, as if it had gone silent."""
        self._expiry.forget(session)
        self.host.committed(Entry(session, CloseSession(), at=self._wall()), None)
