"""An election for code in threads.

Rules:
- One way in: the async election runs `_hold`, which offers a `Term` to whoever waits for one, and ends when all who
  entered it have left. `lead`, `run`, `join` and `leader_only` differ in who enters, and when this process stops taking
  part.
- One `lead`, `run` or `join` at a time, as in the async API.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from .. import election
from ..callables import check, is_async, refuse_unrun
from ..connection import Connection as AsyncConnection
from ..election.status import Candidate, Status
from ..errors import TermEnded, UsageError
from .portal import Portal, Running
from .term import Term

P = ParamSpec("P")
T = TypeVar("T")


class Election:
    """One election on one connection. Made by `Connection.election`; the methods may be called from any thread."""

    def __init__(self, zk: AsyncConnection, portal: Portal, begin: Callable[[], None], name: str, options: Any) -> None:
        self.name = name
        self._portal, self._start, self._options = portal, begin, options
        self.bind(zk)
        self._news = threading.Condition()
        self._term: Term | None = None
        self._running: Running[None] | None = None
        self._background: Running[None] | None = None  # the same, if it is that of `join`

    def bind(self, zk: AsyncConnection, options: Any = None) -> None:
        """Be an election of this connection.

        Args:
            zk: the connection beneath.
            options: those that are given now; None for those with which this was made.

        Raises:
            UsageError: they cannot be used, or are others than before.
        """
        options = self._options if options is None else options
        self._election: election.election.Election = zk.election(self.name, **options)

    @property
    def asynchronous(self) -> election.election.Election:
        """The election that this is a portal to; nothing of it may be touched outside of its event loop."""
        return self._election

    # -- asking --------------------------------------------------------------------------------------------------------

    @property
    def identity(self) -> str:
        """Who this process is."""
        return self._election.identity

    @property
    def is_leader(self) -> bool:
        """Whether this process leads now; computed from the lease's deadline at each call. False in a forked child."""
        return self.term is not None

    @property
    def term(self) -> Term | None:
        """The term under which this process leads now, None if it does not lead."""
        term = self._term
        return term if term is not None and term.is_current else None

    def status(self) -> Status:
        """What this process knows of itself, from memory."""
        self._begin()
        return self._portal.do(self._election.status)

    def leader(self) -> Candidate | None:
        """Who holds the lead, read from ZooKeeper; see `leader_async.Election.leader`."""
        self._begin()
        return self._portal.call(self._election.leader())

    def candidates(self) -> list[Candidate]:
        """All candidates in the order of the queue, read from ZooKeeper; see `leader_async.Election.candidates`."""
        self._begin()
        return self._portal.call(self._election.candidates())

    def wait_for_leader(self, timeout: float | None = None) -> Candidate:
        """Return as soon as somebody leads; see `leader_async.Election.wait_for_leader`."""
        self._begin()
        return self._portal.call(self._election.wait_for_leader(timeout))

    # -- taking part ---------------------------------------------------------------------------------------------------

    @contextmanager
    def lead(self, timeout: float | None = None) -> Iterator[Term]:
        """Be a candidate, wait until this process leads, and run the body in this thread under that term.

        The body is told of the term's end by `term.lost` and `term.check()`. The place is given up when it has ended.

        Args:
            timeout: seconds to wait for the lead at most, None for no limit.

        Raises:
            TimeoutError: this process did not lead in time, and stands in the queue no more.
            UsageError: this process takes part in this election already, or cannot wait here.
            SessionClosed: the connection was closed.
        """
        running = self._take_part()
        try:
            term = self._next_term(running, timeout)
            try:
                yield term
            finally:
                term.leave()
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
        running = self._take_part()
        try:
            while True:
                term = self._next_term(running, None)
                try:
                    result = work(term)
                    refuse_unrun(result, work)
                    if term.is_current:
                        return result
                except TermEnded:
                    if term.is_current:
                        raise  # it was another term's
                finally:
                    term.leave()
        finally:
            self._retire(running)

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
        self._begin()
        self.refuse_inside("leave()")
        if self._background is not None:
            self._retire(self._background)
            self._background = None

    def leader_only(self, function: Callable[P, T]) -> Callable[P, T | None]:
        """The same function, for the leader: everywhere else a call does nothing, and returns None.

        The first call makes this process a candidate in the background (`join` does it earlier), so it may be too early
        to lead. A call that has begun keeps the place until it has ended; `election.term` tells it of its term.

        Args:
            function: any that runs when it is called; its arguments and its result are passed on.

        Raises:
            UsageError: it is an `async def`.
        """
        _refuse_async(function)

        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T | None:
            self._begin()
            running = self._running
            if running is None:
                self.join()
            elif running.result.done():
                running.result.result()  # it has died
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

    def resign(self, timeout: float | None = None) -> bool:
        """Give up the lead, or the place in the queue, and queue again at the back; see `leader_async.Election.resign`.

        Raises:
            UsageError: this thread does the work whose end would be waited for: end it instead.
            TimeoutError: the work has not ended, or ZooKeeper has not answered, in time.
        """
        self._begin()
        self.refuse_inside("resign()")
        return self._portal.call(self._election.resign(timeout))

    def transfer(self, to: str, timeout: float | None = None) -> bool:
        """Give the lead to the candidate of this identity; see `leader_async.Election.transfer`.

        Raises:
            UsageError: see there; or this thread does the work whose end would be waited for.
        """
        self._begin()
        self.refuse_inside("transfer()")
        return self._portal.call(self._election.transfer(to, timeout))

    def favour_newest(self, timeout: float = 0.5) -> bool:
        """Have the lead go to the candidate that started last; see `leader_async.Election.favour_newest`.

        For the work of a process that is about to end, as the last that it does.
        """
        self._begin()
        return self._portal.call(self._election.favour_newest(timeout))

    def refuse_inside(self, what: str) -> None:
        """Make sure that this thread does not do the work that it would wait for.

        Args:
            what: the call, for the message.

        Raises:
            UsageError: it does.
        """
        if self._term is not None and self._term.is_mine:
            raise UsageError(f"{what} waits for the end of the work under {self.name}, which is what calls it")

    # -- carrying out --------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._start()
        self._portal.check()

    async def _hold(self, term: election.term.Term) -> None:
        offered = Term(self._portal, term)
        self._tell(offered)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await offered.end()

    def _tell(self, term: Term | None = None) -> None:
        with self._news:
            self._term = term or self._term
            self._news.notify_all()

    def _take_part(self) -> Running[None]:
        self._begin()
        with self._news:
            if self._running is not None:
                raise UsageError(
                    f"this process takes part in {self.name} already; one lead(), run() or join() at a time"
                )
            self._running = running = self._portal.spawn(self._election.run(self._hold))
        running.result.add_done_callback(lambda result: self._tell())
        return running

    def _next_term(self, running: Running[None], timeout: float | None) -> Term:
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._news:
            while self._term is None or not self._term.enter():
                if running.result.done():
                    running.result.result()
                if not self._news.wait(None if deadline is None else max(0.0, deadline - time.monotonic())):
                    raise TimeoutError(f"{self.identity} did not lead {self.name} within {timeout:g} s")
            return self._term

    def _retire(self, running: Running[None]) -> None:
        if self._portal.foreign:
            return
        running.cancel()
        try:
            wait([running.result])
        finally:  # who is interrupted here does not wait, and may take part again
            with self._news:
                if self._running is running:
                    self._running = None


def _refuse_async(work: object) -> None:
    if is_async(work):
        raise UsageError(
            "an `async def` does not run in a thread: use leader_async.connect, and `await election.run(…)`"
        )
