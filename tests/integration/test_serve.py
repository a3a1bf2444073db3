"""Whole replicas, `leader-async serve`, on a real ZooKeeper."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from leader_async import Connection, clock

from ..support.reporting import measured
from ..support.zookeeper import Server
from .playing import leads, running, until

ROOT = Path(__file__).parents[2]


async def start(server: Server, name: str, identity: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "leader_async", "serve", "--port", "0", "--zookeeper", server.address,
        "--election", name, "--identity", identity, "--log-level", "error",
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.campaign
@pytest.mark.timeout(180)
async def test_sigterm_to_the_leading_replica_50_times(standalone: Server, near: Connection, name: str) -> None:
    """In two elections at the same time: nearly all of it is starting replicas."""
    took: list[float] = []
    async with asyncio.TaskGroup() as both:
        for number in (1, 2):
            both.create_task(sigterm_25_times(standalone, near, f"{name}-{number}", took))
    measured("SIGTERM to the leading replica until the next leads", *took)
    assert len(took) == 50
    assert sorted(took)[25] < 0.5, "half a second even on a loaded machine; the figure is in the report"


async def sigterm_25_times(standalone: Server, near: Connection, name: str, took: list[float]) -> None:
    heir = near.election(name, identity="heir")
    async with running(heir):
        await leads(heir)
        for number in range(25):
            replica = await start(standalone, name, f"replica-{number}")
            try:
                while len(await heir.candidates()) < 2:
                    await asyncio.sleep(0.02)
                await heir.resign()
                await until(lambda: heir.status().position == 1 and heir.candidacy.own.sight.armed is not None)
                while (leader := await heir.leader()) is None or leader.identity == "heir":
                    await asyncio.sleep(0.02)
                begin = clock.now()
                replica.send_signal(signal.SIGTERM)
                await leads(heir)
                took.append(clock.now() - begin)
                assert await replica.wait() == 0
            finally:
                if replica.returncode is None:
                    replica.kill()
                    await replica.wait()
