"""Replicas in processes of their own, which can be killed and frozen."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Replica:
    """One process that runs `replica_main`."""

    def __init__(self, servers: str, name: str, identity: str, *, timeout: float = 4.0, lease: float = 1.5) -> None:
        self.identity = identity
        self._arguments = [servers, name, identity, str(timeout), str(lease)]
        self._process: asyncio.subprocess.Process | None = None
        self._told: list[tuple[str, float]] = []

    async def start(self) -> None:
        """Start it; returns when it stands in the queue."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.replica_main", *self._arguments,
            stdout=asyncio.subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        await self.line("joined")

    async def line(self, what: str) -> float:
        """Wait for its next line of this kind that was not asked for yet; returns the clock's reading in it."""
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            while True:
                for index, (kind, when) in enumerate(self._told):
                    if kind == what:
                        del self._told[index]
                        return when
                words = (await self._process.stdout.readline()).decode().split()
                assert words, f"{self.identity} has ended"
                self._told.append((words[0], float(words[1])))

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.communicate()
