"""A replica that strangers ask for as much as they can: it goes on leading, and polls are answered.

What is judged is the lease: it never ran out, and no confirm was refused or lost. How long polls took is reported.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import pytest

from leader_async.testing import ZooKeeper
from leader_async.web.broadcast import STREAMS

from ..support.reporting import measured
from ..support.zookeeper import free_ports

ROOT = Path(__file__).parents[2]
POLL = "/api/LeaderElection/is-leader"
IDLE = 20
"""Of the streams, who never take anything."""

CALLERS = 1500
LEASE = 4.0
MIB = 2**20

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def zookeeper() -> Iterator[ZooKeeper]:
    """One that grants sessions of the length that is asked for."""
    with ZooKeeper(tick=0.5) as server:
        yield server


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


class Leader(NamedTuple):
    """A replica in a process of its own."""

    port: int
    pid: int

    async def suspended(self) -> dict[str, float]:
        """How often its lease ran out or was not confirmed."""
        text = (await answer(self.port, "/metrics")).decode()
        lines = [line.rpartition(" ") for line in text.splitlines()]
        names = ("leader_async_suspensions_total", "leader_async_confirm_failures_total")
        return {name: float(value) for name, _, value in lines if name.startswith(names)}

    def memory(self) -> int:
        """Bytes that it has in memory."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()


@pytest.fixture
async def leader(zookeeper: ZooKeeper, files: None, idle: list[asyncio.Transport]) -> AsyncIterator[Leader]:
    """One that leads."""
    (port,) = free_ports(1)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "leader_async", "serve", "--zookeeper", zookeeper.address, "--port", str(port),
        "--identity", "me", "--lease", str(LEASE), "--no-guardian", "--log-level", "error",
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        async with asyncio.timeout(30):
            while not (await answer(port, POLL)).endswith(b"me - True"):
                await asyncio.sleep(0.02)
        yield Leader(port, process.pid)
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


class Caller(asyncio.Protocol):
    """A stranger."""

    def __init__(self) -> None:
        self.ended = self.done = False
        self._question, self._until, self._left, self._rest = b"", 0.0, 0, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def asks(self, question: bytes, until: float) -> None:
        """Ask this, again when it was answered, until this time."""
        self._question, self._until = question, until
        self._left = question.count(b"HEAD ")
        self.transport.write(question)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        self._left -= data.count(b"HTTP/1.1 ")
        self._rest = data[-8:]
        if self._left <= 0 and not self.done:
            self.done = asyncio.get_running_loop().time() > self._until
            if not self.done:
                self.asks(self._question, self._until)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True


async def called(port: int, number: int) -> list[Caller]:
    """So many connections."""
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Caller, "127.0.0.1", port))[1] for _ in range(number)]


async def polls(port: int, until: Callable[[], bool]) -> list[float]:
    """Seconds that polls took, one after the other, until this holds."""
    taken: list[float] = []
    async with asyncio.timeout(60):
        while not until():
            began = asyncio.get_running_loop().time()
            assert (await answer(port, POLL)).endswith(b"me - True"), f"no lease after {len(taken)} polls"
            taken.append(asyncio.get_running_loop().time() - began)
    return taken


class Stream(asyncio.Protocol):
    """One open stream, which counts its events."""

    def __init__(self, *, idle: bool) -> None:
        self.status, self.events, self.ended, self._idle = b"", 0, False, idle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        if self._idle:
            transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self.status = self.status or data[9:12]
        self.events += data.count(b"\nevent: lease")

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True


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
    leader: Leader, idle: list[asyncio.Transport]
) -> None:
    port = leader.port
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
        async with asyncio.timeout(30):  # all are told
            while not all(stream.events > count for stream, count in zip(taking, counted, strict=True)):
                await asyncio.sleep(0.02)
        assert set((await leader.suspended()).values()) == {0.0}
        measured("polls of a leader that nobody listens to", *before)
        measured(f"polls of a leader with {STREAMS} open streams", *during)
    finally:
        for stream in streams[IDLE:]:
            stream.transport.abort()


async def test_one_client_with_all_streams_keeps_nobody_else_from_the_page(
    leader: Leader, idle: list[asyncio.Transport]
) -> None:
    loop = asyncio.get_running_loop()

    async def opened(origin: str, number: int) -> list[Stream]:
        make, local = partial(Stream, idle=False), (origin, 0)
        made = [
            (await loop.create_connection(make, "127.0.0.1", leader.port, local_addr=local))[1] for _ in range(number)
        ]
        async with asyncio.timeout(30):
            while not all(stream.status for stream in made):
                await asyncio.sleep(0.02)
        idle.extend(stream.transport for stream in made)
        return made

    greedy = await opened("127.0.0.1", STREAMS)
    others = await opened("127.0.0.2", 20) + await opened("127.0.0.3", 20)
    assert {stream.status for stream in others} == {b"200"}
    (again,) = await opened("127.0.0.1", 1)
    assert again.status == b"503", "who has most gets no more"
    async with asyncio.timeout(30):
        while not all(stream.events for stream in others) or sum(stream.ended for stream in greedy) < 40:
            await asyncio.sleep(0.02)
    assert [stream.ended for stream in greedy[:41]] == [*[True] * 40, False], "the oldest make room"


PATHS = ["/openapi.json", "/assets/page.js", "/metrics", "/status", "/", "/candidates", "/history", "/jobs"]


async def test_the_lease_is_kept_while_strangers_ask_for_what_is_costly(leader: Leader) -> None:
    callers = await called(leader.port, CALLERS)
    until = asyncio.get_running_loop().time() + 2 * LEASE  # the flood has to last
    try:
        for caller, path in zip(callers, cycle(PATHS), strict=False):
            caller.asks(f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 10, until)
        taken = await polls(leader.port, lambda: all(caller.done for caller in callers))
        assert set((await leader.suspended()).values()) == {0.0}
        measured(f"polls while {CALLERS} strangers ask for {len(PATHS)} pages, 10 times each, again and again", *taken)
    finally:
        for caller in callers:
            caller.transport.abort()


async def test_requests_that_never_end_cost_little_memory(leader: Leader) -> None:
    callers = await called(leader.port, 1000)
    before = leader.memory()
    try:
        unfinished = b"GET /status HTTP/1.1\r\n" + b"".join(b"X%d: %b\r\n" % (n, b"y" * 8000) for n in range(62))
        for caller in callers:
            caller.transport.write(unfinished)
        taken = await polls(leader.port, lambda: all(caller.ended for caller in callers))
        assert leader.memory() - before < 64 * MIB, "the bound of each is 32 kB"
        assert set((await leader.suspended()).values()) == {0.0}
        measured("polls while 1000 strangers send requests that never end", *taken)
    finally:
        for caller in callers:
            caller.transport.abort()
