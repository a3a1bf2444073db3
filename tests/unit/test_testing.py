"""What users get for their own tests, used as they use it."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from leader_async import Term, UsageError, connect
from leader_async.testing import ZooKeeper, zookeeper

__all__ = ["zookeeper"]


async def forever(term: Term) -> None:
    await asyncio.get_running_loop().create_future()


async def until(condition: object, limit: float = 10.0) -> None:
    assert callable(condition)
    async with asyncio.timeout(limit):
        while not condition():
            await asyncio.sleep(0.002)


async def test_an_election_of_two_and_a_session_that_expires(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address, timeout=1.0) as one, connect(zookeeper.address, timeout=1.0) as two:
        first, second = one.election("x", identity="one", lease=0.5), two.election("x", identity="two", lease=0.5)
        running = [asyncio.create_task(first.run(forever))]
        await until(lambda: first.is_leader)
        running.append(asyncio.create_task(second.run(forever)))
        await until(lambda: second.status().state == "queued")
        assert len(zookeeper.sessions) == 2
        zookeeper.expire(one.client.session_id)
        await until(lambda: second.is_leader)
        assert not first.is_leader
        for task in running:
            task.cancel()
        await asyncio.wait(running)


async def test_a_disconnection_changes_nothing(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address, timeout=1.0) as zk:
        election = zk.election("x", lease=1.0)
        running = asyncio.create_task(election.run(forever))
        await until(lambda: election.is_leader)
        term, session = election.term, zk.client.session_id
        assert term is not None
        zookeeper.disconnect(session)
        await until(lambda: zk.client.connected)
        assert zk.client.session_id == session
        assert election.term is term
        running.cancel()
        await asyncio.wait([running])


async def test_a_session_is_resumed_after_an_outage(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address, timeout=0.5) as zk:
        election = zk.election("x", lease=30.0)
        running = asyncio.create_task(election.run(forever))
        await until(lambda: election.is_leader)
        term, session, address = election.term, zk.client.session_id, zookeeper.address
        with zookeeper.outage():
            await until(lambda: not zk.client.connected)
            assert zookeeper.sessions == [session]
        assert zookeeper.address == address
        await until(lambda: zk.client.connected)
        assert zk.client.session_id == session
        assert election.term is term
        assert election.is_leader
        running.cancel()
        await asyncio.wait([running])


async def test_after_an_outage_that_forgets_somebody_leads_again_and_tokens_rise(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address, timeout=0.5) as zk:
        election = zk.election("x", lease=0.5)
        running = asyncio.create_task(election.run(forever))
        await until(lambda: election.term is not None)
        assert election.term is not None
        token, address = election.term.token, zookeeper.address
        with zookeeper.outage(forget=True):
            await until(lambda: not election.is_leader)
        assert zookeeper.address == address
        await until(lambda: election.is_leader)
        assert election.term.token > token
        zookeeper.expire_all()
        await until(lambda: not election.is_leader)
        running.cancel()
        await asyncio.wait([running])


def test_it_needs_no_pytest() -> None:
    script = (
        "import sys; sys.modules['pytest'] = None\n"  # as if it were not installed
        "from leader_async.testing import *\n"
        "with ZooKeeper() as zookeeper:\n"
        "    print(zookeeper.sessions)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == ("[]\n", "")


def test_it_needs_no_event_loop() -> None:
    server = ZooKeeper()
    with pytest.raises(UsageError, match="was not started"):
        _ = server.address
    with server:
        assert server.sessions == []
        with pytest.raises(UsageError, match="runs already"):
            server.start()
        with pytest.raises(UsageError, match="no session 0x7"):
            server.expire(7)
        with pytest.raises(UsageError, match="0x7 is not connected"):
            server.disconnect(7)
    with pytest.raises(UsageError, match="does not run"):
        _ = server.sessions
    server.stop()


@pytest.mark.parametrize("start", ["testing.ZooKeeper().start()", "blocking.connect('127.0.0.1:1').wait_connected()"])
def test_a_thread_that_cannot_begin_is_told_and_not_waited_for(start: str) -> None:
    script = f"""
import resource
from leader_async import blocking, testing
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))  # an event loop needs more
try:
    {start}
except OSError as error:
    print(error.strerror)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.returncode) == ("Too many open files\n", 0), done.stderr
