"""Triggers: at which instants a job is due. Pure: time is an argument, and the time zone database is data.

Instants are whole milliseconds since the epoch. What a zone's clock shows comes from `zoneinfo`, which reads a zone's
file when it is first named, and never asks what time it is: replicas with one version of that database agree.

Rules:
- A trigger depends on its specification only: every replica finds the same slots at any time. `next` and `latest`
  agree, `next` is later than its argument, and the work for an answer is bounded, however long the gap.
- Slots of `Every` are multiples of the interval since the epoch, so that they are the same in all replicas.
- Slots of `Cron` are whole seconds of its time zone's wall clock (`expression`, `wall_clock`). When that clock is set:
  - An expression whose minute or hour begins with `*` (as `*/6` does, and `0-23` does not), or that has seconds,
    *follows the clock*: it is due whenever the clock shows such a time: twice in an hour that comes twice, and not at
    times that are left out. `0 */6 * * *` is due at 06:00 by the clock, whatever happened before.
  - Any other names *fixed times*, and is due once for each: at the first of two, and for a time that is left out at
    the first instant after the gap. Times that become due at one instant are one slot.
  Debian's cron has these rules for changes of less than three hours; here they hold for each.
- Nothing is due before 1970, and no slot is searched after the year 9891.

You add a trigger as a class here, with its line in `parse`. Its decorator is a method of `Schedule` (`schedule.py`).
Its flag of `leader-async run` is in `cli/slot.py`, in `flags` and `plan`.

Why no library reads the expressions: those that know time zones compute with naive local times and correct the result.
"""

from __future__ import annotations

import math
from datetime import UTC, date, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo

from ..errors import UsageError
from . import expression as expressions
from .wall_clock import APART, WallClock

DAY = 86400
EPOCH = date(1970, 1, 1)
REACH = 50 * 366 * DAY
"""How far to search for a slot, in seconds; see `expression.MONTHS`."""
END = 250_000_000_000
"""No slot is searched after this: a year has four digits here."""


class Trigger(Protocol):
    """When a job is due.

    Attributes:
        spec: the text of which `parse` makes the same trigger.
        zone: the time zone in which people write its slots.
    """

    spec: str
    zone: tzinfo

    def means(self, spec: str) -> bool:
        """Whether this specification is this trigger's, perhaps as an older version wrote it."""
        return spec == self.spec

    def next(self, after: int) -> int | None:
        """The first slot after that instant, None if there is none."""

    def latest(self, after: int, now: int) -> int | None:
        """The last slot after `after` and not after `now`, None if there is none."""


