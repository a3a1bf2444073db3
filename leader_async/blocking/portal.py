"""An event loop in a thread, and the way in for other threads.

Rules:
- A thread may wait for the loop if it is in the process that started the loop, and runs no event loop itself.
- A call that waits when the loop ends raises SessionClosed.
- The thread is a daemon: it never keeps a process from ending. (anyio's portal would, and knows of no fork.)
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, wait
from typing import Any, TypeVar

from ..errors import SessionClosed, UsageError

T = TypeVar("T")

_MEANWHILE = "the connection was closed meanwhile"


class Portal:
    """See the module's docstring."""

    def __init__(self) -> None:
        self.closed = False
        self._pid: int | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._ended = False

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
        """Start the loop.

        Raises:
            OSError: it cannot be had: no descriptor is left, for one.
        """
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="leader_async", daemon=True)
        self._thread.start()
        ready.result()
        self._pid = os.getpid()

    def _run(self, ready: Future[None]) -> None:
        try:
            asyncio.run(self._live(ready))
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)  # else `start` would wait for ever
        finally:
            self._ended = True

    async def _live(self, ready: Future[None]) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        ready.set_result(None)
        await self._stopping.wait()
        with self._lock:
            self._ended = True
        # What was spawned before is a task after one turn of the loop, and has begun after two. asyncio.run cancels it.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def stop(self) -> None:
        """End the loop, from inside of it."""
        self._stopping.set()

    def join(self) -> None:
        """Wait for the end of the loop."""
        assert self._thread is not None
        self._thread.join()

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run this in the loop, and do not wait for it.

        Raises:
            SessionClosed: the loop has ended, or is another process's.
        """
        try:
            if self.foreign:  # whose lock may be held by a thread that is not here
                raise SessionClosed("the session stays with the parent")
            with self._lock:
                if self._ended:
                    raise SessionClosed(_MEANWHILE)
                return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except BaseException:
            coroutine.close()
            raise

    def end(self, running: Future[Any]) -> None:
        """Cancel what was spawned, and wait for its end, where the loop can run meanwhile."""
        running.cancel()
        # A generator that is garbage is closed in any thread, and when the interpreter ends.
        if threading.current_thread() is not self._thread and not sys.is_finalizing():
            wait([running])  # until the task has ended; `running.done()` holds at once

    def call(self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run this in the loop and wait for its end. An end of the waiting cancels it.

        Raises:
            TimeoutError: it took longer than `timeout` seconds.
            SessionClosed: the loop has ended.
        """
        running = self.spawn(coroutine)
        try:
            return running.result(timeout)
        except CancelledError as error:
            raise SessionClosed(_MEANWHILE) from error
        finally:
            running.cancel()

    def do(self, function: Callable[[], T]) -> T:
        """Call this in the loop."""

        async def call() -> T:
            return function()

        return self.call(call())
