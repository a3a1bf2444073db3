"""What cron expressions ask for."""

from __future__ import annotations

from datetime import date

import pytest

from leader_async import UsageError
from leader_async.schedule.expression import Expression, read


def days(expression: str, year: int = 2026, month: int = 11) -> list[int]:
    """Those of a month, found from either end."""
    asked = read(expression)
    forwards, backwards = _all(asked, date(year, month, 1), 1), _all(asked, date(year, month, 28), -1)
    late = [day for day in forwards if day > 28]
    assert forwards == [*reversed(backwards), *late]
    return forwards


def _all(asked: Expression, start: date, step: int) -> list[int]:
    found, day = [], asked.day(start, step)
    while day is not None and (day.year, day.month) == (start.year, start.month):
        found.append(day.day)
        day = asked.day(date.fromordinal(day.toordinal() + step), step)
    return found


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("1,15 * *", [1, 15]),
        ("*/10 * *", [1, 11, 21]),
        ("25/2 * *", [25, 27, 29]),
        ("28-30 * *", [28, 29, 30]),
        ("8-20/5 * *", [8, 13, 18]),
        ("L * *", [30]),
        ("LW * *", [30]),
        ("1,L * *", [1, 30]),
        ("* * SUN", [1, 8, 15, 22, 29]),
        ("* * 0", [1, 8, 15, 22, 29]),
        ("* * 7", [1, 8, 15, 22, 29]),
        ("* * mon-tue", [2, 3, 9, 10, 16, 17, 23, 24, 30]),
        ("* * 5/2", [1, 6, 8, 13, 15, 20, 22, 27, 29]),
        ("* * 5L", [27]),
        ("* * 7L,1#1", [2, 29]),
        ("* * 5#5", []),
        ("* * 1#5", [30]),
        ("10 * 5L", [10, 27]),  # one of them is enough
        ("*/10 * SUN", [1]),  # both must
        ("10 * */7", []),
        ("1 NOV *", [1]),
        ("1 jan-oct *", []),
        ("1 */2 *", [1]),
    ],
)
def test_days(fields: str, found: list[int]) -> None:
    assert days(f"0 0 {fields}") == found


@pytest.mark.parametrize(("month", "last"), [(1, 30), (2, 27), (5, 29), (8, 31)])
def test_the_last_workday(month: int, last: int) -> None:
    """January and February 2026 end on a Saturday, May on a Sunday, August on a Monday."""
    assert days("0 0 LW * *", month=month) == [last]


def test_a_day_may_be_far_away() -> None:
    leap_sunday = read("0 0 29 2 */7")
    assert leap_sunday.day(date(2088, 3, 1), 1) == date(2128, 2, 29)
    assert leap_sunday.day(date(2128, 2, 28), -1) == date(2088, 2, 29)
    assert read("0 0 30 2 *").day(date(2026, 1, 1), 1) is None
    assert read("0 0 30 2 *").day(date(2026, 1, 1), -1) is None


def test_times_of_day() -> None:
    asked = read("15,45 30,50 2,22 * * *")
    times = [(2, 30, 15), (2, 30, 45), (2, 50, 15), (2, 50, 45), (22, 30, 15), (22, 30, 45), (22, 50, 15), (22, 50, 45)]
    seconds = [(hour * 60 + minute) * 60 + second for hour, minute, second in times]
    for earlier, later in zip([None, *seconds], [*seconds, None], strict=True):
        between = ((earlier if earlier is not None else -1) + (later or 86400)) // 2
        for second in {between, *([] if earlier is None else [earlier + 1]), *([] if later is None else [later - 1])}:
            assert (asked.time(second, -1), asked.time(second, 1)) == (earlier, later)
    assert [(asked.time(second, -1), asked.time(second, 1)) for second in seconds] == [(each, each) for each in seconds]
    assert read("0 3 * * *").time(0, 1) == 3 * 3600


@pytest.mark.parametrize(
    ("expression", "follows"),
    [
        ("0 3 * * *", False),
        ("0-59 0-23 * * *", False),
        ("0,30 3,* * * *", False),
        ("* 3 * * *", True),
        ("*/5 3 * * *", True),
        ("0 * * * *", True),
        ("0 */6 * * *", True),
        ("0 0 3 * * *", True),
    ],
)
def test_which_expressions_go_with_the_clock(expression: str, follows: bool) -> None:
    assert read(expression).follows == follows


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "five fields"),
        ("0 3 * *", "five fields"),
        ("* * * * * * *", "five fields"),
        ("60 * * * *", "minute: '60' is no number from 0 to 59"),
        ("0 24 * * *", "hour: '24'"),
        ("0 0 0 * *", "day of the month: '0' is no number from 1 to 31"),
        ("0 0 * 13 *", "month: '13'"),
        ("0 0 * FOO *", "month: 'FOO'"),
        ("0 0 * * 8", "day of the week: '8' is no number from 0 to 7"),
        ("60 0 0 * * *", "second: '60'"),
        ("0 0 5-1 * *", "day of the month: 5-1 runs backwards"),
        ("0 0 * * FRI-SUN", "day of the week: FRI-SUN runs backwards"),
        ("*/0 * * * *", "minute: '0' is no number from 1"),
        ("*/ * * * *", "minute: ''"),
        ("1,,2 * * * *", "minute: ''"),
        ("-5 * * * *", "minute: ''"),
        ("1-2-3 * * * *", "minute: '2-3'"),
        ("\u0661 * * * *", "minute"),
        ("\u00b2 * * * *", "minute"),
        ("1e1 * * * *", "minute: '1E1'"),
        (f"{'9' * 5000} * * * *", f"minute: '{'9' * 20}' is no number"),
        ("0 0 * * 1#6", "day of the week: '6' is no number from 1 to 5"),
        ("0 0 * * #1", "day of the week: ''"),
        ("0 0 * * L", "day of the week: ''"),
        ("0 0 L/2 * *", "day of the month: 'L'"),
        ("L 0 * * *", "minute: 'L'"),
        ("0 0 1#1 * *", "day of the month: '1#1'"),
    ],
)
def test_what_is_no_expression(expression: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read(expression)
