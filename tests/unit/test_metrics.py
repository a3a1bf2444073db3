"""What Prometheus is told, of elections on the embedded ZooKeeper."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import prometheus_client
import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from leader_async import Connection, Election, JobRun, Schedule, Term, UsageError, clock, connect
from leader_async.election.rules.lease import Hold
from leader_async.metrics import Collector
from leader_async.testing import ZooKeeper, zookeeper
from leader_async.web import create_app
from leader_async.zookeeper import messages as m

from ..support.readme import example
from ..support.waiting import until

__all__ = ["zookeeper"]


class Shown:
    """What a registry with this collector says."""

    def __init__(self, collector: Collector) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(collector)

    def __call__(self, name: str, **labels: str) -> float | None:
        return self._registry.get_sample_value("leader_async_" + name, labels)


async def hold(term: Term) -> None:
    await asyncio.get_running_loop().create_future()


@asynccontextmanager
async def replica(zookeeper: ZooKeeper, identity: str) -> AsyncIterator[tuple[Connection, Election, Shown]]:
    async with connect(zookeeper.address, timeout=1.0) as zk:
        election = zk.election("x", identity=identity, lease=0.6)
        running = asyncio.create_task(election.run(hold))
        await until(lambda: election.candidacy.position is not None)
        yield zk, election, Shown(Collector(zk, [election]))
        running.cancel()
        await asyncio.wait([running])


async def test_a_handover_is_counted_on_both_sides(zookeeper: ZooKeeper) -> None:
    async with replica(zookeeper, "a") as (_, a, of_a):
        await until(lambda: a.is_leader)
        async with replica(zookeeper, "b") as (zk, b, of_b):
            await until(lambda: b.candidacy.lead.named)
            assert (of_a("is_leader", election="x"), of_b("is_leader", election="x")) == (1, 0)
            assert (of_a("term", election="x"), of_b("term", election="x")) == (1, None)
            assert of_b("queue_length", election="x") == 2
            assert of_b("state", election="x", state="queued") == 1
            assert await a.resign()
            await until(lambda: b.is_leader)
            assert (of_a("is_leader", election="x"), of_b("is_leader", election="x")) == (0, 1)
            assert of_b("term", election="x") == 2
            # It is told when nobody waits any more; b may lead before a has heard that it has given up the lead.
            await until(lambda: of_a("term_ends_total", election="x", why="resigned") == 1)
            await until(lambda: of_b("takeover_seconds_count", election="x", change="handover") == 1)
            assert of_a("terms_total", election="x") == of_b("terms_total", election="x") == 1
            assert of_a("handover_seconds_count", election="x") == 1
            assert of_b("takeover_seconds_count", election="x", change="failover") == 0
            assert of_b("info", election="x", identity="b", version="0.1.0") == 1
            await until(lambda: of_b("confirm_seconds_count"))
            assert of_b("connections_total", session="begun") == 1
            zookeeper.disconnect(zk.client.session_id)
            await until(lambda: of_b("connections_total", session="resumed") == 1)
            causes = ("end of stream", "network error")  # it depends on what was on its way
            assert sum(of_b("connection_ends_total", cause=cause) or 0 for cause in causes) == 1


async def test_a_failover_is_counted_by_who_takes_over(zookeeper: ZooKeeper) -> None:
    async with replica(zookeeper, "a") as (zk, a, of_a):
        await until(lambda: a.is_leader)
        async with replica(zookeeper, "b") as (_, b, of_b):
            await until(lambda: b.candidacy.own.sight.armed is not None)
            zookeeper.expire(zk.client.session_id)
            await until(lambda: b.is_leader)
            assert of_b("takeover_seconds_count", election="x", change="failover") == 1
            waited = of_b("takeover_seconds_sum", election="x", change="failover")
            assert waited is not None
            assert waited >= 1.1 * 0.6, "the lease of the former leader was waited out"
            await until(lambda: of_a("session_expirations_total") == 1)
            await until(lambda: of_a("in_queue", election="x") == 1)
            ends = [of_a("term_ends_total", election="x", why=why) for why in ("session expired", "place lost")]
            assert sorted(map(bool, ends)) == [False, True]
            assert of_a("handover_seconds_count", election="x") == 0


async def test_leading_is_computed_when_it_is_asked() -> None:
    zk = connect("127.0.0.1:1")
    election = zk.election("x")
    shown = Shown(Collector(zk, [election]))
    election.candidacy.own.join.hold = hold = Hold("u-n_0000000001", 2, 7, 4711, 3.0, clock.now() + 3.0)
    assert shown("is_leader", election="x") == 1
    hold.until = clock.now()
    assert (shown("is_leader", election="x"), shown("lease_left_seconds", election="x")) == (0, 0)
    assert shown("token", election="x") == 4711, "the term is only suspended"
    assert shown("guardian_state", state="none") == 1


async def test_what_blocks_the_event_loop_is_seen(zookeeper: ZooKeeper) -> None:
    async with replica(zookeeper, "a") as (_, a, of_a):
        await until(lambda: a.is_leader)
        time.sleep(0.4)  # noqa: ASYNC251 - longer than a confirm's period
        await until(lambda: (of_a("event_loop_lag_seconds_sum") or 0.0) >= 0.2)


async def test_jobs_by_outcome_and_lateness(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address, timeout=1.0) as zk:
        election = zk.election("x", lease=0.6)
        jobs = Schedule(election)

        @jobs.every(0.1)
        async def good(run: JobRun) -> None: ...

        @jobs.every(0.1)
        async def bad(run: JobRun) -> None:
            raise ValueError("no")

        shown = Shown(Collector(zk, [election], [jobs]))
        assert shown("job_runs_total", election="x", job_name="good", outcome="done") == 0
        began = time.time()
        running = asyncio.create_task(jobs.run())
        await until(lambda: shown("job_runs_total", election="x", job_name="good", outcome="done"))
        await until(lambda: shown("job_runs_total", election="x", job_name="bad", outcome="failed"))
        assert shown("job_lateness_seconds_count", election="x", job_name="good")
        assert shown("job_duration_seconds_count", election="x", job_name="bad")
        await until(lambda: (shown("job_last_done_timestamp_seconds", election="x", job_name="good") or 0.0) > began)
        assert shown("job_last_done_timestamp_seconds", election="x", job_name="bad") is None
        # Not told while it runs, which it does at every look perhaps.
        await until(lambda: (shown("job_due_timestamp_seconds", election="x", job_name="good") or 0.0) > began)
        running.cancel()
        await asyncio.wait([running])
        assert shown("job_due_timestamp_seconds", election="x", job_name="good") is None, "only the leader tells"

    async with connect(zookeeper.address, timeout=1.0) as zk:  # the next leader knows what the last one has done
        election = zk.election("x", lease=0.6)
        jobs = Schedule(election)
        jobs.every(86400, name="good")(good)
        shown = Shown(Collector(zk, [election], [jobs]))
        running = asyncio.create_task(jobs.run())
        await until(lambda: (shown("job_due_timestamp_seconds", election="x", job_name="good") or 0.0) > time.time())
        assert (shown("job_last_done_timestamp_seconds", election="x", job_name="good") or 0.0) > time.time() - 60
        assert shown("job_runs_total", election="x", job_name="good", outcome="done") == 0
        running.cancel()
        await asyncio.wait([running])


async def test_a_job_that_cannot_be_claimed_is_due_since_then(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address, timeout=1.0) as zk:
        await zk.wait_connected()
        for path in ("/ELECTION", "/ELECTION/x", "/ELECTION/x/jobs", "/ELECTION/x/jobs/spoilt"):
            await zk.client.request(m.Create(path, b"" if path == "/ELECTION/x" else b"?"))
        jobs = Schedule(zk.election("x", lease=0.6))

        @jobs.every(3600, name="spoilt")
        async def never(run: JobRun) -> None: ...

        shown = Shown(Collector(zk, [jobs.election], [jobs]))
        running = asyncio.create_task(jobs.run())
        await until(lambda: shown("job_due_timestamp_seconds", election="x", job_name="spoilt"))
        assert (shown("job_due_timestamp_seconds", election="x", job_name="spoilt") or 0.0) <= time.time()
        running.cancel()
        await asyncio.wait([running])


async def test_several_applications_in_one_process_do_not_meet() -> None:
    async with AsyncExitStack() as stack:
        for identity in ("a", "b"):
            zk = connect("127.0.0.1:1")
            app = create_app(zk.election("x", identity=identity), zk)
            client = await stack.enter_async_context(TestClient(TestServer(app)))
            answer = await client.get("/metrics")
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert answer.headers["Cache-Control"] == "no-store"
            text = await answer.text()
            assert f'leader_async_info{{election="x",identity="{identity}",version=' in text
            assert "process_resident_memory_bytes" in text
            assert (await client.head("/metrics")).status == 200
            assert (await client.get("/leader/metrics")).status == 404, "metrics are of a replica"


def test_the_example_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = CollectorRegistry()
    monkeypatch.setattr(prometheus_client, "REGISTRY", registry)
    zk = connect("127.0.0.1:1")
    election = zk.election("x")
    exec(example("Metrics"), {"zk": zk, "election": election, "jobs": Schedule(election)})
    assert registry.get_sample_value("leader_async_is_leader", {"election": "x"}) == 0


def test_elections_of_one_name_need_registries_of_their_own() -> None:
    zk = connect("127.0.0.1:1")
    elections = [zk.election("x"), zk.election("x", root="/OTHER")]
    with pytest.raises(UsageError, match="a registry for each"):
        Collector(zk, elections)
