"""The election on real ensembles of three, whose servers are killed, frozen and cut off from each other."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from contextlib import AsyncExitStack

import pytest

from leader_async import Connection, Election, NodeExists, ZooKeeperError, clock, connect
from leader_async.zookeeper import messages as m
from leader_async.zookeeper import session

from ..support.history import Recorder, overlaps
from ..support.reporting import measured
from ..support.zookeeper import Ensemble, Server
from .playing import leads, running, until

pytestmark = pytest.mark.timeout(240)


async def load(zk: Connection, path: str) -> None:
    """Write without a pause, whatever happens."""
    while True:
        try:
            await zk.wait_connected()
            with contextlib.suppress(NodeExists):
                await zk.client.request(m.Create(path))
            data = await zk.client.request(m.GetData(path))
            assert isinstance(data, m.Data)
            await zk.client.request(m.SetData(path, bytes(1000), data.stat.version))
        except ZooKeeperError:
            await asyncio.sleep(0)


async def test_any_one_server_may_die_under_load_without_a_change_of_leader(ensemble: Ensemble, name: str) -> None:
    async with AsyncExitStack() as stack:
        loads = []
        for number in range(4):
            zk = await stack.enter_async_context(connect(ensemble.address, timeout=6.0))
            loads.append(asyncio.create_task(load(zk, f"/load-{number}")))
        elections = []
        for number in range(3):
            zk = await stack.enter_async_context(connect(ensemble.address, timeout=6.0))
            elections.append(zk.election(name, identity=f"r{number}"))
        recorder = Recorder({election.identity: election for election in elections})
        recording = asyncio.create_task(recorder.run())
        async with running(*elections):
            term = await leads(elections[0])
            # The ensemble's leader goes last: its end makes the others elect a new one.
            leading = await ensemble.leader()
            for server in sorted(ensemble.servers, key=lambda server: server is leading):
                server.kill()
                begin = clock.now()
                await asyncio.sleep(1.0)
                await server.start_ready()
                # A write that the ensemble has taken since proves that this is over.
                await until(lambda begin=begin: term.valid_until > begin + 3.0, 30)  # type: ignore[misc]
                measured("one ZooKeeper server killed and restarted: confirmed again after", clock.now() - begin)
                if server is not leading:
                    assert term.is_current
        for task in (recording, *loads):
            task.cancel()
    led = recorder.led()
    assert {name for name, times in led.items() if times} == {"r0"}, "the leader did not change"


async def test_sessions_outlive_an_outage_of_the_quorum_of_any_length(
    ensemble: Ensemble, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers without a quorum hang up. As soon as they have one they grant new sessions, and resume the old ones."""
    monkeypatch.setattr(session, "PATIENCE", 1)
    async with AsyncExitStack() as stack:
        zks = [await stack.enter_async_context(connect(ensemble.address, timeout=4.0)) for _ in range(8)]
        elections = [zk.election(name, identity=f"r{number}") for number, zk in enumerate(zks)]
        async with running(*elections):
            term = await leads(elections[0])
            begun = [zk.client.session_id for zk in zks]
            leading = await ensemble.leader()
            others = [server for server in ensemble.servers if server is not leading]
            for server in others:
                server.kill()
            await until(lambda: not any(zk.client.connected for zk in zks), 30)
            await asyncio.sleep(6.0)
            for server in others:
                server.start()
            await asyncio.gather(*(zk.wait_connected() for zk in zks))
            await until(lambda: term.is_current, 30)
        assert [zk.client.session_id for zk in zks] == begun


async def on_a_follower(ensemble: Ensemble, zk: Connection) -> Server:
    """The follower that this connection is on, once it is on one."""
    leading = await ensemble.leader()
    async with asyncio.timeout(30):
        while True:
            await zk.wait_connected()
            address = zk.client.status().server
            server = next(server for server in ensemble.servers if server.address == address)
            if server is not leading:
                return server
            zk.client._session.drop("the test wants another server", m.Cause.NETWORK)
            zk.client._pump()


