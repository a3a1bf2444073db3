"""`leader-async history | why`: who led, and why leadership moved."""

from __future__ import annotations

from dataclasses import asdict

import click

from ..election.rules.ends import Detail
from ..election.rules.explain import explained, nearest, span
from ..election.rules.history import TermEntry
from ..election.rules.words import DETAILS
from ..errors import UsageError
from . import asking
from .asking import Refused, Target, ask, clock_time, in_time, page, show
from .exits import print_error
from .instants import instant


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
    _warn(problem)


@asking.command
@click.option("--at", "at", default=None, metavar="TIME",
              help='"03:12", "2026-11-24 03:12:30", or seconds since the epoch.  [default: the last time]')  # fmt: skip
def why(target: Target, at: str | None) -> None:
    """Why did leadership move? In a sentence or two."""
    import time

    try:
        wanted = None if at is None else instant(at, time.time())
    except UsageError as error:
        raise click.UsageError(str(error)) from error
    ask(_why(target, wanted))


def _warn(problem: str) -> None:
    if problem:
        print_error(problem)


async def _why(target: Target, wanted: float | None) -> None:
    entries, problem = await _entries(target)
    _warn(problem)
    move = nearest(entries, wanted)
    if move is None:
        raise Refused(f"no move of the lead of {target.election!r} is known")
    before, after = move
    data = {"before": asdict(before), "after": asdict(after) if after else None}
    show(target, data, explained(before, after, wanted, clock_time))