class Every(Trigger):
    """A slot every so many seconds: 0.1 at least, whole milliseconds.

    Raises:
        UsageError: it cannot be used.
    """

    def __init__(self, seconds: float) -> None:
        if not (isinstance(seconds, int | float) and math.isfinite(seconds) and 0.1 <= seconds <= 366 * DAY):
            raise UsageError(f"every {seconds!r} seconds: give a number from 0.1 seconds to 366 days")
        self._interval = round(seconds * 1000)
        whole, thousandths = divmod(self._interval, 1000)
        self.spec = f"every {f'{whole}.{thousandths:03}'.rstrip('0').rstrip('.')} s"
        self.zone = UTC

    def means(self, spec: str) -> bool:
        return spec in (self.spec, f"every {self._interval / 1000:g} s")  # six digits, until version 0.1

    def next(self, after: int) -> int | None:
        return (after // self._interval + 1) * self._interval

    def latest(self, after: int, now: int) -> int | None:
        slot = now // self._interval * self._interval
        return slot if slot > after else None


class Cron(Trigger):
    """The slots of a cron expression: five fields, or six with seconds first; in this time zone, or one of this name.

    Raises:
        UsageError: one of them cannot be read, or the expression is never due.
    """

    def __init__(self, expression: str, zone: str | ZoneInfo = "UTC") -> None:
        written = " ".join(str(expression).split())
        try:
            self._expression = expressions.read(written)
        except UsageError as error:
            raise UsageError(f"{expression!r} is not a cron expression: {error}") from error
        found = _zone(zone)
        self.zone = found
        self._clock = WallClock(found)
        self.spec = f"cron {written} {found.key}"
        if self.next(0) is None:
            raise UsageError(f"the cron expression {expression!r} is never due")

    def next(self, after: int) -> int | None:
        seconds = max(after // 1000, -1)
        if seconds >= END:
            return None
        slot = self._next_following(seconds) if self._expression.follows else self._next_fixed(seconds)
        return None if slot is None else slot * 1000

    def latest(self, after: int, now: int) -> int | None:
        after, now = max(after // 1000, -1), min(now // 1000, END)
        if after >= now:
            return None
        slot = self._latest_following(after, now) if self._expression.follows else self._latest_fixed(now)
        return slot * 1000 if slot is not None and slot > after else None

    # -- fixed times: a time is due when the clock first shows it, or a later one --------------------------------------

    def _next_fixed(self, after: int) -> int | None:
        reading = self._reading(self._clock.highest(after) + 1, 1)
        return None if reading is None else self._clock.reached(reading)

    def _latest_fixed(self, now: int) -> int:
        reading = self._reading(self._clock.highest(now), -1)
        assert reading is not None  # the constructor refuses what is never due
        return self._clock.reached(reading)

    # -- following the clock: from an instant at which nothing is due, up to a change of the offset --------------------
    #
    # If the next reading at this offset is far, so is every slot, whatever the offset is by then: offsets differ by
    # less than `APART`. So changes of the clock are searched near both ends only.

    def _next_following(self, after: int) -> int | None:
        end = after + REACH
        while after < end:
            offset = self._clock.offset(after + 1)
            reading = self._reading(after + 1 + offset, 1)
            if reading is None:
                return None
            slot = reading - offset
            seen = min(slot, after + 1 + APART)
            change = self._clock.changed(after + 1, seen)
            if change is not None:
                after = change - 1
            elif seen == slot:
                return slot
            else:
                after = max(seen, slot - APART)
        return None

    def _latest_following(self, after: int, now: int) -> int | None:
        end = max(after, now - REACH)
        while now > end:
            offset = self._clock.offset(now)
            reading = self._reading(now + offset, -1)
            assert reading is not None  # the constructor refuses what is never due
            slot = reading - offset
            seen = max(slot, now - APART)
            change = self._clock.changed(seen, now)
            if change is not None:
                now = change - 1
            elif seen == slot:
                return slot
            else:
                now = min(seen, slot + APART)
        return None

    def _reading(self, reading: int, step: int) -> int | None:
        """The nearest reading that the expression names: this one, or with step 1 a later, with step -1 an earlier."""
        number, second = divmod(reading, DAY)
        today = date.fromordinal(EPOCH.toordinal() + number)
        day = self._expression.day(today, step)
        if day == today:
            time = self._expression.time(second, step)
            if time is not None:
                return reading - second + time
            day = self._expression.day(date.fromordinal(today.toordinal() + step), step)
        if day is None:
            return None
        time = self._expression.time(0 if step > 0 else DAY - 1, step)
        assert time is not None  # each day has one
        return (day - EPOCH).days * DAY + time


def parse(spec: str) -> Trigger:
    """The trigger of this specification.

    Raises:
        UsageError: this is no trigger's specification.
    """
    kind, _, rest = spec.partition(" ")
    try:
        if kind == "every":
            return Every(float(rest.removesuffix(" s")))
        if kind == "cron":
            return Cron(*rest.rsplit(" ", 1))
    except (ValueError, TypeError) as error:
        raise UsageError(f"{spec!r} is not a trigger: {error}") from error
    raise UsageError(f"{spec!r} is not a trigger")


def _zone(zone: str | ZoneInfo) -> ZoneInfo:
    advice = "give one like Europe/Berlin, or UTC"
    name = zone.key if isinstance(zone, ZoneInfo) else zone
    if not isinstance(name, str) or name == "localtime":
        raise UsageError(f"{zone!r} is no time zone that all replicas know by name; {advice}")
    try:
        return ZoneInfo(name)
    except KeyError as error:
        raise UsageError(f"no time zone is called {name!r} here; {advice}, or install tzdata") from error
    except (ValueError, OSError) as error:
        raise UsageError(f"no time zone is called {name!r}; {advice}") from error
