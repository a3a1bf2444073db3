"""A term for code in threads, which is told of its end and waited for.

Rules:
- `lost` is set once and for good. A term that was suspended and goes on is another object, with the same token.
- Nobody enters after `lost`; the loop goes on (`drained`) when all who have entered have left.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

from .. import election
from ..election.transaction import Result
from ..errors import TermEnded
from .portal import Portal


class Term:
    """What work gets to know of the term that it works under; the methods may be called from any thread.

    Attributes:
        lost: set when this process leads no more; `term.lost.wait(60)` sleeps for a minute, or until then.
    """

    def __init__(self, portal: Portal, term: election.term.Term) -> None:
        self.lost = threading.Event()
        self._portal, self._term = portal, term
        self._lock = threading.Lock()
        self._inside: list[int] = []  # threads
        self._loop = asyncio.get_running_loop()
        self._empty: asyncio.Future[None] = self._loop.create_future()

    @property
    def token(self) -> int:
        """The fencing token; see `leader_async.Term.token` and `leader_async.fence`."""
        return self._term.token

    @property
    def number(self) -> int:
        """Counts the election's terms, from 1; for people."""
        return self._term.number

    @property
    def valid_until(self) -> float:
        """Reading of `leader_async.clock.now` at which the lease ends unless it is renewed; -inf once it is over."""
        return self._term.valid_until

    @property
    def is_current(self) -> bool:
        """Whether this process leads under this term now; False in a forked child."""
        return self._term.is_current and not self.lost.is_set()

    def check(self) -> None:
        """Return if this process leads under this term now; from the lease's deadline, in microseconds.

        Raises:
            TermEnded: it does not. End, so that another can lead.
        """
        if not self.is_current:
            raise TermEnded(f"term {self.number}, token {self.token}: this process leads no more; end the work")

    def confirm(self) -> None:
        """Prove by a quorum write, begun after this call, that this term still stands.

        Raises:
            TermEnded: it does not.
            NotConnected: no server is connected; nothing is known.
            ConnectionLost: the answer was lost; nothing is known.
        """
        self._portal.check()
        self._portal.call(self._term.confirm())
        self.check()

    def transaction(self) -> election.transaction.Transaction:
        """A transaction of writes to ZooKeeper that happens only while this term stands; give it to `commit`."""
        return self._term.transaction()

    def commit(self, writes: election.transaction.Transaction) -> tuple[Result, ...]:
        """Do all of a transaction, or nothing; see `leader_async.Transaction.commit`."""
        self._portal.check()
        return self._portal.call(writes.commit())

    def __repr__(self) -> str:
        return (
            f"<{type(self).__module__}.Term {self.number}, token {self.token}{', lost' if self.lost.is_set() else ''}>"
        )

    # -- for the election ----------------------------------------------------------------------------------------------

    def enter(self) -> bool:
        """Begin to work in this thread; False if the term is lost."""
        with self._lock:
            if not self.is_current:
                return False
            self._inside.append(threading.get_ident())
            return True

    def leave(self) -> None:
        """The work in this thread has ended."""
        if self._portal.foreign:
            return  # a child inherits the stack of its parent's work, not the work
        with self._lock:
            # A context manager may be left in another thread than it was entered in.
            self._inside.remove(threading.get_ident() if self.is_mine else self._inside[0])
            drained = not self._inside and self.lost.is_set()
        if drained:
            with suppress(RuntimeError):  # the loop has ended: the process does
                self._loop.call_soon_threadsafe(self._drained)

    @property
    def is_mine(self) -> bool:
        """Whether this thread works under this term."""
        return threading.get_ident() in self._inside

    async def end(self) -> None:
        """Tell everybody who is inside, and wait until they have left, whatever happens."""
        with self._lock:
            self.lost.set()
            if not self._inside:
                self._drained()
        while not self._empty.done():
            with suppress(asyncio.CancelledError):  # better no leader than two
                await asyncio.wait([self._empty])

    def _drained(self) -> None:
        if not self._empty.done():
            self._empty.set_result(None)
