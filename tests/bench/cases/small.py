"""Small things: an import, and a confirm."""

from __future__ import annotations

import asyncio
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import leader_async

from ...support.proxy import MULTI, Proxy
from ..bench import Bench, ZooKeeper
from ..candidates.bare import GET_CHILDREN, GET_DATA, Session, dial, names, text
from ..figures import Figure
from ..systems import LIMIT, OURS, ROOT

IMPORTS = {
    OURS: "leader_async",
    "aiozk": "aiozk",
    "kazoo": "kazoo.client",
    LIMIT: "asyncio",
}
CHECK = 13
NAME = "confirms"


async def imports(bench: Bench) -> list[Figure]:
    """What an import adds to the start of an interpreter."""
    systems = [system for system in bench.systems if system in IMPORTS]
    times: dict[str, list[float]] = {system: [] for system in systems}
    for repetition in range(bench.some(7, 30) + 1):
        start = await asyncio.to_thread(_start, "pass")
        for system in systems:
            taken = await asyncio.to_thread(_start, f"import {IMPORTS[system]}") - start
            if repetition:  # the first one may have to compile
                times[system].append(taken * 1000)
    return [Figure("import", system, taken) for system, taken in times.items()]


def _start(code: str) -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    return time.monotonic() - began


async def confirms(bench: Bench) -> list[Figure]:
    """`await term.confirm()`, a quorum write, against the same bytes written to a bare socket, turn by turn.

    Both in one process and one event loop.
    """
    figures = []
    for count in (1, 3):
        async with bench.zookeeper(count) as zookeeper:
            figures += await _confirms(bench, zookeeper, f"confirm, {count} server{'s' if count > 1 else ''}")
    return figures


async def _confirms(bench: Bench, zookeeper: ZooKeeper, case: str) -> list[Figure]:
    # Both at the same server: to its leader is another way than to a follower.
    server = zookeeper.servers[0]
    ours: list[float] = []
    bare: list[float] = []
    async with Proxy(server.host, server.port) as way, leading(way.address) as term:
        sent, size = way.requests[MULTI], way.bytes[MULTI]
        for _ in range(10):
            await term.confirm()
        size = (way.bytes[MULTI] - size) // (way.requests[MULTI] - sent)
    async with leading(server.address) as term:
        session = await dial(server.address, 6.0)
        frame = await _frame(session)
        for _ in range(bench.some(100, 2000)):
            await _timed(ours, term.confirm)
            await _timed(bare, lambda: session.ask(MULTI, frame))
            await asyncio.sleep(0.002)
        session.close()
    sizes = {"frame_bytes": float(size)}, {"frame_bytes": float(12 + len(frame))}
    return [Figure(case, OURS, ours, sizes[0]), Figure(case, LIMIT, bare, sizes[1])]


@asynccontextmanager
async def leading(address: str) -> AsyncIterator[leader_async.Term]:
    """Lead an election of one."""
    led: asyncio.Future[leader_async.Term] = asyncio.get_running_loop().create_future()

    async def work(term: leader_async.Term) -> None:
        led.set_result(term)
        await asyncio.get_running_loop().create_future()

    async with leader_async.connect(address) as zk:
        running = asyncio.create_task(zk.election(NAME, root="/bench").run(work))
        yield await asyncio.wait_for(led, 30)
        running.cancel()
        await asyncio.wait([running])


async def _frame(session: Session) -> bytes:
    """What a confirm of that leader says, the frame's header left out."""
    path = f"/bench/{NAME}"
    _, children = await session.ask(GET_CHILDREN, text(path) + b"\0")
    _, data = await session.ask(GET_DATA, text(path) + b"\0")
    (length,) = struct.unpack_from("!i", data)
    (version,) = struct.unpack_from("!i", data, 4 + length + 32)  # of the stat, after two zxids and two times
    checks = (f"{path}/{names(children)[0]}", -1), (path, version)
    body = [struct.pack("!i?i", CHECK, False, -1) + text(one) + struct.pack("!i", number) for one, number in checks]
    return b"".join(body) + struct.pack("!i?i", -1, True, -1)


async def _timed(taken: list[float], doing: Callable[[], Awaitable[object]]) -> None:
    began = time.monotonic()
    await doing()
    taken.append((time.monotonic() - began) * 1000)
