"""A replica of leader_async that runs jobs; the shared work is a table in PostgreSQL, written through the fence."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time

import asyncpg

import leader_async
from leader_async import Election, JobRun, Schedule, StaleToken, fence, logs

from ..jobs_history import AHEAD, JOBS
from .diary import PERIOD, Notebook, now

HOUR = 3600.0
STALL = "1000"
"""Milliseconds after which PostgreSQL ends a transaction whose replica is frozen; it holds its successors up."""
INSIDE = 0.02
"""Seconds of the work that are spent in the transaction."""

INSERT = "INSERT INTO writes (job, slot, number, token, replica) VALUES ($1, $2, $3, $4, $5)"


async def main(servers: str, name: str, identity: str, timeout: str, lease: str, observations: str, dsn: str) -> None:
    told_to_stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_stop.set)
    notebook, ahead = Notebook(observations), HOUR if identity == AHEAD else 0.0
    settings = {"idle_in_transaction_session_timeout": STALL}
    async with (
        asyncpg.create_pool(dsn, min_size=1, max_size=len(JOBS), server_settings=settings) as pool,
        leader_async.connect(servers, timeout=float(timeout), guardian=True) as zk,
    ):
        election = zk.election(name, identity=identity, lease=float(lease))
        jobs = Schedule(election, wall_clock=lambda: time.time() + ahead)
        takes = {job.name: job.takes for job in JOBS}

        async def work(run: JobRun) -> None:
            attempt = run.job, round(run.slot.timestamp() * 1000), run.attempt, run.token
            notebook.note("Began", *attempt, f"{now():.6f}")
            how = "Cut"
            try:
                await asyncio.sleep(takes[run.job] - INSIDE)
                async with pool.acquire() as connection, fence.postgres(connection, name, run.token):
                    await asyncio.sleep(INSIDE)
                    await connection.execute(INSERT, *attempt, identity)
                how = "Done"
            except StaleToken:
                how = "Refused"
                raise
            finally:
                notebook.note(how, *attempt, f"{now():.6f}")

        for job in JOBS:
            jobs.every(job.seconds, name=job.name, missed="all", unfinished=job.unfinished)(work)
        tasks = [asyncio.create_task(jobs.run()), asyncio.create_task(observe(election, notebook))]
        await told_to_stop.wait()
        tasks[0].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tasks[0]
        tasks[1].cancel()


async def observe(election: Election, notebook: Notebook) -> None:
    while True:
        term, before = election.term, now()
        if term is not None and term.is_current:
            notebook.leads(before, now(), term.token)
        await asyncio.sleep(PERIOD)


if __name__ == "__main__":
    logs.to_stderr("INFO")
    asyncio.run(main(*sys.argv[1:]))