@pytest.mark.campaign
async def test_neither_a_follower_cut_off_from_its_leader_nor_early_expiry_makes_a_second_leader(
    apart: Ensemble, ensemble: Ensemble, name: str
) -> None:
    """Two campaigns of a minute on an ensemble each: they mostly wait, so they do it at the same time."""
    async with asyncio.TaskGroup() as both:
        both.create_task(a_follower_cut_off_from_its_leader_costs_no_leadership(apart, name))
        both.create_task(sessions_that_zookeeper_expires_early_make_no_second_leader(ensemble, name))


async def a_follower_cut_off_from_its_leader_costs_no_leadership(apart: Ensemble, name: str) -> None:
    """Tick 1 s, syncLimit 10, timeout 4 s: the follower answers pings for ten seconds more, which prove nothing."""
    assert apart.lab is not None
    async with AsyncExitStack() as stack:
        roaming = await stack.enter_async_context(connect(apart.address, timeout=4.0))
        cut = await on_a_follower(apart, roaming)
        others = ",".join(server.address for server in apart.servers if server is not cut)
        # `stuck` knows no other server than the one that will be cut off: it must stop leading by itself.
        stuck = await stack.enter_async_context(connect(cut.address, timeout=4.0))
        free = await stack.enter_async_context(connect(others, timeout=4.0))
        kept = [roaming.election(f"{name}-kept", identity="roaming"), free.election(f"{name}-kept", identity="free")]
        lost = [stuck.election(f"{name}-lost", identity="stuck"), free.election(f"{name}-lost", identity="heir")]
        recorders = [Recorder({election.identity: election for election in pair}) for pair in (kept, lost)]
        recording = [asyncio.create_task(recorder.run()) for recorder in recorders]
        async with running(*kept, *lost):
            term = await leads(kept[0])
            await leads(lost[0])
            end = clock.now() + 60
            for _ in range(2):
                number = apart.servers.index(cut)
                apart.lab.isolate(number)
                begin = clock.now()
                await until(lambda: not lost[0].is_leader, 30)
                measured("follower cut off: the leader that knows no other server stops after", clock.now() - begin)
                await leads(lost[1], 30)
                measured("follower cut off: the next leads after", clock.now() - begin)
                assert kept[0].term is term, "who knows other servers goes on leading"
                await asyncio.sleep(max(0.0, min(14.0, end - clock.now())))
                apart.lab.heal(number)
                await until(lambda: lost[0].status().state == "queued", 60)
                await lost[1].resign()
                await leads(lost[0], 30)
                cut_again = roaming.client.status().server
                if cut_again != cut.address:
                    await move(roaming, cut)
            await asyncio.sleep(max(0.0, end - clock.now()))
            assert kept[0].term is term
        for task in recording:
            task.cancel()
    for recorder in recorders:
        assert overlaps(recorder.led()) == []
    assert not recorders[0].led()["free"]
    assert recorders[1].led()["heir"]


async def move(zk: Connection, server: Server) -> None:
    """Have the connection on this server; leadership must not mind."""
    async with asyncio.timeout(30):
        while zk.client.status().server != server.address:
            zk.client._session.drop("the test wants another server", m.Cause.NETWORK)
            zk.client._pump()
            await zk.wait_connected()


async def sessions_that_zookeeper_expires_early_make_no_second_leader(ensemble: Ensemble, name: str) -> None:
    """The ensemble's leader is stopped for longer than the timeout, then goes on, and expires whom it likes."""
    async with AsyncExitStack() as stack:
        elections: list[Election] = []
        for number in range(4):
            zk = await stack.enter_async_context(connect(ensemble.address, timeout=4.0))
            elections.append(zk.election(name, identity=f"r{number}", lease=1.5))
        recorder = Recorder({election.identity: election for election in elections})
        recording = asyncio.create_task(recorder.run())
        async with running(*elections):
            await leads(elections[0])
            end = clock.now() + 60
            while clock.now() < end:
                leading = await ensemble.leader()
                leading.signal(signal.SIGSTOP)
                try:
                    await asyncio.sleep(5.5)
                finally:
                    leading.signal(signal.SIGCONT)
                begin = clock.now()
                await until(lambda: any(election.is_leader for election in elections), 60)
                measured("ZooKeeper's leader frozen 5.5 s, then woken: somebody leads after", clock.now() - begin)
                await asyncio.sleep(2.0)
        recording.cancel()
    assert overlaps(recorder.led()) == []
    assert any(recorder.led().values())
