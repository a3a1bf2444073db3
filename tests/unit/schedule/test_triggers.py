"""When a job is due."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leader_async import UsageError
from leader_async.schedule.expression import Expression
from leader_async.schedule.triggers import Cron, Every, Trigger, parse
from leader_async.schedule.wall_clock import WallClock

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


@pytest.mark.parametrize(
    "trigger", [Every(30), Every(0.25), Every(1234567), Cron("0 3 * * *", "Europe/Berlin"), Cron("*  * * * *")]
)
def test_the_specification_makes_the_same_trigger(trigger: Trigger) -> None:
    again = parse(trigger.spec)
    assert (type(again), again.spec, again.zone) == (type(trigger), trigger.spec, trigger.zone)
    assert again.next(10**12) == trigger.next(10**12)


@pytest.mark.parametrize(
    ("expression", "zone", "words"),
    [
        ("0 3 * *", "UTC", "not a cron expression"),
        ("61 * * * *", "UTC", "minute: '61' is no number from 0 to 59"),
        ("0 0 30 2 *", "UTC", "is never due"),
        ("0 0 LW * */7", "UTC", "is never due"),
        ("* 0 30 2 *", "UTC", "is never due"),
        (None, "UTC", "not a cron expression"),
        ("0 3 * * *", None, "no time zone"),
        ("0 3 * * *", "localtime", "no time zone that all replicas know"),
        ("0 3 * * *", "Europe/Berlim", "no time zone"),
        ("0 3 * * *", "../etc", "no time zone"),
    ],
)
def test_what_cannot_be_read_is_told(expression: Any, zone: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Cron(expression, zone)


def test_a_zone_can_be_given_itself() -> None:
    assert Cron("0 3 * * *", BERLIN).spec == "cron 0 3 * * * Europe/Berlin"


@given(st.integers(100, 366 * 86_400_000), st.integers(100, 366 * 86_400_000))
def test_each_interval_has_a_specification_of_its_own(one: int, other: int) -> None:
    every, again = Every(one / 1000), parse(Every(one / 1000).spec)
    assert again.spec == every.spec
    assert (again.next(10**12), again.next(-1), again.next(0)) == (every.next(10**12), 0, one)
    assert (every.spec == Every(other / 1000).spec) == (one == other)
    assert every.means(every.spec)
    assert every.means(f"every {one / 1000:g} s"), "as it was written once"
    assert not every.means(f"every {one / 500:g} s")
    assert parse(f"every {one / 1000:g} s").spec.startswith("every "), "and it can be read"


def test_a_cron_trigger_means_what_it_says() -> None:
    assert Cron("0 3 * * *").means("cron 0 3 * * * UTC")
    assert not Cron("0 3 * * *").means("cron 0 4 * * * UTC")


@pytest.mark.parametrize("seconds", [0, 0.09, -1, float("nan"), float("inf"), 1e9, "30", None])
def test_intervals_have_bounds(seconds: Any) -> None:
    with pytest.raises(UsageError, match="every"):
        Every(seconds)


@pytest.mark.parametrize("spec", ["", "never", "every x s", "cron", "cron 0 3 * *"])
def test_other_specifications_are_refused(spec: str) -> None:
    with pytest.raises(UsageError, match=r"trigger|cron expression"):
        parse(spec)


def test_a_trigger_can_have_an_end() -> None:
    rare = Cron("0 0 29 2 *")
    assert rare.next(at(2026, 1, 1)) == at(2028, 2, 29, zone=UTC)
    assert (rare.next(10**30), rare.next(-(10**30))) == (None, at(1972, 2, 29, zone=UTC))
    assert rare.latest(-5, 10**30) is not None
    assert (rare.latest(0, 0), rare.latest(0, -(10**30)), rare.latest(0, at(1972, 2, 28))) == (None, None, None)
    # On the last Sunday of March that hour is left out, since there is summer time.
    never_again = Cron("0 30 2 * 3 7L", "Europe/Berlin")
    assert never_again.next(at(2026, 1, 1)) is None
    assert never_again.latest(0, at(2020, 1, 1)) == at(1980, 3, 30, 2, 30)
    assert never_again.latest(at(2000, 1, 1), at(2020, 1, 1)) is None
    assert never_again.latest(0, at(2060, 1, 1)) is None


def test_no_slot_is_before_what_was_asked_about() -> None:
    """At 02:15, for the second time, 02:30 has been; that clock shows it once more does not matter."""
    nightly, again = Cron("30 2 * * *", "Europe/Berlin"), at(2026, 10, 25, 2, 15, fold=1)
    assert nightly.next(again) == at(2026, 10, 26, 2, 30)
    assert nightly.latest(at(2026, 10, 25, 2, 30), again) is None
    assert nightly.latest(0, again) == at(2026, 10, 25, 2, 30)
    monthly = Cron("30 2 25 * *", "Europe/Berlin")
    assert monthly.next(again) == at(2026, 11, 25, 2, 30)
    assert monthly.latest(at(2026, 10, 25, 2, 30), at(2026, 11, 20)) is None


def test_clocks_that_are_changed_by_other_than_an_hour_or_at_midnight() -> None:
    lord_howe = ZoneInfo("Australia/Lord_Howe")
    quarterly = Cron("0 */6 * * *", lord_howe)
    for midnight in (at(2026, 4, 5, zone=lord_howe), at(2026, 10, 4, zone=lord_howe)):
        slot = quarterly.next(midnight)
        assert slot is not None
        assert datetime.fromtimestamp(slot / 1000, lord_howe).hour == 6
    chatham = ZoneInfo("Pacific/Chatham")
    often = Cron("*/10 3 * * *", "Pacific/Chatham")
    begin = at(2026, 4, 5, 3, zone=chatham)
    # 03:00 to 03:40, back to 02:45, and 03:00 to 03:50.
    found = [slot for minute in range(120) if (slot := begin + minute * 60_000) == often.latest(slot - 1, slot)]
    assert [(slot - begin) // 60_000 for slot in found] == [0, 10, 20, 30, 40, 60, 70, 80, 90, 100, 110]
    santiago = ZoneInfo("America/Santiago")
    daily = Cron("0 0 * * *", "America/Santiago")
    assert daily.next(at(2026, 9, 5, 12, zone=santiago)) == at(2026, 9, 6, 1, zone=santiago), "no 00:00 on that day"


@pytest.mark.parametrize(
    ("expression", "zone", "last"),
    [
        ("* * * * 1 *", "UTC", at(2026, 1, 31, 23, 59, 59, zone=UTC)),
        ("* * 9-17 * * 1-5", "Europe/Berlin", at(2026, 11, 20, 17, 59, 59)),
        ("* 0 29 2 */7", "Europe/Berlin", at(2004, 2, 29, 0, 59)),
        ("0 0 29 2 */7", "Europe/Berlin", at(2004, 2, 29)),
    ],
)
def test_the_work_for_an_answer_is_bounded(
    expression: str, zone: str, last: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, cron, offset, asks_for = 0, Cron(expression, zone), WallClock.offset, Expression._names

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def count(*given: Any) -> Any:
            nonlocal looks
            looks += 1
            return function(*given)

        return count

    monkeypatch.setattr(WallClock, "offset", counted(offset))
    monkeypatch.setattr(Expression, "_names", counted(asks_for))
    assert cron.latest(0, at(2026, 11, 22, 12)) == last
    assert cron.next(at(2026, 11, 22, 12)) is not None
    assert 0 < looks < 1500
