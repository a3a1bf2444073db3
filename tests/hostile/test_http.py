"""The status service under its own description, and under requests that no description allows."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error

from leader_async import Schedule, connect
from leader_async.testing import ZooKeeper
from leader_async.web import create_app
from leader_async.web.callers import CONNECTIONS, Callers, bound
from leader_async.web.openapi import description
from leader_async.web.routes import ROUTES
from leader_async.web.site import Site

from ..support.reporting import measured

TOKEN = "a token that nobody can guess"
# A stream has no end to wait for; tests/unit/web/test_events.py holds its events to their schemas.
SCHEMA = schemathesis.openapi.from_dict(description(ROUTES)).exclude(path_regex="/events$")
pytestmark = pytest.mark.timeout(120)


class Service:
    """A leader's service in a thread of its own, at a real port."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._ready = threading.Event()
        self.port = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Service:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *failure: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with connect(self._servers, timeout=6.0) as zk:
            await zk.wait_connected()
            election = zk.election("hostile", identity="me")
            jobs = Schedule(election)
            jobs.every(3600, name="job")(print)
            running = asyncio.create_task(jobs.run())
            while not await jobs.jobs():
                await asyncio.sleep(0.005)
            runner = web.AppRunner(create_app(election, zk, resign_token=TOKEN, schedule=jobs))
            await runner.setup()
            sock = socket.create_server(("127.0.0.1", 0), backlog=1024)
            await Site(Callers(runner, bound()), sock).start()
            self.port = sock.getsockname()[1]
            self._ready.set()
            await self._stop.wait()
            await runner.cleanup()
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with ZooKeeper() as zookeeper, Service(zookeeper.address) as running:
        yield running


def test_every_route_is_described_and_every_description_is_a_route() -> None:
    zk = connect("127.0.0.1:1")
    app = create_app(zk.election("x"), zk)
    known = {
        (route.method.lower(), route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method in ("GET", "POST")
    }
    paths = description(ROUTES)["paths"]
    assert known == {(method, path) for path, methods in paths.items() for method in methods}


@SCHEMA.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_service_keeps_to_its_description(case: schemathesis.Case[Any], service: Service) -> None:
    answer = case.call_and_validate(
        base_url=f"http://127.0.0.1:{service.port}",
        excluded_checks=[not_a_server_error],  # 503 says who leads, it is no failure
    )
    assert answer.status_code != 500


HOSTILE = [
    b"GET\r\n\r\n",
    b"\0\0\0\0\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET /status HTTP/1.0\r\n\r\n",
    b"GET http://elsewhere/status HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /%00%ff%2e%2e/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /status HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20000 + b"\r\n\r\n",
    b"GET /status HTTP/1.1\r\nHost: x\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(3000)) + b"\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: x\r\n\r\n" + b"\xff" * 4096,
    b"GET /status HTTP/1.1\r\nHost: x\r\nAccept: " + b"application/," * 600 + b"\r\n\r\n",
    b"BREW /status HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /resign HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n" + b"z" * 4096,
    b"POST /resign HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /resign HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
    b"POST /resign HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\xfd\r\nContent-Length: 0\r\n\r\n",
    b"POST /resign HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \r\nContent-Length: 0\r\n\r\n",
    b"GET /jobs/%2e%2e HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /jobs/%00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /jobs/a%2fb HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /jobs/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /jobs/" + b"a" * 7000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /status HTTP/1.1\r\nHost: x\r\nX: a\r\n folded\r\n\r\n",
    b"GET /status HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    b"GET /status HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /status HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + b"\xff" * 4096,
    b"POST /resign HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    b"POST /resign HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\n\x1f\x8b junk..",
    b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n" * 200,
    b"GET /status HTTP/1.1\r\nHost: x\r\nAccept: " + b"text/html;q=" * 500 + b"\r\n\r\n",
    b"GET /api/LeaderElection/is-leader HTTP/1.1\r\nHost: x\r\nAccept: \xff\xff,*/*;q=nan\r\n\r\n",
]


@pytest.mark.parametrize("sent", HOSTILE, ids=range(len(HOSTILE)))
async def test_what_is_no_request_harms_nobody(service: Service, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(sent)
    with contextlib.suppress(OSError):
        writer.write_eof()
    answer = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(20):
            answer = await reader.read(-1)
    writer.close()
    assert b"Traceback" not in answer
    assert not answer.startswith((b"HTTP/1.1 5", b"HTTP/1.0 5"))
    # And the poll is answered as before.
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(b"GET /api/LeaderElection/is-leader HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(10):
        assert (await reader.read(-1)).endswith(b"me - True")
    writer.close()


async def poll(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
    """Seconds until a poll was answered."""
    began = time.monotonic()
    writer.write(b"GET /api/LeaderElection/is-leader HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    # True or False: on a machine that is busy with the flood the lease may run out. It is answered.
    assert (await reader.readexactly(length)).startswith(b"me - ")
    return time.monotonic() - began


async def test_polls_are_answered_while_strangers_flood(service: Service) -> None:
    balancer = await asyncio.open_connection("127.0.0.1", service.port)
    await poll(*balancer)
    # More slow ones than places, and as much nonsense as one process can send.
    flood = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.hostile.flood", str(service.port), str(CONNECTIONS + 100), stdout=subprocess.PIPE
    )
    assert flood.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert await flood.stdout.readline() == b"flooding\n"
            kept, new = [], []
            for _ in range(100):
                kept.append(await poll(*balancer))
                began = time.monotonic()
                reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
                await poll(reader, writer)
                new.append(time.monotonic() - began)
                writer.close()
        assert flood.returncode is None
    finally:
        flood.kill()
        await flood.wait()
        balancer[1].close()
    measured("a poll on a kept connection, in a flood of nonsense and slow strangers", *kept)
    measured("a poll on a new connection, in a flood of nonsense and slow strangers", *new)
