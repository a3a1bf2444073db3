"""A graceful handover: from the leader's call to the instant at which the next one knows that it leads.

All systems' candidates stand in their queues at the same ZooKeeper at the same time. They take turns: one handover of
each, then the next of each. A pause before each lets everybody settle: the one that left stands at the back again, and
whoever comes next has set its watch. The servers are warm: they have answered thousands of such requests before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ..bench import Attempts, Bench, ZooKeeper
from ..figures import Figure
from ..fleet import Fleet

PAUSE = 0.05
"""Seconds before each handover."""
PROCESSES = 5
UNCOUNTED = 5
"""The first handovers of each system: by then each process has led once, and Java has seen the code."""


async def handovers(bench: Bench, servers: int, count: int, repetitions: int) -> list[Figure]:
    """Measure so many handovers of each system.

    Args:
        bench: the run.
        servers: one, or an ensemble of three.
        count: candidates of each system.
        repetitions: handovers of each.
    """
    case = f"handover, {count} candidates, {'1 server' if servers == 1 else f'{servers} servers'}"
    async with bench.zookeeper(servers) as zookeeper:
        await zookeeper.warm_up(bench.some(1_000, 6_000))
        made = [_fleet(bench, system, zookeeper, count) for system in bench.systems]
        async with bench.fleets(made, zookeeper) as attempts:
            for fleet in attempts.alive:
                await attempts.attempt(fleet, _join(zookeeper, fleet, count))
            times = await _take_turns(attempts, zookeeper, count, repetitions, bench.some(2, UNCOUNTED))
    figures = [Figure(case, system, taken) for system, taken in times.items()]
    return figures + attempts.figures(case)


def _fleet(bench: Bench, system: str, zookeeper: ZooKeeper, count: int) -> Fleet:
    # A Java process for each candidate if they are few, one for all if they are many: it has threads for that.
    processes = 1 if system == "curator" and count > PROCESSES else PROCESSES
    return Fleet(
        system, zookeeper.address, bench.folder, processes=processes, candidates=count // processes, words=("spread",)
    )


async def _join(zookeeper: ZooKeeper, fleet: Fleet, count: int) -> None:
    fleet.join_all()
    await fleet.led()
    await zookeeper.joined(fleet, count)


async def _take_turns(
    attempts: Attempts, zookeeper: ZooKeeper, count: int, repetitions: int, uncounted: int
) -> dict[str, Sequence[float]]:
    times: dict[str, list[float]] = {fleet.system: [] for fleet in attempts.alive}
    for repetition in range(-uncounted, repetitions):
        # Each time another one begins, so that nobody always follows the same one.
        order = attempts.alive
        first = repetition % max(1, len(order))
        for fleet in order[first:] + order[:first]:
            taken: list[float] = []
            if await attempts.attempt(fleet, _once(zookeeper, fleet, count, taken)) and repetition >= 0:
                times[fleet.system] += taken
    return {system: taken for system, taken in times.items() if taken}


async def _once(zookeeper: ZooKeeper, fleet: Fleet, count: int, taken: list[float]) -> None:
    await zookeeper.joined(fleet, count)
    await asyncio.sleep(PAUSE)
    taken.append(await fleet.handover() * 1000)
