"""deploy/nginx.conf by nginx itself, in front of one replica of this process; and what compose.yaml publishes."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import yaml
from aiohttp import web

from deploy import servers
from leader_async import connect
from leader_async.testing import ZooKeeper, zookeeper
from leader_async.web import create_app
from leader_async.web.callers import Callers, bound
from leader_async.web.site import Site

from ..conftest import need
from ..support.zookeeper import free_ports
from .launching import ROOT

__all__ = ["zookeeper"]
LISTENERS = 100
"""Streams that one address may have; deploy/nginx.conf says so."""


@pytest.fixture
async def port(zookeeper: ZooKeeper, tmp_path: Path) -> AsyncIterator[int]:
    """The port of an nginx with a replica behind it."""
    nginx = servers.find_nginx()
    need(None if nginx else "no nginx here", "tests of deploy/nginx.conf", "install Debian's nginx")
    assert nginx is not None
    async with connect(zookeeper.address) as zk:
        runner = web.AppRunner(create_app(zk.election("leader", identity="me"), zk), shutdown_timeout=1)
        await runner.setup()
        sock = socket.create_server(("127.0.0.1", 0))
        await Site(Callers(runner, bound()), sock).start()
        (port,) = free_ports(1)
        servers.write_nginx_conf(tmp_path, port, [sock.getsockname()[1]])
        process = await asyncio.create_subprocess_exec(
            *servers.nginx_command(nginx, tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(10):
                while not await listens(port):
                    await asyncio.sleep(0.02)
            yield port
        finally:
            process.terminate()
            await process.wait()
            await runner.cleanup()


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def ask(port: int, request: str) -> bytes:
    """The whole answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"{request}\r\n\r\n".encode())
        async with asyncio.timeout(10):
            return await reader.read(-1)
    finally:
        writer.close()


async def test_a_client_of_http_1_0_without_a_host_is_answered(port: int) -> None:
    for path in ("/api/LeaderElection/is-leader", "/follower", "/loadbalancer/healthz"):
        assert b" 200 OK\r\n" in await ask(port, f"GET {path} HTTP/1.0"), path
        assert b" 200 OK\r\n" in await ask(port, f"GET {path} HTTP/1.1\r\nHost: x:5001\r\nConnection: close"), path
    assert b" 503 " in await ask(port, "GET /leader HTTP/1.0"), "there is none"


async def test_one_client_has_a_bound_of_streams(port: int) -> None:
    async with AsyncExitStack() as stack:

        async def begins() -> bool:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
            writer.write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(10):
                return b" 200 OK\r\n" in await reader.readuntil(b"\r\n\r\n")

        assert [await begins() for _ in range(LISTENERS + 1)] == [*[True] * LISTENERS, False]
        assert b" 200 OK\r\n" in await ask(port, "GET /status HTTP/1.1\r\nHost: x\r\nConnection: close"), (
            "all else goes on"
        )
        await stack.aclose()
        async with asyncio.timeout(10):
            while not await begins():
                await asyncio.sleep(0.02)


def test_compose_publishes_on_the_loopback_interface_only() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    published = {name: port for name, service in services.items() for port in service.get("ports", [])}
    assert {*published} == {"loadbalancer", "prometheus", "grafana"}
    assert published.pop("loadbalancer") == "${ADDRESS:-127.0.0.1}:${PORT:-5001}:8080"
    assert all(port.startswith("127.0.0.1:") for port in published.values())
