"""What it takes to stand in queues: the first leader, 100 candidates that wait, 1,000 elections in one process."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from ...support.proxy import Proxy
from ..bench import Attempts, Bench, ZooKeeper
from ..figures import Figure
from ..fleet import Failure, Fleet
from ..systems import OURS
from .counting import CONFIRM, PING, counted

ELECTIONS = 1000
MANY = "1,000 elections on one session"
CUT_LIMIT = 15.0
"""Seconds that a process which leads 1,000 elections may take to leave one of them after its connection was cut."""
HISTORY = 5.0
"""Seconds until all those terms are written down in their histories, one after the other."""
LEASE = 3.0
"""Of our elections, in seconds: the default."""


async def first_leader(bench: Bench) -> list[Figure]:
    """From the start of a process to the instant at which it leads: interpreter, imports, session, join, lead."""
    case = "first leader, from the start of its process"
    times: dict[str, list[float]] = {}
    async with bench.zookeeper() as zookeeper:
        attempts = Attempts([])
        for _ in range(bench.some(5, 30)):
            for system in bench.systems:
                if system in attempts.failed:
                    continue
                fleet = Fleet(system, zookeeper.address, bench.folder)
                await zookeeper.create(fleet.root)
                try:
                    await attempts.attempt(fleet, _first(fleet, times.setdefault(system, [])))
                finally:
                    await fleet.kill()
    figures = [Figure(case, system, taken) for system, taken in times.items() if taken]
    return figures + attempts.figures(case)


async def _first(fleet: Fleet, taken: list[float]) -> None:
    await fleet.prepare()
    began = time.monotonic()
    await fleet.start()
    fleet.join_all()
    taken.append(((await fleet.led()).at - began) * 1000)


async def idle(bench: Bench) -> list[Figure]:
    """100 candidates of each system in one process, a session each, that wait for a minute; and one alone."""
    seconds = bench.some(10, 60)
    case = f"100 candidates idle for {seconds} s"
    async with bench.zookeeper() as zookeeper:
        figures = []
        made, ways = [], []
        for system in bench.systems:
            way = Proxy("127.0.0.1", zookeeper.servers[0].port)
            await way.__aenter__()
            ways.append(way)
            made.append(Fleet(system, way.address, bench.folder, candidates=100))
        try:
            async with bench.fleets(made, zookeeper) as attempts:
                for fleet in attempts.alive:
                    await attempts.attempt(fleet, _join(zookeeper, fleet, 100))
                figures = await _watch_idle(case, attempts, dict(zip(made, ways, strict=True)), seconds)
            return figures + attempts.figures(case) + await _alone(bench, zookeeper)
        finally:
            for way in ways:
                await way.__aexit__(None, None, None)


async def _join(zookeeper: ZooKeeper, fleet: Fleet, count: int) -> None:
    fleet.join_all()
    await fleet.led()
    await zookeeper.joined(fleet, count)


async def _watch_idle(case: str, attempts: Attempts, ways: dict[Fleet, Proxy], seconds: float) -> list[Figure]:
    await asyncio.sleep(1.0)
    began = {fleet: (fleet.usage(), counted(ways[fleet])) for fleet in attempts.alive}
    await asyncio.sleep(seconds)
    figures = []
    for fleet, (before, sent) in began.items():
        after, came = fleet.usage(), counted(ways[fleet]) - sent
        other = {
            "cpu_seconds_per_minute": (after.cpu - before.cpu) * 60 / seconds,
            "memory_mib": after.memory,
            "threads": float(after.threads),
            "requests_per_minute": came.total() * 60 / seconds,
            "pings_per_minute": came[PING] * 60 / seconds,
        }
        figures.append(Figure(case, fleet.system, other=other))
    return figures


async def _alone(bench: Bench, zookeeper: ZooKeeper) -> list[Figure]:
    case = "one waiting candidate"
    made = [Fleet(system, zookeeper.address, bench.folder, processes=2) for system in bench.systems]
    async with bench.fleets(made, zookeeper) as attempts:
        figures = []
        for fleet in attempts.alive:
            fleet.order(0, "join", 0)
            if await attempts.attempt(fleet, fleet.led()):
                fleet.order(1, "join", 0)
                await attempts.attempt(fleet, zookeeper.joined(fleet, 2))
        await asyncio.sleep(1.0)
        for fleet in attempts.alive:
            used = fleet.usage(1)
            other = {"memory_mib": used.memory, "threads": float(used.threads)}
            figures.append(Figure(case, fleet.system, other=other))
    return figures + attempts.figures(case)


async def many(bench: Bench) -> list[Figure]:
    """1,000 elections in one process on one session, and a second process that takes them all over."""
    figures: list[Figure] = []
    attempts = Attempts([])
    async with bench.zookeeper() as zookeeper:
        for _ in range(bench.some(1, 5)):
            for system in bench.systems:
                if system in attempts.failed:
                    continue
                fleet = Fleet(
                    system, zookeeper.address, bench.folder, processes=2, candidates=ELECTIONS, words=("shared",)
                )
                await zookeeper.create(fleet.root)
                try:
                    await attempts.attempt(fleet, _many(zookeeper, fleet, figures))
                finally:
                    await fleet.kill()
        leases = await _leases(bench, zookeeper) if OURS in bench.systems else {}
    merged = _merged(figures)
    for one in merged:
        if one.system == OURS:
            one.other |= leases
    return merged + attempts.figures(MANY)


async def _many(zookeeper: ZooKeeper, fleet: Fleet, figures: list[Figure]) -> None:
    await fleet.start()
    began = time.monotonic()
    for number in range(ELECTIONS):
        fleet.order(0, "join", number)
    led = [await fleet.said("leads", worker=0) for _ in range(ELECTIONS)]
    joined = max(one.at for one in led) - began
    for number in range(ELECTIONS):
        fleet.order(1, "join", number)
    await zookeeper.joined(fleet, 2, ELECTIONS - 1)
    await asyncio.sleep(1.0)
    used = fleet.usage(0)
    fleet.order(0, "close")
    closing = await fleet.said("closing")
    over = [await fleet.said("leads", worker=1) for _ in range(ELECTIONS)]
    other = {
        "joined_ms": joined * 1000,
        "taken_over_ms": (max(one.at for one in over) - closing.at) * 1000,
        "memory_mib": used.memory,
        "threads": float(used.threads),
    }
    figures.append(Figure(MANY, fleet.system, other=other))


async def _leases(bench: Bench, zookeeper: ZooKeeper) -> dict[str, float]:
    """How many transactions all those leases take, in a fifth of one; and how soon all is well after a cut."""
    seconds = bench.some(3, 12)
    async with Proxy("127.0.0.1", zookeeper.servers[0].port) as way:
        fleet = Fleet(OURS, way.address, bench.folder, candidates=ELECTIONS, words=("shared",))
        await zookeeper.create(fleet.root)
        try:
            await fleet.start()
            fleet.join_all()
            for _ in range(ELECTIONS):
                await fleet.said("leads")
            await asyncio.sleep(HISTORY)
            before = counted(way)
            await asyncio.sleep(seconds)
            confirms = (counted(way) - before)[CONFIRM] * LEASE / 5 / seconds
            way.cut()
            began = time.monotonic()
            await asyncio.sleep(0.2)
            fleet.order(0, "leave", 0)
            with suppress(Failure):
                await fleet.said("left", limit=CUT_LIMIT)
            return {
                "confirms_per_fifth_of_a_lease": confirms,
                "leave_after_a_cut_ms": (time.monotonic() - began) * 1000,
                "leads_lost_by_a_cut": float(sum(one.what == "ends" for one in fleet.heard())),
            }
        finally:
            await fleet.kill()


def _merged(figures: list[Figure]) -> list[Figure]:
    """One figure of each system: the medians."""
    merged = []
    for system in dict.fromkeys(one.system for one in figures):
        runs = [one.other for one in figures if one.system == system]
        middle = {name: sorted(run[name] for run in runs)[len(runs) // 2] for name in runs[0]}
        merged.append(Figure(figures[0].case, system, other=middle))
    return merged
