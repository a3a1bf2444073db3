"""The history on a real ZooKeeper: what is told of a leader that was killed, with and without a guardian."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import pytest

from leader_async import Connection, Election, TermEntry

from ..support.replica import Replica
from ..support.zookeeper import Server
from .playing import leads, running
from .test_guardian import leads_and_is_guarded, start


async def told(election: Election, wanted: Callable[[TermEntry], bool]) -> TermEntry:
    async with asyncio.timeout(30):
        while True:
            for entry in await election.history():
                if wanted(entry):
                    return entry
            await asyncio.sleep(0.02)


@pytest.mark.timeout(90)
async def test_kill_9_without_a_guardian_is_told_by_the_successor(
    standalone: Server, near: Connection, name: str
) -> None:
    replica = Replica(standalone.address, name, "killed", timeout=2.0, lease=0.5)
    heir = near.election(name, identity="heir", lease=0.5)
    try:
        await replica.start()
        await replica.line("leads")
        async with running(heir):
            replica.signal(signal.SIGKILL)
            await leads(heir, 30)
            entry = await told(heir, lambda entry: bool(entry.told_by))
            assert (entry.identity, entry.why) == ("killed", "session expired or machine lost")
            assert (entry.told_by, entry.at_least) == ("successor", True)
            assert entry.leaderless_ms is not None
            assert entry.leaderless_ms >= 49, "a tenth of its lease"
    finally:
        await replica.kill()


@pytest.mark.timeout(90)
async def test_kill_9_with_a_guardian_is_told_by_it(standalone: Server, near: Connection, name: str) -> None:
    heir = near.election(name, identity="heir")
    replica = await start(standalone.address, name)
    try:
        await leads_and_is_guarded(replica)
        async with running(heir):
            token = (await told(heir, lambda entry: entry.term == 1)).token
            replica.send_signal(signal.SIGKILL)
            await leads(heir, 30)
            entry = await told(heir, lambda entry: bool(entry.why))
            assert (entry.token, entry.why, entry.told_by) == (token, "process died", "guardian")
            assert entry.leaderless_ms is not None
            assert not entry.at_least
    finally:
        if replica.returncode is None:
            replica.kill()
        await replica.communicate()
