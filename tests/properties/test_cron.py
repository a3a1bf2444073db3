"""Cron triggers of any expression, in any zone, at any instant."""

from __future__ import annotations

import zoneinfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from leader_async import UsageError
from leader_async.schedule.triggers import Cron

from ..exhaustive.cron import compare
from ..support import cron_oracle

ZONES = sorted(zoneinfo.available_timezones() - {"localtime"})
BEGIN, END = 1_577_836_800, 2_240_524_800
"""The years 2020 to 2040, in seconds."""


def items(low: int, high: int) -> st.SearchStrategy[str]:
    """One part of a field."""
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda two: f"{min(two)}-{max(two)}")
    step = st.integers(1, high + 2).map("/{}".format)
    return st.one_of(
        number.map(str), span, st.builds(str.__add__, st.one_of(st.just("*"), number.map(str), span), step)
    )


def fields(low: int, high: int, *words: str) -> st.SearchStrategy[str]:
    """A field."""
    item = st.one_of(items(low, high), st.sampled_from(words)) if words else items(low, high)
    return st.one_of(st.just("*"), st.lists(item, min_size=1, max_size=3).map(",".join))


FIELDS = (
    fields(0, 59), fields(0, 59), fields(0, 23), fields(1, 31, "L", "LW"), fields(1, 12, "JAN", "oct", "MAR-JUN"),
    fields(0, 7, "SUN", "mon-fri", "5L", "7L", "0#2", "3#1", "7#5"),
)  # fmt: skip
FIVE = st.tuples(*FIELDS[1:]).map(" ".join)
SIX = st.tuples(*FIELDS).map(" ".join)


def cron(expression: str, zone: str = "UTC") -> Cron:
    try:
        return Cron(expression, zone)
    except UsageError as error:
        assume("is never due" not in str(error))
        raise


@given(FIVE, st.sampled_from(ZONES), st.integers(2020, 2040), st.data())
@settings(max_examples=100, deadline=None)
def test_they_agree_with_the_oracle(expression: str, zone: str, year: int, data: st.DataObject) -> None:
    """Near a change of the clock, if there is one in that year."""
    found = cron_oracle.changes(zone, year, year)
    near = data.draw(st.sampled_from(found)).instant if found else BEGIN + (year - 2020) * 31_557_600 // 60 * 60
    begin = near + 60 * data.draw(st.integers(-1000, 100))
    end = begin + 15 * 3600
    compare(
        cron(expression, zone), cron_oracle.due(expression, cron_oracle.shown(zone, begin, end, 60), begin), begin, end
    )


@given(SIX, st.sampled_from(ZONES), st.integers(2020, 2040), st.data())
@settings(max_examples=10, deadline=None)
def test_with_seconds_too(expression: str, zone: str, year: int, data: st.DataObject) -> None:
    found = cron_oracle.changes(zone, year, year)
    near = data.draw(st.sampled_from(found)).instant if found else BEGIN + (year - 2020) * 31_557_600
    begin = near + data.draw(st.integers(-5000, 0))
    end = begin + 5400
    compare(
        cron(expression, zone), cron_oracle.due(expression, cron_oracle.shown(zone, begin, end, 1), begin), begin, end
    )


@given(st.one_of(FIVE, SIX), st.sampled_from(ZONES), st.integers(BEGIN * 1000, END * 1000), st.data())
@settings(max_examples=400, deadline=None)
def test_next_and_latest_are_two_views_of_the_same_slots(
    expression: str, zone: str, instant: int, data: st.DataObject
) -> None:
    """However far the slots are from there, and from each other."""
    trigger = cron(expression, zone)
    slot = trigger.next(instant)
    assert slot is not None
    assert slot > instant
    between = data.draw(st.integers(instant, slot - 1))
    assert trigger.next(between) == slot
    assert trigger.latest(instant, between) is None
    assert trigger.latest(between, slot) == slot
    before = trigger.latest(0, slot - 1)
    assert before is None or (before <= instant and trigger.next(before) == slot)


@pytest.mark.parametrize("expression", ["0 0 29 2 *", "0 0 * * * *"])
def test_the_strategies_do_not_hide_an_expression_that_is_refused(expression: str) -> None:
    assert cron(expression).next(BEGIN * 1000) is not None
