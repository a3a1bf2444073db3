"""When a job is due."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leader_async import UsageError
from leader_async.schedule.triggers import Cron, Every, Trigger, parse

BERLIN = ZoneInfo("Europe/Berlin")


def at(*parts: int, zone: object = BERLIN, fold: int = 0) -> int:
    return round(datetime(*parts, tzinfo=zone, fold=fold).timestamp()) * 1000  # type: ignore[arg-type, misc]


def slots(trigger: Trigger, after: int, count: int) -> list[str]:
    found = []
    for _ in range(count):
        slot = trigger.next(after)
        assert slot is not None
        found.append(datetime.fromtimestamp(slot / 1000, BERLIN).isoformat(timespec="minutes"))
        after = slot
    return found


def test_cron_is_meant_in_its_time_zone() -> None:
    nightly = Cron("0 3 * * *", "Europe/Berlin")
    assert slots(nightly, at(2026, 11, 24, 12), 2) == ["2026-11-25T03:00+01:00", "2026-11-26T03:00+01:00"]
    assert Cron("0 3 * * *").next(at(2026, 1, 1, zone=UTC)) == at(2026, 1, 1, 3, zone=UTC)


def test_the_hour_that_is_left_out_in_spring_is_made_up_for() -> None:
    nightly = Cron("30 2 * * *", "Europe/Berlin")
    assert slots(nightly, at(2026, 3, 28, 12), 2) == ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]


def test_the_hour_that_comes_twice_in_autumn_counts_once() -> None:
    nightly = Cron("30 2 * * *", "Europe/Berlin")
    assert slots(nightly, at(2026, 10, 24, 12), 2) == ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]


def test_a_star_follows_the_clock_through_both() -> None:
    hourly = Cron("0 * * * *", "Europe/Berlin")
    assert slots(hourly, at(2026, 3, 29, 0, 30), 3) == [
        "2026-03-29T01:00+01:00",
        "2026-03-29T03:00+02:00",
        "2026-03-29T04:00+02:00",
    ]
    assert slots(hourly, at(2026, 10, 25, 1, 30), 3) == [
        "2026-10-25T02:00+02:00",
        "2026-10-25T02:00+01:00",
        "2026-10-25T03:00+01:00",
    ]


EXPRESSIONS = ["30 2 * * *", "0 * * * *", "*/7 * * * *", "15 1-3 * * SUN", "0 0 1 * *", "*/20 * * * * *"]


@given(st.sampled_from(EXPRESSIONS), st.integers(0, 8 * 86400), st.integers(0, 8 * 86400))
def test_the_latest_is_the_last_that_next_gives(expression: str, start: int, length: int) -> None:
    """Around both changes of 2026: whoever asks, from wherever, finds the same slots."""
    for change in (at(2026, 3, 26), at(2026, 10, 22)):
        cron = Cron(expression, "Europe/Berlin")
        after, now = change + start * 1000, change + (start + length % 7200) * 1000
        latest, slot = cron.latest(after, now), cron.next(after)
        if slot is None or slot > now:
            assert latest is None
        else:
            assert latest is not None
            assert after < slot <= latest <= now
            following = cron.next(latest)
            assert following is not None
            assert following > now


@given(st.sampled_from(EXPRESSIONS), st.integers(0, 8 * 86400))
def test_a_slot_does_not_depend_on_where_one_began(expression: str, start: int) -> None:
    for change in (at(2026, 3, 26), at(2026, 10, 22)):
        cron = Cron(expression, "Europe/Berlin")
        begin = change + start * 1000
        slot = cron.next(begin)
        assert slot is not None
        for between in {begin, (begin + slot) // 2, slot - 1000, slot - 1}:
            assert cron.next(max(begin, between)) == slot


@given(st.integers(1, 100_000), st.integers(0, 2**41), st.integers(0, 10**7))
def test_every_is_aligned_to_the_epoch(tenths: int, after: int, length: int) -> None:
    every = Every(tenths / 10)
    interval = tenths * 100
    slot = every.next(after)
    assert slot is not None
    assert after < slot <= after + interval
    assert slot % interval == 0
    latest = every.latest(after, after + length)
    if latest is None:
        assert slot > after + length
    else:
        assert slot <= latest <= after + length < latest + interval


@pytest.mark.parametrize("trigger", [Every(30), Every(0.25), Cron("0 3 * * *", "Europe/Berlin"), Cron("*  * * * *")])
def test_the_specification_makes_the_same_trigger(trigger: Trigger) -> None:
    again = parse(trigger.spec)
    assert (type(again), again.spec, again.zone) == (type(trigger), trigger.spec, trigger.zone)
    assert again.next(10**12) == trigger.next(10**12)


@pytest.mark.parametrize(
    ("expression", "zone", "words"),
    [
        ("0 3 * *", "UTC", "not a cron expression"),
        ("61 * * * *", "UTC", "Bad minute"),
        ("0 0 30 2 *", "UTC", "Bad day-of-month"),
        ("0 3 * * *", "Europe/Berlim", "no time zone"),
        ("0 3 * * *", "../etc", "no time zone"),
    ],
)
def test_what_cannot_be_read_is_told(expression: str, zone: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Cron(expression, zone)


@pytest.mark.parametrize("seconds", [0, 0.09, -1, float("nan"), float("inf"), 1e9])
def test_intervals_have_bounds(seconds: float) -> None:
    with pytest.raises(UsageError, match="every"):
        Every(seconds)


@pytest.mark.parametrize("spec", ["", "never", "every x s", "cron", "cron 0 3 * *"])
def test_other_specifications_are_refused(spec: str) -> None:
    with pytest.raises(UsageError, match=r"trigger|cron expression"):
        parse(spec)


def test_a_trigger_can_have_an_end() -> None:
    never_again = Cron("0 0 29 2 *")
    assert never_again.next(at(2026, 1, 1)) == at(2028, 2, 29, zone=UTC)
