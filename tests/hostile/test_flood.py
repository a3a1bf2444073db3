"""A replica with as many open streams as it takes: polls are answered as before, and the next stream is refused."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest

from leader_async.testing import ZooKeeper, zookeeper
from leader_async.web.broadcast import STREAMS

from ..support.reporting import measured
from ..support.zookeeper import free_ports

__all__ = ["zookeeper"]
ROOT = Path(__file__).parents[2]
POLL = "/api/LeaderElection/is-leader"
IDLE = 20
"""Of the streams, who never take anything."""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def files() -> Iterator[None]:
    """Room for the streams: here, and in what is started from here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, 3 * STREAMS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard if hard == resource.RLIM_INFINITY else max(hard, wanted)))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
async def idle() -> AsyncIterator[list[asyncio.Transport]]:
    """Connections that are ended only after the replica has been told to stop, and has."""
    transports: list[asyncio.Transport] = []
    yield transports
    for transport in transports:
        transport.abort()
    await asyncio.sleep(0)


@pytest.fixture
async def port(zookeeper: ZooKeeper, files: None, idle: list[asyncio.Transport]) -> AsyncIterator[int]:
    """The port of a leader in a process of its own."""
    (port,) = free_ports(1)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "leader_async", "serve", "--zookeeper", zookeeper.address, "--port", str(port),
        "--identity", "me", "--lease", "1", "--no-guardian", "--log-level", "error",
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        async with asyncio.timeout(30):
            while not (await answer(port, POLL)).endswith(b"me - True"):
                await asyncio.sleep(0.02)
        yield port
        process.terminate()
        async with asyncio.timeout(15):
            assert await process.wait() == 0, "a graceful stop does not wait for streams"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def answer(port: int, path: str) -> bytes:
    """The whole answer to a request, nothing if nobody listens."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return b""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(10):
        got = await reader.read(-1)
    writer.close()
    return got


class Stream(asyncio.Protocol):
    """One open stream, which counts its events."""

    def __init__(self, *, idle: bool) -> None:
        self.status, self.events, self._idle = b"", 0, idle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        if self._idle:
            transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self.status = self.status or data[9:12]
        self.events += data.count(b"\nevent: lease")


async def polled(port: int) -> list[float]:
    """Seconds that each of some thousand polls took, asked by another process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.polling", POLL, "4", "1", "1", str(port),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0, "a poll was not answered"
    (((_, taken),),) = json.loads(out)
    return [one / 1000 for one in taken]


async def test_a_thousand_open_streams_do_not_keep_polls_from_being_answered(
    port: int, idle: list[asyncio.Transport]
) -> None:
    before = await polled(port)
    loop = asyncio.get_running_loop()
    streams: list[Stream] = []
    try:
        while len(streams) < STREAMS:
            make = partial(Stream, idle=len(streams) < IDLE)
            streams.append((await loop.create_connection(make, "127.0.0.1", port))[1])
        idle += [stream.transport for stream in streams[:IDLE]]
        taking = streams[IDLE:]
        async with asyncio.timeout(30):
            while not all(stream.events for stream in taking):
                await asyncio.sleep(0.02)
        assert {stream.status for stream in taking} == {b"200"}
        assert b'"status": 503' in await answer(port, "/events")
        counted = [stream.events for stream in taking]
        during = await polled(port)
        assert all(stream.events > count for stream, count in zip(taking, counted, strict=True)), "all are told"
        measured("polls of a leader that nobody listens to", *before)
        measured(f"polls of a leader with {STREAMS} open streams", *during)
    finally:
        for stream in streams[IDLE:]:
            stream.transport.abort()
