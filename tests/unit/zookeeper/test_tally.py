"""Connections end for few causes, whatever the words."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from leader_async import connect
from leader_async.counting import Histogram
from leader_async.zookeeper import session
from leader_async.zookeeper.session import CLOSED
from leader_async.zookeeper.tally import Cause, SessionTally, cause

from ...support.waiting import until


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("no answer to the handshake", Cause.NO_ANSWER),
        ("end of stream inside the handshake", Cause.END_OF_STREAM),
        ("the server refused a session", Cause.REFUSED),
        ("the server broke the protocol: a frame of -1 bytes", Cause.PROTOCOL),
        ("it refuses us (TLSV13_ALERT_CERTIFICATE_REQUIRED)", Cause.REFUSED),
        ("[Errno 104] Connection reset by peer", Cause.NETWORK),
    ],
)
def test_causes(reason: str, expected: Cause) -> None:
    assert cause(reason) is expected


def test_every_reason_of_the_session_has_a_cause_of_its_own() -> None:
    source = Path(session.__file__).read_text()
    calls = re.findall(r"self\._?(?:drop|refuse)\((.*?)\)\n", source, re.DOTALL)
    reasons = [text for call in calls for text in re.findall(r'f?"([^"]+)"', call)]
    assert len(reasons) >= 11
    assert [reason for reason in reasons if cause(reason) is Cause.NETWORK] == []


def test_what_we_end_ourselves_is_not_counted() -> None:
    tally = SessionTally()
    tally.connected(resumed=False)
    tally.disconnected("end of stream of the connection")
    tally.connected(resumed=True)
    tally.disconnected(CLOSED)
    assert (tally.begun, tally.resumed, tally.ended) == (1, 1, {Cause.END_OF_STREAM: 1})


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
        await until(lambda: zk.client.tally.ended[Cause.END_OF_STREAM] + zk.client.tally.ended[Cause.NETWORK] >= 2)
        assert zk.client.status().since == since
