"""Partitions on a real standalone ZooKeeper."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from leader_async import clock

from ..support.reporting import measured
from ..support.shares import Field
from ..support.zookeeper import Server

pytestmark = pytest.mark.timeout(120)


async def test_three_replicas_share_64_partitions(standalone: Server) -> None:
    field = Field(standalone.address, 64, timeout=4.0, lease=2.0)
    async with AsyncExitStack() as stack:
        there = []
        for number in range(3):
            field.moves.clear()
            there.append(await stack.enter_async_context(field.replica(f"r{number}")))
            await field.balanced(60.0)
            assert len(field.moves) <= 64 // (number + 1)
            assert sorted(len(replica.parts.held) for replica in there)[-1] - 64 // (number + 1) <= 1
        had = there[1].parts.held
        field.moves.clear()
        await there.pop(1).stop()
        await field.balanced(60.0)
        assert {part for part, _, _ in field.moves} == had
        assert max(field.gaps) < 2.0, "handed over: no lease had to be waited out"
        measured("partitions: from the end of work to its start elsewhere, standalone", *field.gaps)


async def test_balancing_256_partitions_is_measured(standalone: Server) -> None:
    field = Field(standalone.address, 256, timeout=4.0, lease=2.0, name="many")
    async with AsyncExitStack() as stack:
        for number in range(5):
            begin = clock.now()
            await stack.enter_async_context(field.replica(f"r{number}"))
            await field.balanced(60.0)
            measured(f"partitions: 256 balanced after replica {number + 1} has come, standalone", clock.now() - begin)
        begin = clock.now()
        await field.replicas[0].stop()
        await field.balanced(60.0)
        measured("partitions: 256 balanced after one of 5 has stopped, standalone", clock.now() - begin)
        measured("partitions: 256, from the end of work to its start elsewhere, standalone", *field.gaps)
