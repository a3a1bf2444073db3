"""`run`: the election's side. It tells the supervisor when to start, how long the lease lasts, and when to stop.

Rules:
- The work of a term ends only when the supervisor has said that nothing is left, or this process has ended it all.
- A graceful stop ends the command first, while confirms go on; the place is given up after that.
- A supervisor that has not begun to kill in time is killed itself: everything becomes ours, and is ended here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .. import clock
from ..election.connection import Connection
from ..election.election import Election
from ..election.term import Term
from . import linux
from .decisions import Next, OnExit, OnLoss, after, pause
from .supervision import MARGIN, Supervision, Why

log = logging.getLogger("leader_async.run")

LATE = 0.02
"""Of the lease: how late the supervisor may be."""

LOST = 75
"""The status when the lead was lost and nothing else is to be tried (EX_TEMPFAIL)."""


class SupervisorDied(Exception):
    """The supervisor is gone; nothing of the command is left."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of one run: its status, why it was ended, whether it was started, and seconds that it ran."""

    status: int
    why: Why
    started: bool
    ran: float


class Runner:
    """One `leader-async run`.

    Args:
        connection: not started yet.
        election: one of the connection's.
        supervisor: the supervisor's process id, and the socket to it.
    """

    def __init__(
        self,
        connection: Connection,
        election: Election,
        supervisor: tuple[int, socket.socket],
        *,
        stop_timeout: float,
        on_exit: OnExit,
        on_loss: OnLoss,
    ) -> None:
        self._connection, self._election = connection, election
        self._pid, self._sock = supervisor
        self._sock.setblocking(False)
        self._stop_timeout, self._on_exit, self._on_loss = stop_timeout, on_exit, on_loss
        self._status, self._pause, self._runs = 0, 0.0, False
        self._killing = False

    async def run(self) -> int:
        """Be a candidate, and run the command while leading; the status to end with.

        Raises:
            SupervisorDied: see there.
        """
        loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._lost, self._died = loop.create_future(), loop.create_future()
        self._ended: asyncio.Future[Ended] = loop.create_future()
        loop.add_reader(self._sock, self._hear)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop, number)
        for number in (
            signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGWINCH,
        ):  # fmt: skip
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._say, "signal", "number", int(number))
        self._connection.start()
        try:
            return await self._follow()
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._connection.client.timeout):
                    await self._connection.close()

    async def _follow(self) -> int:
        while not self._stop.is_set():
            running = asyncio.create_task(self._election.run(self._work), name="election")
            stop = asyncio.create_task(self._stop.wait())
            await asyncio.wait([running, stop, self._lost, self._died], return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
            # While the command runs its end is awaited first: confirms go on until then.
            if not running.done() and not (self._runs and self._stop.is_set() and not self._lost.done()):
                running.cancel()
            await asyncio.wait([running])
            if self._died.done():
                raise SupervisorDied
            if self._lost.done():
                return LOST
            if running.cancelled():
                break
            if running.result() is not Next.RESIGN:
                return self._status
            await self._rest()
        return self._status

    async def _work(self, term: Term) -> Next:
        """The work of one term: the command, as often as it takes."""
        while not self._stop.is_set():
            self._runs = True
            try:
                ended = await self._once(term)
            finally:
                self._runs = False
            step = after(
                ended.why, self._on_exit, self._on_loss, started=ended.started, stopping=self._stop.is_set()
            )  # fmt: skip
            self._status = ended.status
            log.info("the command has ended with status %d (%s): %s", ended.status, ended.why, step.value)
            if step is Next.LOST:
                self._lost.set_result(None)
            if step in (Next.EXIT, Next.RESIGN, Next.LOST):
                self._pause = pause(self._pause, ended.ran) if step is Next.RESIGN else 0.0
                return step
            if step is Next.RESTART:
                self._pause = pause(self._pause, ended.ran)
                await self._rest()
            while step is Next.FOLLOW and term.valid_until - clock.now() < 0.5 * self._election.lease:
                await self._connection.confirmed.wait()  # the same term goes on, or we are cancelled
        return Next.EXIT

    async def _once(self, term: Term) -> Ended:
        """Run the command once under this term. When this is over, nothing of it is left."""
        self._ended, self._killing = asyncio.get_running_loop().create_future(), False
        began, until, lease = clock.now(), term.valid_until, self._election.lease
        if until - began <= MARGIN * lease:
            return Ended(self._status, Why.LEASE, True, 0.0)
        twin = Supervision(until, lease, self._stop_timeout)
        variables = {
            "LEADER_TOKEN": str(term.token),
            "LEADER_ELECTION": self._election.name,
            "LEADER_IDENTITY": self._election.identity,
        }
        self._tell("start", until=until, variables=variables)
        cancelled = False
        told = False
        while not self._ended.done():
            if (self._stop.is_set() or cancelled) and not told:
                told = True
                twin.stop(clock.now(), Why.STOPPED)
                self._tell("stop")
            if term.valid_until > twin.until:
                twin.renew(term.valid_until)
                self._tell("renew", until=twin.until)
            twin.tick(clock.now())
            late = twin.kill_at + LATE * lease - clock.now()
            if late <= 0 and not self._killing and not self._died.done():
                log.error("the supervisor does not do its work: ending it, and the command here")
                with suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGKILL)  # our child, its status not taken: it is still that one
                await self._sweep()
                raise SupervisorDied
            stop = asyncio.create_task(self._stop.wait())
            confirmed = asyncio.shield(self._connection.confirmed.next())
            waiting: list[asyncio.Future[Any]] = [self._ended, self._died, confirmed]
            try:
                limit = None if self._killing else min(max(late, 0.001), lease)
                await asyncio.wait(
                    waiting if told else [*waiting, stop], timeout=limit, return_when=asyncio.FIRST_COMPLETED
                )
            except asyncio.CancelledError:
                cancelled = True
            finally:
                stop.cancel()
            if self._died.done():
                await self._sweep()
                raise SupervisorDied
        ended = self._ended.result()
        if cancelled:
            if self._on_loss == "exit" and not self._stop.is_set() and not self._lost.done():
                self._lost.set_result(None)
            raise asyncio.CancelledError
        return Ended(ended.status, ended.why, ended.started, clock.now() - began)

    async def _sweep(self) -> None:
        """The supervisor is gone: what it had is ours now. Kill it all."""
        log.error("the supervisor is gone: killing what is left of the command")
        while not linux.childless():
            for pid in linux.children():
                linux.send(pid, signal.SIGKILL)
            [*linux.reap()]
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.005)

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause):
                await self._stop.wait()

    # -- the supervisor ------------------------------------------------------------------------------------------------

    def _told_to_stop(self, number: signal.Signals) -> None:
        log.info("%s: %s", number.name, "killing the command" if self._stop.is_set() else "stopping")
        if self._stop.is_set():
            self._tell("kill")
        self._stop.set()

    def _say(self, say: str, name: str, value: int) -> None:
        self._tell(say, **{name: value})

    def _tell(self, say: str, **fields: Any) -> None:
        try:
            self._sock.send(json.dumps({"say": say, **fields}).encode())
        except OSError as error:
            log.debug("%s", error)

    def _hear(self) -> None:
        try:
            while data := self._sock.recv(2**16):
                said = json.loads(data)
                if said["say"] == "killing":
                    self._killing = True
                elif not self._ended.done():
                    started = said["say"] == "ended"
                    why = Why(said["why"]) if started else Why.ENDED
                    self._ended.set_result(Ended(said["status"], why, started, 0.0))
        except BlockingIOError:
            return
        except OSError as error:
            log.debug("%s", error)
        asyncio.get_running_loop().remove_reader(self._sock)
        if not self._died.done():
            self._died.set_result(None)
