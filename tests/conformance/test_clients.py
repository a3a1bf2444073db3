"""Other people's clients, and hostile ones, at the embedded server."""

from __future__ import annotations

import asyncio
import importlib
import struct
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leader_async.embedded import EmbeddedServer
from leader_async.embedded.alone import Alone
from leader_async.zookeeper import foreign, wire
from leader_async.zookeeper import messages as m

from .talking import Clock, Talker

aiozk: Any = importlib.import_module("aiozk")


async def test_aiozks_client() -> None:
    async with EmbeddedServer(tick=0.5) as server:
        one, two = aiozk.ZKClient(server.address), aiozk.ZKClient(server.address)
        await one.start()
        await two.start()
        try:
            assert await one.create("/a", b"data") == "/a"
            assert await two.get_data("/a") == b"data"
            await one.set_data("/a", b"more")
            assert await two.exists("/a")
            assert not await two.exists("/b")
            with pytest.raises(aiozk.exc.NodeExists):
                await two.create("/a")
            assert await one.create("/a/s-", ephemeral=True, sequential=True) == "/a/s-0000000000"
            assert await two.get_children("/a") == ["s-0000000000"]
            with pytest.raises(aiozk.exc.NotEmpty):
                await one.delete("/a")
            transaction = one.begin_transaction()
            transaction.check_version("/a", 1)
            transaction.create("/t", b"")
            assert await transaction.commit()
            gone = two.wait_for_events([aiozk.WatchEvent.DELETED], "/t")
            assert await two.exists("/t", watch=True)
            await one.delete("/t")
            await asyncio.wait_for(gone, 5)
        finally:
            await one.close()
            await two.close()
        assert server.sessions == []


async def test_aiozks_election() -> None:
    async with EmbeddedServer(tick=0.5) as server:
        clients = [aiozk.ZKClient(server.address) for _ in range(2)]
        for client in clients:
            await client.start()
        try:
            elections = [client.recipes.LeaderElection("/election") for client in clients]
            await elections[0].volunteer()
            await asyncio.wait_for(elections[0].wait_for_leadership(5), 6)
            await elections[1].volunteer()
            assert not elections[1].has_leadership
            await elections[0].resign()
            await asyncio.wait_for(elections[1].wait_for_leadership(5), 6)
        finally:
            for client in clients:
                await client.close()


def passwords() -> Iterator[bytes]:
    while True:
        yield bytes(16)


VALID = [
    wire.encode_connect(m.Connect(0, 6.0, 0, bytes(16))),
    wire.encode_request(1, m.Create("/a", b"data", ephemeral=True, sequential=True)),
    wire.encode_request(2, m.Multi((m.Check("/a"), m.SetData("/a", b"", -1), m.Delete("/b")))),
    wire.encode_request(3, m.GetChildren("/", watch=True)),
    wire.encode_request(wire.SET_WATCHES_XID, m.SetWatches(1, ("/a",), ("/b",), ("/c",))),
    wire.encode_request(wire.AUTH_XID, m.Authenticate("digest", b"a:b")),
    wire.encode_request(4, m.SetAccess("/a", m.OPEN)),
    wire.encode_request(wire.PING_XID, m.Ping()),
    wire.encode_request(5, m.Close()),
]


@st.composite
def hostile(draw: st.DrawFn) -> bytes:
    """Valid frames, some of them harmed."""
    parts = [VALID[0]] if draw(st.booleans()) else []
    for part in draw(st.lists(st.one_of(st.sampled_from(VALID), st.binary(max_size=60)), max_size=8)):
        data = bytearray(part)
        for _ in range(draw(st.integers(0, 2))):
            if data:
                data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
        parts.append(bytes(data[: draw(st.integers(0, len(data)))] if draw(st.integers(0, 5)) == 0 else data))
    return b"".join(parts)


@settings(max_examples=1500, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.timeout(60)
@given(data=hostile(), cuts=st.lists(st.integers(1, 50), max_size=6))
def test_whatever_a_client_sends_nothing_breaks_and_others_are_served(data: bytes, cuts: list[int]) -> None:
    alone = Alone(tick=1.0, start=0, passwords=passwords(), wall=lambda: 1.0)
    host = alone.host
    friend, stranger = host.open("127.0.0.1"), host.open("127.0.0.1")
    host.receive(friend, VALID[0], 0.0)
    for cut in cuts:
        host.receive(stranger, data[:cut], 0.0)
        data = data[cut:]
    host.receive(stranger, data, 0.0)
    host.take()
    host.receive(friend, wire.encode_request(7, m.Create("/friend")), 0.0)
    answers = [answer for number, answer in host.take() if number == friend and answer is not None]
    frames = [frame for answer in answers for frame in wire.FrameReader().feed(answer)]
    assert wire.decode_header(frames[-1])[0] == 7
    alone.tick(100.0)
    assert host.tree.sessions == {}


async def test_lengths_are_not_believed() -> None:
    async with EmbeddedServer(tick=0.5) as server:
        tracemalloc.start()
        try:
            greedy = Talker(Clock(exact=False), "")
            await greedy.dial(server.address)
            await greedy.greet()
            # A list that says that it has 2^31 - 1 entries, in a frame of 32 bytes.
            greedy.write(struct.pack("!iiiqi", 20, 9, 101, 0, 2**31 - 1))
            frame = await greedy.frame()
            assert frame is not None
            assert wire.decode_header(frame)[2] == foreign.UNREADABLE
            assert tracemalloc.get_traced_memory()[1] < 2**20
        finally:
            tracemalloc.stop()
        friend = Talker(Clock(exact=False), "")
        await friend.dial(server.address)
        assert await friend.greet() is not None
        for talker in (greedy, friend):
            talker.close()
