"""All cases, by name and in the order in which they are run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ..bench import Bench
from ..figures import Figure
from .counting import departures
from .crashes import kills, zookeeper_leader_killed
from .handover import handovers
from .polling import polls
from .small import confirms, imports
from .standing import first_leader, idle, many

Case = Callable[[Bench], Awaitable[list[Figure]]]


def _handover(servers: int, count: int, quick: int, full: int) -> Case:
    async def case(bench: Bench) -> list[Figure]:
        repetitions = bench.some(quick, full)
        return await handovers(bench, servers, count, repetitions) if repetitions else []

    return case


TIMELESS = ("requests", "idle")
"""They measure no times, so a quick run has them at the same time."""

CASES: dict[str, Case] = {
    "handover-5": _handover(1, 5, 20, 200),
    "handover-50": _handover(1, 50, 10, 200),
    "handover-500": _handover(1, 500, 7, 200),
    "handover-1000": _handover(1, 1000, 0, 50),
    "handover-ensemble-5": _handover(3, 5, 10, 200),
    "handover-ensemble-50": _handover(3, 50, 0, 200),
    "handover-ensemble-500": _handover(3, 500, 0, 200),
    "kill": kills,
    "zookeeper-leader": zookeeper_leader_killed,
    "requests": departures,
    "first-leader": first_leader,
    "idle": idle,
    "elections-1000": many,
    "import": imports,
    "confirm": confirms,
    "polls": polls,
}
