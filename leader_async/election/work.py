"""What a process does while it leads, in the two shapes that `Election` offers.

Rules:
1. The driver starts and stops the work, and learns of each end of it once. The place in the queue is kept until then.
2. Work that swallows its cancellation is waited for, for ever if need be: better no leader than two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeAlias, TypeVar

from ..callables import awaited, described
from ..waking import Pulse
from .rules import ends
from .rules.ends import End, Why
from .term import Term

T = TypeVar("T")


class TermWork(Protocol):
    """What a driver drives."""

    def start(self, term: Term) -> None:
        """This process leads: begin."""

    def stop(self) -> bool:
        """This process leads no more: end.

        Returns:
            Whether it has ended; if not, `OnEnd` will be called.
        """

    def fail(self, error: Exception) -> None:
        """The election has failed: the caller that waits for this work gets the error."""


OnEnd: TypeAlias = Callable[[TermWork, End | None], None]
"""Called when this work has ended, with the reason if it wants no further term."""


class FunctionWork(Generic[T]):
    """A coroutine function that is called anew whenever this process leads, in a task of its own."""

    def __init__(self, work: Callable[[Term], Awaitable[T]], on_end: OnEnd) -> None:
        self.result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._work = work
        self._on_end = on_end
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self, term: Term) -> None:
        """See `TermWork`."""
        self._stopping = False
        self._task = asyncio.get_running_loop().create_task(self._call(term), name=f"term {term.number}")
        self._task.add_done_callback(self._never_began)

    def stop(self) -> bool:
        """See `TermWork`."""
        assert self._task is not None
        if not self._stopping:
            self._stopping = True
            self._task.cancel()
        return False

    def fail(self, error: Exception) -> None:
        """See `TermWork`."""
        if not self.result.done():
            self.result.set_exception(error)

    async def _call(self, term: Term) -> None:
        # It reports its end from here, not by a callback of the task: a handover waits for that.
        try:
            if self._task is None:  # an eager task factory calls this within `start`, amid a step of the driver
                await asyncio.sleep(0)
            value = await awaited(self._work, term)
        except asyncio.CancelledError:
            self._cancelled()
            raise
        except BaseException as error:
            self._task = None
            if not self.result.done():
                self.result.set_exception(error)
            self._on_end(self, End(Why.WORK_FAILED, text=described(error)))
            if not isinstance(error, Exception):
                raise
        else:
            self._task = None
            if not self._stopping and not self.result.done():
                self.result.set_result(value)
            self._on_end(self, None if self._stopping else ends.WORK_DONE)

    def _cancelled(self) -> None:
        self._task = None
        # If the driver did not stop it, somebody else cancelled it: that is how this work ended.
        final = not self._stopping
        if final and not self.result.done():
            self.result.cancel()
        self._on_end(self, ends.WORK_CANCELLED if final else None)

    def _never_began(self, task: asyncio.Task[None]) -> None:
        """A task that is cancelled before its first step does not call anything."""
        if task is self._task:
            self._cancelled()


class LoopWork:
    """Terms handed to a loop, `async for term in election.terms()`; the loop's body is the work."""

    def __init__(self, on_end: OnEnd) -> None:
        self._on_end = on_end
        self._next: Term | None = None
        self._out: Term | None = None
        self._error: Exception | None = None
        self._news = Pulse()

    def start(self, term: Term) -> None:
        """See `TermWork`."""
        self._next = term
        self._news.fire()

    def stop(self) -> bool:
        """See `TermWork`."""
        self._next = None
        if self._out is None:
            return True
        self._out.stop()
        return False

    def fail(self, error: Exception) -> None:
        """See `TermWork`."""
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

    def ended(self) -> None:
        """The body has ended."""
        self._out = None
        self._on_end(self, None)
