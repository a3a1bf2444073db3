"""What the tests of this folder do with elections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest

from leader_async import Election, Term, clock, connect
from leader_async.zookeeper import dialling

from ..support.waiting import until

__all__ = ["Pause", "idle", "leads", "pauses_of", "running", "session_takes", "until"]


class Pause(NamedTuple):
    """A client's pause between two rounds of dialling, in seconds: what it wants, whatever the machine makes of it."""

    began: float
    away: float
    seconds: float

    @property
    def short(self) -> bool:
        """Whether it is at most an eighth of the outage, so that a server that is back is found soon."""
        return self.seconds <= max(dialling.BACKOFF_FLOOR, self.away / 8)


def pauses_of(monkeypatch: pytest.MonkeyPatch) -> list[Pause]:
    """All pauses from now on."""
    pauses: list[Pause] = []
    backoff = dialling.backoff

    def told(away: float) -> float:
        pauses.append(Pause(clock.now(), away, backoff(away)))
        return pauses[-1].seconds

    monkeypatch.setattr(dialling, "backoff", told)
    return pauses


async def session_takes(address: str) -> float:
    """Seconds for a session to begin and end: how busy this machine is now."""
    begin = clock.now()
    async with connect(address) as zk:
        await zk.wait_connected()
    return clock.now() - begin


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
