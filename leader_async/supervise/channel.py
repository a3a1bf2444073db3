"""The channel between a supervisor and the process that started it, and that process's end of it.

Each end sends one JSON object a packet, on a socket that keeps packets whole. Rules:

- No end waits for the other. A packet to an end that does not read may be lost; a supervisor that does not read is
  late with its SIGKILL.
- What the supervisor has sent is read before it is judged (`Patience`): an event loop that was frozen runs its timers
  before it reads.
- A supervisor that is late with its SIGKILL is killed itself. The descendants of `run`'s supervisor become children of
  `run`, which kills them. Children that `run` had before the supervisor are left alone, and reaped like all others.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .. import clock
from ..election.term import Term
from ..signals import listen
from ..waking import Pulse
from . import linux
from .supervision import Patience, StopReason, Supervision

log = logging.getLogger("leader_async.run")

LONGEST = 2**16
"""Bytes of a packet."""


def send(sock: socket.socket, what: str, **fields: Any) -> None:
    """Send a packet, if the other end is there and has room."""
    try:
        sock.send(json.dumps({"say": what, **fields}).encode())
    except OSError as error:
        log.debug("%s", error)


def receive(sock: socket.socket, take: Callable[[dict[str, Any]], None]) -> bool:
    """Pass all packets that have come to `take`; False once the other end is gone."""
    try:
        while data := sock.recv(LONGEST):
            take(json.loads(data))
    except BlockingIOError:
        return True
    except OSError as error:
        log.debug("%s", error)
    return False


class SupervisorDied(Exception):
    """The supervisor is gone; nothing of the command is left."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How one run ended: the command's status, why it was ended, and whether it could be started."""

    status: int
    why: StopReason
    started: bool


class Channel:
    """A supervisor, as the process that started it sees it.

    Attributes:
        news: fires whenever one of these has changed.
        ready: the supervisor reads.
        died: it is gone.
        ended: how the last run ended, None while it lasts.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sock.setblocking(False)
        self._killing = False
        self.news = Pulse()
        self.ready = self.died = False
        self.ended: RunResult | None = None

    def open(self) -> None:
        """Read in the running event loop."""
        asyncio.get_running_loop().add_reader(self._sock, self._read)

    def close(self) -> None:
        """Close the socket; that ends the supervisor."""
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()

    def start(self, run: Supervision, variables: dict[str, str | None]) -> None:
        """Start the command with these variables (None removes one); `run` is kept up to date from now on."""
        self._run, self._patience = run, Patience(run)
        self._killing, self.ended = False, None
        send(self._sock, "start", until=run.until, variables=variables)

    def renew(self, until: float) -> None:
        """Set the lease's end, if it is later than before."""
        if until > self._run.until:
            self._run.renew(until)
            send(self._sock, "renew", until=until)

    def stop(self, why: StopReason) -> None:
        """End the command, if that has not begun."""
        if self._run.why is StopReason.RUNS:
            self._run.stop(clock.now(), why)
            send(self._sock, "stop", why=why)

    def kill(self) -> None:
        """End the command at once."""
        send(self._sock, "kill")

    def forward(self, number: signal.Signals) -> None:
        """Pass a signal on to the command."""
        send(self._sock, "signal", number=int(number))

    async def until_ended(
        self, term: Term, renewed: Pulse, stopping: Callable[[], bool] = lambda: False
    ) -> tuple[RunResult, bool]:
        """Keep the supervisor up to date until the run has ended.

        Args:
            term: the run's term.
            renewed: fires when the lease may have been renewed.
            stopping: whether the command must end; `news` fires when that changes.

        Returns:
            How the run ended, and whether this was cancelled meanwhile: then the term is over.

        Raises:
            SupervisorDied: the supervisor is gone, or late.
        """
        over = False
        while (ended := self._result()) is None:
            if over or stopping():
                self.stop(StopReason.LEASE if over else StopReason.STOPPED)
            self.renew(term.valid_until)
            limit = self._run.lease if self._killing else self._patience.wait(clock.now())
            if self.died or limit <= 0:
                raise SupervisorDied
            changes: list[asyncio.Future[Any]] = [self.news.next(), renewed.next()]
            try:
                await asyncio.wait(changes, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                over = True
        return ended, over

    def _result(self) -> RunResult | None:
        if not self.died:
            self._read()
        return self.ended

    def _read(self) -> None:
        if not receive(self._sock, self._take):
            self._gone()

    def _take(self, packet: dict[str, Any]) -> None:
        match packet["say"]:
            case "ready":
                self.ready = True
            case "killing":
                self._killing = True
            case "ended":
                self.ended = RunResult(packet["status"], StopReason(packet["why"]), True)
            case "failed":
                self.ended = RunResult(packet["status"], StopReason.ENDED, False)
        self.news.fire()

    def _gone(self) -> None:
        asyncio.get_running_loop().remove_reader(self._sock)
        self.died = True
        self.news.fire()


class ParentChannel(Channel):
    """The supervisor of `run`, which ends what a dead supervisor has left.

    Args:
        pid, sock: its process id, as a child of this process; and the socket to it.
        strangers: the children that the supervisor has nothing to do with.
    """

    def __init__(self, pid: int, sock: socket.socket, strangers: linux.Strangers) -> None:
        super().__init__(sock)
        self._pid, self._strangers = pid, strangers

    def open(self) -> None:
        """See `Channel`."""
        super().open()
        listen({signal.SIGCHLD: self._reap})
        self._reap()

    async def clear(self) -> None:
        """Kill the supervisor, if it lives, and all its descendants; then nothing of the command is left."""
        fate = "is gone" if self.died else "is late"
        log.error("the supervisor %s: killing the command here", fate, extra={"event": "supervisor_lost"})
        self.died = True
        while mine := [pid for pid in linux.children() if pid not in self._strangers]:
            for pid in mine:
                linux.send_signal(pid, signal.SIGKILL)
            self._strangers.reap()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.005)

    def _reap(self) -> None:
        if self._pid in self._strangers.reap():
            self._gone()
