"""Jobs in a simulated process, and what is promised of their slots.

No plan that is drawn has them: `python -m tests.simulation.jobs` gives them to the processes of such plans. With
`--nights` such a plan is made to last longer, and crosses a night in which clocks are changed.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from leader_async import Election, JobRun, Schedule
from leader_async.schedule.ledger import Outcome, decode

from .nights import CLOCK, EARLY, EXPRESSIONS, FIXED, NIGHTS, Night

if TYPE_CHECKING:
    from leader_async.embedded.tree import Tree

    from .plan import Plan

ALL, LATEST = "all", "latest"
INTERVALS = {ALL: 1.0, LATEST: 0.7}
LONGER = 20
"""How many times longer all that plans say lasts in a night."""
LATE = 120.0
"""Seconds after which a slot of a night has been claimed, when all is well."""
FAILURES = 0.1
"""The part of all attempts that fail."""


def schedule(
    election: Election, rng: random.Random, tell: Callable[[JobRun, bool], None], night: Night | None = None
) -> Schedule:
    """Two jobs: `all` loses no slot, and makes again what was not finished; `latest` runs each slot at most once.

    In a night three: `fixed` is as `all`, at fixed times.
    """
    jobs = Schedule(election, wall_clock=lambda: time.time())

    async def work(run: JobRun) -> None:
        tell(run, True)
        await asyncio.sleep(rng.uniform(0, 1.2))
        if rng.random() < FAILURES:
            raise ValueError("it failed")
        tell(run, False)

    if night is not None:
        for name in (CLOCK, FIXED):
            how = jobs.cron(
                EXPRESSIONS[name], tz=night.zone, name=name, missed="all", unfinished="rerun", retries=9, backoff=0.1
            )
            how(work)
        jobs.cron(EXPRESSIONS[LATEST], tz=night.zone, name=LATEST)(work)
        return jobs
    jobs.every(INTERVALS[ALL], name=ALL, missed="all", unfinished="rerun", retries=9, backoff=0.1)(work)
    jobs.every(INTERVALS[LATEST], name=LATEST)(work)
    return jobs


class Slots:
    """Judges the runs of all processes.

    Args:
        fail: called with a broken promise.
        night: which is crossed, if any.
    """

    def __init__(self, fail: Callable[[str], None], night: Night | None = None) -> None:
        self._fail, self._night = fail, night
        self._begun: dict[tuple[str, float, int], str] = {}
        self._done: set[tuple[str, float]] = set()
        self._newest: dict[str, float] = {}
        self._tokens: dict[str, int] = {}
        self._running: dict[str, tuple[str, JobRun]] = {}
        self.runs = 0

    def ran(self, process: str, run: JobRun, begins: bool) -> None:
        """An attempt begins, or has ended well."""
        slot = run.slot.timestamp()
        if not begins:
            self._done.add((run.job, slot))
            return
        self.runs += 1
        other = self._begun.get((run.job, slot, run.attempt))
        if other is not None or run.token < self._tokens.get(run.job, 0):
            self._fail(f"{run.job} at {slot}, attempt {run.attempt}: by {other}, and by {process} under {run.token}")
        self._begun[run.job, slot, run.attempt] = process
        self._tokens[run.job] = run.token
        newest = self._newest.get(run.job)
        if newest is not None and run.attempt == 1 and slot <= newest:
            self._fail(f"{run.job} at {slot} after {newest}")
        # Attempt 1 may have been claimed by one that died before it began.
        if newest is not None and run.job != LATEST and slot > self._after(run.job, newest) + 0.001:
            self._fail(f"{run.job} at {slot} after {newest}: slots between them are lost")
        if self._night is not None and slot not in self._night.slots(run.job):
            self._fail(f"{run.job} at {slot}: that is no slot")
        if run.job == LATEST and run.attempt > 1:
            self._fail(f"{run.job} at {slot}: attempt {run.attempt}")
        self._newest[run.job] = slot if newest is None else max(newest, slot)

    def _after(self, job: str, slot: float) -> float:
        return slot + INTERVALS[job] if self._night is None else self._night.after(job, slot)

    def look_at_ledgers(self, tree: Tree, folder: str, now: float) -> None:
        """What stands in ZooKeeper when all is over, and somebody has led for a while."""
        for job in INTERVALS if self._night is None else EXPRESSIONS:
            node = tree.find(f"{folder}/{job}")
            if node is None:
                continue
            ledger = decode(node.data, "a ledger")
            if self._night is not None and self._night.after(job, ledger.slot / 1000) < now - LATE:
                self._fail(f"{job}: {LATE} s after a slot the ledger ends at {ledger.slot}")
            for past in ledger.past:
                ran = (job, past.slot / 1000, past.attempt) in self._begun
                if past.outcome is not Outcome.UNFINISHED and not ran:
                    self._fail(f"{job} at {past.slot}: {past.outcome}, and it never ran")
                if past.outcome is Outcome.DONE and (job, past.slot / 1000) not in self._done:
                    self._fail(f"{job} at {past.slot}: said to be done")


def plan_of(seed: int, *, night: bool = False) -> Plan:
    """The plan of a seed, if all of its work is jobs."""
    from .plan import of_seed

    plan = of_seed(seed)
    plan = replace(plan, works=(("jobs",),) * plan.processes)
    if not night:
        return plan
    # All through the night: what is crossed is in the middle.
    spread = 2 * EARLY / max([1.0, *(fault.at for fault in plan.faults)])
    faults = tuple(replace(fault, at=fault.at * spread, seconds=fault.seconds * LONGER) for fault in plan.faults)
    return replace(
        plan, timeout=plan.timeout * LONGER, lease=plan.lease * LONGER, latency=plan.latency / LONGER, faults=faults,
        night=list(NIGHTS)[seed % len(NIGHTS)],
    )  # fmt: skip


def simulate(seed: int, *, night: bool = False) -> tuple[int, str, int, int]:
    """The run of that plan: the seed, what was broken, steps, attempts."""
    from .run import run

    report = run(plan_of(seed, night=night))
    return seed, report.violation, report.steps, report.jobs


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.jobs", description="Simulated runs of jobs.")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--nights", action="store_true", help="in which clocks are changed")
    arguments = parser.parse_args()
    broken = steps = attempts = 0
    with multiprocessing.get_context("spawn").Pool() as pool:
        seeds = range(arguments.first, arguments.first + arguments.seeds)
        for seed, violation, taken, made in pool.imap_unordered(
            partial(simulate, night=arguments.nights), seeds, chunksize=4
        ):
            steps, attempts = steps + taken, attempts + made
            if violation:
                broken += 1
                sys.stdout.write(f"seed {seed}: {violation}\n")
    sys.stdout.write(f"{arguments.seeds} runs, {steps} steps, {attempts} attempts; {broken} broke a promise\n")
    return 1 if broken else 0


if __name__ == "__main__":
    from tests.simulation import jobs

    sys.exit(jobs.main())
