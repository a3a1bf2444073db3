"""What the wall clocks of a time zone show, and when. Pure: the zone is an argument, its database is data.

Instants are seconds since the epoch. A *reading* is what a wall clock shows, in seconds since it would have shown
1970-01-01 00:00:00: the instant plus the zone's offset at it. A clock that is put back shows some readings twice; one
that is put forward leaves some out.

It relies on one fact: a clock is set at most once in `APART` seconds. (In all zones of tzdata since 1970 a week lies
between two changes.) Instants are of the years 1 to 9999 in every zone.
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

APART = 2 * 86400
_SECOND = timedelta(seconds=1)
_ZERO = datetime(1970, 1, 1)


class WallClock:
    """See the module's docstring."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    def offset(self, instant: int) -> int:
        """Seconds by which its readings are ahead of UTC's."""
        return _offset(datetime.fromtimestamp(instant, self._zone))

    def changed(self, low: int, high: int) -> int | None:
        """The instant after `low`, at the latest `high`, from which on the offset differs; `APART` apart at most."""
        return None if self.offset(low) == self.offset(high) else self._change(low, high)

    def reached(self, reading: int) -> int:
        """The first instant at which it shows this reading or a later one.

        Of two such instants it is the first; for a reading that is left out it is the instant right after the gap.
        """
        shown = (_ZERO + reading * _SECOND).replace(tzinfo=self._zone)
        instant = reading - _offset(shown)
        if self.offset(instant) == _offset(shown):
            return instant
        # By PEP 495 these are the offsets before the gap and after it, so the change is between them.
        return self._change(reading - _offset(shown.replace(fold=1)), instant)

    def highest(self, instant: int) -> int:
        """The latest reading that it showed up to this instant."""
        shown = datetime.fromtimestamp(instant, self._zone)
        if not shown.fold:
            return instant + _offset(shown)
        # It shows this for the second time; the reading right before it was put back was later.
        before = _offset(shown.replace(fold=0))
        return self._change(instant + _offset(shown) - before, instant) - 1 + before

    def _change(self, low: int, high: int) -> int:
        before = self.offset(low)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.offset(middle) == before else (low, middle)
        return high


def _offset(shown: datetime) -> int:
    offset = shown.utcoffset()
    assert offset is not None
    return offset // _SECOND
