"""The supervisor: parent of the command, with a deadline of its own. See the package.

Rules:
- It is forked off before `run` has an event loop or a thread, in a session of its own; signals that stop `run` do not
  stop it. The end of file of its socket says that `run` has ended: everything is killed then.
- It is the guardian of `run`'s session as well, and ends that only when nothing of the command is left.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from .. import clock
from ..guardian import finding
from ..guardian.watch import Watch
from ..reaping import reap
from ..signals import listen
from . import linux
from .decisions import NOT_FOUND, NOT_RUN
from .line import Line
from .supervision import Signal, Supervision, Why
from .talk import hear, say
from .timer import timer

log = logging.getLogger("leader_async.run")

LOOK = 0.02
"""Seconds between looks at what is still to be killed."""

NUMBERS = {Signal.TERM: signal.SIGTERM, Signal.KILL: signal.SIGKILL}


def fork(command: Sequence[str], lease: float, stop_timeout: float) -> Line:
    """Start a supervisor; the line to it.

    Raises:
        OSError: it cannot be had.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    inside, door = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    strangers = linux.Strangers()
    linux.adopt_orphans()
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            door.close()
            os.setsid()
            linux.adopt_orphans()
            asyncio.run(_Supervisor(theirs, inside, command, lease, stop_timeout).run())
        except BaseException:  # the boundary of this process
            log.critical("the supervisor has died of a bug", exc_info=True, extra={"event": "bug"})
        finally:
            logging.shutdown()
            os._exit(0)
    theirs.close()
    inside.close()
    os.environ[finding.VARIABLE] = finding.name_of(door, door.fileno())
    door.detach()
    return Line(pid, ours, strangers)


class _Supervisor:
    def __init__(
        self, sock: socket.socket, door: socket.socket, command: Sequence[str], lease: float, stop_timeout: float
    ) -> None:
        self._sock, self._door = sock, door
        self._command, self._lease, self._stop_timeout = command, lease, stop_timeout
        self._run: Supervision | None = None
        self._pid, self._status, self._told = 0, 0, dict[int, Signal]()
        self._killing, self._forbidden = False, set[int]()

    async def run(self) -> None:
        """Return when `run` has ended, and nothing is left to do."""
        loop = asyncio.get_running_loop()
        self._alarm = timer(self._look)
        self._cleared: asyncio.Future[None] = loop.create_future()
        self._orphaned = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup is for the command as well
                signal.signal(number, lambda *_: None)  # not SIG_IGN, which the command would inherit
        listen({signal.SIGCHLD: self._look})
        for sock in (self._sock, self._door):
            sock.setblocking(False)
        loop.add_reader(self._sock, self._hear)
        loop.add_reader(self._door, self._admit)
        self._guarding: set[asyncio.Task[None]] = set()
        await self._cleared
        self._admit()
        if self._guarding:
            await asyncio.wait(self._guarding)

    def _admit(self) -> None:
        try:
            while found := socket.recv_fds(self._door, 64, 4)[1]:
                for descriptor in found:
                    watch = Watch(socket.socket(fileno=descriptor), after=lambda: self._cleared)
                    self._guarding.add(asyncio.get_running_loop().create_task(watch.run()))
        except OSError:
            return

    def _hear(self) -> None:
        if hear(self._sock, self._take):
            return
        asyncio.get_running_loop().remove_reader(self._sock)
        self._orphaned = True
        if self._run is not None:
            log.warning("leader-async run has ended: killing the command", extra={"event": "run_lost"})
            self._run.kill(clock.now())
        self._look()

    def _take(self, said: dict[str, Any]) -> None:
        run = self._run
        match said["say"]:
            case "start":
                self._start(said["until"], said["variables"])
            case "renew" if run is not None:
                run.renew(said["until"])
            case "stop" if run is not None:
                run.stop(clock.now(), Why(said["why"]))
            case "kill" if run is not None:
                run.kill(clock.now())
            case "signal" if self._pid:
                self._forward(signal.Signals(said["number"]))
        self._look()

    def _forward(self, number: signal.Signals) -> None:
        if number in (signal.SIGSTOP, signal.SIGCONT):  # as a terminal does: to the whole group
            linux.send(self._pid, number)
            return
        with suppress(PermissionError):
            os.kill(self._pid, number)  # its status is not taken: it is still that one

    def _start(self, until: float, variables: dict[str, str]) -> None:
        environment = {name: value for name, value in os.environ.items() if name != finding.VARIABLE}
        self._run = Supervision(until, self._lease, self._stop_timeout)
        self._told, self._killing, self._status = {}, False, 0
        me = os.getpid()
        try:
            process = subprocess.Popen(
                self._command, env=environment | variables, start_new_session=True,
                preexec_fn=lambda: linux.die_with(me),
            )  # fmt: skip
        except OSError as error:
            log.critical(
                "%s cannot be run: %s", self._command[0], error.strerror, extra={"event": "command_cannot_run"}
            )
            self._status = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUN
            self._run = None
            say(self._sock, "failed", status=self._status)
            return
        self._pid, process.returncode = process.pid, 0  # its status is taken by `_look`

    def _look(self) -> None:
        """Take what has ended, send what is due."""
        now = clock.now()
        for pid, status in reap():
            self._told.pop(pid, None)
            self._forbidden.discard(pid)
            if pid == self._pid and self._run is not None:
                self._pid, self._status = 0, status
                self._run.stop(now, Why.ENDED)
        run = self._run
        if run is not None and linux.childless():
            self._run = None
            self._alarm.cancel()
            say(self._sock, "ended", status=self._status, why=run.why)
        elif run is not None:
            due = run.tick(now)
            # First, so that it is tried again if something fails.
            self._alarm.set(run.deadline if run.why is Why.RUNS else now + LOOK)
            self._end(due)
        if self._orphaned and self._run is None and not self._cleared.done():
            self._cleared.set_result(None)

    def _end(self, due: Signal) -> None:
        if due is Signal.NONE:
            return
        if due is Signal.KILL and not self._killing:
            self._killing = True
            say(self._sock, "killing")
        for pid in linux.children():
            if due is Signal.KILL or self._told.get(pid, Signal.NONE) < due:
                self._told[pid] = due
                allowed = linux.send(pid, NUMBERS[due])
                linux.send(pid, signal.SIGCONT)  # a stopped process hears nothing else
                if not allowed and pid not in self._forbidden:
                    self._forbidden.add(pid)
                    log.error(
                        "process %d may not be signalled, it runs as another user: the place is kept until it ends",
                        pid,
                        extra={"event": "command_out_of_reach"},
                    )
