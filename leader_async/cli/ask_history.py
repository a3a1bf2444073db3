"""`leader-async history | why`: who led, and why leadership moved."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from ..election.history import TermEntry
from ..election.moves import explained, nearest
from ..errors import UsageError
from . import asking
from .asking import Refused, Target, ask, clock_time, in_time, page, say
from .instants import instant


async def _entries(target: Target) -> list[TermEntry]:
    if target.url is not None:
        return [TermEntry(**row) for row in await page(target, "/history")]
    async with asking.election_of(target) as (_, election):
        found: list[TermEntry] = await in_time(target, election.history())
        return found


def _line(entry: TermEntry) -> str:
    gap = "" if entry.leaderless_ms is None else f"; nobody led for {entry.leaderless_ms} ms"
    gap += " or longer" if entry.at_least else ""
    why = f"{entry.why}{': ' + entry.detail if entry.detail else ''}{gap}" if entry.why else ""
    who = entry.identity or "?"
    ended = clock_time(entry.ended) if entry.why else ""
    return f"{entry.term:>4}  {clock_time(entry.began):<19}  {ended:<19}  {who}  {why}".rstrip()


@click.command(epilog=asking.EXITS, context_settings=asking.SETTINGS)
@asking.flags
def history(**options: Any) -> None:
    """The latest terms, oldest first: began, ended, who, why. Times are by ZooKeeper's clock."""
    target = Target(**options)
    entries = ask(_entries(target))
    text = "\n".join(map(_line, entries)) or f"nothing is written down about {target.election}"
    say(target, [asdict(entry) for entry in entries], text)


@click.command(epilog=asking.EXITS, context_settings=asking.SETTINGS)
@asking.flags
@click.option("--at", "at", default=None, metavar="TIME",
              help='"03:12", "2026-11-24 03:12:30", or seconds since the epoch.  [default: the last time]')  # fmt: skip
def why(at: str | None, **options: Any) -> None:
    """Why did leadership move? In a sentence or two."""
    import time

    target = Target(**options)
    try:
        wanted = None if at is None else instant(at, time.time())
    except UsageError as error:
        raise click.UsageError(str(error)) from error
    data, text = ask(_why(target, wanted))
    say(target, data, text)


async def _why(target: Target, wanted: float | None) -> tuple[Any, str]:
    move = nearest(await _entries(target), wanted)
    if move is None:
        raise Refused(f"no move of the lead of {target.election!r} is known")
    before, after = move
    return {"before": asdict(before), "after": asdict(after) if after else None}, explained(
        before, after, wanted, clock_time
    )
