"""A sample of what `python -m tests.exhaustive.cron` looks at."""

from __future__ import annotations

import pytest

from leader_async.schedule.triggers import Cron

from ..support import cron_oracle
from .cron import EXPRESSIONS, WITH_SECONDS, Differs, around, compare, grouped

ZONES = (
    "Europe/Berlin",
    "Australia/Lord_Howe",  # by half an hour
    "Pacific/Chatham",  # at 02:45 and 03:45
    "America/St_Johns",
    "America/Santiago",  # at midnight, which is left out or comes twice
    "Asia/Beirut",
    "Africa/Cairo",
    "Africa/Casablanca",  # summer time ends for Ramadan
    "Antarctica/Troll",  # by two hours
    "America/Scoresbysund",
    "America/Nuuk",  # before midnight
)
EACH = 2
"""Expressions for each change of a clock."""


@pytest.mark.timeout(120)
def test_a_sample_agrees_with_the_oracle() -> None:
    found = [change for zone in ZONES for change in cron_oracle.changes(zone, 2024, 2025)]
    place = answers = 0
    for group in grouped(found):
        chosen = [EXPRESSIONS[(place + number) % len(EXPRESSIONS)] for number in range(EACH)]
        chosen.append(WITH_SECONDS[place % len(WITH_SECONDS)]) if place % 8 == 0 else None
        answers += around(group, chosen)
        place += EACH
    assert len(found) > 4 * len(ZONES) - 4
    assert place > len(EXPRESSIONS), "each of them was chosen"
    assert answers > 10_000


class Naive(Cron):
    """Does not know that a clock may show a time for the second time."""

    def _next_fixed(self, after: int) -> int | None:
        reading = self._reading(after + self._clock.offset(after) + 1, 1)
        return None if reading is None else self._clock.reached(reading)


def test_a_trigger_that_goes_wrong_in_such_nights_differs_from_it() -> None:
    (autumn,) = (change for change in cron_oracle.changes("Europe/Berlin", 2026, 2026) if change.before > change.after)
    begin, end = autumn.instant - 7200, autumn.instant + 7200
    clock = cron_oracle.shown("Europe/Berlin", begin, end, 60)
    slots = cron_oracle.due("30 2 * * *", clock, begin)
    assert slots == [autumn.instant - 1800]
    assert compare(Cron("30 2 * * *", "Europe/Berlin"), slots, begin, end) > 0
    with pytest.raises(Differs, match=r"next\(2026-10-25T02:"):
        compare(Naive("30 2 * * *", "Europe/Berlin"), slots, begin, end, [autumn.instant + 900])
