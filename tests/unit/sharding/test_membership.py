"""What a member believes of the others, over the embedded ZooKeeper."""

from __future__ import annotations

import asyncio

import pytest

from leader_async import NoAuth, connect
from leader_async.sharding.member_data import MemberData
from leader_async.sharding.membership import Membership
from leader_async.testing import ZooKeeper, zookeeper
from leader_async.waking import Pulse
from leader_async.zookeeper import messages as m

from ...support.waiting import until

__all__ = ["zookeeper"]
PARENT = "/members"
A, B = "a-n_0000000001", "b-n_0000000002"


def told(*announced: int) -> bytes:
    return MemberData("x", "", frozenset(announced)).encode()


async def test_of_reads_that_fail_together_nothing_old_is_believed(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address) as zk, connect(zookeeper.address) as other:
        members = Membership(zk.client, PARENT, 4, MemberData("me", ""), Pulse(), lambda: None)
        await members.refresh()
        for name in (A, B):
            await other.client.request(m.Create(f"{PARENT}/{name}", told(1)))
        await members.listen_to([A, B])
        assert members.said == {A: {1}, B: {1}}
        for name in (A, B):
            await other.client.request(m.SetData(f"{PARENT}/{name}", told(2), 0))
        await until(lambda: members.said == {})
        await other.client.request(m.SetAccess(f"{PARENT}/{A}", (m.Access(m.Permission.ALL, "digest", "no:one"),)))
        with pytest.raises(NoAuth):
            await members.listen_to([A, B])
        await until(lambda: members._mirror.has(m.GetData(f"{PARENT}/{B}")))
        assert members.said == {B: {2}}, "and not what B told before"


async def test_an_answer_to_a_join_that_is_over_changes_nothing(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address) as zk:
        over: list[bool] = []
        members = Membership(zk.client, PARENT, 4, MemberData("me", ""), Pulse(), lambda: over.append(True))
        await members.refresh()
        joining = asyncio.create_task(members.join())
        await asyncio.sleep(0)
        assert zk.client._session._asked, "its create is on its way"
        members.session_event(m.Expired(1))
        await joining
        assert (members.me, over) == ("", [True])
        await members.join()
        await members.refresh()
        assert members.me in members.names
