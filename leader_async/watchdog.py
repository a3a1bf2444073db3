"""The deadline watchdog: notices work that continues although its lease has run out, and logs where it hangs.

Work is cancelled when its lease ends. The cancellation does not reach work that blocks the event loop, and work that
swallows its `CancelledError` ignores it. Both keep their place in the queue, and nobody else leads. So a thread reads
the deadlines. When work has been overdue for as long as one more lease, it logs the stacks of all threads and tasks,
once. With `exit` it then ends the process, which frees the place: at once if there is a guardian.

Rules:
- Only time in which this process ran counts: after a sleep of the machine, or of the process, the work gets its grace.
- It reads the deadline, as `is_leader` does; it needs no notification.
- A log that hangs (the blocked thread holds its lock) does not keep the process from being ended.

It does not promise to see code that never lets another thread run (an extension that holds the interpreter's lock), nor
to show the inside of such an extension. Safety does not need it: from the lease's end on, `is_leader` is False.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, Literal, Protocol, TypeAlias, get_args

log = logging.getLogger("leader_async.watchdog")

Action: TypeAlias = Literal["off", "dump", "exit"]
ACTIONS: tuple[Action, ...] = get_args(Action)

EXIT_CODE = 5
"""The exit code of a process that is ended for overdue work."""

GRACE = 1.0
"""Leases that work may be overdue."""

LOOKS = 5
"""Looks within the grace."""

LOG_LIMIT = 2.0
"""Seconds that the log has for the dump before the process is ended."""

MOST_TASKS, DEPTH = 200, 50
"""Tasks whose stacks are shown, and frames of each."""


class WatchedElection(Protocol):
    """What the watchdog reads of an election, in its own thread; times are in seconds."""

    @property
    def name(self) -> str: ...
    @property
    def lease(self) -> float: ...
    @property
    def overdue(self) -> float: ...


class Watchdog:
    """Watches the elections of one connection, and does this about overdue work.

    `elections` gives those there are now; it is called in the watchdog's thread.
    """

    def __init__(self, elections: Callable[[], Iterable[WatchedElection]], action: Action) -> None:
        self._elections, self._action = elections, action
        self._over = threading.Event()
        self._late: dict[WatchedElection, float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin to look, at the tasks of the running event loop as well. A second call does nothing."""
        if self._loop is None and self._action != "off":
            self._loop = asyncio.get_running_loop()
            threading.Thread(target=self._run, name="leader_async watchdog", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()

    def _run(self) -> None:
        while True:
            elections = [*self._elections()]
            pause = GRACE * min((election.lease for election in elections), default=1.0) / LOOKS
            if self._over.wait(pause):
                return
            for election in elections:
                self._look(election, pause)

    def _look(self, election: WatchedElection, passed: float) -> None:
        overdue = election.overdue
        if not overdue:
            self._late.pop(election, None)
            return
        late = self._late.get(election, 0.0)
        self._late[election] = late + passed
        if late < GRACE * election.lease <= late + passed:
            self._report(election.name, f"the work runs {overdue:.1f} s past the end of its lease")

    def _report(self, name: str, what: str) -> None:
        assert self._loop is not None
        doing = f"this process ends with exit code {EXIT_CODE}" if self._action == "exit" else "its place is kept"
        text = f"{name}: {what}, although it was cancelled; {doing}. Where it hangs:"
        fields = {"event": "work_overdue", "election": name}
        logging_ = threading.Thread(target=_log, args=(text, dump(self._loop), fields), daemon=True)
        logging_.start()
        logging_.join(LOG_LIMIT)
        if self._action == "exit":
            os._exit(EXIT_CODE)


def _log(text: str, stacks: str, fields: dict[str, object]) -> None:
    # As the stack of this record: a formatter that keeps messages on one line does not change it.
    log.handle(log.makeRecord(log.name, logging.CRITICAL, __file__, 0, text, (), None, None, fields, stacks))


def dump(loop: asyncio.AbstractEventLoop) -> str:
    """The stacks of all other threads, and of this event loop's tasks as far as they can be read; it may be blocked."""
    out = io.StringIO()
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        if ident != threading.get_ident():
            out.write(f"Thread {names.get(ident, ident)!r} (most recent call last):\n")
            out.writelines(traceback.format_stack(frame))
    try:
        tasks = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
        for task in tasks[:MOST_TASKS]:
            out.write(f"Task {task.get_name()!r} (most recent call last):\n")
            out.writelines(_stack(task))
        if len(tasks) > MOST_TASKS:
            out.write(f"... and {len(tasks) - MOST_TASKS} more tasks\n")
    except RuntimeError as error:  # they change while they are read
        out.write(f"The tasks cannot be read: {error}\n")
    return out.getvalue().rstrip("\n")


def _stack(task: asyncio.Task[object]) -> list[str]:
    """Where a task is; `Task.get_stack` knows only its outermost frame."""
    frames: list[tuple[FrameType, int]] = []
    awaited: Any = task.get_coro()
    while awaited is not None and len(frames) < DEPTH:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            frames.append((frame, frame.f_lineno or 0))
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    return traceback.StackSummary.extract(iter(frames)).format()
