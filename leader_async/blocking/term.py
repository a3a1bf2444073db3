"""A term for code in threads, which is notified of its end and waited for.

Rules:
- `lost` is set once and for good. A term that was suspended and resumes is another object, with the same token.
- No thread enters after `lost`. The loop waits (`drained`) until all that have entered have left.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

from ..election.term import Term as AsyncTerm
from ..election.transaction import Result, Transaction
from ..errors import TermEnded
from ..waking import outlast
from .facade import Facade, like
from .portal import Portal


class Term(Facade[AsyncTerm]):
    """What work gets to know of the term that it works under; the methods may be called from any thread.

    Attributes:
        lost: set when this process leads no more; `term.lost.wait(60)` sleeps for a minute, or until then.
    """

    def __init__(self, portal: Portal, term: AsyncTerm) -> None:
        super().__init__(portal, term)
        self.lost = threading.Event()
        self._lock = threading.Lock()
        self._inside: list[int] = []  # threads
        self._loop = asyncio.get_running_loop()
        self._drained: asyncio.Future[None] = self._loop.create_future()  # done once: nobody enters after `lost`

    @property
    def token(self) -> int:
        """The fencing token; see `leader_async.Term.token` and `leader_async.fence`."""
        return self.asynchronous.token

    @property
    def number(self) -> int:
        """Counts the election's terms, from 1; for people."""
        return self.asynchronous.number

    @property
    def lease(self) -> float:
        """Seconds for which a confirm lets this process lead."""
        return self.asynchronous.lease

    @property
    def valid_until(self) -> float:
        """Reading of `leader_async.clock.now` at which the lease ends unless it is renewed; -inf once it is over."""
        return self.asynchronous.valid_until

    @property
    def over(self) -> bool:
        """Whether it has ended for good; False while it stands, and while it is suspended and may go on."""
        return self.asynchronous.over

    @property
    def is_current(self) -> bool:
        """Whether this process leads under this term now; False in a forked child."""
        return self.asynchronous.is_current and not self.lost.is_set()

    def check(self) -> None:
        """Return if this process leads under this term now; from the lease's deadline, in microseconds.

        Raises:
            TermEnded: it does not. End, so that another can lead.
        """
        if not self.is_current:
            raise TermEnded(f"term {self.number}, token {self.token}: this process leads no more; end the work")

    @like(AsyncTerm.confirm)
    def confirm(self) -> None:
        self.begin()
        self._portal.call(self.asynchronous.confirm())
        self.check()

    def transaction(self) -> Transaction:
        """A transaction of writes to ZooKeeper that happens only while this term stands; give it to `commit`."""
        return self.asynchronous.transaction()

    def commit(self, writes: Transaction) -> tuple[Result, ...]:
        """Do all of a transaction, or nothing; see `leader_async.Transaction.commit`."""
        self.begin()
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
                self._loop.call_soon_threadsafe(self._drained.set_result, None)

    @property
    def is_mine(self) -> bool:
        """Whether this thread works under this term."""
        return threading.get_ident() in self._inside

    async def end(self) -> None:
        """Notify all who are inside, and wait until they have left, whatever happens."""
        with self._lock:
            self.lost.set()
            if not self._inside:
                self._drained.set_result(None)
        await outlast(self._drained)  # better no leader than two
