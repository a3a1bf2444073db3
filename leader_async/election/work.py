"""What a process does while it leads, in the two shapes that `Election` offers.

Rules: a job starts only when told to, stops when told to, and says when it has ended; the place in the queue is not
given up before. Work that swallows its cancellation is waited for, for ever if need be: better no leader than two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from ..callables import awaited, told
from ..waking import Pulse
from .rules import ends
from .rules.ends import End, Why
from .term import Term

T = TypeVar("T")


class Job(Protocol):
    """What an election drives."""

    def start(self, term: Term) -> None:
        """We lead: begin."""

    def stop(self) -> None:
        """We do not lead any more: end, and call the election's `ended`."""

    def fail(self, error: Exception) -> None:
        """The election cannot go on: whoever waits for this job gets the error."""


class Ended(Protocol):
    """How a job says that its work has ended; `leaving` says why it wants no further term, None if it does."""

    def __call__(self, leaving: End | None) -> None: ...


class Call(Generic[T]):
    """A coroutine function that is called anew whenever we lead, in a task of its own."""

    def __init__(self, work: Callable[[Term], Awaitable[T]], ended: Ended) -> None:
        self.result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._work = work
        self._ended = ended
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self, term: Term) -> None:
        """See `Job`."""
        self._stopping = False
        self._task = asyncio.get_running_loop().create_task(self._call(term), name=f"term {term.number}")
        self._task.add_done_callback(self._never_began)

    def stop(self) -> None:
        """See `Job`."""
        assert self._task is not None
        self._stopping = True
        self._task.cancel()

    def fail(self, error: Exception) -> None:
        """See `Job`."""
        if not self.result.done():
            self.result.set_exception(error)

    async def _call(self, term: Term) -> None:
        # Its end is told from here, not by a callback of the task: a handover waits for that.
        try:
            value = await awaited(self._work, term)
        except asyncio.CancelledError:
            self._cancelled()
            raise
        except BaseException as error:
            self._task = None
            if not self.result.done():
                self.result.set_exception(error)
            self._ended(End(Why.WORK_FAILED, text=told(error)))
            if not isinstance(error, Exception):
                raise
        else:
            self._task = None
            if not self._stopping and not self.result.done():
                self.result.set_result(value)
            self._ended(None if self._stopping else ends.WORK_DONE)

    def _cancelled(self) -> None:
        self._task = None
        # If not by us then by somebody else: that is how this work ended.
        final = not self._stopping
        if final and not self.result.done():
            self.result.cancel()
        self._ended(ends.WORK_CANCELLED if final else None)

    def _never_began(self, task: asyncio.Task[None]) -> None:
        """A task that is cancelled before its first step does not call anything."""
        if task is self._task:
            self._cancelled()


class Handout:
    """Terms handed to a loop, `async for term in election.terms()`; the loop's body is the work."""

    def __init__(self, ended: Ended) -> None:
        self._ended = ended
        self._next: Term | None = None
        self._out: Term | None = None
        self._error: Exception | None = None
        self._news = Pulse()

    def start(self, term: Term) -> None:
        """See `Job`."""
        self._next = term
        self._news.fire()

    def stop(self) -> None:
        """See `Job`."""
        if self._out is not None:
            self._out.stop()
        else:
            self._next = None
            self._ended(None)

    def fail(self, error: Exception) -> None:
        """See `Job`."""
        self._error = error
        self._news.fire()

    async def next(self) -> Term:
        """The next term to work under."""
        while self._next is None:
            if self._error is not None:
                raise self._error
            await self._news.wait()
        self._out, self._next = self._next, None
        return self._out

    def give_back(self) -> None:
        """The body has ended."""
        self._out = None
        self._ended(None)
