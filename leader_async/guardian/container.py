"""`leader-async guard -- COMMAND…`: the guardian as parent of its application, and as the first process of a container.

A child dies with the first process of its container, so there the guardian has to be that one. It starts COMMAND,
passes a descriptor on by a variable, guards every process that hands over a socket there (every worker that has a
session), and ends as COMMAND did.

Rules:
- It does the duties of an init: it passes signals on to COMMAND and reaps every process that has ended.
- COMMAND has a process group of its own, in the foreground if there is a terminal: Ctrl-C reaches it once.
- After COMMAND's end it ends the sessions of processes that have died, then exits; a signal to stop ends that wait. As
  a container's first process it first kills the guarded processes that still live, which would die of its own end
  anyway, so that their places are freed as well.
- A bug in guarding one process is logged; it ends neither COMMAND nor the guarding of others.

It does not survive a SIGKILL to itself, nor the end of the whole container.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from functools import partial
from typing import Any

from ..reaping import reap
from ..signals import listen
from . import finding
from .ending import hush
from .watch import Watch

log = logging.getLogger("leader_async.guardian")

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
FORWARDED = (
    *STOPPING, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGCONT, signal.SIGWINCH,
)  # fmt: skip

DESCRIPTOR = 64
"""The lowest number of the descriptor that is passed on; the first ten belong to shell scripts."""

NOT_FOUND, NOT_RUN = 127, 126
"""The status when COMMAND does not exist, or cannot be run; as shells have it."""


async def guard(command: Sequence[str]) -> int:
    """Run this command and guard it. Signals are handled until the event loop is closed.

    Returns:
        Its status: its exit code, or 128 and the number of the signal that ended it.
    """
    hush()
    return await _Init().run(command)


class _Init:
    """The parent of one command."""

    def __init__(self) -> None:
        # Datagrams: several processes write to the one descriptor.
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ours.setblocking(False)
        self._child: subprocess.Popen[bytes] | None = None
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._stop = asyncio.Event()
        self._guarded: dict[asyncio.Task[None], Watch] = {}

    async def run(self, command: Sequence[str]) -> int:
        """See `guard`."""
        loop = asyncio.get_running_loop()
        listen({signal.SIGCHLD: self._reap, **{number: partial(self._forward, number) for number in FORWARDED}})
        loop.add_reader(self._ours, self._admit)
        try:
            async with asyncio.TaskGroup() as self._group:
                try:
                    self._start(command)
                except OSError as error:
                    log.critical(
                        "%s cannot be run: %s", command[0], error.strerror, extra={"event": "command_cannot_run"}
                    )
                    return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUN
                status = await self._status
                await self._wind_up()
                return status
        finally:
            loop.remove_reader(self._ours)
            self._ours.close()
            self._theirs.close()

    def _start(self, command: Sequence[str]) -> None:
        number = fcntl.fcntl(self._theirs, fcntl.F_DUPFD, DESCRIPTOR)
        try:
            variables = {**os.environ, finding.VARIABLE: finding.name_of(self._theirs, number)}
            self._child = subprocess.Popen(command, env=variables, pass_fds=[number], process_group=0)
        finally:
            os.close(number)
        if os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp():
            os.tcsetpgrp(0, self._child.pid)
            os.kill(self._child.pid, signal.SIGCONT)  # it may have been stopped for reading the terminal too early

    def _forward(self, number: signal.Signals) -> None:
        self._reap()  # COMMAND may just have ended
        if self._child is not None and self._child.returncode is None:
            os.kill(self._child.pid, number)  # not its own method, which would take its status
        elif number in STOPPING:
            self._stop.set()

    def _reap(self) -> None:
        """Take the status of every process that has ended: an orphan becomes the first process's child."""
        for pid, status in reap():
            if self._child is not None and pid == self._child.pid:
                self._child.returncode = status
                self._status.set_result(status)

    def _admit(self) -> None:
        """Guard the processes that hand over a socket."""
        try:
            while True:
                _, descriptors, _, _ = socket.recv_fds(self._ours, 64, 4)
                for descriptor in descriptors:
                    watch = Watch(socket.socket(fileno=descriptor))
                    task = self._group.create_task(_run(watch))
                    self._guarded[task] = watch
                    task.add_done_callback(self._guarded.pop)
        except BlockingIOError:
            return
        except OSError as error:
            log.warning("somebody introduced itself in vain: %s", error, extra={"event": "not_guarded"})

    async def _wind_up(self) -> None:
        """COMMAND has ended: end what is left of it."""
        self._admit()
        for watch in [*self._guarded.values()]:
            watch.look()
            if watch.living and os.getpid() == 1:
                watch.kill()
        waiting = [task for task, watch in self._guarded.items() if not watch.living or os.getpid() == 1]
        stop = self._group.create_task(self._stop.wait())
        if waiting:
            ends: list[asyncio.Future[Any]] = [asyncio.gather(*waiting), stop]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        for task in self._guarded:
            task.cancel()


async def _run(watch: Watch) -> None:
    try:
        await watch.run()
    except Exception:  # the supervisor: COMMAND lives on
        log.critical("guarding a process has failed of a bug", exc_info=True, extra={"event": "bug"})
