"""Times as people write them."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..errors import UsageError


def instant(text: str, now: float) -> float:
    """The time that a text means, in seconds since the epoch; of a time of day the last one that has been.

    Args:
        text: `HH:MM`, `HH:MM:SS`, a date and time as ISO 8601 has it, or seconds since the epoch.
        now: the time, in seconds since the epoch.

    Raises:
        UsageError: it is none of these.
    """
    here = datetime.fromtimestamp(now).astimezone()
    try:
        if text.isascii() and text.replace(".", "", 1).isdigit():
            return float(text)
        if len(text) <= 8 and ":" in text:
            time_of_day = datetime.strptime(text, "%H:%M:%S" if text.count(":") == 2 else "%H:%M").time()
            found = datetime.combine(here.date(), time_of_day)
            if found.timestamp() > now:
                found -= timedelta(days=1)
            return found.timestamp()
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f'--at {text!r} is no time; write "03:12" or "2026-11-24 03:12:30"') from error
