"""The event loop of a connection, for other threads.

Rules:
- A thread may wait for the loop if it is in the process that started the loop, and runs no event loop itself.
- A call that waits when the loop ends raises SessionClosed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from typing import Any, TypeVar

from ..errors import SessionClosed, UsageError
from ..loop_thread import LoopThread

T = TypeVar("T")


class Portal(LoopThread):
    """See the module's docstring."""

    def __init__(self) -> None:
        super().__init__("leader_async")
        self.closed = False
        self._pid: int | None = None

    @property
    def open(self) -> bool:
        """Whether the loop has been started."""
        return self._pid is not None

    @property
    def foreign(self) -> bool:
        """Whether the loop is that of the process from which this one was forked off."""
        return self._pid is not None and self._pid != os.getpid()

    def check(self) -> None:
        """Return if this thread may wait for the loop.

        Raises:
            UsageError: it may not.
            SessionClosed: the connection was closed.
        """
        if self.foreign:
            raise UsageError(
                "this connection was in use when the process was forked, and its session stays with the parent; "
                "connect after the fork, in the child (gunicorn: post_fork, Celery: worker_process_init)"
            )
        if self.closed:
            raise SessionClosed("this connection was closed; open another one with leader_async.blocking.connect()")
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        raise UsageError("this would block the event loop of this thread; use leader_async.connect() in async code")

    def start(self) -> None:
        """See `LoopThread.start`."""
        super().start()
        self._pid = os.getpid()

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """See `LoopThread.spawn`; raises SessionClosed if the loop has ended, or is another process's."""
        if self.foreign:  # whose lock may be held by a thread that is not here
            coroutine.close()
            raise SessionClosed("the session stays with the parent")
        with _session_closed():
            return super().spawn(coroutine)

    def call(self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """See `LoopThread.call`; raises SessionClosed if the loop has ended."""
        with _session_closed():
            return super().call(coroutine, timeout)

    def do(self, function: Callable[[], T]) -> T:
        """Call this in the loop."""

        async def call() -> T:
            return function()

        return self.call(call())


@contextmanager
def _session_closed() -> Iterator[None]:
    try:
        yield
    except CancelledError as error:
        raise SessionClosed("the connection was closed meanwhile") from error
