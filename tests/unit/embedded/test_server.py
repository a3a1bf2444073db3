"""The embedded server over asyncio."""

from __future__ import annotations

import asyncio
import socket

import pytest

from leader_async.embedded import EmbeddedServer


@pytest.mark.parametrize("iterations", range(8))
async def test_whoever_connects_as_it_closes_is_hung_up_on_as_well(iterations: int) -> None:
    server = EmbeddedServer()
    async with server:
        host, _, port = server.address.rpartition(":")
        with socket.create_connection((host, int(port))) as client:
            client.setblocking(False)
            for _ in range(iterations):  # the server accepts it, or is about to
                await asyncio.sleep(0)
            await server.close()
            async with asyncio.timeout(10):
                try:
                    assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
                except ConnectionResetError:
                    pass
    assert not server._clients
