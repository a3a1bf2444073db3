"""`run`: the election's side. It tells the supervisor when to start, how long the lease lasts, and when to stop.

Rules:
- The work of a term ends only when the supervisor has said that nothing is left, or this process has ended it all.
- A graceful stop ends the command first, while confirms go on; the place is given up after that.
- ZooKeeper need not be there for a stop. Once the command has ended it takes up to a session timeout and a third: after
  the first the place is gone with the session anyway, and the third is for closing that.
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
from .line import ParentLine, SupervisorDied
from .policy import LOST, Next, OnExit, OnLoss, after, pause
from .supervision import LEAST, Supervision

log = logging.getLogger("leader_async.run")

FORWARDED = {
    number: number
    for number in (
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGALRM,
        signal.SIGWINCH,
        signal.SIGCONT,
    )
} | {signal.SIGTSTP: signal.SIGSTOP}
"""What a signal becomes for the command. In a session of its own the kernel takes no notice of a SIGTSTP."""


class Runner:
    """One `leader-async run`.

    Args:
        connection: not started yet.
        election: one of the connection's.
        line: to the supervisor.
        stop_timeout: seconds between SIGTERM and SIGKILL, as the supervisor has it.
        on_exit: what to do when the command has ended by itself.
        on_loss: what to do when the lead was lost.
        stopping: called when we are told to stop.
    """

    def __init__(
        self,
        connection: Connection,
        election: Election,
        line: ParentLine,
        *,
        stop_timeout: float,
        on_exit: OnExit,
        on_loss: OnLoss,
        stopping: Callable[[], None] = lambda: None,
    ) -> None:
        self._connection, self._election, self._line = connection, election, line
        self._stop_timeout, self._on_exit, self._on_loss = stop_timeout, on_exit, on_loss
        self._tell_stopping = stopping
        self._status, self._pause = 0, 0.0
        self._stopping = self._runs = self._quits = False
        self._news = line.news  # one of these, or something about the line, has changed

    async def run(self) -> int:
        """Be a candidate, and run the command while leading; the status to end with.

        Raises:
            SupervisorDied: see there.
        """
        self._line.open()
        listen({number: partial(self._told_to_stop, number) for number in (signal.SIGTERM, signal.SIGINT)})
        for number, forwarded in FORWARDED.items():
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup is for the command as well
                listen({number: partial(self._line.forward, forwarded)})
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
            if self._line.died:
                raise SupervisorDied
            if step is not Next.RESIGN:
                break
            await self._rest()
        return self._status

    @property
    def _leaves(self) -> bool:
        """Whether the place is to be given up now. Until the command has ended confirms go on."""
        return self._quits or (not self._runs and (self._stopping or self._line.died))

    async def _work(self, term: Term) -> Next:
        """The work of one term: the command, as often as it takes."""
        while not self._stopping:
            while term.valid_until - clock.now() < LEAST * self._election.lease:
                await self._connection.confirmed.wait()  # the term goes on, or we are cancelled
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
        """Run the command once under this term; what to do next. When this is over, nothing of it is left.

        Raises:
            CancelledError: the term was over before that.
            SupervisorDied: see there.
        """
        began = clock.now()
        run = Supervision(term.valid_until, self._election.lease, self._stop_timeout)
        self._line.start(run, self._variables(term))
        try:
            ended, over = await self._line.until_ended(term, self._connection.confirmed, lambda: self._stopping)
        except BaseException:  # a bug too: nobody may begin before this one has ended
            await self._line.clear()
            raise
        step = after(ended.why, self._on_exit, self._on_loss, started=ended.started, stopping=self._stopping)
        log.info(
            "the command has ended with status %d (%s): %s", ended.status, ended.why, step.value,
            extra=self._election.reporter.fields(
                "command_ended", status=ended.status, next=step.value, token=term.token
            ),
        )  # fmt: skip
        self._status = LOST if step is Next.LOST else ended.status
        self._pause = pause(self._pause, clock.now() - began)
        if over:  # nobody asks what this returns
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

    def _told_to_stop(self, number: signal.Signals) -> None:
        doing = "killing the command" if self._stopping else "stopping"
        fields = self._election.reporter.fields("stopping", signal=number.name)
        log.info("%s: %s", number.name, doing, extra=fields)
        if self._stopping:
            self._line.kill()
        else:
            self._tell_stopping()
        self._stopping = True
        self._news.fire()
