"""The supervisor: parent of the command, with a deadline of its own. See the package.

Rules:
- It has a session of its own: signals that stop the leading process do not stop it. The end of that process, or the end
  of file on its socket, means that the lead is gone: then it kills all processes.
- The supervisor of `run` is forked before there is an event loop or a thread. It is the guardian of the session as
  well, and ends the session only when nothing of the command is left. The supervisor of a job's command is a process
  for which the guardian waits.
- A command is not started after the end of its lease.
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
from .channel import ParentChannel, receive, send
from .policy import NOT_FOUND, NOT_RUN
from .supervision import Signal, StopReason, Supervision
from .timer import timer

log = logging.getLogger("leader_async.run")

LOOK = 0.02
"""Seconds between looks at the processes that are still to be killed."""

NUMBERS = {Signal.TERM: signal.SIGTERM, Signal.KILL: signal.SIGKILL}


def fork(command: Sequence[str], lease: float, stop_timeout: float) -> ParentChannel:
    """Start a supervisor; return the channel to it.

    Raises:
        OSError: it cannot be started.
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
            asyncio.run(Supervisor(theirs, command, lease, stop_timeout, door=inside).run())
        except BaseException:  # the boundary of this process
            log.critical("the supervisor has died of a bug", exc_info=True, extra={"event": "bug"})
        finally:
            logging.shutdown()
            os._exit(0)
    theirs.close()
    inside.close()
    os.environ[finding.VARIABLE] = finding.name_of(door, door.fileno())
    door.detach()
    return ParentChannel(pid, ours, strangers)


class Supervisor:
    """See the module's docstring.

    Args:
        sock: to the leading process.
        lease, stop_timeout: L, and the time between SIGTERM and SIGKILL, in seconds.
        door: the socket on which sessions to guard arrive, None if another process is the guardian.
        leader: a pidfd of the leading process, None if there is none; then the end of file alone shows its end.
    """

    def __init__(
        self,
        sock: socket.socket,
        command: Sequence[str],
        lease: float,
        stop_timeout: float,
        *,
        door: socket.socket | None = None,
        leader: int | None = None,
    ) -> None:
        self._sock, self._door, self._leader = sock, door, leader
        self._command, self._lease, self._stop_timeout = command, lease, stop_timeout
        self._run: Supervision | None = None
        self._pid, self._status, self._sent = 0, 0, dict[int, Signal]()
        self._killing, self._forbidden = False, set[int]()

    async def run(self) -> None:
        """Return when the leading process has ended, or has closed its end, and nothing is left to do."""
        loop = asyncio.get_running_loop()
        self._alarm = timer(self._look)
        self._cleared: asyncio.Future[None] = loop.create_future()
        self._orphaned = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup is for the command as well
                signal.signal(number, lambda *_: None)  # not SIG_IGN, which the command would inherit
        listen({signal.SIGCHLD: self._look})
        self._sock.setblocking(False)
        loop.add_reader(self._sock, self._read)
        if self._leader is not None:
            loop.add_reader(self._leader, self._lose_leader)
        self._guarding: set[asyncio.Task[None]] = set()
        if self._door is not None:
            self._door.setblocking(False)
            loop.add_reader(self._door, self._admit, self._door)
        send(self._sock, "ready")
        await self._cleared
        if self._door is not None:
            self._admit(self._door)
        if self._guarding:
            await asyncio.wait(self._guarding)

    def _admit(self, door: socket.socket) -> None:
        try:
            while found := socket.recv_fds(door, 64, 4)[1]:
                for descriptor in found:
                    watch = Watch(socket.socket(fileno=descriptor), after=lambda: self._cleared)
                    self._guarding.add(asyncio.get_running_loop().create_task(watch.run()))
        except OSError:
            return

    def _read(self) -> None:
        if not receive(self._sock, self._take):
            self._lose_leader()

    def _lose_leader(self) -> None:
        for descriptor in (self._sock, self._leader):
            if descriptor is not None:
                asyncio.get_running_loop().remove_reader(descriptor)
        self._orphaned = True
        if self._run is not None:
            log.warning("the process that leads has ended: killing the command", extra={"event": "leader_lost"})
            self._run.kill(clock.now())
        self._look()

    def _take(self, packet: dict[str, Any]) -> None:
        run = self._run
        match packet["say"]:
            case "start":
                self._start(packet["until"], packet["variables"])
            case "renew" if run is not None:
                run.renew(packet["until"])
            case "stop" if run is not None:
                run.stop(clock.now(), StopReason(packet["why"]))
            case "kill" if run is not None:
                run.kill(clock.now())
            case "signal" if self._pid:
                self._forward(signal.Signals(packet["number"]))
        self._look()

    def _forward(self, number: signal.Signals) -> None:
        if number in (signal.SIGSTOP, signal.SIGCONT):  # as a terminal does: to the whole group
            linux.send_signal(self._pid, number)
            return
        with suppress(PermissionError):
            os.kill(self._pid, number)  # its status is not taken: the id is still its own

    def _start(self, until: float, variables: dict[str, str | None]) -> None:
        wanted = {**os.environ, finding.VARIABLE: None, **variables}
        environment = {name: value for name, value in wanted.items() if value is not None}
        self._run = Supervision(until, self._lease, self._stop_timeout)
        self._sent, self._killing, self._status = {}, False, 0
        if self._run.tick(clock.now()) is not Signal.NONE:
            self._status = 128 + signal.SIGTERM  # as if it had been stopped at once
            return
        me = os.getpid()
        try:
            process = subprocess.Popen(
                self._command, env=environment, start_new_session=True, preexec_fn=lambda: linux.die_with(me)
            )
        except OSError as error:
            fields = {"event": "command_cannot_run"}
            log.critical("%s cannot be run: %s", self._command[0], error.strerror, extra=fields)
            self._status = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUN
            self._run = None
            send(self._sock, "failed", status=self._status)
            return
        self._pid, process.returncode = process.pid, 0  # its status is taken by `_look`

    def _look(self) -> None:
        """Take the statuses of processes that have ended, and send the signals that are due."""
        now = clock.now()
        for pid, status in reap():
            self._sent.pop(pid, None)
            self._forbidden.discard(pid)
            if pid == self._pid and self._run is not None:
                self._pid, self._status = 0, status
                self._run.stop(now, StopReason.ENDED)
        run = self._run
        if run is not None and linux.childless():
            self._run = None
            self._alarm.cancel()
            send(self._sock, "ended", status=self._status, why=run.why)
        elif run is not None:
            due = run.tick(now)
            # The alarm comes first, so that this is tried again if something fails.
            self._alarm.set(run.deadline if run.why is StopReason.RUNS else now + LOOK)
            self._end(due)
        if self._orphaned and self._run is None and not self._cleared.done():
            self._cleared.set_result(None)

    def _end(self, due: Signal) -> None:
        if due is Signal.NONE:
            return
        if due is Signal.KILL and not self._killing:
            self._killing = True
            send(self._sock, "killing")
        for pid in linux.children():
            if due is Signal.KILL or self._sent.get(pid, Signal.NONE) < due:
                self._sent[pid] = due
                allowed = linux.send_signal(pid, NUMBERS[due])
                linux.send_signal(pid, signal.SIGCONT)  # a stopped process takes no other signal
                if not allowed and pid not in self._forbidden:
                    self._forbidden.add(pid)
                    log.error(
                        "process %d runs as another user and may not be signalled: the place is kept until it ends; "
                        "end it",
                        pid,
                        extra={"event": "command_out_of_reach"},
                    )
