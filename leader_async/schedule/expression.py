"""Cron expressions: the days and the times of day that they name. Pure.

Five fields, minute, hour, day of the month, month and day of the week; or six, with seconds first. Rules:

- A field is a list of values, of ranges `a-b`, or of `*`, each with a step `/n`; `a/n` runs from `a` to the end of the
  field. Months and days of the week have names as well (JAN, SUN). Sunday is 0 and 7.
- The day of the month may be `L`, the last one, or `LW`, the last from Monday to Friday. The day of the week may be
  `5L`, the last Friday of the month, or `5#2`, its second.
- If neither the day of the month nor the day of the week begins with `*`, a day that one of them names is enough; else
  both must name it. Vixie's cron has this rule.
- `follows`: the minute or the hour begins with `*` (`*` and `*/6`, not `0-23`), or there are seconds. Such an
  expression follows the clock. Any other names fixed times. `triggers` says what that means when a clock is set.

It knows no time zones, and does not promise that there is a day at all: nothing is due on 30 February.
"""

from __future__ import annotations

import calendar
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from datetime import date

MONTHS = 50 * 12
"""How far to search for a day: at most 40 years lie between two, for 29 February on a given weekday."""
LAST = 0
"""In place of "the nth of the month"."""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


SECOND, MINUTE, HOUR = _Field("second", 0, 59), _Field("minute", 0, 59), _Field("hour", 0, 23)
DAY = _Field("day of the month", 1, 31)
MONTH = _Field("month", 1, 12, tuple("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()))
WEEKDAY = _Field("day of the week", 0, 7, tuple("SUN MON TUE WED THU FRI SAT".split()))


@dataclass(frozen=True, slots=True)
class Expression:
    """What a cron expression names; `read` makes it.

    Attributes:
        minutes: minutes of the day, ascending.
        seconds: seconds of those minutes, ascending.
        last_workday: the last day of the month from Monday to Friday.
        weekdays: Sunday is 0.
        nth: days of the week, each with its number in the month; `LAST` for the last.
        either: a day of the month or a day of the week is enough.
        follows: it follows the clock.
    """

    minutes: tuple[int, ...]
    seconds: tuple[int, ...]
    months: frozenset[int]
    days: frozenset[int]
    last_day: bool
    last_workday: bool
    weekdays: frozenset[int]
    nth: frozenset[tuple[int, int]]
    either: bool
    follows: bool

    def day(self, start: date, step: int) -> date | None:
        """The nearest day that it names: `start`, or with step 1 a later one, with step -1 an earlier one."""
        year, month, begin = start.year, start.month, start.day
        for _ in range(MONTHS):
            if month in self.months:
                first, length = calendar.monthrange(year, month)  # Monday is 0
                for day in range(begin, length + 1) if step > 0 else range(min(begin, length), 0, -1):
                    if self._names(day, length, (first + day) % 7):
                        return start.replace(year, month, day)
            years, month = divmod(month - 1 + step, 12)
            year, month, begin = year + years, month + 1, 1 if step > 0 else 31
        return None

    def time(self, second: int, step: int) -> int | None:
        """The nearest second of a day that it names, likewise."""
        near = _at_or_after if step > 0 else _at_or_before
        minute, rest = divmod(second, 60)
        if near(self.minutes, minute) == minute and (found := near(self.seconds, rest)) is not None:
            return minute * 60 + found
        following = near(self.minutes, minute + step)
        return None if following is None else following * 60 + self.seconds[0 if step > 0 else -1]

    def _names(self, day: int, length: int, weekday: int) -> bool:
        to_come = length - day
        is_last_workday = 0 < weekday < 6 and (to_come == 0 or (weekday == 5 and to_come < 3))
        by_day = day in self.days or (self.last_day and to_come == 0) or (self.last_workday and is_last_workday)
        by_weekday = (
            weekday in self.weekdays
            or (weekday, (day + 6) // 7) in self.nth
            or (to_come < 7 and (weekday, LAST) in self.nth)
        )
        return (by_day or by_weekday) if self.either else (by_day and by_weekday)


def read(text: str) -> Expression:
    """The expression in a text.

    Raises:
        UsageError: it is no expression; the message says why.
    """
    fields = text.upper().split()
    if len(fields) not in (5, 6):
        raise UsageError("an expression has five fields, as in '0 3 * * *', or six with seconds first")
    second, minute, hour, day, month, weekday = fields if len(fields) == 6 else ["0", *fields]
    hours, minutes = _read(HOUR, hour).values, _read(MINUTE, minute).values
    days, weekdays = _read(DAY, day), _read(WEEKDAY, weekday)
    return Expression(
        minutes=tuple(sorted(hour * 60 + minute for hour in hours for minute in minutes)),
        seconds=tuple(sorted(_read(SECOND, second).values)),
        months=frozenset(_read(MONTH, month).values),
        days=frozenset(days.values),
        last_day="L" in days.words,
        last_workday="LW" in days.words,
        weekdays=frozenset(value % 7 for value in weekdays.values),
        nth=frozenset((value % 7, which) for value, which in weekdays.nth),
        either=not (day.startswith("*") or weekday.startswith("*")),
        follows=len(fields) == 6 or minute.startswith("*") or hour.startswith("*"),
    )


@dataclass(slots=True)
class _Found:
    values: set[int] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    nth: set[tuple[int, int]] = field(default_factory=set)


def _read(kind: _Field, text: str) -> _Found:
    found = _Found()
    for item in text.split(","):
        if kind is DAY and item in ("L", "LW"):
            found.words.add(item)
        elif kind is WEEKDAY and item.endswith("L"):
            found.nth.add((_value(kind, item[:-1]), LAST))
        elif kind is WEEKDAY and "#" in item:
            value, _, which = item.partition("#")
            found.nth.add((_value(kind, value), _number(kind, which, 1, 5)))
        else:
            found.values.update(_values(kind, item))
    return found


def _values(kind: _Field, item: str) -> range:
    span, slash, step = item.partition("/")
    start, dash, end = span.partition("-")
    if span == "*":
        low, high = kind.low, kind.high
    else:
        low = _value(kind, start)
        high = _value(kind, end) if dash else kind.high if slash else low
    if high < low:
        raise UsageError(f"{kind.name}: {span} runs backwards")
    return range(low, high + 1, _number(kind, step, 1, 10**9) if slash else 1)


def _value(kind: _Field, text: str) -> int:
    if text in kind.names:
        return kind.names.index(text) + kind.low
    return _number(kind, text, kind.low, kind.high)


def _number(kind: _Field, text: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 12 and low <= int(text) <= high):
        raise UsageError(f"{kind.name}: {text[:20]!r} is no number from {low} to {high}")
    return int(text)


def _at_or_after(values: Sequence[int], value: int) -> int | None:
    place = bisect_left(values, value)
    return values[place] if place < len(values) else None


def _at_or_before(values: Sequence[int], value: int) -> int | None:
    place = bisect_right(values, value)
    return values[place - 1] if place else None
