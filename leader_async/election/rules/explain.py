"""A move of the lead: which one a question is about, and its explanation, the same wherever it is shown. Pure.

It does not promise more than the history knows: a lower bound is called one, and what is missing is named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest

from .history import Teller, TermEntry
from .record import Record
from .words import OTHERS

NEAR = 90.0
"""Seconds from the asked time within which a move is the one that was meant."""

_UNITS = ((10, 1, 1, "s"), (90, 1, 0, "s"), (5400, 60, 0, "min"), (129600, 3600, 0, "h"))
"""From which length on, in seconds, the next unit is used; and how it is written."""


def span(seconds: float) -> str:
    """A length of time for people, the same wherever it is shown; the page has this rule, too."""
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    for limit, divisor, digits, unit in _UNITS:
        if seconds < limit:
            return f"{seconds / divisor:.{digits}f} {unit}"
    return f"{seconds / 86400:.0f} days"


def nearest(entries: Sequence[TermEntry], wanted: float | None) -> tuple[TermEntry, TermEntry | None] | None:
    """The term that ended nearest to this time, the latest one if None, and the term behind it."""
    ends = [move for move in zip_longest(entries, entries[1:]) if move[0].ended is not None]
    if not ends or wanted is None:
        return ends[-1] if ends else None
    return min(ends, key=lambda move: abs((move[0].ended or 0.0) - wanted))


def explained(
    before: TermEntry, after: TermEntry | None, wanted: float | None, clock_time: Callable[[float | None], str]
) -> str:
    """What happened, in a sentence or two.

    Args:
        before: the term that ended.
        after: the next one, None if nobody has led since.
        wanted: the time that was asked about, None for the last move.
        clock_time: how a time is shown.
    """
    text = ""
    if wanted is not None and abs((before.ended or 0.0) - wanted) > NEAR:
        text = f"Leadership did not move at {clock_time(wanted)}; the nearest move: "
    if before.put_right:
        text += f"The record could not be read. It was put right at {clock_time(before.began)}, as term {before.term}: "
        text += "nobody led, and a lease was waited out."
        return text + _next(before, after, clock_time, since=before.began)
    who = before.identity or "a leader whose name was not written down"
    why = OTHERS.get(before.why, "it ended")
    if before.detail:
        why += f" ({before.detail})"
    by = "by" if before.told_by in (Teller.NOBODY, Teller.SUCCESSOR) else "at"
    text += f"{who}, term {before.term}, had stopped leading {by} {clock_time(before.ended)}: {why}."
    return text + _next(before, after, clock_time)


def _next(
    before: TermEntry, after: TermEntry | None, clock_time: Callable[[float | None], str], since: float = 0.0
) -> str:
    """Who leads then. `since` is when the record was put right, 0.0 if it was not: from then on nobody led."""
    if after is None:
        return " Nobody has led since, as far as is written down."
    if after.put_right:
        text = " Then the record could not be read. It was put right at "
        text += f"{clock_time(after.began)}, as term {after.term}: "
        return text + "nobody leads from then on until a lease is waited out."
    text = f" {after.identity or 'Somebody'} leads from {clock_time(after.began)} on, term {after.term}"
    if since and after.began:
        return text + f"; nobody led for at least {span(max(0.0, after.began - since))}."
    if before.leaderless_ms is None:
        return text + "; how long nobody led is not known."
    least = "at least " if before.at_least else ""
    return text + f"; nobody led for {least}{span(before.leaderless_ms / 1000)}."


def waited_out(lost: Record) -> str:
    """What is waited for while the record is held by a znode that is gone, for people."""
    lease = f"the first in the queue waits out a lease of {lost.lease:g} s"
    if not lost.put_right:
        return f"the record is held by {lost.holder}, which is gone: {lease}"
    remedy = (
        "if no replica was given one that long, `leader-async doctor --repair --lease SECONDS` writes a shorter one"
    )
    return f"the record was put right: {lease}; {remedy}"
