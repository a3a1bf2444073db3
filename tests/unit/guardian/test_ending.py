"""What the guardian does for a process that is gone, and what it leaves alone."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from leader_async.election.rules import record as r
from leader_async.election.rules.ends import PROCESS_DIED
from leader_async.errors import ConnectionLost
from leader_async.guardian import ending
from leader_async.guardian.ending import end_session
from leader_async.testing import ZooKeeper
from leader_async.zookeeper import messages as m
from leader_async.zookeeper.client import Client

from .dying import Dying, Witness


@pytest.fixture
async def witness(zookeeper: ZooKeeper) -> AsyncIterator[Witness]:
    async with Witness(zookeeper.address) as witness:
        yield witness


@pytest.fixture
async def dying(zookeeper: ZooKeeper) -> Dying:
    dying = Dying(zookeeper.address)
    await dying.begin()
    return dying


async def test_a_held_record_is_left_and_the_session_closed(
    zookeeper: ZooKeeper, witness: Witness, dying: Dying
) -> None:
    await dying.hold("/x")
    await dying.client.request(m.Create("/mine", ephemeral=True))
    dying.die()
    assert await end_session(dying.told, ["/x"])
    record, version = await witness.record("/x")
    own, record = record.past[-1], replace(record, past=())
    left = r.Record(3, "u-n_0000000000", r.LeadState.LEFT, 1.0, "me", "here", end=PROCESS_DIED)
    assert (record, version) == (left, 3)
    assert (own["term"], own["identity"]) == (3, "me"), "it is told of"
    assert own["token"]
    assert await witness.children("/x") == ()
    assert "mine" not in await witness.children("/")
    assert zookeeper.sessions == [witness.session]


async def test_nothing_is_left_for_a_process_that_may_live(
    zookeeper: ZooKeeper, witness: Witness, dying: Dying
) -> None:
    await dying.hold("/x")
    before = await witness.record("/x")
    dying.die()
    assert await end_session(dying.told, ["/x"], dead=False)
    assert await witness.record("/x") == before
    assert await witness.children("/x") == ()
    assert zookeeper.sessions == [witness.session]


async def test_what_another_session_holds_is_left_alone(zookeeper: ZooKeeper, witness: Witness, dying: Dying) -> None:
    other = Dying(zookeeper.address)
    await other.begin()
    await other.hold("/x")
    before = await witness.record("/x")
    dying.die()
    assert await end_session(dying.told, ["/x"])
    assert await witness.record("/x") == before
    assert await witness.children("/x") == ("u-n_0000000000",)
    await other.client.close()


async def test_a_znode_that_is_gone_holds_nothing(witness: Witness, dying: Dying) -> None:
    await dying.hold("/x")
    await dying.client.request(m.Delete("/x/u-n_0000000000"))
    before = await witness.record("/x")
    dying.die()
    assert await end_session(dying.told, ["/x"])
    assert await witness.record("/x") == before


async def test_a_record_that_has_moved_on_is_left_alone(
    witness: Witness, dying: Dying, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def meanwhile(client: Client, request: m.Request) -> m.Reply | None:
        if isinstance(request, m.Multi):
            for version in (2, 3):  # somebody claims between the read and the leave
                await witness.do(m.SetData("/x", (await read()).data, version))
        return await ask(client, request)

    async def read() -> m.Data:
        data = await witness.do(m.GetData("/x"))
        assert isinstance(data, m.Data)
        return data

    ask = ending._ask
    monkeypatch.setattr(ending, "_ask", meanwhile)
    await dying.hold("/x")
    dying.die()
    assert await end_session(dying.told, ["/x"])
    record, version = await witness.record("/x")
    assert (record.state, version) == (r.LeadState.HELD, 4)


@pytest.mark.parametrize("parent", ["/x", "/missing"])
async def test_a_record_that_cannot_be_read_does_not_keep_the_session(
    zookeeper: ZooKeeper, witness: Witness, dying: Dying, parent: str
) -> None:
    await dying.client.request(m.Create("/x"))
    await dying.client.request(m.SetData("/x", b"somebody else's", 0))
    dying.die()
    assert await end_session(dying.told, [parent])
    assert zookeeper.sessions == [witness.session]


async def test_thousands_of_elections_are_looked_at_some_at_a_time(witness: Witness, dying: Dying) -> None:
    parents = [f"/x{number}" for number in range(2 * ending.BATCH + 5)]
    for number, parent in enumerate(parents):
        if number % 50 == 0:
            await dying.hold(parent)
        else:
            await dying.client.request(m.Create(parent))
    dying.die()
    assert await end_session(dying.told, parents)
    states = [(await witness.record(parent))[0].state for parent in parents]
    assert states == [r.LeadState.NONE if number % 50 else r.LeadState.LEFT for number in range(len(parents))]


async def test_without_elections_the_session_is_closed(zookeeper: ZooKeeper, dying: Dying) -> None:
    dying.die()
    assert await end_session(dying.told, [])
    assert zookeeper.sessions == []


async def test_a_session_that_has_expired_is_not_followed_by_another_one(
    zookeeper: ZooKeeper, witness: Witness, dying: Dying
) -> None:
    await dying.hold("/x")
    told = dying.told
    dying.die()
    zookeeper.expire(told.credentials.session_id)
    assert not await end_session(told, ["/x"])
    assert (await witness.record("/x"))[1] == 2
    assert zookeeper.sessions == [witness.session]


async def test_it_gives_up_when_the_session_must_have_expired(zookeeper: ZooKeeper, dying: Dying) -> None:
    told = dying.told
    dying.die()
    with zookeeper.outage(forget=True):
        assert not await end_session(told, ["/x"])
    assert zookeeper.sessions == []


async def test_a_lost_connection_is_followed_by_another_try(
    zookeeper: ZooKeeper, witness: Witness, dying: Dying, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[int] = []
    leave_all = ending._leave_all

    async def once_lost(client: Client, parents: Sequence[str]) -> int:
        left = await leave_all(client, parents)
        if not lost:
            lost.append(left)
            zookeeper.disconnect(client.session_id)
            raise ConnectionLost("in the middle")
        return left

    monkeypatch.setattr(ending, "_leave_all", once_lost)
    await dying.hold("/x")
    dying.die()
    assert await end_session(dying.told, ["/x"])
    assert lost == [1]
    assert (await witness.record("/x"))[1] == 3
    assert zookeeper.sessions == [witness.session]


async def test_nothing_is_said_of_the_password(dying: Dying, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await dying.hold("/x")
    password = dying.told.credentials.password
    dying.die()
    assert await end_session(dying.told, ["/x"])
    for shown in (password.hex(), repr(password), str(password)):
        assert shown not in caplog.text
