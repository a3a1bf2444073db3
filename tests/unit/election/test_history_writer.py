"""The history as processes write it, over the embedded ZooKeeper."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

import pytest

from leader_async import Connection, ConnectionLost, Election, NotConnected, Term, TermEntry, connect
from leader_async.election.history_writer import write
from leader_async.election.queries import read_history
from leader_async.election.rules import history
from leader_async.election.rules import record as r
from leader_async.election.rules.queue import in_order
from leader_async.errors import NoNode
from leader_async.testing import ZooKeeper, zookeeper
from leader_async.zookeeper import messages as m
from leader_async.zookeeper.reader import Reader

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
        token = one.status().token
        await one.resign()
        await until(lambda: two.is_leader)
        first, second = await two.history()  # at once: the record tells it
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
        async with candidates([proxy.address, zookeeper.address]) as [(far, _, _), (_, two, _)]:
            proxy.refuse(True)
            proxy.cut()
            zookeeper.expire(far.client.session_id)
            first = (await written(two, lambda entries: last_ended(entries, 2)))[0]
            assert (first.identity, first.why) == ("a", "session expired or machine lost"), "so the claim shows"
            first = (await written(two, lambda entries: bool(entries[0].told_by)))[0]
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


async def test_terms_in_a_row_that_nobody_has_written_down_are_told_by_the_record(zookeeper: ZooKeeper) -> None:
    async with candidates([zookeeper.address] * 3) as [(zk, one, _), (_, two, _), (_, three, _)]:
        await one.resign()
        await until(lambda: two.is_leader)
        await two.resign()
        await until(lambda: three.is_leader)
        entries = await three.history()
        assert [(entry.term, entry.identity, entry.why) for entry in entries] == [
            (1, "a", "resigned"), (2, "b", "resigned"), (3, "c", ""),
        ]  # fmt: skip
        with pytest.raises(NoNode):
            await zk.client.request(m.GetData(PATH))


async def pass_on(election: Election, terms: int) -> None:
    """Lead so many terms more, one after the other."""
    for _ in range(terms):
        before = election.status().term
        await election.resign()
        await until(partial(leads_after, election, before))


def leads_after(election: Election, term: int | None) -> bool:
    return election.is_leader and election.status().term != term


async def test_many_terms_are_written_down_and_the_record_tells_of_them_no_more(zookeeper: ZooKeeper) -> None:
    async with candidates([zookeeper.address]) as [(zk, one, _)]:
        await pass_on(one, history.FULL)
        await until(lambda: (hold := one.candidacy.hold) is not None and not one.candidacy.story.untold(hold))
        written_down, _ = await read_history(Reader(zk.client), "/ELECTION/x")
        terms = [entry.term for entry in written_down]
        assert terms == [*range(1, len(terms) + 1)]
        assert len(terms) >= history.FULL
        await pass_on(one, 1)
        record = await zk.client.request(m.GetData("/ELECTION/x"))
        assert isinstance(record, m.Data)
        assert len(r.decode(record.data, record.stat.version, "/e").past) < history.FULL
        entries = await one.history()
        assert [entry.term for entry in entries] == [*range(1, entries[-1].term + 1)]
        assert all(entry.token and entry.identity == "a" and entry.why == "resigned" for entry in entries[:-1])


async def test_a_history_that_cannot_be_read_is_begun_anew(zookeeper: ZooKeeper) -> None:
    async with candidates([zookeeper.address]) as [(zk, one, _)]:
        await zk.client.request(m.Create(PATH, b"\xff not ours"))
        assert [entry.term for entry in await one.history()] == [1], "what the record tells"
        await pass_on(one, history.FULL)
        await until(lambda: (hold := one.candidacy.hold) is not None and not one.candidacy.story.untold(hold))
        entries, _ = await read_history(Reader(zk.client), "/ELECTION/x")
        assert [entry.term for entry in entries][:2] == [1, 2]


async def test_a_history_that_may_not_be_written_harms_nobody(
    zookeeper: ZooKeeper, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(zookeeper.address) as zk:
        await zk.wait_connected()
        for path in ("/ELECTION", "/ELECTION/x"):
            await zk.client.request(m.Create(path))
        await zk.client.request(m.Create(PATH, access=(m.Access(m.Permission.READ, "world", "anyone"),)))
        async with candidates([zookeeper.address]) as [(_, one, _)]:
            await pass_on(one, r.ROWS + 2)
            await until(lambda: "the history cannot be written" in caplog.text)
            assert one.is_leader
            entries = await one.history()
            assert entries[-1].term == r.ROWS + 3
            assert len(entries) == r.ROWS + 1, "the oldest are forgotten"


async def test_one_who_wants_no_history_writes_none(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address) as zk:
        quiet = zk.election("x", lease=LEASE, history=False)
        running = asyncio.create_task(quiet.run(idle))
        await until(lambda: quiet.is_leader)
        assert zk.history_writer._task is None, "nothing will ever be written"
        (only,) = await quiet.history()
        assert only.term == 1, "what the record tells"
        await pass_on(quiet, 2)
        (only,) = await quiet.history()
        assert only.term == 3, "and no more"
        running.cancel()
        await asyncio.wait([running])


async def test_writers_who_meet_merge_what_they_tell(zookeeper: ZooKeeper) -> None:
    async with candidates([zookeeper.address] * 3) as found:

        async def tell(zk: Connection, election: Election, entry: TermEntry) -> None:
            while not await write(zk.client, election.candidacy, [entry]):
                pass

        told = [TermEntry(10 + number, number + 1, "x") for number in range(3)]
        await asyncio.gather(*(tell(zk, each, entry) for (zk, each, _), entry in zip(found, told, strict=True)))
        entries, _ = await read_history(Reader(found[0][0].client), "/ELECTION/x")
        assert entries[-3:] == told


def address_of(zookeeper: ZooKeeper) -> tuple[str, int]:
    host, _, port = zookeeper.address.rpartition(":")
    return host, int(port)


def test_the_history_s_znode_is_no_candidate() -> None:
    assert in_order([history.NAME, "u-n_0000000001"]) == ["u-n_0000000001"]
