"""When cron expressions are due, found by looking at the clock: an oracle that knows nothing of `leader_async`.

It goes through a stretch of time minute by minute (or second by second) and asks what the clock shows, by zoneinfo, and
whether the expression asks for that. Rules, as deploy/docs/jobs.md has them:

- If the minute or the hour begins with `*`, or there are seconds, it is due whenever the clock shows what is asked for.
- Else it is due once for each time that is asked for: when the clock first shows it, or first shows a later one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

MONTHS = {name: str(number) for number, name in enumerate("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), 1)}
WEEKDAYS = {name: str(number) for number, name in enumerate("SUN MON TUE WED THU FRI SAT".split())}
MINUTE = timedelta(minutes=1)
LEAD = 26 * 3600
"""Seconds before a stretch at which to begin to look, to know what the clock has shown already."""


@dataclass(frozen=True, slots=True)
class Change:
    """A wall clock is changed.

    Attributes:
        zone: the name of its zone.
        instant: from when on its offset is another, in seconds since the epoch.
        before: its offset before that, in seconds.
        after: its offset afterwards.
    """

    zone: str
    instant: int
    before: int
    after: int


def changes(zone: str, first: int, last: int) -> list[Change]:
    """All changes of a zone's clock in these years."""
    begin, end = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (first, last + 1))
    known, found = ZoneInfo(zone), []
    before = _offset(known, begin)
    for hour in range(begin + 3600, end, 3600):
        if _offset(known, hour) != before:
            instant = next(minute for minute in range(hour - 3540, hour + 1, 60) if _offset(known, minute) != before)
            found.append(Change(zone, instant, before, _offset(known, instant)))
            before = _offset(known, hour)
    return found


def shown(zone: str, begin: int, end: int, step: int) -> list[tuple[int, datetime]]:
    """What the clock shows at each instant of a stretch; by minutes, for a while before it as well."""
    known = ZoneInfo(zone)
    instants = range(begin - (LEAD if step == 60 else 0), end, step)
    return [(instant, datetime.fromtimestamp(instant, known).replace(tzinfo=None, fold=0)) for instant in instants]


def step_of(expression: str) -> int:
    """Seconds between two instants at which it may be due."""
    return 1 if len(expression.split()) == 6 else 60


def due(expression: str, clock: Sequence[tuple[int, datetime]], begin: int) -> list[int]:
    """The instants from `begin` on at which it is due, by what the clock shows."""
    asked = _asked(expression)
    fields = expression.split()
    by_the_clock = len(fields) == 6 or fields[0].startswith("*") or fields[1].startswith("*")
    latest, found = clock[0][1], []
    for instant, now in clock:
        if by_the_clock:
            hit = asked(now)
        else:
            hit = latest < now and any(map(asked, _minutes(latest, now)))
            latest = max(latest, now)
        if hit and instant >= begin:
            found.append(instant)
    return found


def _minutes(after: datetime, until: datetime) -> Sequence[datetime]:
    if until - after == MINUTE:
        return (until,)
    return [after + place * MINUTE for place in range(1, (until - after) // MINUTE + 1)]


def _asked(expression: str) -> Callable[[datetime], bool]:
    """Whether it asks for what a clock shows."""
    *seconds, minute, hour, day, month, weekday = expression.upper().split()
    for name, number in MONTHS.items():
        month = month.replace(name, number)
    for name, number in WEEKDAYS.items():
        weekday = weekday.replace(name, number)
    star = day.startswith("*") or weekday.startswith("*")
    at_second = [_one_of(seconds[0] if seconds else "0", value, 0, 59) for value in range(60)]
    at_minute = [_one_of(minute, value, 0, 59) for value in range(60)]
    at_hour = [_one_of(hour, value, 0, 23) for value in range(24)]
    days: dict[date, bool] = {}

    def on(what: date) -> bool:
        if not _one_of(month, what.month, 1, 12):
            return False
        both = _on_day(day, what), _on_weekday(weekday, what)
        return all(both) if star else any(both)

    def asks(now: datetime) -> bool:
        if not (at_second[now.second] and at_minute[now.minute] and at_hour[now.hour]):
            return False
        today = now.date()
        if today not in days:
            days[today] = on(today)
        return days[today]

    return asks


def _one_of(field: str, value: int, low: int, high: int) -> bool:
    for item in field.split(","):
        span, _, step = item.partition("/")
        if span == "*":
            first, last = low, high
        elif "-" in span:
            first, last = map(int, span.split("-"))
        else:
            first, last = int(span), high if step else int(span)
        if first <= value <= last and (value - first) % int(step or 1) == 0:
            return True
    return False


def _on_day(field: str, day: date) -> bool:
    one = timedelta(days=1)
    for item in field.split(","):
        if item == "L":
            hit = (day + one).day == 1
        elif item == "LW":
            later = [day + place * one for place in range(1, 32) if (day + place * one).month == day.month]
            hit = day.isoweekday() < 6 and all(other.isoweekday() > 5 for other in later)
        else:
            hit = _one_of(item, day.day, 1, 31)
        if hit:
            return True
    return False


def _on_weekday(field: str, day: date) -> bool:
    week = timedelta(days=7)
    numbers = {day.isoweekday() % 7, day.isoweekday()}
    for item in field.split(","):
        if item.endswith("L"):
            hit = int(item[:-1]) in numbers and (day + week).month != day.month
        elif "#" in item:
            number, which = map(int, item.split("#"))
            earlier = sum((day - place * week).month == day.month for place in range(5))
            hit = number in numbers and earlier == which
        else:
            hit = any(_one_of(item, number, 0, 7) for number in numbers)
        if hit:
            return True
    return False


def _offset(zone: ZoneInfo, instant: int) -> int:
    offset = datetime.fromtimestamp(instant, zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())
