"""A few at a time, so that no flood of requests keeps the event loop from renewing the lease.

Rules:
- `Turnstile`: in one turn of the event loop at most `PASSED` pass, the rest in the turns after it, in the order in
  which they came. Between two turns the loop looks at all its sockets: a lease is confirmed however many requests wait.
- `Limiter`: of what asks ZooKeeper, or makes a long answer, `ASKED` are under way and `WAITING` wait; one more is
  refused. The session that confirms the lease carries these questions as well.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

PASSED = 16
"""Requests that begin in one turn of the loop: some milliseconds."""
ASKED = 4
WAITING = 64


class Turnstile:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._left, self._turning = PASSED, False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Wait for one's turn."""
        loop = asyncio.get_running_loop()
        if not self._turning:
            self._turning = True
            loop.call_soon(self._turn)
        if self._left:
            self._left -= 1
            return
        waiting = loop.create_future()
        self._waiting.append(waiting)
        await waiting

    def _turn(self) -> None:
        self._left = PASSED
        while self._waiting and self._left:
            first = self._waiting.popleft()
            if not first.done():  # whose connection has ended waits no more
                first.set_result(None)
                self._left -= 1
        self._turning = self._left < PASSED
        if self._turning:
            asyncio.get_running_loop().call_soon(self._turn)


class Full(Exception):
    """So many wait already that one more would wait too long."""


class Limiter:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._asked, self._there = asyncio.Semaphore(ASKED), 0

    @asynccontextmanager
    async def inside(self) -> AsyncIterator[None]:
        """Wait until there is room, and take it.

        Raises:
            Full: too many wait.
        """
        if self._there >= ASKED + WAITING:
            raise Full
        self._there += 1
        try:
            async with self._asked:
                yield
        finally:
            self._there -= 1
