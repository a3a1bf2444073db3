"""What a host asks of all servers together: an order of its writes, and which sessions live. Pure."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from .entries import Entry


class Ticket(NamedTuple):
    """The origin of a write: the connection of this host, and the xid."""

    connection: int
    xid: int


class Quorum(Protocol):
    """Decides the order of writes, and which sessions live."""

    def submit(self, entry: Entry, ticket: Ticket) -> None:
        """Order this write; `Host.committed` or `Host.refused` follows, perhaps at once, perhaps never."""

    def sync(self, ticket: Ticket) -> None:
        """Let the host catch up with all that is ordered by now; `Host.synced` follows, perhaps never."""

    def touch(self, session: int, timeout: float, now: float) -> None:
        """This session has shown that it lives."""

    def new_session(self) -> tuple[int, bytes]:
        """An id that no session has had, and a password."""

    def resume(self, session: int, password: bytes, ticket: Ticket, now: float) -> None:
        """A client wants to resume this session here; `Host.resumed` follows, perhaps never."""
