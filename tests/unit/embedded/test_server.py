"""The embedded server over asyncio."""

from __future__ import annotations

import asyncio
import socket
import struct
import tracemalloc

import pytest

from leader_async.embedded import EmbeddedServer
from leader_async.errors import UsageError
from leader_async.zookeeper import messages as m
from leader_async.zookeeper import wire

from ...conformance.talking import Clock, Talker


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


async def test_replies_that_nobody_reads_are_not_made() -> None:
    """What is kept for a client that asks and does not read has a bound; it gets all when it reads."""
    async with EmbeddedServer() as server:
        greedy, friend = Talker(Clock(exact=False), ""), Talker(Clock(exact=False), "")
        for talker in (greedy, friend):
            await talker.dial(server.address)
            await talker.greet()
        await friend.ask(m.Create("/big", bytes(500_000)))
        tracemalloc.start()
        try:
            greedy.write(b"".join(wire.encode_request(xid, m.GetData("/big")) for xid in range(100, 300)))
            for _ in range(20):
                await friend.ask(m.Exists("/big"))
            assert tracemalloc.get_traced_memory()[1] < 10_000_000, "200 replies would be 100,000,000"
        finally:
            tracemalloc.stop()
        for xid in range(100, 300):
            frame = await greedy.frame()
            assert frame is not None
            assert wire.decode_header(frame)[::2] == (xid, 0)
            assert len(frame) > 500_000
        for talker in (greedy, friend):
            talker.close()


async def test_whoever_leaves_its_events_unread_is_hung_up_on() -> None:
    async with EmbeddedServer(tick=60.0) as server:
        deaf, friend = Talker(Clock(exact=False), ""), Talker(Clock(exact=False), "")
        for talker in (deaf, friend):
            await talker.dial(server.address)
            await talker.greet()
        path = "/" + "x" * 200_000
        await friend.ask(m.Create(path))
        await deaf.raw(106, struct.pack("!i", len(path)) + path.encode() + struct.pack("!i", 0))
        for _ in range(400):  # 80 MB of events, far more than what is kept here and in the kernel
            await friend.ask(m.SetData(path, b"", -1))
            if not server._alone.host.serving(deaf.session):
                break
        with pytest.raises(UsageError, match="is not connected"):
            server.disconnect(deaf.session)
        assert deaf.session in server.sessions
        for talker in (deaf, friend):
            talker.close()


async def test_a_token_is_exact_wherever_it_is_shown() -> None:
    async with EmbeddedServer() as server:
        talker = Talker(Clock(exact=False), "")
        await talker.dial(server.address)
        await talker.greet()
        await talker.ask(m.Create("/a"))
        assert 2**32 < talker.zxid < 2**53, "a float, and so a metric and JavaScript, holds it"
        assert float(talker.zxid) != float(talker.zxid + 1)
        talker.close()
