"""`python -m tests.campaigns.jobs --minutes 15`: replicas that run jobs, under faults on a real ensemble. Needs root.

Each run of a job writes to PostgreSQL through the fence. Observers, one to each ZooKeeper server, read the ledgers
again and again, so that no attempt is forgotten before it was seen. Writes a report. Exit code 1 if a promise was
broken, 2 if the campaign cannot be had here.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from leader_async import ZooKeeperError, connect, fence
from leader_async.schedule.ledger import decode
from leader_async.zookeeper import messages as m
from leader_async.zookeeper.client import Client

from ..support.postgres import Postgres, programs
from ..support.reporting import say
from ..support.waiting import until
from .campaign import afflict, left_behind, observed
from .checker import Trouble, Verdict
from .checker import judge as judge_leaders
from .field import ELECTION, TIMEOUT, Field, problem
from .history import History
from .history import read as read_stretches
from .jobs_checker import BEHIND, JobsVerdict, judge
from .jobs_history import JOBS, Attempt, JobsHistory, read
from .jobs_report import markdown
from .nemesis import Nemesis, now

LOOKS = 0.15
"""Seconds between two looks at a ledger; it keeps 20 attempts, which take some seconds at least."""
WRITES = """
CREATE TABLE writes (id bigserial PRIMARY KEY, job text, slot bigint, number int, token bigint, replica text)
"""


@dataclass(slots=True)
class JobsCampaign:
    """What came of it: of the jobs, of the leaders, and what was left behind."""

    minutes: float
    seed: int
    troubles: list[Trouble]
    jobs: JobsVerdict
    leaders: Verdict
    orphans: list[str]

    @property
    def clean(self) -> bool:
        """Whether nothing was broken."""
        return self.jobs.clean and self.leaders.clean and not self.orphans


def problem_with_jobs() -> str | None:
    """Why this cannot be had here, None if it can."""
    if programs() is None:
        return "no PostgreSQL server here; install Debian's package postgresql"
    return problem("leader_async")


async def campaign(
    folder: Path, minutes: float, seed: int, tell: Callable[[str], None], kinds: list[str] | None = None
) -> JobsCampaign:
    """Run it; the arguments are those of `campaign.campaign`."""
    began, history = time.monotonic(), JobsHistory(wall=time.time() - now())
    with Postgres() as postgres:
        await _execute(postgres.dsn, f"{fence.CREATE_TABLE}; {WRITES}")
        field, leaders = Field(folder, "jobs", postgres.dsn), History()
        nemesis = Nemesis(field, seed)
        try:
            await field.open()
            async with asyncio.TaskGroup() as group, observed(field, leaders):
                assert field.ensemble is not None
                observers = [group.create_task(_observe(server.address, history)) for server in field.ensemble.servers]
                await afflict(nemesis, minutes, tell, kinds)
                await _caught_up(history)
                history.until = time.time()
                await field.retire()
                orphans = await left_behind(field)
                for observer in observers:
                    observer.cancel()
            async with connect(field.ensemble.address, timeout=TIMEOUT) as zk:
                await zk.wait_connected()
                for job in JOBS:
                    await _look(zk.client, job.name, history)
        finally:
            field.close()
        history.rows = await _rows(postgres.dsn)
    for path in sorted((folder / "observed").iterdir()):
        lines = path.read_text().splitlines(keepends=True)
        read_stretches(path.name, lines, leaders)
        read(path.name, lines, history)
    history.stretches = leaders.stretches
    verdict = judge(history, JOBS), judge_leaders(leaders, nemesis.troubles)
    return JobsCampaign((time.monotonic() - began) / 60, seed, nemesis.troubles, *verdict, orphans)


async def _caught_up(history: JobsHistory) -> None:
    """Return when no slot is late, or has been for so long that it counts as lost."""

    def none_is_late() -> bool:
        last = {name: slot / 1000 for name, _, slot in sorted(history.positions)}
        return all(last.get(job.name, 0.0) > time.time() - job.seconds - BEHIND / 2 for job in JOBS)

    try:
        await until(none_is_late, 30)
    except TimeoutError:
        return  # the judge will say so


# -- what is seen from outside -----------------------------------------------------------------------------------------


async def _observe(address: str, history: JobsHistory) -> None:
    async with connect(address, timeout=TIMEOUT) as zk:
        while True:
            for job in JOBS:
                try:
                    await _look(zk.client, job.name, history)
                except ZooKeeperError:
                    pass  # no ledger yet, or this server is away: there are two more
            await asyncio.sleep(LOOKS)


async def _look(client: Client, job: str, history: JobsHistory) -> None:
    data = await client.request(m.GetData(f"/ELECTION/{ELECTION}/jobs/{job}"))
    assert isinstance(data, m.Data)
    ledger = decode(data.data, "the ledger")
    history.positions.add((job, data.stat.version, ledger.slot))
    for past in ledger.past:
        attempt = Attempt(job, past.slot, past.attempt, past.token, past.identity)
        history.entries.add((attempt, str(past.outcome)))
    if (one := ledger.open) is not None:
        history.entries.add((Attempt(job, one.slot, one.attempt, one.token, one.identity), "open"))


async def _execute(dsn: str, statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


async def _rows(dsn: str) -> list[Attempt]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("SELECT job, slot, number, token, replica FROM writes ORDER BY id")
    finally:
        await connection.close()
    return [Attempt(*row) for row in rows]


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.jobs", description="Jobs under faults.")
    parser.add_argument("--minutes", type=float, default=2.0, help="(2)")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100000, help="what faults are drawn by (any)")
    parser.add_argument("--out", type=Path, default=Path("build/schedule.md"), help="the report (build/schedule.md)")
    arguments = parser.parse_args()
    if arguments.minutes <= 0:
        parser.error("minutes are above 0")
    if (why := problem_with_jobs()) is not None:
        sys.stderr.write(f"no campaign of jobs: {why}\n")
        return 2
    logging.getLogger("leader_async").setLevel(logging.CRITICAL)  # the observers are cut off now and then
    say(f"jobs, {arguments.minutes:g} minutes, seed {arguments.seed}")
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        done = asyncio.run(campaign(Path(folder), arguments.minutes, arguments.seed, say))
    command = f"python -m tests.campaigns.jobs --minutes {arguments.minutes:g} --seed {arguments.seed}"
    text = markdown(done, command, time.strftime("%Y-%m-%d"), os.cpu_count() or 1)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(text)
    say()
    say(text)
    return 0 if done.clean else 1


if __name__ == "__main__":
    sys.exit(main())
