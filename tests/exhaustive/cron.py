"""`python -m tests.exhaustive.cron`: `Cron` against the oracle, in all zones of tzdata, around every change of a clock.

From `BEFORE` an instant at which a clock is changed to `BEFORE` after it, `Cron.next` must give the oracle's slots one
after the other, whatever instant in between it is asked from, and `Cron.latest` each of them for as long as it is the
last. Exit code 1 if they differ somewhere.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import os
import sys
import time
import zoneinfo
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby, pairwise

from leader_async.schedule.triggers import Cron

from ..support import cron_oracle
from ..support.cron_oracle import Change

FIRST, LAST = 2020, 2040
EXPRESSIONS = (
    # fixed times
    "30 2 * * *", "0 2 * * *", "0 3 * * *", "15 1-3 * * *", "0,30 0-4 * * *", "0-59 2 * * *", "0-59/7 0-23 * * *",
    "0 0 * * *", "59 23 * * *", "30 23,0 * * *", "0 0 1 * *", "30 2 25 10 *", "45 2 * * SUN", "30 0-3 * 3,10 7L",
    "0 2 L * *", "30 1 LW * *", "30 2 * * 0#2", "0 1 1-7 * 0", "0 2 */2 * *", "15 3 29 2 *", "0 12 * * 1-5",
    "30 2 31 3,10 SAT,SUN", "5/20 1/2 * * *", "10 0 * APR-SEP *",
    # that follow the clock
    "* * * * *", "*/7 * * * *", "0 * * * *", "30 * * * SUN", "*/10 3 * * *", "* 2 * * *", "*/15 0,2,23 * * 0",
    "0 */6 * * *", "30 */2 * * *", "15 */3 1,25-31 * *", "0 *,3 L * *", "*/30 1-3 * 3-4,10-11 7L",
)  # fmt: skip
WITH_SECONDS = ("*/20 * * * * *", "0 30 2 * * *", "59 59 */3 * * *", "1-3,30 0,29,30 0-3,23 * * *", "0 0 0 * * 0")
BEFORE, SHORTLY = 30 * 3600, 3 * 3600
"""Seconds before a change to begin at, and for expressions that are due each minute or more often."""


class Differs(AssertionError):
    """`Cron` and the oracle do."""


def compare(cron: Cron, slots: list[int], begin: int, end: int, at: Iterable[int] = ()) -> int:
    """Whether these are the slots of this stretch; returns how many answers were looked at.

    Args:
        cron: what is asked.
        slots: those from `begin` on and before `end`.
        begin: in seconds since the epoch, as all of these.
        end: likewise.
        at: further instants to ask about, beside those right before, right at, and in the middle between slots.

    Raises:
        Differs: they are not.
    """
    asked, further = 0, sorted(at)
    for last, slot in pairwise([begin - 1, *slots, end]):
        known = last * 1000 if last >= begin else None
        between = further[bisect_right(further, last) : bisect_left(further, slot)]
        for seconds in {last, (last + slot) // 2, slot - 1, *between}:
            following = cron.next(seconds * 1000 + 999)
            if (following != slot * 1000) if slot < end else (following is not None and following < end * 1000):
                raise Differs(f"{cron.spec}: next({_time(cron, seconds)}) is {_slot(cron, following)}")
            latest = cron.latest((begin - 1) * 1000, seconds * 1000 + 999)
            if latest != known:
                raise Differs(f"{cron.spec}: latest({_time(cron, seconds)}) is {_slot(cron, latest)}")
            asked += 2
        if cron.latest(last * 1000, slot * 1000 - 1) is not None:
            raise Differs(f"{cron.spec}: there is a slot after {_time(cron, last)}")
    return asked


def around(found: Sequence[Change], expressions: Iterable[str]) -> int:
    """Compare around these changes, which clocks show alike; with seconds, around the first of them. See `compare`."""
    asked, first = 0, found[0]
    shown = functools.cache(functools.partial(cron_oracle.shown, first.zone))
    for expression in expressions:
        step = cron_oracle.step_of(expression)
        span = SHORTLY if step == 1 or expression.startswith("* ") else BEFORE
        begin, end = first.instant - span, first.instant + span
        slots = cron_oracle.due(expression, shown(begin, end, step), begin)
        near = range(first.instant - SHORTLY, first.instant + SHORTLY, 600)
        for change in found if step == 60 else found[:1]:
            asked += compare(Cron(expression, change.zone), slots, begin, end, near)
    return asked


def all_changes(first: int = FIRST, last: int = LAST) -> list[list[Change]]:
    """Those of all zones, in groups that clocks show alike.

    Of zones whose clocks show the same in all those years one stands for all.
    """
    clocks: dict[tuple[tuple[int, int, int], ...], list[Change]] = {}
    for zone in sorted(zoneinfo.available_timezones() - {"localtime"}):
        found = cron_oracle.changes(zone, first, last)
        clocks.setdefault(tuple(map(_alike, found)), found)
    return grouped(change for found in clocks.values() for change in found)


def grouped(found: Iterable[Change]) -> list[list[Change]]:
    """Groups of changes that clocks show alike."""
    return [list(group) for _, group in groupby(sorted(found, key=_alike), _alike)]


def _alike(change: Change) -> tuple[int, int, int]:
    return change.instant, change.before, change.after


def _time(cron: Cron, seconds: int) -> str:
    return datetime.fromtimestamp(seconds, cron.zone).isoformat()


def _slot(cron: Cron, slot: int | None) -> str:
    return "None" if slot is None else _time(cron, slot // 1000)


def _look(group: list[Change]) -> tuple[int, str]:
    try:
        return around(group, (*EXPRESSIONS, *WITH_SECONDS)), ""
    except Differs as differs:
        return 0, f"{differs}\n"


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.exhaustive.cron", description="Cron against the oracle.")
    parser.add_argument("--first", type=int, default=FIRST, metavar="YEAR")
    parser.add_argument("--last", type=int, default=LAST, metavar="YEAR")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    began, differ = time.monotonic(), 0
    sys.stdout.write(f"{len(EXPRESSIONS)} expressions, and {len(WITH_SECONDS)} with seconds\n")
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        for year, groups in groupby(all_changes(arguments.first, arguments.last), _year):
            changes = list(groups)
            looked = pool.map(_look, changes, chunksize=1)
            sys.stdout.write("".join(differs for _, differs in looked))
            sys.stdout.write(
                f"{year}: {sum(map(len, changes))} changes of clocks, {sum(answers for answers, _ in looked)} answers, "
                f"{sum(bool(differs) for _, differs in looked)} differ\n"
            )
            sys.stdout.flush()
            differ += sum(bool(differs) for _, differs in looked)
    sys.stdout.write(f"{time.monotonic() - began:.0f} s\n")
    return 1 if differ else 0


def _year(group: list[Change]) -> int:
    return datetime.fromtimestamp(group[0].instant, UTC).year


if __name__ == "__main__":
    from tests.exhaustive import cron

    sys.exit(cron.main())
