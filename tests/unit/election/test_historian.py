"""The history as processes write it, over the embedded ZooKeeper."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

from leader_async import Connection, ConnectionLost, Election, NotConnected, Term, TermEntry, connect
from leader_async.election import history
from leader_async.election.historian import write
from leader_async.election.queue import in_order
from leader_async.testing import ZooKeeper, zookeeper
from leader_async.zookeeper import messages as m

from ...support.proxy import Proxy
from ...support.waiting import until

__all__ = ["zookeeper"]
LEASE = 0.3
PATH = "/ELECTION/x/history"


async def idle(term: Term) -> None:
    await asyncio.get_running_loop().create_future()


async def written(election: Election, told: Callable[[list[TermEntry]], bool]) -> list[TermEntry]:
    """The history, once it says so."""
    async with asyncio.timeout(15):
        while True:
            with suppress(NotConnected, ConnectionLost):  # a busy machine; the client connects again
                if told(entries := await election.history()):
                    return entries
            await asyncio.sleep(0.01)


@asynccontextmanager
async def candidates(addresses: Sequence[str]) -> AsyncIterator[list[tuple[Connection, Election, asyncio.Task[None]]]]:
    """Candidates a, b, …, each on a connection of its own; the first one leads."""
    async with AsyncExitStack() as stack:
        found = []
        for name, address in zip("abc", addresses, strict=False):
            zk = await stack.enter_async_context(connect(address, timeout=2.0))
            election = zk.election("x", identity=name, address=f"http://{name}", lease=LEASE)
            running = asyncio.create_task(election.run(idle))
            found.append((zk, election, running))
            await until(lambda election=election: election.status().position is not None)  # type: ignore[misc]
        await until(lambda: found[0][1].is_leader)
        yield found
        for _, _, running in found:
            running.cancel()
        await asyncio.gather(*(running for _, _, running in found), return_exceptions=True)


def last_ended(entries: list[TermEntry], count: int) -> bool:
    return len(entries) == count and all(entry.ended is not None for entry in entries[:-1])


async def test_a_handover_is_told_with_its_reason_by_the_next_holder(zookeeper: ZooKeeper) -> None:
    begin = time.time()
    async with candidates([zookeeper.address] * 2) as [(_, one, _), (_, two, _)]:
        await written(one, lambda entries: len(entries) == 1)
        token = one.status().token
        await one.resign()
        await until(lambda: two.is_leader)
        first, second = await written(two, lambda entries: last_ended(entries, 2))
        assert (first.term, first.token, first.identity, first.address) == (1, token, "a", "http://a")
        assert first.ended is not None
        assert begin - 1 < first.began <= first.ended <= second.began <= time.time() + 1
        assert (first.why, first.told_by, first.at_least) == ("resigned", "holder", False)
        assert first.leaderless_ms == round((second.began - first.ended) * 1000)
        assert (second.term, second.identity, second.ended, second.why) == (2, "b", None, "")


async def test_work_that_fails_says_so_in_one_line(zookeeper: ZooKeeper) -> None:
    async def fail(term: Term) -> None:
        await asyncio.sleep(LEASE)
        raise RuntimeError("the disk is full\nand more")

    async with connect(zookeeper.address) as zk:
        election = zk.election("x", identity="a", lease=LEASE)
        with pytest.raises(RuntimeError):
            await election.run(fail)
        running = asyncio.create_task(election.run(idle))
        entries = await written(election, lambda entries: last_ended(entries, 2))
        assert entries[0].why == "work failed"
        assert "the disk is full" in entries[0].detail
        assert "\n" not in entries[0].detail
        running.cancel()
        await asyncio.wait([running])


async def test_a_session_that_went_without_a_word_is_told_by_the_successor(zookeeper: ZooKeeper) -> None:
    async with Proxy(*address_of(zookeeper)) as proxy:
        async with candidates([proxy.address, zookeeper.address]) as [(far, one, _), (_, two, _)]:
            await written(one, lambda entries: len(entries) == 1)
            proxy.refuse(True)
            proxy.cut()
            zookeeper.expire(far.client.session_id)
            entries = await written(two, lambda entries: last_ended(entries, 2))
            first = entries[0]
            assert (first.identity, first.told_by, first.at_least) == ("a", "successor", True)
            assert first.why == "session expired or machine lost"
            assert first.leaderless_ms is not None
            assert first.leaderless_ms >= round(LEASE * 100) - 1, "a tenth of the lease, surely"

            # Once it is connected again it tells for itself.
            proxy.refuse(False)
            first, second = (await written(two, lambda entries: entries[0].told_by == "holder"))[:2]
            assert first.why == "lease ran out"
            assert "no server was connected" in first.detail
            assert not first.at_least
            assert first.ended is not None
            assert first.began < first.ended <= second.began + 0.05


async def test_terms_that_nobody_could_write_down_are_known_as_far_as_the_next_holder_was_told(
    zookeeper: ZooKeeper,
) -> None:
    async with candidates([zookeeper.address] * 3) as [(_, one, _), (_, two, _), (_, three, _)]:
        await written(one, lambda entries: len(entries) == 1)
        await one.resign()
        await until(lambda: two.is_leader)
        await two.resign()  # at once: nothing of its term is written down
        await until(lambda: three.is_leader)
        entries = await written(three, lambda entries: len(entries) == 3 and bool(entries[1].why))
        assert [entry.term for entry in entries] == [1, 2, 3]
        assert (entries[1].why, entries[2].identity) == ("resigned", "c")


async def test_a_history_that_cannot_be_read_is_begun_anew(zookeeper: ZooKeeper) -> None:
    async with candidates([zookeeper.address]) as [(zk, one, _)]:
        await written(one, lambda entries: len(entries) == 1)
        await zk.client.request(m.SetData(PATH, b"\xff not ours", -1))
        assert await one.history() == []
        token = one.status().token
        await one.resign()
        await until(lambda: one.status().token not in (None, token) and one.is_leader)
        assert [entry.term for entry in await written(one, lambda entries: len(entries) >= 1)] == [1, 2]


async def test_a_history_that_may_not_be_written_harms_nobody(
    zookeeper: ZooKeeper, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(zookeeper.address) as zk:
        await zk.wait_connected()
        for path in ("/ELECTION", "/ELECTION/x"):
            await zk.client.request(m.Create(path))
        await zk.client.request(m.Create(PATH, access=(m.Access(m.Permission.READ, "world", "anyone"),)))
        async with candidates([zookeeper.address]) as [(_, one, _)]:
            await until(lambda: "the history cannot be written" in caplog.text)
            assert one.is_leader
            assert await one.history() == []


async def test_one_who_wants_no_history_writes_none(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address) as zk:
        quiet = zk.election("x", lease=LEASE, history=False)
        running = asyncio.create_task(quiet.run(idle))
        await until(lambda: quiet.is_leader)
        assert zk.historian._task is None, "nothing will ever be written"
        assert await quiet.history() == []
        running.cancel()
        await asyncio.wait([running])


async def test_writers_who_meet_merge_what_they_tell(zookeeper: ZooKeeper) -> None:
    async with candidates([zookeeper.address] * 3) as found:

        async def tell(zk: Connection, election: Election, entry: TermEntry) -> None:
            while not await write(zk.client, election.candidacy, [entry]):
                pass

        told = [TermEntry(10 + number, number + 1, "x") for number in range(3)]
        await asyncio.gather(*(tell(zk, each, entry) for (zk, each, _), entry in zip(found, told, strict=True)))
        assert (await found[0][1].history())[-3:] == told


def address_of(zookeeper: ZooKeeper) -> tuple[str, int]:
    host, _, port = zookeeper.address.rpartition(":")
    return host, int(port)


def test_the_history_s_znode_is_no_candidate() -> None:
    assert in_order([history.NAME, "u-n_0000000001"]) == ["u-n_0000000001"]
