"""A record that cannot be read is put right so that whoever led before has stopped when the next one leads."""

from __future__ import annotations

import asyncio
import json

import pytest

from leader_async import Connection, Election, Term, UsageError, clock, connect
from leader_async.election import repair
from leader_async.election.rules import history
from leader_async.election.rules import record as r
from leader_async.election.rules.candidate_data import CandidateData
from leader_async.errors import NoAuth
from leader_async.testing import ZooKeeper, zookeeper
from leader_async.zookeeper import messages as m

from ...support.garbage import GARBAGE
from ...support.waiting import until

__all__ = ["zookeeper"]
PARENT = "/ELECTION/x"


async def make(zk: Connection, *writes: bytes) -> None:
    await zk.wait_connected()
    for path in ("/ELECTION", PARENT):
        await zk.client.request(m.Create(path))
    for data in writes:
        await zk.client.request(m.SetData(PARENT, data, -1))


async def stands(zk: Connection) -> tuple[r.Record, int]:
    data = await zk.client.request(m.GetData(PARENT))
    assert isinstance(data, m.Data)
    return r.decode(data.data, data.stat.version, PARENT), data.stat.version


@pytest.mark.parametrize(("writes", "version"), [((b"",), 2), ((b"", b"?"), 4), ((b"", b"", b"{}"), 4)])
async def test_held_ends_at_an_even_version(zookeeper: ZooKeeper, writes: tuple[bytes, ...], version: int) -> None:
    async with connect(zookeeper.address) as zk:
        await make(zk, *writes)
        todo = await repair.plan(zk.client, PARENT, 0.5)
        assert await repair.carry_out(zk.client, todo)
        assert await stands(zk) == (todo.record, version)
        assert (todo.record.term, todo.record.lease) == (1, 0.5)
        assert todo.waits == pytest.approx(0.55)


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
async def test_whatever_stands_there(zookeeper: ZooKeeper, data: bytes) -> None:
    async with connect(zookeeper.address) as zk:
        await make(zk, data)
        assert await repair.carry_out(zk.client, await repair.plan(zk.client, PARENT, 0.5))
        assert (await stands(zk))[0].term == 1


async def test_the_longest_lease_and_the_highest_term_that_are_known(zookeeper: ZooKeeper) -> None:
    spoilt = {"term": 4, "lease": 7.0, "state": 1, "past": [{"term": 5}, {"term": 10**400}, 7]}
    async with connect(zookeeper.address) as zk:
        await make(zk, json.dumps(spoilt).encode())

        async def planned(lease: float | None) -> tuple[int, float]:
            todo = await repair.plan(zk.client, PARENT, lease)
            return todo.record.term, todo.record.lease

        assert await planned(None) == (6, 7.0)
        assert await planned(0.5) == (6, 0.5), "what the operator says counts more than what anybody may have written"
        await zk.client.request(m.Create(f"{PARENT}/history", history.encode([history.TermEntry(8)])))
        assert await planned(8.0) == (9, 8.0)
        own = CandidateData("a", term=11, version=4, lease=60.0).encode()
        await zk.client.request(m.Create(f"{PARENT}/a-n_", own, ephemeral=True, sequential=True))
        await zk.client.request(m.Create(f"{PARENT}/b-n_", b"[" * 9999, ephemeral=True, sequential=True))
        assert await planned(8.0) == (12, 60.0)
        await zk.client.request(m.SetData(PARENT, json.dumps({"term": 2**31}).encode(), -1))
        assert await planned(8.0) == (12, 60.0), "a term that cannot be is not believed"


async def test_what_can_be_read_is_left_alone(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address) as zk:
        await zk.wait_connected()
        with pytest.raises(UsageError, match="there is no election /ELECTION/x"):
            await repair.plan(zk.client, PARENT, 3.0)
        await make(zk)
        with pytest.raises(UsageError, match="can be read; there is nothing"):
            await repair.plan(zk.client, PARENT, 3.0)
        await zk.client.request(m.SetData(PARENT, b"?", -1))
        await zk.client.request(m.SetData(PARENT, r.encode(r.Record(3, "a-n_1", r.LeadState.HELD, 3.0)), -1))
        with pytest.raises(UsageError, match="can be read: held, term 3; there is nothing"):
            await repair.plan(zk.client, PARENT, 3.0)


async def test_who_says_that_a_lease_is_the_longest_is_told(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address) as zk:
        await make(zk, b"?")
        todo = await repair.plan(zk.client, PARENT)
        assert (todo.record.lease, todo.source) == (3.0, "what replicas are given by default")
        await zk.client.request(m.SetData(PARENT, json.dumps({"lease": 86400}).encode(), -1))
        todo = await repair.plan(zk.client, PARENT)
        assert (todo.record.lease, todo.source[:54]) == (
            86400,
            "the spoilt record says so; give --lease if no replica ",
        )
        todo = await repair.plan(zk.client, PARENT, 0.5)
        assert (todo.record.lease, todo.source) == (0.5, "--lease says so")
        own = CandidateData("a", lease=60.0).encode()
        await zk.client.request(m.Create(f"{PARENT}/a-n_", own, ephemeral=True, sequential=True))
        todo = await repair.plan(zk.client, PARENT, 0.5)
        assert (todo.record.lease, todo.source) == (60.0, "the data of candidate a (a-n_0000000000) says so")


