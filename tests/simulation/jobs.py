"""Jobs in a simulated process, and what is promised of their slots.

No plan that is drawn has them: `python -m tests.simulation.jobs` gives them to the processes of such plans.
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
from typing import TYPE_CHECKING

from leader_async import Election, JobRun, Schedule
from leader_async.schedule.ledger import Outcome, decode

if TYPE_CHECKING:
    from leader_async.embedded.tree import Tree

ALL, LATEST = "all", "latest"
INTERVALS = {ALL: 1.0, LATEST: 0.7}
FAILURES = 0.1
"""The part of all attempts that fail."""


def schedule(election: Election, rng: random.Random, tell: Callable[[JobRun, bool], None]) -> Schedule:
    """Two jobs: `all` loses no slot, and makes again what was not finished; `latest` runs each slot at most once."""
    jobs = Schedule(election, wall_clock=lambda: time.time())

    async def work(run: JobRun) -> None:
        tell(run, True)
        await asyncio.sleep(rng.uniform(0, 1.2))
        if rng.random() < FAILURES:
            raise ValueError("it failed")
        tell(run, False)

    jobs.every(INTERVALS[ALL], name=ALL, missed="all", unfinished="rerun", retries=9, backoff=0.1)(work)
    jobs.every(INTERVALS[LATEST], name=LATEST)(work)
    return jobs


class Slots:
    """Judges the runs of all processes.

    Args:
        fail: called with a broken promise.
    """

    def __init__(self, fail: Callable[[str], None]) -> None:
        self._fail = fail
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
        other = self._begun.setdefault((run.job, slot, run.attempt), process)
        if other != process or run.token < self._tokens.get(run.job, 0):
            self._fail(f"{run.job} at {slot}, attempt {run.attempt}: by {other}, and by {process} under {run.token}")
        self._tokens[run.job] = run.token
        newest = self._newest.get(run.job, slot - INTERVALS[run.job])
        if run.attempt == 1 and slot <= newest:
            self._fail(f"{run.job} at {slot} after {newest}")
        # Attempt 1 may have been claimed by one that died before it began.
        if run.job == ALL and slot > newest + INTERVALS[ALL] + 0.001:
            self._fail(f"{run.job} at {slot} after {newest}: slots between them are lost")
        if run.job == LATEST and run.attempt > 1:
            self._fail(f"{run.job} at {slot}: attempt {run.attempt}")
        self._newest[run.job] = max(newest, slot)

    def look_at_ledgers(self, tree: Tree, folder: str) -> None:
        """What stands in ZooKeeper when all is over."""
        for job in INTERVALS:
            node = tree.find(f"{folder}/{job}")
            if node is None:
                continue
            for past in decode(node.data, "a ledger").past:
                ran = (job, past.slot / 1000, past.attempt) in self._begun
                if past.outcome is not Outcome.UNFINISHED and not ran:
                    self._fail(f"{job} at {past.slot}: {past.outcome}, and it never ran")
                if past.outcome is Outcome.DONE and (job, past.slot / 1000) not in self._done:
                    self._fail(f"{job} at {past.slot}: said to be done")


def simulate(seed: int) -> tuple[int, str, int, int]:
    """The run of a seed's plan, if all of its work is jobs: the seed, what was broken, steps, attempts."""
    from .plan import of_seed
    from .run import run

    plan = of_seed(seed)
    report = run(replace(plan, works=(("jobs",),) * plan.processes))
    return seed, report.violation, report.steps, report.jobs


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.jobs", description="Simulated runs of jobs.")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    broken = steps = attempts = 0
    with multiprocessing.get_context("spawn").Pool() as pool:
        seeds = range(arguments.first, arguments.first + arguments.seeds)
        for seed, violation, taken, made in pool.imap_unordered(simulate, seeds, chunksize=4):
            steps, attempts = steps + taken, attempts + made
            if violation:
                broken += 1
                sys.stdout.write(f"seed {seed}: {violation}\n")
    sys.stdout.write(f"{arguments.seeds} runs, {steps} steps, {attempts} attempts; {broken} broke a promise\n")
    return 1 if broken else 0


if __name__ == "__main__":
    from tests.simulation import jobs

    sys.exit(jobs.main())
