"""`leader-async history | why`: who led, and why leadership moved."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta

import click

from ..election.rules.ends import Detail
from ..election.rules.explain import explained, nearest, span
from ..election.rules.history import TermEntry
from ..election.rules.words import DETAILS
from ..errors import UsageError
from . import asking
from .asking import Declined, Target, ask, clock_time, in_time, page, show
from .exits import print_error


async def _entries(target: Target) -> tuple[list[TermEntry], str]:
    """The terms, and why no replica leads now, or why that is not known."""
    if target.url is not None:
        rows, known = await page(target, "/history"), await page(target, "/status")
        problem = known.get("problem")
        return [TermEntry(**row) for row in rows], f"nobody can tell who leads now: {problem}" if problem else ""
    from ..election.queries import read_queue
    from ..election.rules.explain import waited_out

    async with asking.election_of(target) as (zk, election):
        found: list[TermEntry] = await in_time(target, election.history())
        queue = await in_time(target, read_queue(zk.client, election.parent, all_candidates=False))
        if queue.lost is not None and queue.lost.put_right:
            return found, f"nobody leads now: {waited_out(queue.lost)}"
        return found, f"nobody can tell who leads now: {queue.problem}" if queue.problem else ""


def _line(entry: TermEntry) -> str:
    gap = "" if entry.leaderless_ms is None else f"; nobody led for {span(entry.leaderless_ms / 1000)}"
    gap += " or longer" if entry.at_least else ""
    why = f"{entry.why}{': ' + entry.detail if entry.detail else ''}{gap}" if entry.why else ""
    if entry.put_right:
        why = f"{DETAILS[Detail.PUT_RIGHT]}; a lease {'was' if entry.why else 'is'} waited out"
    who = entry.identity or "?"
    ended = clock_time(entry.ended) if entry.why else ""
    return f"{entry.term:>4}  {clock_time(entry.began):<23}  {ended:<23}  {who}  {why}".rstrip()


@asking.command
def history(target: Target) -> None:
    """The latest terms, oldest first: began, ended, who, why. Times are by ZooKeeper's clock."""
    entries, problem = ask(_entries(target))
    lines = [*map(_line, entries)] or [f"nothing is written down about {target.election}"]
    show(target, [asdict(entry) for entry in entries], *lines)
    print_error(problem)


@asking.command
@click.option("--at", "at", default=None, metavar="TIME",
              help='"03:12", "2026-11-24 03:12:30", or seconds since the epoch.  [default: the last time]')  # fmt: skip
def why(target: Target, at: str | None) -> None:
    """Why did leadership move? In a sentence or two."""
    import time

    ask(_why(target, None if at is None else instant(at, time.time())))


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


async def _why(target: Target, wanted: float | None) -> None:
    entries, problem = await _entries(target)
    print_error(problem)
    move = nearest(entries, wanted)
    if move is None:
        raise Declined(f"no move of the lead of {target.election!r} is known")
    before, after = move
    data = {"before": asdict(before), "after": asdict(after) if after else None}
    show(target, data, explained(before, after, wanted, clock_time))
