"""Partitions over the embedded ZooKeeper, several replicas in one process."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack

import pytest

from leader_async import (
    Connection,
    NoAuth,
    NoNode,
    SessionClosed,
    Term,
    UsageError,
    connect,
    partitions,
)
from leader_async.sharding.membership import read_members
from leader_async.testing import ZooKeeper, zookeeper
from leader_async.zookeeper import messages as m
from leader_async.zookeeper.reader import Reader

from ...support.proxy import CREATE, DELETE, MULTI, Proxy
from ...support.shares import Field, Replica

__all__ = ["zookeeper"]
SET_DATA = 5
COUNT = 48
LEASE = 3.0
QUICK = 1.5  # no partition is taken over so soon from somebody whose lease has to be waited out
PARENT = "/ELECTION/jobs/members"

pytestmark = pytest.mark.timeout(60)


async def until(condition: object, limit: float = 15.0) -> None:
    assert callable(condition)
    async with asyncio.timeout(limit):
        while not condition():
            await asyncio.sleep(0.002)


async def forever(partition: int, term: Term) -> None:
    await asyncio.get_running_loop().create_future()


async def members(zk: Connection) -> list[str]:
    await zk.wait_connected()
    return [member.identity for member in await read_members(Reader(zk.client), PARENT)]


def field_at(zookeeper: ZooKeeper, count: int = COUNT, lease: float = LEASE) -> Field:
    return Field(zookeeper.address, count, timeout=1.0, lease=lease)


async def test_replicas_come_and_go_and_no_more_moves_than_promised(zookeeper: ZooKeeper) -> None:
    field = field_at(zookeeper)
    async with AsyncExitStack() as stack:
        there: list[Replica] = []

        async def come(name: str) -> None:
            before = dict(field.holder)
            field.moves.clear()
            there.append(await stack.enter_async_context(field.replica(name)))
            await field.balanced()
            assert len(field.moves) <= COUNT // len(there)
            assert all(new == name for _, _, new in field.moves)
            assert sum(before[part] != field.holder[part] for part in before) == len(field.moves)

        async def go(name: str) -> None:
            (leaver,) = [replica for replica in there if replica.name == name]
            had = leaver.parts.held
            field.moves.clear()
            there.remove(leaver)
            await leaver.stop()
            await field.balanced()
            assert {part for part, old, _ in field.moves if old == name} == {part for part, _, _ in field.moves} == had
            assert len(field.moves) == len(had)

        for name in "abcde":
            await come(name)
        for name in "aec":
            await go(name)
        await come("f")
        assert max(field.gaps) < QUICK, "handed over, not dropped"


async def test_everybody_comes_and_goes_at_once(zookeeper: ZooKeeper) -> None:
    field = field_at(zookeeper)
    async with AsyncExitStack() as stack:
        there = [await stack.enter_async_context(field.replica(name)) for name in "abcde"]
        await field.balanced()
        await asyncio.gather(*(replica.stop() for replica in there[:3]))
        await field.balanced()
        assert max(field.gaps, default=0.0) < QUICK


async def test_a_session_that_expires_loses_its_share_and_joins_anew(zookeeper: ZooKeeper) -> None:
    field = field_at(zookeeper, lease=0.5)
    async with field.replica("a") as first, field.replica("b"):
        await field.balanced()
        member, had = first.parts._members.me, first.parts.held
        field.moves.clear()
        zookeeper.expire(first.zk.client.session_id)
        await until(lambda: first.parts._members.me not in ("", member))
        await field.balanced()
        assert not first.task.done()
        assert {part for part, old, _ in field.moves if old == "a"} <= had
        assert len(field.moves) <= len(had) + COUNT // 2


async def test_all_sessions_expire(zookeeper: ZooKeeper) -> None:
    field = field_at(zookeeper, lease=0.5)
    async with field.replica("a") as first, field.replica("b") as second, field.replica("c") as third:
        await field.balanced()
        before = {replica.parts._members.me for replica in (first, second, third)}
        zookeeper.expire_all()
        await until(lambda: not before & {replica.parts._members.me for replica in (first, second, third)})
        await field.balanced()


async def test_a_short_disconnection_moves_nothing(zookeeper: ZooKeeper) -> None:
    field = field_at(zookeeper)
    async with field.replica("a") as first, field.replica("b"):
        await field.balanced()
        held, member = first.parts.held, first.parts._members.me
        for _ in range(3):
            since = first.zk.client.status().since
            zookeeper.disconnect(first.zk.client.session_id)
            await until(lambda since=since: first.zk.client.connected and first.zk.client.status().since > since)
            await until(lambda: not first.parts._members.stale)
        assert (first.parts.held, first.parts._members.me) == (held, member)
        async with field.replica("c"):
            await field.balanced()


@pytest.mark.parametrize("each", [3, 5, 8])
async def test_connections_that_end_in_the_middle_of_handing_over(zookeeper: ZooKeeper, each: int) -> None:
    field = field_at(zookeeper, lease=0.5)
    seen = 0

    def harm(replica: Replica) -> None:
        nonlocal seen
        seen += 1
        if seen % each == 0:
            with contextlib.suppress(UsageError):  # it is not connected
                zookeeper.disconnect(replica.zk.client.session_id)

    field.harm = harm
    async with field.replica("a") as first, AsyncExitStack() as stack:
        for name in "bcd":
            await stack.enter_async_context(field.replica(name))
            await field.balanced()
        await first.stop()
        await field.balanced()
        field.harm = lambda replica: None
        async with connect(zookeeper.address, timeout=1.0) as zk:
            assert len(await members(zk)) == 3
    assert seen // each > 10


@pytest.mark.parametrize("opcode", [CREATE, SET_DATA, MULTI, DELETE])
async def test_a_lost_reply_is_looked_for(zookeeper: ZooKeeper, opcode: int) -> None:
    field = field_at(zookeeper)
    host, _, port = zookeeper.address.rpartition(":")
    async with Proxy(host, int(port)) as proxy, connect(zookeeper.address, timeout=1.0) as zk:
        lost = [proxy.swallow(opcode)]  # as the first: it makes parents, and plans
        async with field.replica("a", proxy.address) as first, field.replica("b"):
            await field.balanced()
            lost.append(proxy.swallow(opcode))
            async with field.replica("c", proxy.address):
                await field.balanced()
                assert sorted(await members(zk)) == ["a", "b", "c"]
            await first.stop()
            await field.balanced()
            assert await members(zk) == ["b"]
            async with field.replica("d", proxy.address):
                lost.append(proxy.swallow(opcode))
                await field.balanced()
            assert await members(zk) == ["b"]
        assert any(event.is_set() for event in lost)


async def test_zookeeper_is_away_when_a_replica_stops(zookeeper: ZooKeeper) -> None:
    host, _, port = zookeeper.address.rpartition(":")
    field = field_at(zookeeper, lease=0.5)
    async with Proxy(host, int(port)) as proxy, field.replica("a"), connect(proxy.address, timeout=1.0) as zk:
        parts = partitions(zk, "jobs", count=COUNT, identity="b", lease=0.2)
        running = asyncio.create_task(parts.run(forever, handover=0.05))
        await until(lambda: len(parts.held) == COUNT // 2)
        proxy.stall()
        running.cancel()
        await until(lambda: not parts._tasks.keys() - parts._ending)
        proxy.resume()
        await asyncio.wait([running])
        await field.balanced()
        assert await members(field.replicas[0].zk) == ["a"], "the connection lives on, the member does not"


async def test_access_lists_that_change_are_waited_out(zookeeper: ZooKeeper, caplog: pytest.LogCaptureFixture) -> None:
    allowed = m.Permission.READ | m.Permission.DELETE | m.Permission.ADMIN
    async with connect(zookeeper.address, timeout=1.0) as zk:
        parts = partitions(zk, "jobs", count=2, lease=LEASE)
        running = asyncio.create_task(parts.run(forever))
        await until(lambda: len(parts.held) == 2)
        await zk.client.request(m.SetAccess(PARENT, (m.Access(allowed, "world", "anyone"),)))
        await zk.client.request(m.Delete(f"{PARENT}/{parts._members.me}"))
        await until(lambda: "cannot keep the share: NoAuth" in caplog.text)
        await zk.client.request(m.SetAccess(PARENT, m.OPEN))
        await until(lambda: parts._members.me)
        assert len(parts.held) == 2
        running.cancel()
        await asyncio.wait([running])


async def test_who_is_not_let_in_is_told(zookeeper: ZooKeeper) -> None:
    readable = (m.Access(m.Permission.READ | m.Permission.ADMIN, "world", "anyone"),)
    async with connect(zookeeper.address, timeout=1.0) as zk:
        await zk.wait_connected()
        for path in ("/ELECTION", "/ELECTION/jobs", PARENT):
            await zk.client.request(m.Create(path))
        parts = partitions(zk, "jobs", count=2, lease=LEASE)
        await zk.client.request(m.SetAccess(PARENT, readable))
        with pytest.raises(NoAuth, match=f"the access list of {PARENT} does not allow Create"):
            await parts.run(forever)
        # What may not be made need not be, if it is there.
        await zk.client.request(m.SetAccess("/", readable))
        await zk.client.request(m.Delete(PARENT))
        running = asyncio.create_task(parts.run(forever))
        await until(lambda: len(parts.held) == 2)
        running.cancel()
        await asyncio.wait([running])
        missing = partitions(zk, "other", count=1, lease=LEASE, root="/missing")
        with pytest.raises(NoAuth, match="the access list of / does not allow Create"):
            await missing.run(forever)
        await zk.client.request(m.SetAccess("/ELECTION", readable))
        barred = partitions(zk, "other", count=1, lease=LEASE)
        with pytest.raises(NoAuth, match="the access list of /ELECTION does not allow Create"):
            await barred.run(forever)


async def test_an_outage_that_forgets_everything(zookeeper: ZooKeeper) -> None:
    field = field_at(zookeeper, lease=0.5)
    async with field.replica("a") as first, field.replica("b"):
        await field.balanced()
        member = first.parts._members.me
        with zookeeper.outage(forget=True):
            await until(lambda: not field.holder)
        field.tokens.clear()  # another ensemble, whose counter begins anew
        await until(lambda: first.parts._members.me not in ("", member))
        await field.balanced()


async def test_a_member_that_somebody_deletes_joins_again(zookeeper: ZooKeeper) -> None:
    field = field_at(zookeeper)
    async with field.replica("a") as first, field.replica("b"):
        await field.balanced()
        member = first.parts._members.me
        await first.zk.client.request(m.Delete(f"{PARENT}/{member}"))
        await until(lambda: first.parts._members.me not in ("", member))
        await field.balanced()
        assert max(field.gaps, default=0.0) < QUICK, "what it held was handed over"


async def test_everything_that_somebody_deletes_is_made_again(zookeeper: ZooKeeper) -> None:
    field = field_at(zookeeper)
    async with field.replica("a") as first:
        await field.balanced()
        member = first.parts._members.me
        with contextlib.suppress(NoNode):
            await first.zk.client.request(m.Multi((m.Delete(f"{PARENT}/{member}"), m.Delete(PARENT))))
        await until(lambda: first.parts._members.me not in ("", member))
        await field.balanced()


async def test_work_that_raises_ends_all_of_it_and_hands_over(zookeeper: ZooKeeper) -> None:
    field = field_at(zookeeper)
    started: set[int] = set()

    async def work(partition: int, term: Term) -> None:
        started.add(partition)
        await until(lambda: len(started) == COUNT // 2)
        if partition == min(started):
            raise KeyError(partition)
        await forever(partition, term)

    async with field.replica("a") as first, connect(zookeeper.address, timeout=1.0) as zk:
        await field.balanced()
        parts = partitions(zk, "jobs", count=COUNT, identity="b", lease=LEASE)
        with pytest.raises(KeyError):
            await parts.run(work)
        assert not parts.held
        assert parts.status().state == "idle"
        await field.balanced()
        assert len(first.parts.held) == COUNT


async def test_work_that_returns_leaves_the_partition_held_and_idle(zookeeper: ZooKeeper) -> None:
    calls: list[int] = []

    async def brief(partition: int, term: Term) -> None:
        calls.append(partition)

    async with connect(zookeeper.address, timeout=1.0) as zk:
        parts = partitions(zk, "jobs", count=4, lease=LEASE)
        running = asyncio.create_task(parts.run(brief))
        await until(lambda: len(parts.held) == 4)
        term = parts.election(2).term
        assert term is not None
        assert await parts.election(2).resign()
        await until(lambda: len(calls) == 5)
        assert sorted(calls) == [0, 1, 2, 2, 3]
        assert len(parts.held) == 4
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()


async def test_work_that_cancels_itself_ends_all_of_it(zookeeper: ZooKeeper) -> None:
    async def work(partition: int, term: Term) -> None:
        raise asyncio.CancelledError

    async with connect(zookeeper.address, timeout=1.0) as zk:
        running = asyncio.create_task(partitions(zk, "jobs", count=2, lease=LEASE).run(work))
        await asyncio.wait([running])
        assert running.cancelled()


async def test_stubborn_work_is_waited_for_however_often_it_is_cancelled(zookeeper: ZooKeeper) -> None:
    release = asyncio.Event()
    stopping: set[int] = set()

    async def stubborn(partition: int, term: Term) -> None:
        try:
            await forever(partition, term)
        finally:
            stopping.add(partition)
            await release.wait()

    async with connect(zookeeper.address, timeout=1.0) as zk:
        parts = partitions(zk, "jobs", count=3, lease=LEASE)
        running = asyncio.create_task(parts.run(stubborn))
        await until(lambda: len(parts.held) == 3)
        for _ in range(3):
            running.cancel()
            await asyncio.wait([running], timeout=0.01)
        await until(lambda: len(stopping) == 3)
        assert not running.done()
        assert await parts.election(0).candidates(), "better no holder than two"
        release.set()
        await asyncio.wait([running])
        assert running.cancelled()
        assert not await parts.election(0).candidates()


async def test_a_second_cancellation_does_not_wait_for_others(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address, timeout=1.0) as zk, connect(zookeeper.address, timeout=1.0) as other:
        parts = partitions(zk, "jobs", count=4, identity="a", lease=LEASE)
        running = asyncio.create_task(parts.run(forever, handover=3600.0))
        await until(lambda: len(parts.held) == 4)
        # A member that takes nothing over: it will be assigned everything, and stand nowhere.
        await other.client.request(m.Create(f"{PARENT}/stranger-n_", ephemeral=True, sequential=True))
        await until(lambda: len(parts.status().assigned) == 2)
        assert len(parts.held) == 4
        running.cancel()
        await until(lambda: parts.status().state == "leaving" and not parts._members.me)
        assert len(parts.held) == 4, "it goes on until somebody else stands ready"
        running.cancel()
        await asyncio.wait([running])
        assert not parts.held


async def test_a_stop_waits_so_long_and_no_longer(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address, timeout=1.0) as zk, connect(zookeeper.address, timeout=1.0) as other:
        parts = partitions(zk, "jobs", count=4, identity="a", lease=LEASE)
        running = asyncio.create_task(parts.run(forever, handover=0.05))
        await until(lambda: len(parts.held) == 4)
        await other.client.request(m.Create(f"{PARENT}/stranger-n_", ephemeral=True, sequential=True))
        await until(lambda: len(parts.status().assigned) == 2)
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()
        assert not parts.held


async def test_another_count_is_refused_while_somebody_runs_and_taken_afterwards(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address, timeout=1.0) as other:
        stranger = partitions(other, "jobs", count=5, lease=LEASE)
        field = field_at(zookeeper, count=4)
        async with field.replica("a"):
            await field.balanced()
            with pytest.raises(UsageError, match="4 partitions, not 5"):
                await stranger.run(forever)
            assert field.at_rest
        running = asyncio.create_task(stranger.run(forever))
        await until(lambda: len(stranger.held) == 5)
        running.cancel()
        await asyncio.wait([running])


async def test_an_assignment_of_somebody_else_is_written_anew(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address, timeout=1.0) as zk:
        await zk.wait_connected()
        for path in ("/ELECTION", "/ELECTION/jobs", PARENT):
            await zk.client.request(m.Create(path, b"mine"))
        parts = partitions(zk, "jobs", count=5)
        running = asyncio.create_task(parts.run(forever))
        await until(lambda: len(parts.held) == 5)
        running.cancel()
        await asyncio.wait([running])


async def test_the_connection_is_closed_meanwhile(zookeeper: ZooKeeper) -> None:
    zk = connect(zookeeper.address, timeout=1.0)
    async with zk:
        parts = partitions(zk, "jobs", count=8, lease=LEASE)
        running = asyncio.create_task(parts.run(forever))
        await until(lambda: len(parts.held) == 8)
    with pytest.raises(SessionClosed):
        await running
    assert not parts.held
    with pytest.raises(SessionClosed):
        await parts.run(forever)


async def test_it_is_run_again_and_again_on_one_object(zookeeper: ZooKeeper) -> None:
    field = field_at(zookeeper)
    async with field.replica("a"), connect(zookeeper.address, timeout=1.0) as zk:
        parts = partitions(zk, "jobs", count=COUNT, identity="b", lease=LEASE)
        for _ in range(5):
            running = asyncio.create_task(parts.run(forever))
            await until(lambda: len(parts.held) == COUNT // 2)
            with pytest.raises(UsageError, match="one run"):
                await parts.run(forever)
            running.cancel()
            await asyncio.wait([running])
            assert len(await parts.members()) == 1
        await field.balanced()


async def test_what_can_be_seen(zookeeper: ZooKeeper) -> None:
    field = field_at(zookeeper, count=5)
    async with field.replica("a") as first, field.replica("b") as second:
        await field.balanced()
        await until(lambda: first.parts._members.announced == first.parts.held)
        await until(lambda: second.parts._members.announced == second.parts.held)
        status = first.parts.status()
        assert (status.name, status.identity, status.count) == ("jobs", "a", 5)
        assert (status.state, status.members) == ("member", 2)
        # Either may have come first.
        assert sorted((len(status.assigned), len(second.parts.status().assigned))) == [2, 3]
        assert status.held == status.assigned == first.parts.held
        assert not status.leaving
        members = await second.parts.members()
        assert {member.identity: member.standing for member in members} == {
            "a": first.parts.held,
            "b": second.parts.held,
        }
        leader = await first.parts.election(min(second.parts.held)).leader()
        assert leader is not None
        assert leader.identity == "b"
        with pytest.raises(UsageError, match="no partition 5"):
            first.parts.election(5)


async def test_arguments_that_cannot_be(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address, timeout=1.0) as zk:
        await zk.wait_connected()
        for count in (0, -1, 1025):
            with pytest.raises(UsageError, match="partitions: give 1 to 1024"):
                partitions(zk, "jobs", count=count)
        with pytest.raises(UsageError, match="one part of a path"):
            partitions(zk, "jobs/x", count=2)
        assert partitions(zk, "jobs", count=2).held == frozenset()
        assert await partitions(zk, "others", count=2).members() == []
        with pytest.raises(UsageError, match="already"):
            partitions(zk, "jobs", count=2)
    with pytest.raises(UsageError, match="not entered"):
        await partitions(connect(zookeeper.address), "jobs", count=2).run(forever)