@pytest.mark.parametrize("writes", [(b"?",), (b"?", b"?")])
async def test_what_was_put_right_is_written_anew_with_another_lease(
    zookeeper: ZooKeeper, writes: tuple[bytes, ...]
) -> None:
    async with connect(zookeeper.address) as zk:
        await make(zk, *writes)
        first = await repair.plan(zk.client, PARENT, 60.0)
        assert await repair.carry_out(zk.client, first)
        version = (await stands(zk))[1]
        with pytest.raises(UsageError, match="put right already, and a lease of 60 s is waited out; give --lease"):
            await repair.plan(zk.client, PARENT)
        with pytest.raises(UsageError, match=r"the longest that is known \(--lease says so\); there is nothing"):
            await repair.plan(zk.client, PARENT, 60.0)
        for number, lease in enumerate((0.5, 90.0), 1):
            todo = await repair.plan(zk.client, PARENT, lease)
            assert await repair.carry_out(zk.client, todo)
            record, now = await stands(zk)
            assert (record, record.term, record.lease, now) == (todo.record, 1, lease, version + 2 * number)
            assert record.holder != first.record.holder, "whoever waits begins anew"
        assert not await repair.carry_out(zk.client, first)
        await zk.client.request(m.Create(f"{PARENT}/{record.holder}"))
        with pytest.raises(UsageError, match="can be read: held, term 1; there is nothing"):
            await repair.plan(zk.client, PARENT, 0.5)


async def test_a_candidate_called_nobody_is_left_alone(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address) as zk:
        await make(zk, b"?")
        held = r.Record(3, "a-n_0000000001", r.LeadState.HELD, 3.0, r.NOBODY)
        await zk.client.request(m.SetData(PARENT, r.encode(held), -1))
        with pytest.raises(UsageError, match="can be read: held, term 3; there is nothing"):
            await repair.plan(zk.client, PARENT, 0.5)


async def test_who_waits_begins_anew_with_the_new_lease(zookeeper: ZooKeeper) -> None:
    async def lead(term: Term) -> None:
        await asyncio.get_running_loop().create_future()

    async with connect(zookeeper.address) as one, connect(zookeeper.address) as zk:
        await make(zk, b"?")
        assert await repair.carry_out(zk.client, await repair.plan(zk.client, PARENT, 3000.0))
        election = one.election("x", identity="a", lease=0.5)
        running = asyncio.create_task(election.run(lead))
        await until(
            lambda: election.status().state == "waiting out" and election.candidacy.lead.wait_out_end() is not None
        )
        assert election.status().leader is None, "nobody is no candidate"
        begun = clock.now()
        assert await repair.carry_out(zk.client, await repair.plan(zk.client, PARENT, 0.8))
        await until(lambda: election.is_leader)
        assert clock.now() - begun >= 1.1 * 0.8
        running.cancel()
        await asyncio.wait([running])


async def test_what_was_written_meanwhile_is_left_alone(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address) as zk:
        await make(zk, b"?")
        todo = await repair.plan(zk.client, PARENT, 3.0)
        assert await repair.carry_out(zk.client, todo)
        before = await stands(zk)
        assert not await repair.carry_out(zk.client, todo)
        assert await stands(zk) == before


async def test_who_may_not_write_is_told(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address) as zk:
        await make(zk, b"?")
        await zk.client.request(m.SetAccess(PARENT, (m.Access(int(m.Permission.READ), "world", "anyone"),)))
        todo = await repair.plan(zk.client, PARENT, 3.0)
        with pytest.raises(NoAuth):
            await repair.carry_out(zk.client, todo)


async def test_whoever_led_has_stopped_when_the_next_one_leads(
    zookeeper: ZooKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    led: dict[str, list[float]] = {"old": [], "new": []}

    async def lead(term: Term) -> None:
        await asyncio.get_running_loop().create_future()

    async def note(election: Election) -> None:
        while True:
            if election.is_leader:
                led[election.identity].append(clock.now())
            await asyncio.sleep(0.005)

    async with connect(zookeeper.address) as near, connect(zookeeper.address) as far, connect(zookeeper.address) as zk:
        old, new = near.election("x", identity="old", lease=1.0), far.election("x", identity="new", lease=1.0)
        running = [asyncio.create_task(old.run(lead))]
        await until(lambda: old.is_leader)
        running += [asyncio.create_task(new.run(lead)), *(asyncio.create_task(note(one)) for one in (old, new))]
        await until(lambda: new.status().leader == "old")  # so the old one's data are published, which name its lease
        await zk.wait_connected()
        monkeypatch.setattr(near.confirms._rounds, "rounds", lambda now: ())  # no confirm tells it of what happens next
        await zk.client.request(m.SetData(PARENT, b"?", -1))
        assert old.is_leader
        # It leaves the queue only when its work has ended, so its znode is taken away: a session that expired early.
        todo = await repair.plan(zk.client, PARENT, 0.1)
        assert todo.record.lease == 1.0
        assert await repair.carry_out(zk.client, todo)
        await zk.client.request(m.Delete(f"{PARENT}/{old.candidacy.znode}", -1))
        assert old.is_leader
        await until(lambda: new.is_leader)
        await until(lambda: bool(led["new"]))
        assert max(led["old"]) < min(led["new"])
        for task in running:
            task.cancel()
        await asyncio.wait(running)
