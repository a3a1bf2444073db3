"""Candidates that fall silent on real servers: who is buried, and who is not.

Sessions last 10 s here, and nobody is judged by the clock: what proves that nobody waited for a session to end is that
the silent one's pulse, which ends with it, is still there.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from leader_async import Connection, Election, Term, clock, connect
from leader_async.election.rules import queue as q
from leader_async.election.rules.candidate_data import CandidateData
from leader_async.zookeeper import messages as m

from ..support.proxy import Proxy
from ..support.replica import Replica
from ..support.reporting import measured
from ..support.zookeeper import Ensemble, Server
from .conftest import need_zookeeper
from .playing import leads, running, until

pytestmark = pytest.mark.timeout(120)

LONG = 10.0
"""Seconds of a session."""
LEASE = 1.0


async def children(election: Election) -> list[str]:
    """What stands below the election's znode."""
    answer = await election.client.request(m.GetChildren(election.parent))
    assert isinstance(answer, m.Children)
    return [*answer.names]


async def pulses(election: Election) -> list[str]:
    """The pulses of all whose sessions live."""
    return [name for name in await children(election) if name.startswith("pulse-")]


async def said(election: Election) -> list[CandidateData]:
    """What the candidates say of themselves, in the queue's order."""
    found = []
    for name in q.in_order(await children(election)):
        answer = await election.client.request(m.GetData(f"{election.parent}/{name}"))
        assert isinstance(answer, m.Data)
        found.append(CandidateData.decode(answer.data))
    return found


def buried(*elections: Election) -> int:
    """How many these have buried."""
    return sum(election.candidacy.silence.buried for election in elections)


async def named(election: Election, identity: str) -> None:
    """Return once this heir says that it knows that it was named."""
    async with asyncio.timeout(30):
        while not any(data.identity == identity and data.named_by for data in await said(election)):
            await asyncio.sleep(0.02)


@asynccontextmanager
async def frozen_heir(server: Server, name: str) -> AsyncIterator[tuple[Election, ...]]:
    """Ours lead, and stand third; the heir between them is a process, which was named and is now frozen."""
    async with AsyncExitStack() as stack:
        zks = [await stack.enter_async_context(connect(server.address, timeout=LONG)) for _ in range(2)]
        ours = [zk.election(name, identity=f"ours{number}", lease=LEASE) for number, zk in enumerate(zks)]
        await stack.enter_async_context(running(ours[0]))
        await leads(ours[0])
        heir = Replica(server.address, name, "heir", timeout=LONG, lease=LEASE)
        try:
            await heir.start()
            for election in ours[1:]:
                await stack.enter_async_context(running(election))
            await named(ours[0], "heir")
            heir.signal(signal.SIGSTOP)
            yield tuple(ours)
        finally:
            await heir.kill()


async def test_a_frozen_leader_is_followed_long_before_its_session_ends(
    standalone: Server, near: Connection, name: str
) -> None:
    leader = Replica(standalone.address, name, "leader", timeout=LONG, lease=LEASE)
    try:
        await leader.start()
        await leader.line("leads")
        election = near.election(name, identity="next", lease=LEASE)
        async with running(election):
            leader.signal(signal.SIGSTOP)
            begin = clock.now()
            term = await leads(election, 60)
            measured("leader frozen, lease 1 s, session 10 s, standalone: the next leads after", clock.now() - begin)
            assert len(await pulses(election)) == 2, "its session still lives"
            assert len(await said(election)) == 1
            assert buried(election) == 1
            leader.signal(signal.SIGCONT)
            await until(lambda: election.status().state == "leading", 30)
            await leader.line("ends")
            async with asyncio.timeout(30):
                while len(await said(election)) < 2:  # it has noticed, and queues again
                    await asyncio.sleep(0.05)
            assert term.is_current
    finally:
        await leader.kill()


async def test_a_frozen_heir_is_replaced_without_a_change_of_leader(standalone: Server, name: str) -> None:
    async with frozen_heir(standalone, name) as (first, third):
        term, begin = first.term, clock.now()
        await until(lambda: buried(first, third) == 1, 60)
        measured("heir frozen, lease 1 s, session 10 s, standalone: buried after", clock.now() - begin)
        assert first.term is term
        assert first.is_leader
        async with asyncio.timeout(30):
            while not (await said(first))[0].by_name:
                await asyncio.sleep(0.02)
        await first.resign()
        await leads(third)
        assert third.term is not None
        assert term is not None
        assert third.term.number == term.number + 1


