"""Who led when: recorded every few milliseconds on one clock, judged afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from leader_async import Election, clock

Interval = tuple[float, float]

PERIOD = 0.01
"""Seconds between two samples."""


class Recorder:
    """Samples `is_leader` of several elections of this process, all at the same instants."""

    def __init__(self, elections: Mapping[str, Election]) -> None:
        self._elections = elections
        self.samples: dict[str, list[tuple[float, bool]]] = {name: [] for name in elections}

    async def run(self) -> None:
        while True:
            now = clock.now()
            for name, election in self._elections.items():
                self.samples[name].append((now, election.is_leader))
            await asyncio.sleep(PERIOD)

    def led(self) -> dict[str, list[Interval]]:
        return {name: intervals(samples) for name, samples in self.samples.items()}


def intervals(samples: Sequence[tuple[float, bool]]) -> list[Interval]:
    """The times from the first to the last True of each unbroken run of them."""
    found: list[Interval] = []
    begin: float | None = None
    last = 0.0
    for instant, leads in samples:
        if leads:
            begin = instant if begin is None else begin
            last = instant
        elif begin is not None:
            found.append((begin, last))
            begin = None
    if begin is not None:
        found.append((begin, last))
    return found


def overlaps(histories: Mapping[str, Sequence[Interval]]) -> list[tuple[str, str, float]]:
    """Each pair of intervals of two different processes that share an instant, and for how many seconds they do."""
    names = sorted(histories)
    found = []
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            for begin, end in histories[one]:
                for begin2, end2 in histories[other]:
                    shared = min(end, end2) - max(begin, begin2)
                    if shared >= 0:
                        found.append((one, other, shared))
    return found
