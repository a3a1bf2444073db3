"""An event loop in a thread, and the way in for other threads.

Rules:
- A call that waits when the loop ends is cancelled: none waits for ever.
- The thread is a daemon: it never keeps a process from ending. (anyio's portal would.)
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future, wait
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """See the module's docstring."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._ended = False

    def start(self) -> None:
        """Start the loop; raises an OSError if it cannot be had: no descriptor is left, for one."""
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name=self._name, daemon=True)
        self._thread.start()
        ready.result()

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
        """End the loop, once it has come to that."""
        self._loop.call_soon_threadsafe(self._stopping.set)

    def join(self) -> None:
        """Wait for the end of the loop."""
        assert self._thread is not None
        self._thread.join()

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run this in the loop, and do not wait for it; raises a CancelledError if the loop has ended."""
        with self._lock:
            if self._ended:
                coroutine.close()
                raise CancelledError
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def call(self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run this in the loop and wait for its end. An end of the waiting cancels it.

        Raises a TimeoutError after `timeout` seconds, a CancelledError if the loop has ended.
        """
        running = self.spawn(coroutine)
        try:
            return running.result(timeout)
        finally:
            running.cancel()

    def end(self, running: Future[Any]) -> None:
        """Cancel what was spawned, and wait for its end, where the loop can run meanwhile."""
        running.cancel()
        # A generator that is garbage is closed in any thread, and when the interpreter ends.
        if threading.current_thread() is not self._thread and not sys.is_finalizing():
            wait([running])  # until the task has ended; `running.done()` holds at once