async def test_who_resigns_to_a_frozen_heir_is_followed_long_before_that_ones_session_ends(
    standalone: Server, name: str
) -> None:
    async with frozen_heir(standalone, name) as (first, third):
        resigning, begin = asyncio.create_task(first.resign()), clock.now()
        await leads(third, 60)
        measured("resigned to a frozen heir, lease 1 s, standalone: another one leads after", clock.now() - begin)
        await resigning
        assert len(await pulses(third)) == 3, "its session still lives"
        await until(lambda: buried(first, third) == 1, 60)


async def test_a_pulse_that_somebody_deletes_ends_no_term(near: Connection, name: str) -> None:
    election = near.election(name, identity="one", lease=LEASE)
    async with running(election):
        term = await leads(election)
        async with asyncio.timeout(30):
            while not (await said(election))[0].pulse:
                await asyncio.sleep(0.02)
            (pulse,) = await pulses(election)
            await near.client.request(m.Delete(f"{election.parent}/{pulse}"))
            while (await said(election))[0].pulse:
                await asyncio.sleep(0.02)
        until_then = term.valid_until
        await until(lambda: term.valid_until > until_then + LEASE, 30)
        assert election.term is term


async def test_a_leader_without_a_pulse_is_followed_when_its_session_ends(
    proxy: Proxy, near: Connection, name: str
) -> None:
    """As one of an older version is."""
    async with connect(proxy.address, timeout=4.0) as far:
        far.confirms.pulse._uuids = None
        silent = far.election(name, identity="silent", lease=LEASE)
        waiting = near.election(name, identity="next", lease=LEASE)
        async with running(silent, waiting):
            await leads(silent)
            assert [data.pulse == "" for data in await said(silent)] == [True, False]
            proxy.stall()
            proxy.refuse()
            await leads(waiting, 60)
            assert buried(waiting) == 0
            proxy.resume()
            proxy.refuse(False)


async def test_who_may_not_delete_waits_for_the_end_of_the_session_and_logs_it_once(
    proxy: Proxy, near: Connection, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(proxy.address, timeout=4.0) as far:
        silent = far.election(name, identity="silent", lease=LEASE)
        waiting = near.election(name, identity="next", lease=LEASE)
        async with running(silent, waiting):
            await leads(silent)
            anybody = m.Access(m.Permission.ALL & ~m.Permission.DELETE, "world", "anyone")
            await near.client.request(m.SetAccess(silent.parent, (anybody,)))
            proxy.stall()
            proxy.refuse()
            with caplog.at_level(logging.ERROR, "leader_async.election"):
                await leads(waiting, 60)
            assert [getattr(line, "event", "") for line in caplog.records].count("cannot_bury") == 1
            assert buried(waiting) == 0
            anybody = m.Access(m.Permission.ALL, "world", "anyone")
            await near.client.request(m.SetAccess(silent.parent, (anybody,)))
            proxy.resume()
            proxy.refuse(False)


async def stalls(ensemble: Ensemble, name: str, lengths: list[float], timeout: float = LONG) -> None:
    """All servers are frozen for each of these times, in seconds: the leader does not change."""
    async with AsyncExitStack() as stack:
        zks = [await stack.enter_async_context(connect(ensemble.address, timeout=timeout)) for _ in range(3)]
        elections = [zk.election(name, identity=f"r{number}", lease=LEASE) for number, zk in enumerate(zks)]
        async with running(*elections):
            term: Term = await leads(elections[0])
            for seconds in lengths:
                for server in ensemble.servers:
                    server.signal(signal.SIGSTOP)
                try:
                    await asyncio.sleep(seconds)
                finally:
                    for server in ensemble.servers:
                        server.signal(signal.SIGCONT)
                begin = clock.now()
                await until(lambda begin=begin: term.valid_until > begin + 3 * LEASE, 60)  # type: ignore[misc]
                assert elections[0].term is term, f"after {seconds:.1f} s another one leads"


async def test_a_stall_of_all_servers_changes_no_leader(ensemble: Ensemble, name: str) -> None:
    await stalls(ensemble, name, [1.5, 3.0])


@pytest.mark.campaign
@pytest.mark.timeout(1200)
async def test_stalls_of_all_servers_of_any_length_change_no_leader(tmp_path: Path, name: str) -> None:
    """As long as the sessions live."""
    need_zookeeper()
    slow = Ensemble(tmp_path / "slow", ["tickTime=2000", "initLimit=10", "syncLimit=5", "maxClientCnxns=0"])
    rng = random.Random(16)
    try:
        await slow.start_ready()
        await stalls(slow, name, [rng.uniform(1.0, 20.0) for _ in range(30)], timeout=40.0)
    finally:
        slow.kill()
