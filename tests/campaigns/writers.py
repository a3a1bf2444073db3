"""Writers beside the replicas, one to each server, on bare sockets: they tell when a quorum answered.

Rules: they know nothing of the library that is judged, nor share a session with it. Each writes to a znode of its own,
again and again, and notes the instant of each answer, on the clock of the replicas' observations. An answer shows that
a quorum had committed the write, whatever else is said of servers, and who leads them.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence

from ..bench.candidates.bare import CREATE, Session, text
from .field import TIMEOUT
from .nemesis import now

PERIOD, PATIENCE = 0.1, 1.0
"""Seconds between two writes of one writer, and for an answer."""
SET_DATA, NO_NODE, NODE_EXISTS = 5, -101, -110
ANYBODY = struct.pack("!ii", 1, 31) + text("world") + text("anyone")


async def write(addresses: Sequence[str], answered: list[float]) -> None:
    """Write for as long as this is not cancelled.

    Args:
        addresses: of the servers.
        answered: gets the instants of all answers.
    """
    async with asyncio.TaskGroup() as group:
        for number, address in enumerate(addresses):
            group.create_task(_keep_writing(address, f"/writer-{number}", answered))


async def _keep_writing(address: str, path: str, answered: list[float]) -> None:
    host, _, port = address.rpartition(":")
    while True:
        try:
            async with asyncio.timeout(PATIENCE):
                _, session = await asyncio.get_running_loop().create_connection(
                    lambda: Session(TIMEOUT), host, int(port)
                )
            try:
                await _write(session, path, answered)
            finally:
                session.abort()
        except (OSError, TimeoutError):
            await asyncio.sleep(PERIOD)


async def _write(session: Session, path: str, answered: list[float]) -> None:
    """Write on this session until an answer does not come, or is none."""
    async with asyncio.timeout(PATIENCE):
        await session.ready
    while True:
        async with asyncio.timeout(PATIENCE):
            error, _ = await session.ask(SET_DATA, text(path) + struct.pack("!ii", 0, -1))
            if error == NO_NODE:
                error, _ = await session.ask(CREATE, text(path) + struct.pack("!i", 0) + ANYBODY + struct.pack("!i", 0))
        if error not in (0, NODE_EXISTS):
            return
        answered.append(now())
        await asyncio.sleep(PERIOD)
