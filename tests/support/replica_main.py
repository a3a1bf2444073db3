"""A replica in a process of its own, for tests that kill it: prints a line when it begins to lead, and when it ends."""

from __future__ import annotations

import asyncio
import sys

import leader_async
from leader_async import Term, clock

from . import loops


async def main(servers: str, name: str, identity: str, timeout: str, lease: str) -> None:
    async def work(term: Term) -> None:
        tell("leads", clock.now(), term.token)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            tell("ends", clock.now(), term.token)

    async with leader_async.connect(servers, timeout=float(timeout)) as zk:
        election = zk.election(name, identity=identity, lease=float(lease))
        running = asyncio.create_task(election.run(work))
        while not election.status().in_queue:
            await asyncio.sleep(0.01)
        tell("joined", clock.now(), 0)
        await running


def tell(what: str, when: float, token: int) -> None:
    sys.stdout.write(f"{what} {when:.6f} {token}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    loops.choose()
    asyncio.run(main(*sys.argv[1:]))
