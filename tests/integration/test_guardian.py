"""Processes that are killed while they lead, on a real ensemble of three; each has a guardian. The timeout is 10 s."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from statistics import median

import pytest

from leader_async import clock, connect

from ..support.replica import ROOT
from ..support.reporting import measured
from ..support.zookeeper import Ensemble
from .playing import leads, running, session_takes, until

TIMES = 50
AT_ONCE = 0.1
"""Seconds, half of the times, on a machine that does nothing else."""


async def start(address: str, name: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.unit.guardian.application", address, name, "wait",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


async def leads_and_is_guarded(replica: asyncio.subprocess.Process) -> None:
    assert replica.stdout is not None
    async with asyncio.timeout(30):
        while b"leads" not in (line := await replica.stdout.readline()):
            assert line, "it ended"


@pytest.mark.campaign
@pytest.mark.timeout(240)
async def test_kill_9_of_the_leading_process_50_times(ensemble: Ensemble, name: str) -> None:
    took, sessions = [], []
    async with connect(ensemble.address, timeout=10.0) as near:
        heir = near.election(name, identity="heir")
        async with running(heir):
            for _ in range(TIMES):
                await leads(heir)
                replica = await start(ensemble.address, name)
                try:
                    while len(await heir.candidates()) < 2:
                        await asyncio.sleep(0.02)
                    await heir.resign()
                    await leads_and_is_guarded(replica)
                    await until(lambda: heir.status().position == 1 and heir.candidacy.own.sight.armed is not None)
                    sessions.append(await session_takes(ensemble.address))
                    begin = clock.now()
                    replica.send_signal(signal.SIGKILL)
                    await leads(heir)
                    took.append(clock.now() - begin)
                finally:
                    if replica.returncode is None:
                        replica.kill()
                    await replica.communicate()
    measured("kill -9 of the leading process until the next leads, session timeout 10 s", *took)
    measured("a session that begins and ends, on the same machine at the same time", *sessions)
    assert median(took) < AT_ONCE + 10 * median(sessions)
