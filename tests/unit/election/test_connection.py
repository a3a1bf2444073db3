"""One connection: what it waits for at first, what it gives twice, and that it is used once."""

from __future__ import annotations

import asyncio

import pytest

from leader_async import NotConnected, SessionClosed, Term, UsageError, connect
from leader_async.testing import ZooKeeper, zookeeper

from ...support.waiting import until

__all__ = ["zookeeper"]


async def idle(term: Term) -> None:
    await asyncio.get_running_loop().create_future()


async def test_the_first_question_waits_for_the_connection(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address, timeout=1.0) as zk:
        assert not zk.client.connected
        assert await zk.election("x").leader() is None
    async with connect(zookeeper.address, timeout=1.0) as zk:
        candidates, history = await asyncio.gather(zk.election("x").candidates(), zk.election("x").history())
        assert (candidates, history) == ([], [])


async def test_it_waits_for_a_session_timeout_and_says_what_to_do() -> None:
    async with connect("127.0.0.1:1", timeout=0.3) as zk:
        with pytest.raises(NotConnected, match=r"127.0.0.1:1 has served within .* 0.3 s .*await zk.wait_connected"):
            await zk.election("x").leader()


async def test_it_waits_for_nothing_that_will_not_come() -> None:
    with pytest.raises(UsageError, match="not entered"):
        await connect("127.0.0.1:1").election("x").leader()
    async with connect("127.0.0.1:1", timeout=5.0) as zk:
        asked = asyncio.create_task(zk.election("x").leader())
        await asyncio.sleep(0)
    with pytest.raises(SessionClosed):
        await asked


async def test_later_questions_fail_at_once(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address, timeout=86400.0) as zk:
        await zk.wait_connected()
        with zookeeper.outage():
            await until(lambda: not zk.client.connected)
            with pytest.raises(NotConnected, match="no ZooKeeper server is connected"):
                await zk.election("x").leader()


async def test_a_connection_is_entered_once(zookeeper: ZooKeeper) -> None:
    """A second lifespan of an application would otherwise begin without a session, and without an error."""
    zk = connect(zookeeper.address, timeout=1.0)
    async with zk:
        with pytest.raises(UsageError, match="begun already"):
            zk.start()
        await zk.wait_connected()
    with pytest.raises(SessionClosed, match="open another one"):
        async with zk:
            pass
    never = connect(zookeeper.address)
    await never.close()
    with pytest.raises(SessionClosed):
        never.start()


async def test_an_election_that_is_asked_for_again_is_the_same() -> None:
    zk = connect("127.0.0.1:1")
    election = zk.election("x", identity="me", lease=4)
    assert zk.election("x") is election
    assert zk.election("x", identity="me", address="", lease=4.0, history=True) is election
    assert zk.election("x", root="/OTHER") is not election
    for option, value in {"identity": "you", "address": "http://me", "lease": 3.0, "history": False}.items():
        with pytest.raises(UsageError, match=f"election x already, with {option}=.* and not {value!r}"):
            zk.election("x", **{option: value})  # type: ignore[arg-type]


async def test_a_lease_in_whole_seconds_is_the_same_lease_everywhere(zookeeper: ZooKeeper) -> None:
    """An appointment gives notice under a name with the lease in it, which its heir must expect just so."""
    async with connect(zookeeper.address, timeout=1.0) as one, connect(zookeeper.address, timeout=1.0) as other:
        first, second = one.election("x", lease=3), other.election("x", lease=3.0)
        tasks = [asyncio.create_task(first.run(idle))]
        await until(lambda: first.is_leader)
        tasks.append(asyncio.create_task(second.run(idle)))
        await until(lambda: second.candidacy.own.sight.awaited)
        hold = second.candidacy.lead._promised()
        assert hold is not None
        assert second.candidacy.own.sight.awaited.endswith(":3.0")
        await first.resign()
        await until(lambda: second.is_leader)
        assert second.candidacy.story.healed == 0
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
