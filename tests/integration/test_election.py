"""The election on a real standalone ZooKeeper that nobody harms."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from contextlib import AsyncExitStack, aclosing

import pytest

from leader_async import (
    Connection,
    Election,
    SessionClosed,
    Term,
    TermEnded,
    UsageError,
    clock,
    connect,
)
from leader_async.election import repair
from leader_async.election.queries import LATEST
from leader_async.zookeeper import messages as m

from ..support.proxy import Proxy
from ..support.replica import Replica
from ..support.reporting import measured
from ..support.zookeeper import Server
from .playing import idle, leads, running, until

pytestmark = pytest.mark.timeout(60)


async def test_the_first_leads_and_the_second_waits(near: Connection, far: Connection, name: str) -> None:
    first, second = near.election(name, identity="one", address="http://one"), far.election(name, identity="two")
    async with running(first, second):
        term = await leads(first)
        assert not second.is_leader
        assert second.term is None
        queue = await second.candidates()
        assert [(c.identity, c.is_leader, c.position) for c in queue] == [("one", True, 0), ("two", False, 1)]
        assert (queue[0].token, queue[0].term, queue[0].address) == (term.token, term.number, "http://one")
        leader = await second.leader()
        assert leader == queue[0]
        assert second.status().leader == "one"
        assert second.status().state == "queued"
    assert await first.candidates() == []


async def test_tokens_and_numbers_rise(near: Connection, name: str) -> None:
    election = near.election(name)
    tokens, numbers = [], []
    for _ in range(5):
        async with running(election):
            term = await leads(election)
            tokens.append(term.token)
            numbers.append(term.number)
    assert tokens == sorted(set(tokens))
    assert numbers == [1, 2, 3, 4, 5]


async def test_leadership_is_handed_over_in_the_order_of_the_queue(standalone: Server, name: str) -> None:
    async with AsyncExitStack() as stack:
        elections = []
        for number in range(5):
            zk = await stack.enter_async_context(connect(standalone.address, timeout=4.0))
            elections.append(zk.election(name, identity=f"r{number}"))
        async with running(*elections):
            for round_ in range(10):
                leader = elections[round_ % 5]
                await leads(leader)
                assert sum(election.is_leader for election in elections) == 1
                assert await leader.resign()


async def test_the_lead_is_transferred_to_whoever_is_named(standalone: Server, name: str) -> None:
    async with AsyncExitStack() as stack:
        elections = []
        for number in range(5):
            zk = await stack.enter_async_context(connect(standalone.address, timeout=4.0))
            elections.append(zk.election(name, identity=f"r{number}"))
        async with running(*elections):
            token = (await leads(elections[0])).token
            # The last, somebody in the middle, one that stands ahead of that, the next one.
            for old, new in ((0, 4), (4, 2), (2, 1), (1, 3)):
                assert await elections[old].transfer(f"r{new}", timeout=10.0)
                term = await leads(elections[new], 2.0)
                assert term.token > token
                assert sum(election.is_leader for election in elections) == 1
                leader = await elections[0].leader()
                assert leader is not None
                assert leader.identity == f"r{new}"
                token = term.token
                async with asyncio.timeout(5):  # who gave way queues again a moment later
                    while len(await elections[0].candidates()) < 5:
                        pass
            with pytest.raises(
                UsageError, match="no candidate 'nobody' stands in the queue; there are: r0, r1, r2, r4"
            ):
                await elections[3].transfer("nobody")
            with pytest.raises(UsageError, match="r0 does not lead"):
                await elections[0].transfer("r1")
            await elections[3].resign()
            await until(lambda: sum(election.is_leader for election in elections) == 1)
            assert not any(election.status().healed for election in elections)


async def test_of_two_candidates_of_one_name_a_transfer_asks_which(standalone: Server, name: str) -> None:
    async with AsyncExitStack() as stack:
        elections = []
        for identity in ("leader", "twin", "twin"):
            zk = await stack.enter_async_context(connect(standalone.address, timeout=4.0))
            elections.append(zk.election(name, identity=identity))
        async with running(*elections):
            await leads(elections[0])
            twins = [one.znode for one in await elections[0].candidates() if one.identity == "twin"]
            with pytest.raises(UsageError, match=f"2 candidates are called 'twin'.*{twins[0]}, {twins[1]}"):
                await elections[0].transfer("twin")
            assert elections[0].is_leader
            assert await elections[0].transfer(twins[1], timeout=10.0)
            leader = await elections[0].wait_for_leader(5.0)
            assert leader.znode == twins[1]


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 0, 1, 4, 3)], ids=str)
async def test_a_rolling_restart_moves_the_lead_twice_at_most(
    standalone: Server, name: str, order: tuple[int, ...]
) -> None:
    """In any order, if each one that stops favours the one that started last; 0 leads at first."""
    async with AsyncExitStack() as stack:

        async def start(identity: str) -> tuple[Election, asyncio.Task[None]]:
            zk = await stack.enter_async_context(connect(standalone.address, timeout=4.0))
            election = zk.election(name, identity=identity)
            task = asyncio.create_task(election.run(idle))
            await until(lambda: election.status().position is not None)
            return election, task

        replicas = [await start(f"old-{number}") for number in range(5)]
        await leads(replicas[0][0])
        for number in order:
            election, task = replicas[number]
            favoured = await election.favour_newest()
            assert not favoured or election.is_leader
            task.cancel()
            await asyncio.wait([task])
            replicas[number] = await start(f"new-{number}")
            await until(lambda: sum(one.is_leader for one, _ in replicas) == 1)
        (leader,) = (one for one, _ in replicas if one.is_leader)
        term = leader.term
        assert term is not None
        # It has to move once; it moves once more only if the leader was restarted before all others.
        assert term.number - 1 == (2 if order[0] == 0 else 1)
        assert not any(one.status().healed for one, _ in replicas)
        for _, task in replicas:
            task.cancel()
        await asyncio.wait([task for _, task in replicas])


async def test_a_lease_that_was_configured_anew_comes_into_use_by_the_second_handover(
    standalone: Server, near: Connection, far: Connection, name: str
) -> None:
    async with connect(standalone.address, timeout=4.0) as zk:
        old, new = near.election(name, identity="old", lease=3.0), far.election(name, identity="new", lease=2.0)
        last = zk.election(name, identity="last", lease=2.0)
        async with running(old, new, last):
            await leads(old)
            assert await old.favour_newest()
            await old.resign()
            await leads(last)
            assert not await last.favour_newest(), "it leads under the lease of the old one"
            await last.resign()
            await leads(new)
            assert new.candidacy.hold is not None
            assert new.candidacy.hold.lease == 2.0


async def test_of_a_long_queue_only_the_last_ones_are_asked_when_they_started(standalone: Server, name: str) -> None:
    async with connect(standalone.address, timeout=4.0) as zk, AsyncExitStack() as stack:
        await stack.enter_async_context(running(first := zk.election(name, identity="first")))
        await leads(first)
        assert not await first.favour_newest(), "there is nobody else"
        others = []
        for number in range(LATEST + 2):
            other = await stack.enter_async_context(connect(standalone.address, timeout=4.0))
            others.append(other.election(name, identity=f"r{number}"))
        # Those that started last joined first, and are not asked; of the rest the last one in the queue started last.
        queue = others[-2:] + others[:-2]
        await stack.enter_async_context(running(*queue))
        assert await first.favour_newest()
        await first.resign()
        assert (await leads(others[-3])).number == 2
        assert not await others[0].favour_newest(), "only who leads has something to give"


async def test_a_handover_is_one_write_and_one_event(
    standalone: Server, proxy: Proxy, far: Connection, name: str
) -> None:
    """Ten handovers by name, counted frame by frame; all but the write is asked for when the next one leads."""
    async with AsyncExitStack() as stack:
        elections = []
        for number in range(12):
            zk = await stack.enter_async_context(connect(proxy.address, timeout=20.0))
            elections.append(zk.election(name, identity=f"r{number}", lease=30.0))
        tasks = []
        for election in elections:
            tasks.append(asyncio.create_task(election.run(idle)))
            await until(lambda election=election: election.status().position is not None)  # type: ignore[misc]
        await leads(elections[0])
        await until(lambda: elections[1].candidacy.lead.named)
        for old, new, after in zip(tasks, elections[1:], elections[2:], strict=False):
            await until(lambda new=new: new.candidacy.own.join.warm > 0)  # type: ignore[misc]
            before, transactions = proxy.requests.copy(), len(proxy.transactions)
            old.cancel()
            await leads(new)
            await until(lambda after=after: after.candidacy.own.join.warm > 0)  # type: ignore[misc]
            asked = proxy.requests - before
            confirms = sum(map(bool, proxy.transactions[transactions:]))
            reads = asked[4]  # getData
            listings = asked[8]
            assert asked[14] - confirms == 1, "the appointment"
            assert reads == 2, "the record; and the next heir reads its data"
            assert asked[3] == 1, "and awaits notice"
            others = asked.total() - asked[14] - asked[11] - reads - asked[3] - listings
            assert others == asked[-11] + asked[1], "the session's end; nothing for the history"
            assert listings in (0, 1), "once in eight times, when nobody behind is known any more"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_handovers_are_measured(standalone: Server, name: str) -> None:
    async with (
        connect(standalone.address, timeout=4.0) as one,
        connect(standalone.address, timeout=4.0) as two,
    ):
        elections = [one.election(name, identity="a"), two.election(name, identity="b")]
        took = []
        async with running(*elections):
            await leads(elections[0])
            for number in range(50):
                old, new = elections[number % 2], elections[1 - number % 2]
                await until(lambda new=new: new.status().state == "queued")  # type: ignore[misc]
                begin = clock.now()
                resigning = asyncio.create_task(old.resign())
                await leads(new)
                took.append(clock.now() - begin)
                await resigning
        measured("handover: resign() until the other leads, standalone", *took)


async def test_resign_and_join_again_50_times_on_the_same_object(near: Connection, name: str) -> None:
    election = near.election(name)
    async with running(election):
        for _ in range(50):
            await leads(election)
            assert await election.resign()
        await leads(election)
        assert election.status().healed == 0
    assert not await election.resign()


async def test_several_elections_confirm_in_one_transaction(far: Connection, proxy: Proxy, name: str) -> None:
    elections = [far.election(f"{name}-{number}", lease=1.0) for number in range(5)]
    async with running(*elections):
        for election in elections:
            await leads(election)
            while not await election.history():  # written behind the first confirms, which are hurried
                await asyncio.sleep(0.01)
        proxy.transactions.clear()
        begin = clock.now()
        await until(lambda: sum(map(bool, proxy.transactions)) >= 8)  # the others write histories
        took = clock.now() - begin
        assert set(proxy.transactions) - {0} == {10}, "two checks an election, all in one transaction"
        assert took > 8 * 0.2 * 0.5, "one a period"
        assert all(election.is_leader for election in elections)


async def test_one_election_ends_and_the_others_on_its_session_go_on(near: Connection, name: str) -> None:
    one, other = near.election(f"{name}-1", lease=1.0), near.election(f"{name}-2", lease=1.0)
    async with running(one, other):
        await leads(one)
        term = await leads(other)
        znode = one.status()
        assert znode.in_queue
        await near.client.request(m.Delete(f"/ELECTION/{name}-1/{one.candidacy.znode}"))
        await until(lambda: one.term is None)
        assert (await leads(one)).number == 2
        assert other.term is term


async def test_a_crash_is_followed_by_the_next_within_its_bound(
    standalone: Server, near: Connection, name: str
) -> None:
    timeout, tick, lease = 4.0, 0.5, 1.5
    crashing = Replica(standalone.address, name, "crashing", timeout=timeout, lease=lease)
    middle = Replica(standalone.address, name, "middle", timeout=timeout, lease=lease)
    try:
        await crashing.start()
        await crashing.line("leads")
        await middle.start()
        heir = near.election(name, lease=lease)
        async with running(heir):
            assert heir.status().position == 2
            middle.signal(signal.SIGKILL)
            await until(lambda: heir.status().position == 1)
            assert not heir.is_leader
            crashing.signal(signal.SIGKILL)
            begin = clock.now()
            await leads(heir)
            took = clock.now() - begin
        measured("crash (kill -9) until the next leads, timeout 4 s, lease 1.5 s, no guardian", took)
        assert took <= timeout + 2 * tick + 1.1 * lease + 1.0
    finally:
        await crashing.kill()
        await middle.kill()


async def test_a_strangers_delete_costs_the_place_and_nobody_idles(
    near: Connection, far: Connection, name: str
) -> None:
    first, second = near.election(name, lease=1.0), far.election(name, lease=1.0)
    async with running(first, second):
        old = await leads(first)
        await near.client.request(m.Delete(f"/ELECTION/{name}/{first.candidacy.znode}"))
        await until(lambda: not first.is_leader)
        term = await leads(second)
        assert term.token > old.token
        await until(lambda: first.status().state == "queued")
        assert old.valid_until == float("-inf")
        with pytest.raises(TermEnded):
            await old.confirm()


async def test_a_deleted_parent_is_made_again(near: Connection, name: str) -> None:
    election = near.election(name, lease=1.0)
    async with running(election):
        await leads(election)
        for one in await election.candidates():
            await near.client.request(m.Delete(f"/ELECTION/{name}/{one.znode}"))
        await near.client.request(m.Delete(f"/ELECTION/{name}"))
        await until(lambda: not election.is_leader)
        await leads(election)


async def test_a_term_can_be_confirmed_on_demand(near: Connection, name: str) -> None:
    election = near.election(name, lease=3.0)
    async with running(election):
        term = await leads(election)
        before = term.valid_until
        await term.confirm()
        assert term.valid_until > before
        assert term.is_current


async def test_what_the_work_returns_or_raises_is_what_run_gives(near: Connection, name: str) -> None:
    election = near.election(name)

    async def returning(term: Term) -> int:
        return term.number

    async def raising(term: Term) -> None:
        raise KeyError(term.number)

    async def cancelling(term: Term) -> None:
        raise asyncio.CancelledError

    assert await election.run(returning) == 1
    with pytest.raises(KeyError, match="2"):
        await election.run(raising)
    with pytest.raises(asyncio.CancelledError):
        await election.run(cancelling)
    assert await election.candidates() == []
    assert election.status().state == "idle"


async def test_work_that_does_not_end_keeps_the_place(near: Connection, far: Connection, name: str) -> None:
    release = asyncio.Event()

    async def stubborn(term: Term) -> None:
        try:
            await idle(term)
        except asyncio.CancelledError:
            await release.wait()

    first, second = near.election(name, lease=1.0), far.election(name, lease=1.0)
    task = asyncio.create_task(first.run(stubborn))
    await leads(first)
    async with running(second):
        with pytest.raises(TimeoutError):
            await first.resign(timeout=2.0)
        assert not first.is_leader
        assert first.status().state == "ending"
        assert first.status().overdue > 0
        assert not second.is_leader
        release.set()
        await leads(second)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_terms_in_a_loop(near: Connection, far: Connection, name: str) -> None:
    first, second = near.election(name, lease=1.0), far.election(name, lease=1.0)
    seen = []
    async with aclosing(first.terms()) as terms:
        async for term in terms:
            async with term:
                seen.append(term.number)
                assert term.is_current
            if len(seen) == 3:
                break
    assert seen == [1, 2, 3]
    assert await first.candidates() == []

    async with running(second), aclosing(first.terms()) as terms:
        await leads(second)
        waiting = asyncio.ensure_future(anext(terms))
        await until(lambda: first.status().state == "queued")
        await second.resign()
        term = await waiting
        async with term:
            await near.client.request(m.Delete(f"/ELECTION/{name}/{first.candidacy.znode}"))
            await asyncio.get_running_loop().create_future()  # ended by the loss of leadership
        assert not term.is_current


async def test_a_foreign_cancellation_is_not_swallowed_by_a_term(near: Connection, name: str) -> None:
    election = near.election(name)

    async def loop() -> None:
        async with aclosing(election.terms()) as terms:
            async for term in terms:
                async with term:
                    await idle(term)

    task = asyncio.create_task(loop())
    await leads(election)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await election.candidates() == []


async def test_observers_wait_for_a_leader_without_joining(near: Connection, far: Connection, name: str) -> None:
    observer, candidate = near.election(name), far.election(name, identity="the one")
    with pytest.raises(TimeoutError):
        await observer.wait_for_leader(timeout=0.05)
    waiting = asyncio.create_task(observer.wait_for_leader(timeout=10))
    await asyncio.sleep(0)
    async with running(candidate):
        assert (await waiting).identity == "the one"
        assert (await observer.wait_for_leader()).is_leader
        assert observer.status().state == "idle"
    assert await observer.leader() is None


async def test_a_connection_that_was_not_entered_says_so() -> None:
    with pytest.raises(UsageError, match="async with"):
        await connect("localhost").election("x").run(idle)
    with pytest.raises(UsageError, match="async with"):
        await connect("localhost").wait_connected()


async def test_misuse_is_told_at_once(near: Connection, name: str) -> None:
    election = near.election(name)
    assert near.election(name) is election
    with pytest.raises(UsageError, match="already"):
        near.election(name, identity="another one")
    async with running(election):
        with pytest.raises(UsageError, match="being run already"):
            await election.run(idle)
    for wrong in ("", "a/b", "..", "\n"):
        with pytest.raises(UsageError):
            near.election(wrong)
    for lease in (0.0, -1.0, float("nan")):
        with pytest.raises(UsageError, match="lease"):
            near.election(name + "x", lease=lease)
    with pytest.raises(UsageError, match="identity"):
        near.election(name + "x", identity="a\nb")
    for timeout in (0.0, float("inf")):
        with pytest.raises(UsageError, match="timeout="):
            connect("localhost", timeout=timeout)


async def test_closing_the_connection_stops_the_work_leaves_and_tells_whoever_runs(
    standalone: Server, near: Connection, name: str
) -> None:
    stopped = asyncio.Event()

    async def work(term: Term) -> None:
        try:
            await idle(term)
        finally:
            stopped.set()

    async with connect(standalone.address, timeout=4.0) as zk:
        election = zk.election(name)
        task = asyncio.create_task(election.run(work))
        await leads(election)
    assert stopped.is_set()
    with pytest.raises(SessionClosed):
        await task
    assert await near.election(name).candidates() == []
    with pytest.raises(SessionClosed):
        zk.election("another")
    with pytest.raises(SessionClosed):
        await zk.wait_connected()
    await zk.close()


async def test_below_a_chroot_that_does_not_exist_yet(standalone: Server, near: Connection, name: str) -> None:
    async with connect(f"{standalone.address}/apps/{name}", timeout=4.0) as zk:
        election = zk.election("deep", root="/some/where")
        async with running(election):
            await leads(election)
            reply = await near.client.request(m.GetChildren(f"/apps/{name}/some/where/deep"))
            assert isinstance(reply, m.Children)
            assert reply.names == (election.candidacy.znode,)


async def test_another_timeout_than_the_asked_one_is_told(standalone: Server, caplog: pytest.LogCaptureFixture) -> None:
    async with connect(standalone.address, timeout=0.3) as zk:
        await zk.wait_connected()
        assert zk.client.status().timeout == 1.0
        assert zk.client.status().timeout_asked == 0.3
    assert "granted a session timeout of 1 s, not the 0.3 s" in caplog.text


async def test_a_lease_longer_than_the_timeout_is_allowed_and_explained(
    standalone: Server, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with connect(standalone.address, timeout=2.0) as zk:
        election = zk.election(name, lease=5.0)
        async with running(election):
            await leads(election)
    assert "waits out 5.5 s more" in caplog.text


async def test_nobody_leads_under_a_record_that_another_program_wrote(
    near: Connection, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    election = near.election(name, lease=0.5)
    async with running(election):
        await leads(election)
    data = await near.client.request(m.GetData(f"/ELECTION/{name}"))
    assert isinstance(data, m.Data)
    await near.client.request(m.SetData(f"/ELECTION/{name}", b"scribble", data.stat.version))
    async with running(election):
        await until(lambda: "nobody leads until" in caplog.text)
        assert not election.is_leader
        await near.client.request(m.SetData(f"/ELECTION/{name}", data.data, data.stat.version + 1))
        await leads(election)


async def test_a_list_of_more_than_1_mib_is_read(near: Connection, far: Connection, name: str) -> None:
    """A server sends more than it takes: its own limit is none for what it answers."""
    first, second = near.election(name), far.election(name)
    async with running(first):
        await leads(first)
        names = [f"{first.parent}/{number}{'x' * 5_000}" for number in range(220)]
        await asyncio.gather(*(near.client.request(m.Create(one)) for one in names))
        children = await near.client.request(m.GetChildren(first.parent))
        assert isinstance(children, m.Children)
        assert sum(map(len, children.names)) > 2**20
        async with running(second):
            await until(lambda: second.status().state == "queued")
            assert await first.resign()
            await leads(second)
        await asyncio.gather(*(near.client.request(m.Delete(one)) for one in names))


@pytest.mark.parametrize("data", [b"", b"[" * 99_999, b"\xff", b'{"lease":1e308}'])
async def test_a_record_that_cannot_be_read_is_waited_for_and_put_right(
    near: Connection, far: Connection, name: str, data: bytes
) -> None:
    first, second = near.election(name, lease=1.0), far.election(name, lease=1.0)
    async with running(first):
        term = await leads(first)
        async with running(second):
            await until(lambda: second.status().state == "queued")
            await near.client.request(m.SetData(first.parent, data, m.ANY_VERSION))
            await until(lambda: "blocked" in (first.status().state, second.status().state))
            assert [first.is_leader, second.is_leader] == [False, False]
            assert await repair.carry_out(near.client, await repair.plan(near.client, first.parent, 1.0))
            await until(lambda: first.is_leader or second.is_leader)
            after = first.term or second.term
            assert after is not None
            assert after.token > term.token
