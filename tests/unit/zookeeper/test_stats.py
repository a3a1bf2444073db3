"""Connections end for few causes, whatever the words."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from leader_async import connect
from leader_async.histogram import Histogram
from leader_async.zookeeper.messages import Cause
from leader_async.zookeeper.stats import SessionStats

from ...support.waiting import until


def test_what_we_end_ourselves_is_not_counted() -> None:
    stats = SessionStats()
    stats.connected(resumed=False)
    stats.disconnected(Cause.END_OF_STREAM)
    stats.connected(resumed=True)
    stats.disconnected(Cause.CLOSED)
    assert (stats.begun, stats.resumed, stats.ended) == (1, 1, {Cause.END_OF_STREAM: 1})


def test_a_duration_is_counted_at_the_bound_that_it_does_not_exceed() -> None:
    histogram = Histogram((0.1, 1.0))
    for seconds in (0.0, 0.1, 0.5, 1.0, 7.0):
        histogram.observe(seconds)
    assert histogram.counts == [2, 2, 1]
    assert histogram.total == pytest.approx(8.6)


async def test_servers_that_hang_up_do_not_shorten_the_outage() -> None:
    def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server, connect(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout=1.0) as zk:
        since = zk.client.status().since
        await until(lambda: zk.client.stats.ended[Cause.END_OF_STREAM] + zk.client.stats.ended[Cause.NETWORK] >= 2)
        assert zk.client.status().since == since


async def test_dials_that_do_not_come_about_are_counted_by_what_kept_them() -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    async with connect([f"127.0.0.1:{port}", "no-such-host.invalid"], timeout=1.0) as zk:
        ended = zk.client.stats.ended
        await until(lambda: ended[Cause.NETWORK] >= 2 and ended[Cause.UNKNOWN_NAME] >= 2)
        assert set(ended) == {Cause.NETWORK, Cause.UNKNOWN_NAME}
    assert set(ended) == {Cause.NETWORK, Cause.UNKNOWN_NAME}
