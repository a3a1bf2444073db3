"""Following an election, over the embedded ZooKeeper: what is told, in which order, and what it costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import pytest

from leader_async import Change, Election, SessionClosed, Term, connect
from leader_async.election.rules import record as r
from leader_async.election.rules.candidate_data import CandidateData
from leader_async.testing import ZooKeeper, zookeeper
from leader_async.zookeeper import messages as m

from ...support.proxy import Proxy
from ...support.waiting import until

__all__ = ["zookeeper"]
GET_DATA, GET_CHILDREN = 4, 8
PARENT = "/ELECTION/x"
LEASE = 30.0


async def seen(changes: AsyncGenerator[Change, None], wanted: Callable[[Change], bool]) -> Change:
    """The first change from here on that is as wanted."""
    async with asyncio.timeout(15):
        async for change in changes:
            if wanted(change):
                return change
    raise AssertionError("it has ended")


async def idle(term: Term) -> None:
    await asyncio.get_running_loop().create_future()


@asynccontextmanager
async def running(*elections: Election) -> AsyncIterator[None]:
    tasks = []
    for election in elections:
        tasks.append(asyncio.create_task(election.run(idle)))
        await until(lambda election=election: election.status().position is not None)  # type: ignore[misc]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def names(change: Change) -> list[str]:
    return [one.identity for one in change.queue]


def led_by(name: str) -> Callable[[Change], bool]:
    return lambda change: change.leader is not None and change.leader.identity == name


async def test_an_observer_sees_an_election_from_before_it_exists_to_its_end(zookeeper: ZooKeeper) -> None:
    async with (
        connect(zookeeper.address) as near,
        connect(zookeeper.address) as other,
        connect(zookeeper.address) as zk,
    ):
        one, two = near.election("x", identity="a", lease=LEASE), other.election("x", identity="b", lease=LEASE)
        async with aclosing(zk.election("x", identity="me").watch()) as changes:
            first = await seen(changes, lambda change: change.connected)
            assert (first.leader, first.queue, first.status.state) == (None, (), "idle")
            async with running(one, two):
                change = await seen(changes, lambda change: names(change) == ["a", "b"] and led_by("a")(change))
                assert change.leader is change.queue[0]
                await one.resign()
                change = await seen(changes, lambda change: names(change) == ["b", "a"] and led_by("b")(change))
                assert change.leader is not None
                assert change.leader.token == two.status().token
            change = await seen(changes, lambda change: not change.queue)
            assert change.leader is None
            assert change.what
            assert change.status.state == "idle"


async def test_what_a_change_says_of_this_process_was_so_before(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address) as zk:
        election = zk.election("x", identity="me", lease=LEASE)
        async with aclosing(election.watch()) as changes, running(election):
            async for change in changes:
                if led_by("me")(change):
                    assert election.is_leader, "ZooKeeper says that we lead, and we know it"
                if change.status.is_leader:
                    assert "status" in change.what
                    break
            assert election.is_leader


async def test_each_change_costs_a_follower_one_read(zookeeper: ZooKeeper) -> None:
    host, _, port = zookeeper.address.rpartition(":")
    async with Proxy(host, int(port)) as proxy, connect(proxy.address) as far, connect(zookeeper.address) as near:

        def asked() -> tuple[int, int]:
            counts = proxy.requests - before
            return counts[GET_DATA], counts[GET_CHILDREN]

        ask, names_there = near.client.request, [f"u{number}-n_000000000{number}" for number in (1, 2)]
        await near.wait_connected()
        for path in ("/ELECTION", PARENT):
            await ask(m.Create(path))
        async with aclosing(far.election("x").watch()) as changes:
            await seen(changes, lambda change: change.connected)
            for number, name in enumerate(names_there):
                before = proxy.requests.copy()
                await ask(m.Create(f"{PARENT}/{name}", CandidateData(name[:2]).encode(), ephemeral=True))
                await seen(changes, lambda change, number=number: len(change.queue) == number + 1)  # type: ignore[misc]
                assert asked() == (1, 1), "the newcomer's data, and the listing"
            for term, name in enumerate(names_there, 1):
                before = proxy.requests.copy()
                await ask(r.claim(PARENT, r.Record(term, name, r.LeadState.HELD, LEASE), 2 * term - 2))
                await seen(changes, led_by(name[:2]))
                assert asked() == (1, 0), "the record"
            before = proxy.requests.copy()
            await ask(m.Delete(f"{PARENT}/{names_there[0]}"))
            await seen(changes, lambda change: names(change) == ["u2"])
            assert asked() == (0, 1), "the listing"


async def test_a_slow_follower_gets_the_latest_state_and_no_backlog(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address) as near, connect(zookeeper.address) as zk:
        one = near.election("x", identity="a", lease=LEASE)
        async with running(one), aclosing(zk.election("x").watch()) as changes:
            await seen(changes, led_by("a"))
            for _ in range(10):
                token = one.status().token
                await one.resign()
                await until(lambda token=token: one.is_leader and one.status().token != token)  # type: ignore[misc]
            told = 0
            async with asyncio.timeout(15):
                async for change in changes:
                    told += 1
                    if change.leader is not None and change.leader.token == one.status().token:
                        break
            assert told <= 3, "not one for each"


async def test_a_follower_outlives_an_outage_and_says_so(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address, timeout=1.0) as near, connect(zookeeper.address, timeout=1.0) as zk:
        one = near.election("x", identity="a", lease=0.3)
        async with running(one), aclosing(zk.election("x").watch()) as changes:
            first = await seen(changes, led_by("a"))
            with zookeeper.outage(forget=True):
                away = await seen(changes, lambda change: not change.connected)
                assert "connected" in away.what
                assert away.leader == first.leader, "as far as is known"
            back = await seen(changes, lambda change: change.connected and led_by("a")(change))
            assert back.leader != first.leader


async def test_following_outlives_a_record_that_is_not_ours_and_ends_with_the_connection(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address) as zk:
        changes = zk.election("x").watch()
        await seen(changes, lambda change: change.connected)
        for path in ("/ELECTION", "/ELECTION/x"):
            await zk.client.request(m.Create(path))
        await zk.client.request(m.SetData("/ELECTION/x", b"?", -1))
        told = await seen(changes, lambda change: change.problem != "")
        assert "leader" in told.what
        assert told.problem.startswith("/ELECTION/x is not an election's record: ")
        await zk.client.request(m.Delete("/ELECTION/x"))
        await seen(changes, lambda change: change.problem == "")
    changes = zk._elections["/ELECTION/x"].watch()
    with pytest.raises(SessionClosed):
        await anext(changes)
