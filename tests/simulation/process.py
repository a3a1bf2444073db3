"""A process: the library as an application uses it, with work of every kind."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from leader_async import Election, JobRun, LeaderAsyncError, Term, connect, partitions

from .jobs import schedule
from .loop import Loop
from .network import Connection
from .nights import Night
from .timeline import Timeline

if TYPE_CHECKING:
    from .ensemble import Ensemble

ELECTION = "x"
PARENT = f"/ELECTION/{ELECTION}"
WORK = ("steady", "brief", "failing", "stubborn", "blocking")
"""Kinds of work: goes on until cancelled; ends by itself; raises; ignores its cancellation for a while; keeps the event
loop from running for a while, longer than the lease."""


FLOOD = 60
"""Requests in a second that no process has a reason to send for one election."""

SIDE = "side"
"""The elections that a process takes part in besides: `side-0`, `side-1`, …"""
PARTS = "parts"
"""The name of its partitions."""


async def _steady(term: Term) -> None:
    await asyncio.get_running_loop().create_future()


class Failure(Exception):
    """What failing work raises."""


class Process:
    """One replica, from its start to its end.

    Args:
        name: who it is; a process that is started again has another name.
        rate: of its clock.
        works: the kinds of work, one a term, the last one for all further terms.
        sides: how many elections it takes part in besides, under the same session.
        parts: how many partitions it takes a share of, under the same session.
        began, ended: told of each start and end of work.
        ran: told of each start and end of a job's run.
        night: the night that its jobs cross, if any.
    """

    def __init__(
        self,
        name: str,
        timeline: Timeline,
        rng: random.Random,
        ensemble: Ensemble,
        *,
        rate: float,
        timeout: float,
        lease: float,
        works: Sequence[str],
        sides: int,
        parts: int,
        began: Callable[[Process, Term], None],
        ended: Callable[[Process, Term], None],
        ran: Callable[[Process, JobRun, bool], None],
        night: Night | None = None,
    ) -> None:
        self.name, self.rng = name, rng
        self.ensemble, self._timeline = ensemble, timeline
        self.timeout, self.lease = timeout, lease
        self.loop = Loop(timeline, rate, rng.random, self)
        self._offset = rng.uniform(0, 1e6)
        self._works, self._began, self._ended, self._ran = list(works), began, ended, ran
        self._night = night
        self._sides, self._parts = sides, parts
        self.election: Election | None = None
        self.others: list[Election] = []
        """Its further elections: those of its partitions come last."""
        self.run_task: asyncio.Task[Any] | None = None
        self.main_task: asyncio.Task[Any] | None = None
        self.connections: list[Connection] = []
        self.armed: tuple[str, Callable[[Connection], None]] | None = None
        self.blackholed = False
        self.stopping = False
        self.over = False
        self.cast_off = False
        self.kind = ""  # of its latest work
        # When the latest left; partitions have members and an assignment besides.
        self.requests: deque[float] = deque(maxlen=FLOOD * (1 + sides + 2 * parts))

    # -- its life ------------------------------------------------------------------------------------------------------

    def clock(self) -> float:
        """Its own clock."""
        return self.loop.time() + self._offset

    def start(self) -> None:
        self.main_task = self.loop.create_task(self._main())
        self.main_task.add_done_callback(self._finished)

    def kill(self) -> None:
        """As SIGKILL does."""
        self.loop.dead = self.over = True
        for connection in self.connections:
            if not connection.closed:
                connection.process_died()

    def stop(self) -> None:
        """As SIGTERM does: leave, close the session, end."""
        self.stopping = True
        if self.main_task is not None:
            self.loop.call_soon(self.main_task.cancel)

    def wind_up(self) -> None:
        """The run is over: even the dead end what they were doing, without a network; nothing is left of them."""
        self._began = self._ended = lambda process, term: None
        self._ran = lambda process, run, begins: None
        self._works, self.stopping, self.blackholed, self.cast_off = ["steady"], True, False, True
        for connection in self.connections:
            connection.abort()
        self.loop.dead = False
        self.loop.go_on()
        if self.main_task is not None:
            self.loop.call_soon(self.main_task.cancel)

    @property
    def wound_up(self) -> bool:
        """Whether nothing is left of it."""
        return self.main_task is None or self.main_task.done()

    def resign(self) -> None:
        """Somebody asks it to give its place up."""

        async def resign() -> None:
            with contextlib.suppress(TimeoutError):
                if self.election is not None:
                    await self.election.resign(timeout=2.0)

        self._do(resign())

    def transfer(self, to: str) -> None:
        """Somebody asks it to give the lead to that process."""

        async def transfer() -> None:
            with contextlib.suppress(TimeoutError, LeaderAsyncError):
                if self.election is not None:
                    await self.election.transfer(to, timeout=2.0)

        self._do(transfer())

    def cancel_run(self) -> None:
        """The application cancels what it runs, wherever that is, and runs it again."""
        if self.run_task is not None:
            self.loop.call_soon(self.run_task.cancel)

    def _do(self, coroutine: Any) -> None:
        self.loop.call_soon(lambda: self.loop.create_task(coroutine))

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self.over = True
        if not task.cancelled() and task.exception() is not None:
            self.loop.errors.append({"message": "the process has ended", "exception": task.exception()})

    async def _main(self) -> None:
        servers = ",".join(f"{host}:{port}" for host, port in (server.address for server in self.ensemble.servers))
        async with connect(servers, timeout=self.timeout) as zk:
            self.election = zk.election(ELECTION, identity=self.name, lease=self.lease)
            parts = (
                partitions(zk, PARTS, count=self._parts, identity=self.name, lease=self.lease) if self._parts else None
            )
            self.others = [
                zk.election(f"{SIDE}-{number}", identity=self.name, lease=self.lease) for number in range(self._sides)
            ] + [parts.election(place) for place in range(self._parts) if parts is not None]
            self._jobs = schedule(
                self.election, self.rng, lambda run, begins: self._ran(self, run, begins), self._night
            )
            besides = [self.loop.create_task(side.run(_steady)) for side in self.others[: self._sides]]
            if parts is not None:
                besides.append(self.loop.create_task(parts.run(lambda place, term: _steady(term))))
            try:
                await self._run()
            finally:
                for task in besides:
                    task.cancel()
                if besides:
                    await asyncio.wait(besides)

    async def _run(self) -> None:
        assert self.election is not None
        while not self.stopping:
            self.run_task = self.loop.create_task(self.election.run(self._work))
            try:
                await asyncio.shield(self.run_task)
            except Failure:
                pass
            except asyncio.CancelledError:
                if not self.run_task.done():  # it is this that was cancelled
                    await self.election.favour_newest()  # as `serve` does
                    self.run_task.cancel()
                    await asyncio.wait([self.run_task])
                    raise
            await asyncio.sleep(self.rng.uniform(0, 0.5))

    # -- its work ------------------------------------------------------------------------------------------------------

    async def _work(self, term: Term) -> None:
        kind = self._works.pop(0) if len(self._works) > 1 else self._works[0]
        self.kind = kind
        self._began(self, term)
        try:
            match kind:
                case "brief":
                    await asyncio.sleep(self.rng.uniform(0, 2 * self.lease))
                case "failing":
                    await asyncio.sleep(self.rng.uniform(0, 2 * self.lease))
                    raise Failure
                case "blocking":
                    await asyncio.sleep(self.rng.uniform(0, self.lease))
                    self.loop.block(self.rng.uniform(0, 2 * self.lease))
                    await asyncio.sleep(self.rng.uniform(0, self.lease))
                case "stubborn":
                    await self._stubborn()
                case "jobs":
                    await self._jobs.work(term)
                case _:
                    await asyncio.get_running_loop().create_future()
        finally:
            if not self.loop.dead:
                self._ended(self, term)

    async def _stubborn(self) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            # Whatever is asked of it, it goes on for a while.
            end = asyncio.get_running_loop().time() + self.rng.uniform(0, 2 * self.lease)
            while (left := end - asyncio.get_running_loop().time()) > 0:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(left)

    # -- its network ---------------------------------------------------------------------------------------------------

    async def dial(self, addresses: Sequence[Any]) -> Connection:
        """What `start_connection` does, in this world."""
        servers = {server.address: server for server in self.ensemble.servers}
        for info in addresses if not self.cast_off else ():
            server = servers[info[4][:2]]
            if self.blackholed:
                await asyncio.sleep(0.1)  # no answer so far; the next one is dialled as well
                continue
            await asyncio.sleep(self.rng.uniform(0.0002, 0.004))
            if server.takes_connections:
                connection = Connection(self._timeline, self.rng, server, self._sent)
                self.connections = [each for each in self.connections if not each.closed] + [connection]
                return connection
        if self.blackholed:
            await asyncio.get_running_loop().create_future()
        raise ConnectionRefusedError("nobody takes a connection")

    def blackhole(self, lost: bool) -> None:
        """Nothing gets to it and nothing from it, and nobody is told."""
        self.blackholed = lost
        for connection in self.connections:
            connection.up.hold(lost)
            connection.down.hold(lost)

    def _sent(self, connection: Connection, request: Any) -> None:
        """A request leaves; something may wait for just that."""
        self.requests.append(self._timeline.now)
        if self.armed is not None and type(request).__name__ == self.armed[0]:
            _, spring = self.armed
            self.armed = None
            # Behind this request: it is on its way when it happens.
            self._timeline.after(self.rng.choice((0.0, self.rng.uniform(0, 0.02))), lambda: spring(connection))
