"""An event loop for one process, in virtual time.

Rules: callbacks run in the order in which they became ready, a whole iteration at a time, as asyncio's own loop has it;
between the iterations of one process those of others run. A process that is stopped runs nothing; what came meanwhile
waits. Its clock has a rate of its own. Sockets are those of `network`; threads and real I/O there are none.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, TypeVarTuple, Unpack

from .timeline import Timeline

if TYPE_CHECKING:
    from .process import Process

    Base = asyncio.SelectorEventLoop  # AbstractEventLoop has dozens of methods that nothing here calls
else:
    Base = asyncio.AbstractEventLoop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LATE = 0.0005
"""Seconds that an iteration may start late, because the processor was elsewhere."""


class Killed(BaseException):
    """The process was killed inside `Loop.block`."""


class Socket(Protocol):
    """What `Loop.create_connection` makes a connection of."""

    def attach(self, loop: Loop, protocol: asyncio.Protocol) -> asyncio.Transport:
        """The protocol gets what comes; the transport is for what goes."""


class Loop(Base):
    """See the module's docstring.

    Args:
        timeline: whose time.
        rate: seconds of this process's clock in a second of the timeline.
        jitter: from 0 to 1 each time: how late an iteration starts.
        owner: the process.
    """

    def __init__(self, timeline: Timeline, rate: float, jitter: Callable[[], float], owner: Process) -> None:
        self._timeline, self.owner = timeline, owner
        self.rate, self._jitter = rate, jitter
        self._ready: deque[asyncio.Handle] = deque()
        self._scheduled = False
        self._running = False
        self.stopped = False  # SIGSTOP
        self.dead = False
        self.errors: list[dict[str, Any]] = []

    # -- time ----------------------------------------------------------------------------------------------------------

    def time(self) -> float:
        return self._timeline.now * self.rate

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        self._schedule()
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)

        def due() -> None:
            if not handle.cancelled():
                self._ready.append(handle)
                self._schedule()

        self._timeline.at(when / self.rate, due)
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """asyncio tells its loops."""

    # -- running -------------------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        if not self._scheduled and not self.stopped and not self.dead:
            self._scheduled = True
            self._timeline.after(LATE * self._jitter(), self._iterate)

    def _iterate(self) -> None:
        self._scheduled = False
        if self.stopped or self.dead or self._running:
            return  # `go_on`, or the end of the iteration under way, schedules it again
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        self._running = True
        try:
            for _ in range(len(self._ready)):
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
                if self.dead:
                    return
        finally:
            self._running = False
            asyncio._set_running_loop(before)
        if self._ready:
            self._schedule()

    def block(self, seconds: float) -> None:
        """What runs now keeps the processor for so long: time passes, and nothing else happens in this process."""
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        self._timeline.run_until(self._timeline.now + seconds)
        while self.stopped and not self.dead:
            self._timeline.run_until(self._timeline.now + LATE)
        asyncio._set_running_loop(before)
        if self.dead:
            raise Killed

    def stop_process(self) -> None:
        """As SIGSTOP does."""
        self.stopped = True

    def go_on(self) -> None:
        """As SIGCONT does."""
        self.stopped = False
        if self._ready:
            self._schedule()

    # -- what asyncio asks of a loop -----------------------------------------------------------------------------------

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: object = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[T]:
        assert asyncio.iscoroutine(coro)
        assert name is None or isinstance(name, str)
        return asyncio.Task(coro, loop=self, name=name, context=context)

    async def create_connection(self, protocol_factory: Any, *args: Any, **kwargs: Any) -> Any:
        sock: Socket = kwargs["sock"]
        protocol = protocol_factory()
        return sock.attach(self, protocol), protocol

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self.dead

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)
