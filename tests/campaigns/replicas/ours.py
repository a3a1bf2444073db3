"""A replica of leader_async, guarded as `leader-async serve` is."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys

import leader_async
from leader_async import Election, Term, logs

from .diary import PERIOD, Diary, now


async def main(servers: str, name: str, identity: str, timeout: str, lease: str, observations: str, work: str) -> None:
    told_to_stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_stop.set)
    async with leader_async.connect(servers, timeout=float(timeout), guardian=True) as zk:
        election = zk.election(name, identity=identity, lease=float(lease))
        diary = Diary(observations, work)
        tasks = [asyncio.create_task(election.run(hold)), asyncio.create_task(observe(election, diary))]
        await told_to_stop.wait()
        tasks[0].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tasks[0]
        tasks[1].cancel()


async def hold(term: Term) -> None:
    await asyncio.get_running_loop().create_future()


async def observe(election: Election, diary: Diary) -> None:
    while True:
        term = election.term
        before = now()
        if term is not None and term.is_current:
            diary.leads(before, now(), term.token)
            diary.begin_work()
            if term.is_current:
                diary.end_work(term.token)
        else:
            diary.drop_work()
        await asyncio.sleep(PERIOD)


if __name__ == "__main__":
    logs.to_stderr("INFO")
    asyncio.run(main(*sys.argv[1:]))
