"""Nights in which the clock of a time zone is changed, and the jobs of simulated runs that cross them."""

from __future__ import annotations

import functools
from bisect import bisect_right
from dataclasses import dataclass

from ..support import cron_oracle

ZONES = ("Europe/Berlin", "Australia/Lord_Howe", "Pacific/Chatham", "America/Santiago", "America/St_Johns")
YEAR = 2026
EARLY = 400
"""Seconds before what is crossed at which a run begins."""
SPAN = 4 * 3600
"""Seconds that no run takes."""
CLOCK, FIXED, LATEST = "all", "fixed", "latest"
EXPRESSIONS = {CLOCK: "* * * * *", FIXED: "0-59 0-23 * * *", LATEST: "0-58/2 0-23 * * *"}
"""By the clock, and at the same times of day, but as fixed times."""


@dataclass(frozen=True, slots=True)
class Night:
    """A stretch of time.

    Attributes:
        zone: whose clock is changed.
        begin: seconds since the epoch when the run begins.
    """

    zone: str
    begin: int

    def slots(self, job: str) -> tuple[float, ...]:
        """The slots of a job, as the oracle says; from a while before on."""
        return _slots(self.zone, self.begin, EXPRESSIONS[job])

    def after(self, job: str, slot: float) -> float:
        """The slot that follows that one."""
        slots = self.slots(job)
        return slots[bisect_right(slots, slot)]


@functools.cache
def _slots(zone: str, begin: int, expression: str) -> tuple[float, ...]:
    clock = cron_oracle.shown(zone, begin // 60 * 60 - 3600, begin + SPAN, 60)
    return tuple(map(float, cron_oracle.due(expression, clock, begin - 3600)))


def _nights() -> dict[str, Night]:
    nights = {}
    for zone in ZONES:
        for change in cron_oracle.changes(zone, YEAR, YEAR):
            twice = change.before - change.after  # seconds that the clock shows for the second time
            crossed = {"": 0, ", before": -twice, ", after": twice} if twice > 0 else {"": 0}
            for which, seconds in crossed.items():
                name = f"{zone}, {'autumn' if twice > 0 else 'spring'}{which}"
                nights[name] = Night(zone, change.instant + seconds - EARLY)
    return nights


NIGHTS = _nights()
"""For each zone that of spring, and that of autumn from shortly before what comes twice, its end, or its second end."""
