"""The nemesis: the faults, how each is inflicted and undone, and how long nobody may lead afterwards.

A replica is meant to lead again within `BOUND` of the begin of a fault that hit a replica, of the end of one that hit
the ensemble, and of when a quorum answers again (which `writers` see): the session's end with its two ticks, what is
left to wait out; then a margin, because the machine is shared.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import ClassVar

from ..support.zookeeper import Server
from .checker import Trouble
from .field import LEASE, TICK, TIMEOUT, Field

MARGIN = 4.0
BOUND = TIMEOUT + 2 * TICK + 1.1 * LEASE + MARGIN
PATIENCE = BOUND + 40.0
"""Seconds to wait for a leader before the next fault: ZooKeeper's initLimit, and the same again."""
ISOLATED = 12.0
"""Seconds: longer than a follower goes on serving, so that its clients see all of it."""


def now() -> float:
    """The machine's boot-time clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Nemesis:
    """Inflicts faults on a field.

    Args:
        field: on which.
        seed: what it draws by.
    """

    KINDS: ClassVar[dict[str, tuple[str, float, bool]]] = {
        # the method; seconds that it lasts; whether somebody must lead although it lasts
        "leading replica killed": ("_kill", 0.0, True),
        "leading replica stopped (SIGSTOP)": ("_stop", 7.0, True),
        "leading replica told to end (SIGTERM)": ("_terminate", 0.0, True),
        "leading replica cut off": ("_blackhole", 8.0, True),
        "other replicas come and go": ("_burst", 2.0, True),
        "all connections cut": ("_cut_all", 0.5, False),
        "ZooKeeper server killed": ("_kill_server", 2.0, False),
        "ZooKeeper leader killed": ("_kill_leader", 3.0, False),
        "ZooKeeper leader stopped (SIGSTOP)": ("_stop_leader", 6.0, False),
        "leader's ZooKeeper server isolated": ("_isolate", ISOLATED, False),
        "leader's ZooKeeper server hears nobody": ("_deafen", ISOLATED, False),
        "leader's ZooKeeper server is not heard": ("_mute", ISOLATED, False),
        "ZooKeeper leader isolated": ("_isolate_leader", ISOLATED, False),
        "ensemble restarted one by one": ("_roll", 0.0, False),
        "ensemble restarted at once": ("_restart", 1.0, False),
    }

    def __init__(self, field: Field, seed: int) -> None:
        self.field, self._rng = field, random.Random(seed)
        self.troubles: list[Trouble] = []

    def draw(self) -> str:
        """The next kind: each comes once before any comes again."""
        counts = {kind: sum(trouble.kind == kind for trouble in self.troubles) for kind in self.KINDS}
        fewest = min(counts.values())
        return self._rng.choice([kind for kind, count in counts.items() if count == fewest])

    async def inflict(self, kind: str) -> Trouble:
        """Do it, undo it, and wait until somebody leads again, or should."""
        method, lasts, others_lead = self.KINDS[kind]
        await self._led(PATIENCE)
        begin = now()
        how: Callable[[], AbstractAsyncContextManager[None]] = getattr(self, method)
        async with how():
            await asyncio.sleep(lasts)
        # Who was hit need not come back for another one to lead.
        healed = begin if others_lead else now()
        await self._led(PATIENCE)
        await asyncio.sleep(1.0)
        trouble = Trouble(kind, begin, healed, BOUND, now())
        self.troubles.append(trouble)
        return trouble

    async def _led(self, limit: float) -> None:
        end = now() + limit
        await asyncio.sleep(0.2)  # what was said before this does not count
        while self.field.leader() is None and now() < end:
            await asyncio.sleep(0.02)

    def _leading(self) -> str:
        return self.field.leader() or self._rng.choice(self.field.names)

    # -- replicas ------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _kill(self) -> AsyncIterator[None]:
        name = self._leading()
        process = self.field.replicas[name]
        process.kill()
        process.wait()
        yield
        await self._led(BOUND)
        self.field.start(name)

    @asynccontextmanager
    async def _terminate(self) -> AsyncIterator[None]:
        name = self._leading()
        process = self.field.replicas[name]
        process.terminate()
        yield
        await self._led(BOUND)
        await asyncio.to_thread(process.wait, 20)
        self.field.start(name)

    @asynccontextmanager
    async def _stop(self) -> AsyncIterator[None]:
        process = self.field.replicas[self._leading()]
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    @asynccontextmanager
    async def _blackhole(self) -> AsyncIterator[None]:
        host = 3 + self.field.names.index(self._leading())
        rules = [("INPUT", "-i", "eth0", "-j", "DROP"), ("OUTPUT", "-o", "eth0", "-j", "DROP")]
        async with self._filtered(host, rules):
            yield

    @asynccontextmanager
    async def _burst(self) -> AsyncIterator[None]:
        self.field.burst(6)
        yield
        await asyncio.to_thread(self.field.end_burst)

    # -- the ensemble --------------------------------------------------------------------------------------------------

    def _servers(self) -> list[Server]:
        assert self.field.ensemble is not None
        return self.field.ensemble.servers

    async def _leader(self) -> Server:
        assert self.field.ensemble is not None
        return await self.field.ensemble.leader()

    @asynccontextmanager
    async def _down(self, *servers: Server) -> AsyncIterator[None]:
        for server in servers:
            server.kill()
        yield
        for server in servers:
            server.start()
        await asyncio.gather(*(server.ready() for server in servers))

    @asynccontextmanager
    async def _kill_server(self) -> AsyncIterator[None]:
        used = self.field.server_of(self._leading())
        async with self._down(used or self._rng.choice(self._servers())):
            yield

    @asynccontextmanager
    async def _kill_leader(self) -> AsyncIterator[None]:
        async with self._down(await self._leader()):
            yield

    @asynccontextmanager
    async def _restart(self) -> AsyncIterator[None]:
        async with self._down(*self._servers()):
            yield

    @asynccontextmanager
    async def _roll(self) -> AsyncIterator[None]:
        leading = await self._leader()
        for server in sorted(self._servers(), key=lambda server: server is leading):
            async with self._down(server):
                pass
        yield

    @asynccontextmanager
    async def _stop_leader(self) -> AsyncIterator[None]:
        server = await self._leader()
        server.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            server.signal(signal.SIGCONT)

    # -- the network ---------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _filtered(self, host: int, rules: Sequence[tuple[str, ...]]) -> AsyncIterator[None]:
        self.field.rules(host, "-I", *rules)
        try:
            yield
        finally:
            self.field.rules(host, "-D", *rules)

    @asynccontextmanager
    async def _cut_all(self) -> AsyncIterator[None]:
        # Reset whatever comes in at the clients' ports.
        servers = self._servers()
        rules = [
            [("INPUT", "-p", "tcp", "--dport", str(server.port), "-j", "REJECT", "--reject-with", "tcp-reset")]
            for server in servers
        ]
        for number, rule in enumerate(rules):
            self.field.rules(number, "-I", *rule)
        try:
            yield
        finally:
            for number, rule in enumerate(rules):
                self.field.rules(number, "-D", *rule)

    @asynccontextmanager
    async def _apart(self, server: Server | None, *, hear: bool, speak: bool) -> AsyncIterator[None]:
        number = self._servers().index(server or self._rng.choice(self._servers()))
        async with self._filtered(number, self.field.between_servers(number, hear=hear, speak=speak)):
            yield

    def _isolate(self) -> AbstractAsyncContextManager[None]:
        return self._apart(self.field.server_of(self._leading()), hear=False, speak=False)

    def _deafen(self) -> AbstractAsyncContextManager[None]:
        return self._apart(self.field.server_of(self._leading()), hear=False, speak=True)

    def _mute(self) -> AbstractAsyncContextManager[None]:
        return self._apart(self.field.server_of(self._leading()), hear=True, speak=False)

    @asynccontextmanager
    async def _isolate_leader(self) -> AsyncIterator[None]:
        async with self._apart(await self._leader(), hear=False, speak=False):
            yield
