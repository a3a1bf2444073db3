"""What clocks show that are put forward and back."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from leader_async.schedule.wall_clock import WallClock

HOUR = 3600
SPRING = round(datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp())
AUTUMN = round(datetime(2026, 10, 25, 1, tzinfo=UTC).timestamp())


@pytest.fixture
def berlin() -> WallClock:
    return WallClock(ZoneInfo("Europe/Berlin"))


def test_a_clock_that_is_put_forward(berlin: WallClock) -> None:
    assert (berlin.offset(SPRING - 1), berlin.offset(SPRING)) == (HOUR, 2 * HOUR)
    assert berlin.changed(SPRING - 86400, SPRING + 3 * HOUR) == SPRING
    assert (berlin.changed(SPRING - 5, SPRING - 1), berlin.changed(SPRING, SPRING + 86400)) == (None, None)
    assert [berlin.highest(SPRING + seconds) for seconds in (-1, 0)] == [SPRING + HOUR - 1, SPRING + 2 * HOUR]
    # One before the gap, its first, one inside, its last, and one behind it.
    readings = [SPRING + HOUR + seconds for seconds in (-1, 0, 1800, 3599, 3601)]
    assert [berlin.reached(reading) - SPRING for reading in readings] == [-1, 0, 0, 0, 1]


def test_a_clock_that_is_put_back(berlin: WallClock) -> None:
    assert berlin.changed(AUTUMN - 86400, AUTUMN + 86400) == AUTUMN
    last = AUTUMN + 2 * HOUR - 1
    shown = [berlin.highest(AUTUMN + seconds) - last for seconds in (-HOUR - 1, -HOUR, -1, 0, 1800, 3599, 3600)]
    assert shown == [-HOUR, 1 - HOUR, 0, 0, 0, 0, 1]
    readings = [last + seconds for seconds in (-2 * HOUR, -HOUR, 1 - HOUR, 0, 1)]
    assert [berlin.reached(reading) - AUTUMN for reading in readings] == [-2 * HOUR - 1, -HOUR - 1, -HOUR, -1, HOUR]


def test_a_day_that_was_left_out() -> None:
    samoa = WallClock(ZoneInfo("Pacific/Apia"))
    midnight = round(datetime(2011, 12, 30, 10, tzinfo=UTC).timestamp())
    left_out = [round(datetime(2011, 12, 30, hour, tzinfo=UTC).timestamp()) for hour in (0, 12, 23)]
    assert [samoa.reached(reading) for reading in left_out] == [midnight] * 3
