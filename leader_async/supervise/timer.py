"""An alarm that counts a machine's sleep: a timerfd on `CLOCK_BOOTTIME`, the clock of leases.

The event loop's own timers stand still while the machine sleeps, and ring that much too late. This one rings as soon as
the machine wakes. If it cannot be had (a sandbox forbids it, no descriptor is left), the loop's timer replaces it.

It does not wake a machine. A command that wakes with it runs for a moment before it is killed; the token fences it off.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import struct
import time
from collections.abc import Callable

from ..waking import Alarm

log = logging.getLogger("leader_async.run")

ABSOLUTE = 1
"""TFD_TIMER_ABSTIME."""

_libc = ctypes.CDLL(None, use_errno=True)


class Timer:
    """Rings once at an instant of `clock.now`, in the running event loop.

    Raises:
        OSError: there is no such timer here.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._fd: int = _libc.timerfd_create(time.CLOCK_BOOTTIME, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        asyncio.get_running_loop().add_reader(self._fd, self._fire)

    def set(self, due: float) -> None:
        """Ring at `due`; what was set before no longer counts."""
        self._set(max(1, int(due * 1e9)))  # zero would disarm it

    def cancel(self) -> None:
        """Do not ring."""
        self._set(0)

    def close(self) -> None:
        """Give the descriptor back."""
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    def _set(self, due_ns: int) -> None:
        once = struct.pack("@4l", 0, 0, *divmod(due_ns, 1_000_000_000))
        if _libc.timerfd_settime(self._fd, ABSOLUTE, once, None):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def _fire(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return  # it was set again at this moment
        self._ring()


def timer(ring: Callable[[], None]) -> Timer | Alarm:
    """The best timer there is."""
    try:
        return Timer(ring)
    except OSError as error:
        text = "no timer on CLOCK_BOOTTIME (%s): deadlines come late after a machine's sleep"
        log.warning(text, error, extra={"event": "no_timer"})
        return Alarm(ring)
