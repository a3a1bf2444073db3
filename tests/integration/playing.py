"""What the tests of this folder do with elections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from leader_async import Election, Term

from ..support.waiting import until

__all__ = ["idle", "leads", "running", "until"]


async def idle(term: Term) -> None:
    """Work that lasts as long as the term."""
    await asyncio.get_running_loop().create_future()


@asynccontextmanager
async def running(*elections: Election) -> AsyncIterator[None]:
    """All of these take part, joined in this order, while the block lasts."""
    tasks = []
    try:
        for election in elections:
            tasks.append(asyncio.create_task(election.run(idle)))
            await until(lambda election=election: election.status().position is not None)  # type: ignore[misc]
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def leads(election: Election, limit: float = 15.0) -> Term:
    """Return as soon as it leads."""
    await until(lambda: election.is_leader, limit)
    term = election.term
    assert term is not None
    return term
