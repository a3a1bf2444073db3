"""The embedded ZooKeeper in the foreground: to try things on one machine, until a signal stops it."""

from __future__ import annotations

import asyncio
import logging
import signal

from ..embedded import EmbeddedServer
from ..embedded.server import check_tick
from ..signals import listen
from .exits import Exit
from .serve import bind

log = logging.getLogger("leader_async.embedded")

WARNING = "in memory, in one process: no replication, nothing on disk, gone when this process ends; not for production"


async def run(host: str, port: int, tick: float) -> Exit:
    """Serve until SIGTERM or SIGINT, on a free port if it is 0; sessions last 2 to 20 ticks, of so many seconds.

    Raises:
        UsageError: the tick cannot be used.
        CannotListen: the port is taken or may not be used.
    """
    check_tick(tick)  # here: wrong usage is an error before a port is tried
    stop = asyncio.Event()
    listen(dict.fromkeys((signal.SIGTERM, signal.SIGINT), stop.set))
    async with EmbeddedServer(tick=tick, sock=bind(host, port)) as server:
        log.info("embedded ZooKeeper at %s (%s)", server.address, WARNING, extra={"event": "listening"})
        await stop.wait()
    log.info("stopped; everything that was stored is gone", extra={"event": "stopped"})
    return Exit.STOPPED
