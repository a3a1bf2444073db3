"""The election on a real standalone ZooKeeper whose connections, replies or whole life are interfered with."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import struct
from pathlib import Path
from statistics import median

import pytest

from leader_async import Connection, ConnectionLost, NotConnected, clock, connect
from leader_async.zookeeper import dialling
from leader_async.zookeeper import messages as m
from leader_async.zookeeper.messages import Cause

from ..support.history import Recorder, overlaps
from ..support.proxy import CREATE, MULTI, Proxy
from ..support.reporting import measured
from ..support.zookeeper import Server, free_ports
from .playing import Pause, leads, pauses_of, running, session_takes, until

pytestmark = pytest.mark.timeout(60)


async def test_a_lost_create_reply_leaves_one_znode_which_is_adopted(
    far: Connection, near: Connection, proxy: Proxy, name: str
) -> None:
    first = near.election(name)
    async with running(first):
        await leads(first)
        await far.wait_connected()
        lost = proxy.swallow(CREATE)
        election = far.election(name)
        async with running(election):
            assert lost.is_set()
            queue = await first.candidates()
            assert len(queue) == 2
            assert election.candidacy.znode == queue[1].znode
            assert election.status().predecessor == queue[0].znode


async def test_a_lost_claim_reply_is_resolved_by_reading(far: Connection, proxy: Proxy, name: str) -> None:
    await far.wait_connected()
    election = far.election(name)
    lost = proxy.swallow(MULTI)
    async with running(election):
        term = await leads(election)
        assert lost.is_set()
        assert term.number == 1, "the claim whose reply was lost had succeeded"


async def test_a_lost_leave_reply_is_resolved_by_looking(
    far: Connection, near: Connection, proxy: Proxy, name: str
) -> None:
    first, second = far.election(name, lease=30.0), near.election(name, lease=30.0)
    async with running(first, second):
        await leads(first)
        lost = proxy.swallow(MULTI)
        begin = clock.now()
        assert await first.resign()
        assert lost.is_set()
        await leads(second)
        assert clock.now() - begin < 10, "a leave needs no waiting out"
        await until(lambda: first.status().state == "queued")
        assert len(await second.candidates()) == 2


async def test_a_cut_of_200_ms_while_waiting_then_the_leader_resigns(
    far: Connection, near: Connection, proxy: Proxy, name: str
) -> None:
    first, second = near.election(name), far.election(name)
    async with running(first, second):
        await leads(first)
        proxy.refuse()
        await until(lambda: not far.client.connected)
        await asyncio.sleep(0.2)
        proxy.refuse(False)
        await until(lambda: far.client.connected and second.candidacy.own.sight.armed is not None)
        begin = clock.now()
        await first.resign()
        await leads(second)
        took = clock.now() - begin
        measured("connection cut 0.2 s while waiting, then the leader resigns", took)
        assert took < 1.0


async def test_the_leader_resigns_while_the_heir_is_cut_off(
    far: Connection, near: Connection, proxy: Proxy, name: str
) -> None:
    first, second = near.election(name), far.election(name)
    async with running(first, second):
        await leads(first)
        proxy.refuse()
        await first.resign()
        proxy.refuse(False)
        await leads(second)


async def test_a_cut_of_200_ms_keeps_leadership(far: Connection, near: Connection, proxy: Proxy, name: str) -> None:
    first, second = far.election(name), near.election(name)
    async with running(first, second):
        term = await leads(first)
        for _ in range(3):
            proxy.refuse()
            await asyncio.sleep(0.2)
            proxy.refuse(False)
            await until(lambda: far.client.connected)
            await term.confirm()
            assert first.term is term
        assert not second.is_leader


async def test_usable_again_at_once_when_the_server_closes_the_connection(far: Connection, proxy: Proxy) -> None:
    await far.wait_connected()
    took, sessions = [], []
    for _ in range(20):
        sessions.append(await session_takes(proxy.address))
        begin = clock.now()
        proxy.cut()
        while True:
            with contextlib.suppress(NotConnected, ConnectionLost):
                await far.client.request(m.Exists("/"))
                break
            await asyncio.sleep(0)
        took.append(clock.now() - begin)
    measured("the server closes the connection: usable again", *took)
    assert median(took) < 0.1 + 10 * median(sessions)
    assert far.client.session_id


async def test_a_leader_in_a_black_hole_stops_leading_before_the_next_leads(
    far: Connection, near: Connection, proxy: Proxy, name: str
) -> None:
    old, new = far.election(name, identity="old", lease=1.5), near.election(name, identity="new", lease=1.5)
    recorder = Recorder({"old": old, "new": new})
    recording = asyncio.create_task(recorder.run())
    async with running(old, new):
        term = await leads(old)
        proxy.stall()
        assert term.valid_until <= clock.now() + 1.5
        await until(lambda: not old.is_leader)
        ended = clock.now()
        await until(lambda: old.status().state == "suspended")
        await leads(new)
        measured("black hole: no leader between the old one's end and the next one's begin", clock.now() - ended)
        proxy.resume()
        await until(lambda: old.status().state == "queued", 20)
        assert not term.is_current
        await until(lambda: all(recorder.led().values()))  # it samples, and all of this may be over before the next one
    recording.cancel()
    assert overlaps(recorder.led()) == []


async def test_a_short_black_hole_suspends_the_term_and_the_same_term_goes_on(
    standalone: Server, proxy: Proxy, name: str
) -> None:
    async with connect(proxy.address, timeout=8.0) as zk:
        election = zk.election(name, lease=0.6)
        async with running(election):
            term = await leads(election)
            proxy.stall()
            await until(lambda: not election.is_leader)
            proxy.resume()
            assert await leads(election) is term
            assert term.number == 1


async def test_an_expired_session_is_left_behind(standalone: Server, proxy: Proxy, near: Connection, name: str) -> None:
    async with connect(proxy.address, timeout=1.0) as zk:
        election = zk.election(name, lease=0.5)
        async with running(election):
            old = await leads(election)
            session = zk.client.session_id
            proxy.refuse()
            other = near.election(name, lease=0.5)
            async with running(other):
                new = await leads(other)
                assert new.token > old.token
                proxy.refuse(False)
                await until(lambda: election.status().state == "queued")
                assert zk.client.session_id != session
                assert len(await other.candidates()) == 2


async def test_a_server_that_is_killed_and_back_after_1500_ms_keeps_its_leader(
    own_server: Server, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await own_server.start_ready()
    pauses, began = pauses_of(monkeypatch), clock.now()
    async with connect(own_server.address, timeout=6.0) as zk:
        election = zk.election(name, lease=3.0)
        async with running(election):
            term = await leads(election)
            own_server.kill()
            await until(lambda: not zk.client.connected)
            assert zk.client.status().server is None
            await asyncio.sleep(1.5)
            own_server.start()
            # The server's return is when it serves: a session of our own tells, which the client under test does not
            # know of.
            await own_server.ready()
            back = clock.now()
            while True:
                with contextlib.suppress(NotConnected, ConnectionLost):
                    await zk.client.request(m.Exists("/"))
                    break
                await asyncio.sleep(0.001)
            took = max(0.0, clock.now() - back)
            measured("standalone server killed, back after 1.5 s: usable after its return", took)
            found_soon(zk, pauses, began, back)
            assert await leads(election) is term, "the same term, with the same token"


async def test_a_server_that_comes_late_is_found_soon(
    own_server: Server, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    longest = 0.5
    monkeypatch.setattr(dialling, "BACKOFF_CAP", longest)  # a quarter, and so it is reached in a quarter of the time
    pauses, began = pauses_of(monkeypatch), clock.now()
    async with connect(own_server.address, timeout=6.0) as zk:
        election = zk.election(name)
        async with running():
            with pytest.raises(NotConnected):
                zk.client.send(m.Exists("/"), lambda answer: None)
            assert election.status().state == "idle"
            assert zk.client.status().since > 0
            await asyncio.sleep(8 * longest + 0.5)  # by then the pauses have grown to their longest
            assert "takes a connection" in zk.client.status().last_error
            await own_server.start_ready()
            started = clock.now()
            await zk.wait_connected()
            took = clock.now() - started
            measured("server that comes late, longest pause 0.5 s: connected after it serves", took)
            found_soon(zk, pauses, began, started)
            assert all(pause.seconds <= longest for pause in pauses)


def found_soon(zk: Connection, pauses: list[Pause], began: float, back: float) -> None:
    """Pauses were short for a server that was away since `began` or later; no dial failed once it was back."""
    assert pauses
    assert all(pause.short and pause.away <= pause.began - began for pause in pauses)
    # One dial may have met the server in the moment before; and a busy machine may not answer in time.
    assert sum(pause.began > back for pause in pauses) <= 1 + zk.client.stats.ended[Cause.NO_ANSWER]


async def test_blocked_four_letter_words_make_no_difference(tmp_path: Path, name: str) -> None:
    settings = ["tickTime=500", "4lw.commands.whitelist=ruok"]
    server = Server(tmp_path / "quiet", port=free_ports(1)[0], settings=settings)
    try:
        await server.start_ready()
        assert b"not in the whitelist" in await server.word(b"stat")
        async with connect(server.address, timeout=4.0) as zk:
            election = zk.election(name)
            async with running(election):
                await leads(election)
    finally:
        server.kill()


async def test_a_wrong_address_among_the_servers_costs_little(standalone: Server) -> None:
    (closed,) = free_ports(1)
    async with connect(f"no-such-host.invalid,127.0.0.1:{closed},{standalone.address}", timeout=4.0) as zk:
        async with asyncio.timeout(10):
            await zk.wait_connected()
        assert zk.client.status().server == standalone.address


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        struct.pack("!i", 2**30),
        struct.pack("!i", -1),
        struct.pack("!iq", 8, 1),
        b"",
    ],
    ids=["http", "huge", "negative", "short", "nothing"],
)
async def test_a_server_that_speaks_something_else_is_dropped_with_a_reason(
    answer: bytes, standalone: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"127.0.0.1:{port}", timeout=4.0) as zk:
            await until(lambda: "connection to 127.0.0.1" in caplog.text)
            assert not zk.client.connected
            assert zk.client.status().last_error
        async with connect(f"127.0.0.1:{port},{standalone.address}", timeout=4.0) as zk:
            await zk.wait_connected()
            assert zk.client.status().server == standalone.address


async def test_closing_does_not_wait_for_a_zookeeper_that_is_not_there() -> None:
    (closed,) = free_ports(1)
    begin = clock.now()
    async with connect(f"127.0.0.1:{closed}", timeout=30.0) as zk:
        zk.election("x")
    assert clock.now() - begin < 5


async def test_a_server_that_takes_sessions_and_drops_them_is_not_hammered(proxy: Proxy, far: Connection) -> None:
    await far.wait_connected()
    begin, sessions = clock.now(), 0
    while clock.now() < begin + 1.5:
        await until(lambda: far.client.connected)
        proxy.cut()
        await until(lambda: not far.client.connected)
        sessions += 1
    assert sessions < 60, "pauses grow although each dial succeeds"


async def test_a_server_that_has_lost_its_data_is_led_on_again(own_server: Server, name: str) -> None:
    """It is behind what we have seen, and hangs up on us without a word for as long as we insist on our session."""
    await own_server.start_ready()
    async with connect(own_server.address, timeout=1.0) as zk:
        election = zk.election(name, lease=0.5)
        async with running(election):
            await leads(election)
            own_server.kill()
            shutil.rmtree(own_server.folder / "data" / "version-2")
            own_server.start()
            await own_server.ready()
            begin = clock.now()
            await until(lambda: not election.is_leader)
            term = await leads(election, 30)
            measured("ZooKeeper back without its data, session timeout 1 s: leads again after", clock.now() - begin)
            assert term.number == 1, "the new tree knows of no terms"


async def test_a_server_that_hangs_up_on_every_handshake_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    dials = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal dials
        await reader.read(64)  # else it would be a reset
        dials += 1
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"127.0.0.1:{port}", timeout=4.0):
            await until(lambda: dials == 4)
    assert caplog.text.count("end of stream inside the handshake; it does not serve, or speaks TLS") == 1
