"""Triggers: at which instants a job is due. Pure; instants are whole milliseconds since the epoch.

Rules:
- A trigger depends on nothing but its specification: whoever asks, whenever, finds the same slots.
- Cron expressions are read by cronsim, as Debian's cron reads them: a slot inside the hour that daylight saving leaves
  out is due right after it, one inside the hour that comes twice is due once. Expressions with a `*` in the minute or
  the hour follow the clock instead, and so do those with seconds.
- Slots of `Every` are multiples of the interval since the epoch, so that they are the same in all replicas.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from ..errors import UsageError

MINUTE = 60_000
WIDER = 32
"""By how much a look back grows that has found nothing."""


class Trigger(Protocol):
    """When a job is due."""

    @property
    def spec(self) -> str:
        """What `parse` makes the same trigger of."""

    @property
    def zone(self) -> tzinfo:
        """The time zone in which people think of its slots."""

    def next(self, after: int) -> int | None:
        """The first slot after that instant; None if there is none any more."""

    def latest(self, after: int, now: int) -> int | None:
        """The last slot after `after` and not after `now`; None if there is none."""


class Every:
    """A slot every so many seconds.

    Args:
        seconds: the interval, 0.1 at least, whole milliseconds.

    Raises:
        UsageError: it cannot be used.
    """

    def __init__(self, seconds: float) -> None:
        if not (math.isfinite(seconds) and 0.1 <= seconds <= 366 * 86400):
            raise UsageError(f"every {seconds!r} seconds: give 0.1 seconds to 366 days")
        self._interval = round(seconds * 1000)
        self.spec = f"every {self._interval / 1000:g} s"
        self.zone: tzinfo = UTC

    def next(self, after: int) -> int | None:
        """See `Trigger`."""
        return (after // self._interval + 1) * self._interval

    def latest(self, after: int, now: int) -> int | None:
        """See `Trigger`."""
        slot = now // self._interval * self._interval
        return slot if slot > after else None


class Cron:
    """The slots of a cron expression.

    Args:
        expression: five fields, or six with seconds first.
        zone: name of the time zone that it is meant in.

    Raises:
        UsageError: one of them cannot be read, or the expression has no slot.
    """

    def __init__(self, expression: str, zone: str = "UTC") -> None:
        self._expression = " ".join(expression.split())
        try:
            self.zone: tzinfo = ZoneInfo(zone)
        except (ValueError, OSError) as error:  # ZoneInfoNotFoundError is a KeyError
            raise UsageError(f"no time zone is called {zone!r}; give one like Europe/Berlin, or UTC") from error
        except KeyError as error:
            raise UsageError(
                f"no time zone is called {zone!r} here; give one like Europe/Berlin, or install tzdata"
            ) from error
        try:
            if next(self._from(0), None) is None:
                raise UsageError(f"the cron expression {expression!r} is never due")
        except CronSimError as error:
            raise UsageError(
                f"{expression!r} is not a cron expression: {error}; five fields, as in '0 3 * * *', or six with "
                "seconds first"
            ) from error
        self.spec = f"cron {self._expression} {zone}"

    def next(self, after: int) -> int | None:
        """See `Trigger`."""
        slot = next(self._from(after), None)
        return None if slot is None else _milliseconds(slot)

    def latest(self, after: int, now: int) -> int | None:
        """See `Trigger`."""
        span, found = MINUTE, None
        while found is None:
            start = max(after, now - span)
            for slot in map(_milliseconds, self._from(start)):
                if slot > now:
                    break
                found = slot
            if start == after:
                break
            span *= WIDER
        return found

    def _from(self, after: int) -> Iterator[datetime]:
        return CronSim(self._expression, datetime.fromtimestamp(after // 1000, self.zone))


def parse(spec: str) -> Trigger:
    """The trigger that has this specification.

    Raises:
        UsageError: there is none.
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


def _milliseconds(instant: datetime) -> int:
    return round(instant.timestamp()) * 1000
