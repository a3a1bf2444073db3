"""An event loop in a thread, and the way in for other threads.

Rules: whoever waits here is in the process that started the loop, and in no event loop itself. Whoever waits when the
loop ends gets SessionClosed. The thread is a daemon: it never keeps a process from ending.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Generic, TypeVar

from ..errors import SessionClosed, UsageError

T = TypeVar("T")


class Running(Generic[T]):
    """A coroutine that runs in the loop.

    Attributes:
        result: done when the coroutine has ended, not when that was asked for.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> None:
        self.result: Future[T] = Future()
        self._loop, self._coroutine = loop, coroutine
        self._task: asyncio.Task[T] | None = None
        loop.call_soon_threadsafe(self._start)

    def cancel(self) -> None:
        """Ask it to end."""
        with suppress(RuntimeError):  # the loop has ended, and with it everything in it
            self._loop.call_soon_threadsafe(lambda: self._task and self._task.cancel())

    def abandon(self) -> None:
        """The loop has ended."""
        if self._task is None:
            self._coroutine.close()
        if not self.result.done():
            self.result.set_exception(SessionClosed("the connection was closed meanwhile"))

    def _start(self) -> None:
        self._task = self._loop.create_task(self._coroutine)
        self._task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self.abandon()  # who cancels does not ask for the result
        elif (error := task.exception()) is not None:
            self.result.set_exception(error)
        else:
            self.result.set_result(task.result())


class Portal:
    """See the module's docstring."""

    def __init__(self) -> None:
        self.closed = False
        self._pid: int | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._running: set[Running[Any]] = set()
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
            ready.set_exception(error)  # whoever waits for it would do so for ever
        with self._lock:
            self._ended = True
            left = [*self._running]
        for running in left:
            running.abandon()

    async def _live(self, ready: Future[None]) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        ready.set_result(None)
        await self._stopping.wait()

    def stop(self) -> None:
        """End the loop, from inside of it."""
        self._stopping.set()

    def join(self) -> None:
        """Wait for the end of the loop."""
        assert self._thread is not None
        self._thread.join()

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> Running[T]:
        """Run this in the loop, and do not wait for it.

        Raises:
            SessionClosed: the loop has ended.
        """
        with self._lock:
            try:
                if self._ended:
                    raise RuntimeError("the loop has ended")
                running = Running(self._loop, coroutine)
            except RuntimeError as error:
                coroutine.close()
                raise SessionClosed("the connection was closed meanwhile") from error
            self._running.add(running)
        running.result.add_done_callback(lambda result: self._forget(running))
        return running

    def _forget(self, running: Running[Any]) -> None:
        with self._lock:
            self._running.discard(running)

    def call(self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run this in the loop and wait for its end. Whatever ends the waiting cancels it.

        Raises:
            TimeoutError: it took longer than `timeout` seconds.
        """
        running = self.spawn(coroutine)
        try:
            return running.result.result(timeout)
        except (KeyboardInterrupt, TimeoutError):
            running.cancel()
            raise

    def do(self, function: Callable[[], T]) -> T:
        """Call this in the loop."""

        async def call() -> T:
            return function()

        return self.call(call())
