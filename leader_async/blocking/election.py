"""An election for code in threads.

Rules:
- One way in: the async election runs `_hold`, which offers a `Term` to the threads that wait for one, and ends when
  all that entered it have left. `lead`, `run`, `terms`, `join` and `leader_only` differ in who enters, and in when this
  process stops taking part.
- One `lead`, `run`, `terms` or `join` at a time, as in the async API.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from ..callables import check, is_async, refuse_unrun
from ..connection import Connection as AsyncConnection
from ..election.election import Election as AsyncElection
from ..election.status import Change, Status
from ..election.term import Term as AsyncTerm
from ..errors import SessionClosed, TermEnded, UsageError
from .facade import Facade, like, through
from .portal import Portal
from .term import Term

P = ParamSpec("P")
T = TypeVar("T")


class Election(Facade[AsyncElection]):
    """One election on one connection. Made by `Connection.election`; the methods may be called from any thread.

    Attributes:
        name: the election's name.
        identity: who this process is.
        address: where it is reached.
        lease: seconds for which a confirm lets it lead.
    """

    def __init__(self, zk: AsyncConnection, portal: Portal, start: Callable[[], None], name: str, options: Any) -> None:
        self.name, self._options, self._start = name, options, start
        super().__init__(portal, self.bind(zk))
        self._news = threading.Condition()
        self._term: Term | None = None
        self._running: Future[None] | None = None
        self._background: Future[None] | None = None  # the same, if it is that of `join`

    def bind(self, zk: AsyncConnection, options: Any = None) -> AsyncElection:
        """Be an election of this connection.

        Args:
            zk: the connection beneath.
            options: those that are given now; None for those with which this was made.

        Raises:
            UsageError: they cannot be used, or are others than before.
        """
        own = self.asynchronous = zk.election(self.name, **(self._options if options is None else options))
        self.identity, self.address, self.lease = own.identity, own.address, own.lease
        return own

    # -- asking --------------------------------------------------------------------------------------------------------

    @property
    def is_leader(self) -> bool:
        """Whether this process leads now; computed from the lease's deadline at each call. False in a forked child."""
        return self.term is not None

    @property
    def term(self) -> Term | None:
        """The term under which this process leads now, None if it does not lead."""
        term = self._term
        return term if term is not None and term.is_current else None

    @property
    def overdue(self) -> float:
        """Seconds that the work runs past the end of its lease, normally 0.0."""
        return self.asynchronous.overdue

    @like(AsyncElection.status)
    def status(self) -> Status:
        self.begin()
        return self._portal.do(self.asynchronous.status)

    leader = through(AsyncElection.leader)
    candidates = through(AsyncElection.candidates)
    wait_for_leader = through(AsyncElection.wait_for_leader)
    history = through(AsyncElection.history)

    def watch(self, timeout: float | None = None) -> Iterator[Change]:
        """Follow this election: gives its state at first, and then whenever leader, queue or own state have changed.

            for change in election.watch():
                print(change.what, change.leader, change.connected)

        All else is as in `leader_async.Election.watch`. Another thread ends this by closing the connection.

        Args:
            timeout: seconds to wait for each change at most, None for no limit.

        Raises:
            TimeoutError: nothing has changed in time.
            SessionClosed: the connection was closed.
            ServerError: ZooKeeper refuses the read.
        """
        self.begin()
        changes, steps = self.asynchronous.watch(), list[asyncio.Task[Change]]()

        async def step() -> Change:
            steps[:] = [asyncio.ensure_future(anext(changes))]
            return await steps[0]

        async def end() -> None:
            for one in steps:  # an interrupt may have left it running
                one.cancel()
            await asyncio.gather(*steps, return_exceptions=True)
            await changes.aclose()

        try:
            while True:
                yield self._portal.call(step(), timeout)
        finally:
            with suppress(SessionClosed):
                self._portal.spawn(end())

    # -- taking part ---------------------------------------------------------------------------------------------------

    @contextmanager
    def lead(self, timeout: float | None = None) -> Iterator[Term]:
        """Be a candidate, wait until this process leads, and run the body in this thread under that term.

        `term.lost` and `term.check()` show the body the term's end. The place is given up when the body has ended.

        Args:
            timeout: seconds to wait for the lead at most, None for no limit.

        Raises:
            TimeoutError: this process did not lead in time, and stands in the queue no more.
            UsageError: this process takes part in this election already, or cannot wait here.
            SessionClosed: the connection was closed.
        """
        with closing(self._terms(timeout)) as terms:
            yield next(terms)

    def terms(self) -> Iterator[Term]:
        """Be a candidate, and give each term of this process as it begins.

            for term in election.terms():
                work(term)                    # until `term.lost` is set, or `term.check()` raises

        Asking for the next term ends the work of the last one; if this process still leads, it resigns and queues again
        at the back. Leaving the loop gives the place up.

        Raises:
            UsageError, SessionClosed: see `lead`.
        """
        return self._terms()

    def _terms(self, timeout: float | None = None) -> Generator[Term, None, None]:
        running = self._take_part()
        try:
            while True:
                term = self._next_term(running, timeout)
                try:
                    yield term
                finally:
                    term.leave()
                if term.is_current:
                    self.resign()
        finally:
            self._retire(running)

    def run(self, work: Callable[[Term], T]) -> T:
        """Be a candidate, and call `work` in this thread whenever this process leads.

        When it returns while this process leads, or raises, the place is given up, and this returns or raises the same.
        When the term was lost, what it returned counts for nothing, nor does a TermEnded that it raised, and it is
        called again when this process leads again.

        Args:
            work: a function; it gets the `Term`.

        Raises:
            UsageError: see `lead`; or the work cannot be called with a `Term`, or not in a thread.
            SessionClosed: see `lead`.
        """
        check(work, "the work of an election", "term")
        _refuse_async(work)
        with closing(self._terms()) as terms:
            while True:
                term = next(terms)
                try:
                    result = work(term)
                    refuse_unrun(result, work)
                    if term.is_current:
                        return result
                except TermEnded:
                    if term.is_current:
                        raise  # it was another term's

    def join(self) -> None:
        """Be a candidate in the background, until `leave` or the connection's end; for `is_leader` and `leader_only`.

        Raises:
            UsageError, SessionClosed: see `lead`.
        """
        self._background = self._take_part()

    def leave(self) -> None:
        """Stop being a candidate in the background; waits for the end of what runs under `leader_only`.

        Raises:
            UsageError: this thread is what would be waited for.
        """
        self.begin("leave()")
        if self._background is not None:
            self._retire(self._background)
            self._background = None

    def leader_only(self, function: Callable[P, T]) -> Callable[P, T | None]:
        """The same function, for the leader: everywhere else a call does nothing, and returns None.

        The first call makes this process a candidate in the background (`join` does it earlier), so it may be too early
        to lead. A call that has begun keeps the place until it has ended; `election.term` is its term.

        Args:
            function: any that runs when it is called; its arguments and its result are passed on.

        Raises:
            UsageError: it is an `async def`.
        """
        _refuse_async(function)

        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T | None:
            self.begin()
            running = self._running
            if running is None:
                self.join()
            elif running.done() and not running.cancelled():
                running.result()  # it has died
            term = self._term
            if term is None or not term.enter():
                return None
            try:
                result = function(*args, **kwargs)
                refuse_unrun(result, function)
                return result
            finally:
                term.leave()

        return guarded

    resign = through(AsyncElection.resign, ends_work=True)
    transfer = through(AsyncElection.transfer, ends_work=True)
    favour_newest = through(AsyncElection.favour_newest)

    # -- carrying out --------------------------------------------------------------------------------------------------

    def begin(self, ending: str = "") -> None:
        """See `Facade.begin`."""
        self._start()
        if ending:
            self.refuse_inside(ending)

    def refuse_inside(self, ending: str) -> None:
        """Make sure that this thread does not do the work that it would wait for.

        Args:
            ending: the name of the call that ends the work, for the message.

        Raises:
            UsageError: it does.
        """
        if self._term is not None and self._term.is_mine:
            raise UsageError(f"{ending} waits for the end of the work under {self.name}, which is what calls it")

    async def _hold(self, term: AsyncTerm) -> None:
        offered = Term(self._portal, term)
        self._notify(offered)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await offered.end()

    def _notify(self, term: Term | None = None) -> None:
        with self._news:
            self._term = term or self._term
            self._news.notify_all()

    def _take_part(self) -> Future[None]:
        self.begin()
        with self._news:
            if self._running is not None:
                text = f"this process takes part in {self.name} already; one lead(), run(), terms() or join() at a time"
                raise UsageError(text)
            self._running = running = self._portal.spawn(self.asynchronous.run(self._hold))
        running.add_done_callback(lambda result: self._notify())
        return running

    def _next_term(self, running: Future[None], timeout: float | None) -> Term:
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._news:
            while self._term is None or not self._term.enter():
                if running.done():
                    self._portal.check()
                    running.result()
                if not self._news.wait(None if deadline is None else max(0.0, deadline - time.monotonic())):
                    raise TimeoutError(f"{self.identity} did not lead {self.name} within {timeout:g} s")
            return self._term

    def _retire(self, running: Future[None]) -> None:
        if self._portal.foreign:
            return
        try:
            self._portal.end(running)
        finally:  # who is interrupted here does not wait, and may take part again
            with self._news:
                if self._running is running:
                    self._running = None


def _refuse_async(work: object) -> None:
    if is_async(work):
        raise UsageError(
            "an `async def` does not run in a thread: use leader_async.connect, and `await election.run(…)`"
        )
