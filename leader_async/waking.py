"""What the code on asyncio shares: an alarm on `clock.now`, a pulse, and a wait that no cancellation ends.

The event loop's clock stands still while a machine sleeps, and `clock.now` does not. So an alarm reads `clock.now` when
its timer fires.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from . import clock
from .histogram import Histogram

EARLY = 0.001
"""Seconds by which a loop's timer may ring too soon: uvloop counts in milliseconds."""


class Alarm:
    """Rings once at an instant of `clock.now`, or a little after it, never before.

    Args:
        ring: called in the event loop; it looks what is due, which may be nothing.
        lag: observes how late the event loop fires its timers, which is how long something has blocked it.
    """

    def __init__(self, ring: Callable[[], None], lag: Histogram | None = None) -> None:
        self._ring, self._lag = ring, lag
        self._timer: asyncio.Handle | None = None
        self._at = self._due = 0.0  # readings of the loop's clock, and of `clock.now`

    def set(self, due: float | None) -> None:
        """Ring at `due`, in place of what was set before; None for not at all.

        An earlier timer runs out in vain: events are many, and timers should be few.
        """
        if due is None:
            self.cancel()
            return
        self._due = due
        loop = asyncio.get_running_loop()
        delay = max(0.0, due - clock.now())
        if self._timer is not None:
            if self._at <= loop.time() + delay:
                return
            self._timer.cancel()
        self._start(loop, delay)

    def cancel(self) -> None:
        """Do not ring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self, loop: asyncio.AbstractEventLoop, delay: float) -> None:
        # Not asked of the handle: uvloop's has no `when` where the delay is none.
        self._at = loop.time() + delay
        self._timer = loop.call_later(delay, self._fire)

    def _fire(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        if self._lag is not None:
            self._lag.observe(max(0.0, loop.time() - self._at))
        if (left := self._due - clock.now()) > 0:
            self._start(loop, max(left, EARLY))
        else:
            self._ring()


class Pulse:
    """Wakes all that wait for a change; they look what has changed. (A condition variable without a lock.)"""

    def __init__(self) -> None:
        self._next: asyncio.Future[None] | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def fire(self) -> None:
        """Wake all that wait now."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for one in waiting:
                if not one.done():
                    one.set_result(None)
        if self._next is not None:
            shared, self._next = self._next, None
            if not shared.done():
                shared.set_result(None)

    def next(self) -> asyncio.Future[None]:
        """Done at the next `fire` after this call. Call it before you look, if looking takes more than a moment.

        All callers get the same future: shield it from your own cancellation.
        """
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        return self._next

    async def wait(self) -> None:
        """Return at the next `fire`."""
        # A future of its own needs no shield, which would cost an iteration of the loop.
        own = asyncio.get_running_loop().create_future()
        self._waiting.append(own)
        try:
            await own
        finally:
            if own in self._waiting:
                self._waiting.remove(own)


async def outlast(future: asyncio.Future[Any]) -> bool:
    """Return when it is done, and not before: a cancellation does not end this. Its result is not looked at.

    Returns:
        Whether the caller was cancelled meanwhile. Then it raises `CancelledError` when it has cleaned up.
    """
    cancelled = False
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            cancelled = True
    return cancelled
