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
