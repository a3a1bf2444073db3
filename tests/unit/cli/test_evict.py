"""A candidate that belongs to no process blocks the queue: that is seen, and it is evicted."""

from __future__ import annotations

import asyncio
import json

import pytest

from leader_async import UsageError, connect
from leader_async.election import evict
from leader_async.testing import ZooKeeper, zookeeper
from leader_async.zookeeper import messages as m

from ...support.waiting import until
from .test_asking import command, idle

__all__ = ["zookeeper"]
pytestmark = pytest.mark.timeout(60)
GHOST = "ghost-n_0000000000"


async def test_a_ghost_is_seen_and_evicted(zookeeper: ZooKeeper) -> None:
    there = ("--zookeeper", zookeeper.address)
    async with connect(zookeeper.address) as zk:
        await zk.wait_connected()
        for path in ("/ELECTION", "/ELECTION/leader", f"/ELECTION/leader/{GHOST}"):
            await zk.client.request(m.Create(path))
        election = zk.election("leader", identity="a", lease=0.5)
        running = asyncio.create_task(election.run(idle))
        await until(lambda: election.status().position == 1)
        assert [(one.identity, one.ghost) for one in await election.candidates()] == [(GHOST, True), ("a", False)]
        with pytest.raises(UsageError, match="no candidate"):
            await evict.plan(zk.client, election.parent, "other-n_0000000000")
        znode = election.candidacy.znode
        assert znode is not None
        answers = await asyncio.gather(
            command("candidates", *there),
            command("doctor", *there),
            command("evict", znode, *there),
            command("evict", "config", *there),
            command("evict", GHOST, "--url", "http://a"),
        )
        assert [code for code, _, _ in answers] == [0, 1, 1, 1, 2]
        seen, checked, living, other, wrong = (out or err for _, out, err in answers)
        assert f"{GHOST}  -  a ghost, blocks who stands behind it: leader-async evict {GHOST}" in seen
        assert f"leader-async evict {GHOST}" in checked
        assert f"the session of {znode} lives: stop a, and its place goes with its session" in living
        assert "'config' is no candidate's znode" in other
        assert "give --zookeeper, not --url" in wrong
        assert not election.is_leader

        code, out, _ = await command("evict", GHOST, *there)
        assert (code, out) == (0, f"{GHOST} ({GHOST}) stands in the queue of leader no more\n")
        await until(lambda: election.is_leader)
        code, _, err = await command("evict", GHOST, *there)
        assert (code, "no candidate" in err) == (1, True)
        running.cancel()
        await asyncio.wait([running])


async def test_who_is_evicted_alive_ends_its_term_and_queues_again(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address) as zk:
        election = zk.election("leader", identity="a", address="http://a", lease=0.5)
        running = asyncio.create_task(election.run(idle))
        await until(lambda: election.is_leader)
        znode, token = election.candidacy.znode, election.status().token
        assert znode is not None
        code, out, _ = await command("evict", znode, "--zookeeper", zookeeper.address, "--force", "--json")
        assert code == 0
        assert json.loads(out)["address"] == "http://a"
        await until(lambda: election.is_leader and election.status().token != token)
        running.cancel()
        await asyncio.wait([running])


async def test_a_znode_that_was_written_meanwhile_stays(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address) as zk:
        await zk.wait_connected()
        for path in ("/ELECTION", "/ELECTION/leader", f"/ELECTION/leader/{GHOST}"):
            await zk.client.request(m.Create(path))
        found = await evict.plan(zk.client, "/ELECTION/leader", GHOST)
        await zk.client.request(m.SetData(f"/ELECTION/leader/{GHOST}", b"{}", -1))
        assert not await evict.carry_out(zk.client, found)
        assert await evict.carry_out(zk.client, await evict.plan(zk.client, "/ELECTION/leader", GHOST))
        assert not await evict.carry_out(zk.client, found)
