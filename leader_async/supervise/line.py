"""The line to a supervisor: what it is told and what is heard of it, and what `run` does when its own is gone.

Rules:
- What the supervisor has said is read before it is judged (`patience`): an event loop that was frozen runs its timers
  before it reads.
- A supervisor that is late with its SIGKILL is killed itself. What that of `run` had becomes the children of `run`, and
  is ended there; children that were there before it are left alone, and reaped like all others.
- What is told to a supervisor that does not listen may be lost; it is late then.
"""

from __future__ import annotations

import asyncio
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
from .patience import Patience
from .supervision import StopReason, Supervision
from .talk import hear, say

log = logging.getLogger("leader_async.run")


class SupervisorDied(Exception):
    """The supervisor is gone; nothing of the command is left."""


@dataclass(frozen=True, slots=True)
class Exit:
    """What came of one run: the command's status, why it was ended, and whether it could be started."""

    status: int
    why: StopReason
    started: bool


class Line:
    """A supervisor, as whoever started it sees it.

    Args:
        sock: the socket to it.

    Attributes:
        news: fires whenever one of these has changed.
        ready: it listens.
        died: it is gone.
        ended: what came of the run that was started last, None while it goes on.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sock.setblocking(False)
        self._killing = False
        self.news = Pulse()
        self.ready = self.died = False
        self.ended: Exit | None = None

    def open(self) -> None:
        """Listen in the running event loop."""
        asyncio.get_running_loop().add_reader(self._sock, self._hear)

    def close(self) -> None:
        """Say no more. It ends then."""
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()

    def start(self, run: Supervision, variables: dict[str, str | None]) -> None:
        """Start the command with these variables (None: without); `run` is kept up to date from now on."""
        self._run, self._patience = run, Patience(run)
        self._killing, self.ended = False, None
        say(self._sock, "start", until=run.until, variables=variables)

    def renew(self, until: float) -> None:
        """The lease lasts until then."""
        if until > self._run.until:
            self._run.renew(until)
            say(self._sock, "renew", until=until)

    def stop(self, why: StopReason) -> None:
        """Everything shall end, if it does not already."""
        if self._run.why is StopReason.RUNS:
            self._run.stop(clock.now(), why)
            say(self._sock, "stop", why=why)

    def kill(self) -> None:
        """Everything shall end at once."""
        say(self._sock, "kill")

    def forward(self, number: signal.Signals) -> None:
        """Pass a signal on to the command."""
        say(self._sock, "signal", number=int(number))

    async def until_ended(
        self, term: Term, renewed: Pulse, stopping: Callable[[], bool] = lambda: False
    ) -> tuple[Exit, bool]:
        """Tell the supervisor what it has to know until the run has ended.

        Args:
            term: under which it runs.
            renewed: fires when the lease may have been renewed.
            stopping: whether it is to end; `news` fires when that changes.

        Returns:
            What came of the run, and whether this was cancelled meanwhile: the term is over then.

        Raises:
            SupervisorDied: the supervisor is gone, or late.
        """
        over = False
        while (ended := self._heard()) is None:
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

    def _heard(self) -> Exit | None:
        """What came of the run by all that was said until now."""
        if not self.died:
            self._hear()
        return self.ended

    def _hear(self) -> None:
        if not hear(self._sock, self._take):
            self._gone()

    def _take(self, said: dict[str, Any]) -> None:
        match said["say"]:
            case "ready":
                self.ready = True
            case "killing":
                self._killing = True
            case "ended":
                self.ended = Exit(said["status"], StopReason(said["why"]), True)
            case "failed":
                self.ended = Exit(said["status"], StopReason.ENDED, False)
        self.news.fire()

    def _gone(self) -> None:
        asyncio.get_running_loop().remove_reader(self._sock)
        self.died = True
        self.news.fire()


class ParentLine(Line):
    """The supervisor of `run`, which ends by itself what a dead one has left.

    Args:
        pid: its process id; it is our child.
        sock: the socket to it.
        strangers: the children that it has nothing to do with.
    """

    def __init__(self, pid: int, sock: socket.socket, strangers: linux.Strangers) -> None:
        super().__init__(sock)
        self._pid, self._strangers = pid, strangers

    def open(self) -> None:
        """See `Line`."""
        super().open()
        listen({signal.SIGCHLD: self._reap})
        self._reap()

    async def clear(self) -> None:
        """Kill the supervisor, if it lives, and all that it had. When this is over, nothing of the command is left."""
        log.error(
            "the supervisor %s: killing the command here",
            "is gone" if self.died else "is not to be relied on",
            extra={"event": "supervisor_lost"},
        )
        self.died = True
        while mine := [pid for pid in linux.children() if pid not in self._strangers]:
            for pid in mine:
                linux.send(pid, signal.SIGKILL)
            self._strangers.reap()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.005)

    def _reap(self) -> None:
        if self._pid in self._strangers.reap():
            self._gone()
