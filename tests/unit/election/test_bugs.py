"""A candidacy that raises an error: it leads no more, its work is stopped, and another process leads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from leader_async import Connection, Election, Term, TermEnded, connect
from leader_async.election.rules.confirm_rounds import Round
from leader_async.health import unwell
from leader_async.testing import ZooKeeper, zookeeper

from ...support.waiting import until

__all__ = ["zookeeper"]
LEASE = 0.5


class Bug(Exception):
    """What nobody has thought of."""


def broken(election: Election, method: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From when this is called, that method of the election's candidacy raises `Bug`; those of others do not."""
    whose = election.candidacy.lead if method == "stake" else election.candidacy
    real = getattr(type(whose), method)
    bugs: list[bool] = []

    def call(own: object, *arguments: object, **named: object) -> object:
        if own is whose and bugs:
            raise Bug(method)
        return real(own, *arguments, **named)

    monkeypatch.setattr(type(whose), method, call)
    return lambda: bugs.append(True)


@pytest.fixture
async def zk(zookeeper: ZooKeeper) -> AsyncIterator[Connection]:
    async with connect(zookeeper.address, timeout=1.0) as connection:
        yield connection


@pytest.mark.parametrize("method", ["tick", "confirmed", "stake", "answered", "deadline"])
async def test_another_process_leads_when_the_work_has_ended(
    zk: Connection, zookeeper: ZooKeeper, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever calls it: a timer, the keeper, an answer. The session, and what else it leads, stay."""
    first, sound = (zk.election(name, lease=LEASE) for name in ("x", "y"))
    begun, clean_up = asyncio.Event(), asyncio.Event()

    async def work(term: Term) -> None:
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            async with asyncio.timeout(15):
                await clean_up.wait()

    async def idle(term: Term) -> None:
        await asyncio.get_running_loop().create_future()

    async with connect(zookeeper.address, timeout=1.0) as other_zk:
        second = other_zk.election("x", lease=LEASE)
        running = asyncio.create_task(first.run(work))
        await begun.wait()
        others = [asyncio.create_task(election.run(idle)) for election in (sound, second)]
        await until(lambda: sound.is_leader and second.status().position == 1)
        term = first.term
        assert term is not None
        broken(first, method, monkeypatch)()
        first.candidacy.own.sight.audit_at = 0.0  # it is read again
        first.driver.carry_out()
        await until(lambda: not first.status().alive)
        assert not first.is_leader
        assert not term.is_current
        assert "bug" in str(unwell(first.status()))
        assert not first.candidacy.has_stake
        with pytest.raises(TermEnded):
            await term.confirm()
        assert not second.is_leader, "the work has not ended"
        assert not running.done()
        clean_up.set()
        with pytest.raises(Bug):
            await running
        await until(lambda: second.is_leader)
        assert zk.client.connected
        assert sound.is_leader
        with pytest.raises(Bug):
            await first.run(idle)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def test_who_dies_while_it_queues_lets_those_behind_it_pass(
    zk: Connection, zookeeper: ZooKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def idle(term: Term) -> None:
        await asyncio.get_running_loop().create_future()

    async with (
        connect(zookeeper.address, timeout=1.0) as second_zk,
        connect(zookeeper.address, timeout=1.0) as third_zk,
    ):
        elections = [each.election("x", lease=LEASE) for each in (zk, second_zk, third_zk)]
        running = []
        for number, election in enumerate(elections):
            running.append(asyncio.create_task(election.run(idle)))
            await until(lambda election=election, number=number: election.status().position == number)  # type: ignore[misc]
        broken(elections[1], "tick", monkeypatch)()
        elections[1].driver.tick()
        with pytest.raises(Bug):
            await running[1]
        assert [one.identity for one in await elections[0].candidates()] == [
            elections[0].identity,
            elections[2].identity,
        ]
        await elections[0].resign()
        await until(lambda: elections[2].is_leader)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def test_the_cleanup_of_work_that_was_cancelled_twice_ends_no_later_run(zk: Connection) -> None:
    """`run` was cancelled, and again; the next `run` waits for the old work, and is not ended by how that ends."""
    election = zk.election("x", lease=LEASE)
    clean_up, stopping = asyncio.Event(), asyncio.Event()

    async def work(term: Term) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            stopping.set()
            async with asyncio.timeout(15):
                await clean_up.wait()
            raise Bug("while cleaning up")

    first = asyncio.create_task(election.run(work))
    await until(lambda: election.is_leader)
    first.cancel()
    await stopping.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert election.status().in_queue, "its place is kept while it cleans up"

    async def answer(term: Term) -> int:
        return term.number

    second = asyncio.create_task(election.run(answer))
    await asyncio.sleep(0)
    assert not second.done()
    clean_up.set()
    assert await second == 2


async def test_a_round_that_cannot_be_sent_does_not_end_the_confirms(
    zk: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error beside the candidacies: the loop's handler hears of it, and the next round is sent in time."""
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))
    election = zk.election("x", lease=LEASE)

    async def idle(term: Term) -> None:
        await asyncio.get_running_loop().create_future()

    running = asyncio.create_task(election.run(idle))
    await until(lambda: election.is_leader)
    term, real = election.term, zk.confirms._send
    assert term is not None

    def send(due_round: Round) -> None:
        if not told:
            raise Bug("while sending")
        real(due_round)

    monkeypatch.setattr(zk.confirms, "_send", send)
    await until(lambda: told)
    until_then = term.valid_until
    await until(lambda: term.valid_until > until_then)
    assert [type(error) for error in told] == [Bug]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
