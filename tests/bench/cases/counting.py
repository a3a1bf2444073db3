"""What is asked of ZooKeeper, counted frame by frame by a proxy between a system's candidates and the server.

A departure is a leader or another candidate that leaves and does not come back. Pings, and the transactions of checks
alone by which a leader keeps its lease, go on all the time and are counted apart.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from ...support.proxy import MULTI, Proxy
from ..bench import Bench, ZooKeeper
from ..figures import Figure
from ..fleet import Fleet
from ..systems import LIMIT

NAMES = {
    1: "create", 2: "delete", 3: "exists", 4: "getData", 5: "setData", 8: "getChildren", 9: "sync", 11: "ping",
    12: "getChildren2", 14: "multi", 15: "create2", 17: "checkWatches", 100: "setAuth", 101: "setWatches", -11: "close",
}  # fmt: skip
CONFIRM, PING = "confirm", "ping"
SETTLE = 0.3
"""Seconds after a departure in which everybody has done what it brings about."""


def counted(proxy: Proxy) -> Counter[str]:
    """What has gone through, by name; transactions of checks alone are confirms."""
    counts = Counter({NAMES.get(opcode, str(opcode)): count for opcode, count in proxy.requests.items()})
    confirms = sum(1 for operations in proxy.transactions if operations)
    counts["multi"] = proxy.requests[MULTI] - confirms
    counts[CONFIRM] = confirms
    return counts


async def departures(bench: Bench) -> list[Figure]:
    """Requests for each departure, of a leader and of another candidate."""
    figures: list[Figure] = []
    async with bench.zookeeper() as zookeeper:
        for count in (10,) if bench.quick else (10, 100):
            for system in bench.systems:
                async with Proxy("127.0.0.1", zookeeper.servers[0].port) as proxy:
                    fleet = Fleet(system, proxy.address, bench.folder, candidates=count)
                    async with bench.fleets([fleet], zookeeper) as attempts:
                        if attempts.alive:
                            await attempts.attempt(fleet, _depart(zookeeper, proxy, fleet, figures.append))
                    figures += attempts.figures(f"requests of a departure, {count} candidates")
    return figures


async def _depart(zookeeper: ZooKeeper, proxy: Proxy, fleet: Fleet, add: Callable[[Figure], None]) -> None:
    count = fleet.candidates
    for number in range(count):  # one after the other: this is the order of the queue
        fleet.order(0, "join", number)
        await zookeeper.joined(fleet, number + 1)
        if number == 0:
            await fleet.led()
    await asyncio.sleep(1.0)
    leaders = count * 2 // 5
    before = counted(proxy)
    for number in range(leaders):
        fleet.order(0, "leave", number)
        await fleet.said("left")
        await fleet.led()
        await asyncio.sleep(SETTLE)
    after = counted(proxy)
    add(_figure(f"requests of the leader's departure, {count} candidates", fleet.system, after - before, leaders))
    if fleet.system == LIMIT:
        return  # here only the first one ever goes
    before = after
    # The leader and its heir stay; of the rest every other one goes, so that somebody stays behind each.
    others = range(leaders + 2, count - 1, 2)
    for number in others:
        fleet.order(0, "leave", number)
        await fleet.said("left")
        await asyncio.sleep(SETTLE)
    what = f"requests of another one's departure, {count} candidates"
    add(_figure(what, fleet.system, counted(proxy) - before, len(others)))


def _figure(case: str, system: str, counts: Counter[str], departures: int) -> Figure:
    running = {name: float(counts.pop(name)) for name in (CONFIRM, PING) if name in counts}
    other = {"departures": float(departures), "requests_per_departure": counts.total() / departures}
    other |= {f"{name}_per_departure": count / departures for name, count in sorted(counts.items())}
    other |= {f"{name}_meanwhile": count for name, count in running.items()}
    return Figure(case, system, other=other)
