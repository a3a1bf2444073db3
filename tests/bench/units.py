"""`python -m tests.bench.units`: what a ping and a confirm cost each server of an ensemble of three.

Prints the processor time that each server spent, divided by how many there were. `deploy/SCALING.md` builds on these
figures. Processor time wanders less than elapsed time on a machine that does other things as well.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from leader_async import Connection, Election, Term, connect

from ..support.zookeeper import Ensemble

SECONDS = 10.0
TICKS = os.sysconf("SC_CLK_TCK")


def processor_seconds(pid: int) -> float:
    """Processor time that a process has spent so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Bench:
    """An ensemble, and what it spends."""

    def __init__(self, ensemble: Ensemble) -> None:
        self.ensemble = ensemble
        self.pids = [server._process.pid for server in ensemble.servers if server._process is not None]

    async def spent(self, during: Callable[[], Awaitable[object]]) -> list[float]:
        """Processor seconds of each server while this goes on."""
        before = [processor_seconds(pid) for pid in self.pids]
        await during()
        return [processor_seconds(pid) - start for pid, start in zip(self.pids, before, strict=True)]

    async def per_unit(self, what: str, units: float, idle: list[float]) -> None:
        """Let `SECONDS` pass and print what each of so many units cost, beyond what an idle ensemble spends."""
        spent = await self.spent(lambda: asyncio.sleep(SECONDS))
        costs = sorted(1e6 * max(0.0, one - base) / units for one, base in zip(spent, idle, strict=True))
        sys.stdout.write(f"{what:58} {costs[0]:8.1f} to {costs[-1]:8.1f} us a server\n")
        sys.stdout.flush()


async def _hold(term: Term) -> None:
    await asyncio.get_running_loop().create_future()


async def _lead(elections: list[Election]) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(election.run(_hold)) for election in elections]
    async with asyncio.timeout(60):
        while not all(election.is_leader for election in elections):
            await asyncio.sleep(0.05)
    await asyncio.sleep(2.0)
    return tasks


async def _end(tasks: list[asyncio.Task[None]], connections: list[Connection]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(connection.close() for connection in connections))


async def _open(address: str, count: int, timeout: float) -> list[Connection]:
    connections = [connect(address, timeout=timeout) for _ in range(count)]
    for connection in connections:
        await connection.__aenter__()
        await connection.wait_connected()
    await asyncio.sleep(1.0)
    return connections


async def measure(address: str, bench: Bench) -> None:
    """All of them, one after the other."""
    idle = await bench.spent(lambda: asyncio.sleep(SECONDS))
    sessions = await _open(address, 600, 6.0)
    await bench.per_unit("a ping (600 sessions, timeout 6 s)", 600 * SECONDS / 2.0, idle)
    await _end([], sessions)
    sessions = await _open(address, 100, 6.0)
    tasks = await _lead([one.election(f"a{number}", lease=1.0) for number, one in enumerate(sessions)])
    await bench.per_unit("a confirm of one election (100 leaders, lease 1 s)", 100 * SECONDS * 5, idle)
    await _end(tasks, sessions)
    sessions = await _open(address, 1, 10.0)
    tasks = await _lead([sessions[0].election(f"b{number}", lease=1.0) for number in range(1000)])
    await bench.per_unit("an election in a shared confirm (1,000 in one, lease 1 s)", 1000 * SECONDS * 5, idle)
    await _end(tasks, sessions)


async def main() -> None:
    """The command."""
    with tempfile.TemporaryDirectory(prefix="units-") as folder:
        ensemble = Ensemble(Path(folder), ["tickTime=2000", "initLimit=10", "syncLimit=5", "maxClientCnxns=0"])
        await ensemble.start_ready()
        try:
            await asyncio.sleep(5.0)  # Java has compiled what it starts with
            await measure(ensemble.address, Bench(ensemble))
        finally:
            ensemble.kill()


if __name__ == "__main__":
    asyncio.run(main())
