"""`leader-async run`, the election's side: it sends the supervisor starts, the lease's end, and stops.

Rules:
- The work of a term ends only when the supervisor has reported that nothing is left, or this process has killed it all.
- A graceful stop ends the command first, while confirms continue; the place is given up after that.
- A stop needs no ZooKeeper. After the command's end it takes at most a session timeout and a third: after the timeout
  the place is gone with the session, and the third is for closing that.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from .. import clock
from ..connection import Connection
from ..election.election import Election
from ..election.term import Term
from ..signals import listen
from .channel import ParentChannel, SupervisorDied
from .policy import LOST, Next, OnExit, OnLoss, after, pause
from .supervision import LEAST, Supervision

log = logging.getLogger("leader_async.run")

_FORWARDED = (
    signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGWINCH, signal.SIGCONT,
)  # fmt: skip
FORWARDED = {number: number for number in _FORWARDED} | {signal.SIGTSTP: signal.SIGSTOP}
"""The signal that the command gets instead. In a session of its own the kernel ignores a SIGTSTP."""


class Runner:
    """One `leader-async run`.

    Args:
        connection, election: not started yet; and one of the connection's.
        channel: to the supervisor.
        stop_timeout: seconds between SIGTERM and SIGKILL, as the supervisor has it.
        on_exit, on_loss: what to do when the command has exited, and when the lead was lost.
        stopping: called when a signal stops this process.
    """

    def __init__(
        self,
        connection: Connection,
        election: Election,
        channel: ParentChannel,
        *,
        stop_timeout: float,
        on_exit: OnExit,
        on_loss: OnLoss,
        stopping: Callable[[], None] = lambda: None,
    ) -> None:
        self._connection, self._election, self._channel = connection, election, channel
        self._stop_timeout, self._on_exit, self._on_loss = stop_timeout, on_exit, on_loss
        self._report_stopping = stopping
        self._status, self._pause = 0, 0.0
        self._stopping = self._runs = self._quits = False
        self._news = channel.news  # one of these, or the channel, has changed

    async def run(self) -> int:
        """Stand as a candidate, and run the command while leading; return the status to end with.

        Raises:
            SupervisorDied: the supervisor is gone.
        """
        self._channel.open()
        listen({number: partial(self._stop, number) for number in (signal.SIGTERM, signal.SIGINT)})
        for number, forwarded in FORWARDED.items():
            if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` holds for the command as well
                listen({number: partial(self._channel.forward, forwarded)})
        self._connection.start()
        try:
            return await self._follow()
        finally:
            await self._connection.close()

    async def _follow(self) -> int:
        while not self._stopping:
            running = asyncio.create_task(self._election.run(self._work), name="election")
            while not running.done() and not self._leaves:
                changes: list[asyncio.Future[Any]] = [running, self._news.next()]
                await asyncio.wait(changes, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                running.cancel()
            await asyncio.wait([running])
            step = None if running.cancelled() else running.result()
            if self._channel.died:
                raise SupervisorDied
            if step is not Next.RESIGN:
                break
            await self._rest()
        return self._status

    @property
    def _leaves(self) -> bool:
        """Whether to give the place up now. Until the command has ended, confirms continue."""
        return self._quits or (not self._runs and (self._stopping or self._channel.died))

    async def _work(self, term: Term) -> Next:
        """The work of one term: the command, as often as `on_exit` restarts it."""
        while not self._stopping:
            while term.valid_until - clock.now() < LEAST * self._election.lease:
                await self._connection.confirmed.wait()  # the lease is renewed, or this is cancelled
            self._runs = True
            try:
                step = await self._once(term)
            finally:
                self._runs = False
            if step is Next.RESTART:
                await self._rest()
            elif step is not Next.FOLLOW:
                break
        else:
            step = Next.EXIT
        if self._stopping:
            await self._election.favour_newest()
        return step

    async def _once(self, term: Term) -> Next:
        """Run the command once under this term; return what to do next. Nothing of it is left when this is over.

        Raises:
            CancelledError: the term was over first.
            SupervisorDied: the supervisor is gone.
        """
        began = clock.now()
        run = Supervision(term.valid_until, self._election.lease, self._stop_timeout)
        self._channel.start(run, self._variables(term))
        try:
            ended, over = await self._channel.until_ended(term, self._connection.confirmed, lambda: self._stopping)
        except BaseException:  # a bug too: the next leader may not begin before this command has ended
            await self._channel.clear()
            raise
        step = after(ended.why, self._on_exit, self._on_loss, started=ended.started, stopping=self._stopping)
        about = {"status": ended.status, "next": step.value, "token": term.token}
        fields = self._election.reporter.fields("command_ended", **about)
        text = "the command has ended with status %d (%s): %s"
        log.info(text, ended.status, ended.why, step.value, extra=fields)
        self._status = LOST if step is Next.LOST else ended.status
        self._pause = pause(self._pause, clock.now() - began)
        if over:  # the return value is not read
            self._quits = step in (Next.EXIT, Next.LOST)
            self._news.fire()
            raise asyncio.CancelledError
        return step

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause):
                while not (self._leaves or self._stopping):
                    await self._news.wait()

    def _variables(self, term: Term) -> dict[str, str | None]:
        return {
            "LEADER_TOKEN": str(term.token),
            "LEADER_ELECTION": self._election.name,
            "LEADER_IDENTITY": self._election.identity,
        }

    def _stop(self, number: signal.Signals) -> None:
        doing = "killing the command" if self._stopping else "stopping"
        fields = self._election.reporter.fields("stopping", signal=number.name)
        log.info("%s: %s", number.name, doing, extra=fields)
        if self._stopping:
            self._channel.kill()
        else:
            self._report_stopping()
        self._stopping = True
        self._news.fire()
