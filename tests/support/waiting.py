"""Waiting for what gives no event: with a limit, never for time to pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], limit: float = 15.0) -> None:
    """Return as soon as this holds.

    Raises:
        TimeoutError: it did not within `limit` seconds.
    """
    async with asyncio.timeout(limit):
        while not condition():
            await asyncio.sleep(0.002)


class Turns:
    """Counts the turns of the event loop."""

    def __init__(self) -> None:
        self.number = 0
        self._loop = asyncio.get_running_loop()
        self._next()

    def _next(self) -> None:
        self.number += 1
        self._handle = self._loop.call_soon(self._next)

    def stop(self) -> None:
        self._handle.cancel()
