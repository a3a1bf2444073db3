"""A service whose job is a command that beats: `ADDRESS BEATS GUARDIAN`."""

from __future__ import annotations

import asyncio
import logging
import sys

from leader_async import CommandFailed, JobRun, Schedule, connect

from .place import BEATING, LEASE


async def main(address: str, beats: str, guardian: str) -> None:
    async with connect(address, timeout=LEASE, guardian=guardian == "guarded") as zk:
        jobs = Schedule(zk.election("beat", lease=LEASE))

        @jobs.every(0.1)
        async def beat(run: JobRun) -> None:
            try:
                await run.command([sys.executable, BEATING, beats])
            except CommandFailed as error:  # a schedule says nothing of work that fails after its lease has ended
                logging.error("%s", error)
                raise

        await jobs.run()


logging.basicConfig(level="INFO")
asyncio.run(main(*sys.argv[1:]))
