"""Handlers of signals in an event loop, however many signals arrive and however fast.

`loop.add_signal_handler` writes each signal into a socket, and loses those that arrive while it is full. CPython then
warns, from within its C handler and under a lock that the very thread it interrupts may hold: the process hangs for
ever (`Py_AddPendingCall`, seen with 3.11). Here each number has a flag, as in the kernel, and the socket only wakes the
loop. It may be full, nothing warns, and a flood keeps nothing else from running.

Only for the main thread of a process that handles signals until its end.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FrameType

_handlers: dict[int, Callable[[], object]] = {}
_arrived: dict[int, FrameType | None] = {}
_pair: list[socket.socket] = []


def listen(handlers: Mapping[int, Callable[[], object]]) -> None:
    """Call these in the running event loop for the signals of their numbers.

    Signals of one number that arrive before the call cause one call.
    """
    _handlers.update(handlers)
    for number in handlers:
        signal.signal(number, _arrived.__setitem__)  # not a function of Python's, which the next signal would interrupt
        signal.siginterrupt(number, False)
    wake()


def wake() -> None:
    """Have every signal wake the running event loop.

    Otherwise one that arrives as the loop goes to sleep is handled only when something else wakes the loop.
    """
    if not _pair:
        _pair.extend(socket.socketpair())
        for end in _pair:
            end.setblocking(False)
        signal.set_wakeup_fd(_pair[1].fileno(), warn_on_full_buffer=False)
    asyncio.get_running_loop().add_reader(_pair[0], _handle)


def _handle() -> None:
    with suppress(BlockingIOError):
        _pair[0].recv(4096)  # once: a flood would fill it as fast as it is emptied
    while _arrived:
        number, _ = _arrived.popitem()
        _handlers[number]()
