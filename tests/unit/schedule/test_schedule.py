"""A schedule on the embedded ZooKeeper: leaders that die, answers that are lost, clocks that are wrong."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, timedelta
from functools import partial
from typing import Any

import pytest

from leader_async import Connection, Election, JobRun, JobStatus, Schedule, StaleToken, Term, UsageError, clock, connect
from leader_async.errors import NotConnected, TermEnded
from leader_async.schedule import job
from leader_async.schedule.ledger import Ledger, encode, reset
from leader_async.schedule.run import attempt
from leader_async.schedule.triggers import Every
from leader_async.testing import ZooKeeper, zookeeper
from leader_async.zookeeper import messages as m

from ...support import waiting
from ...support.proxy import Proxy

__all__ = ["zookeeper"]

LEDGER = "/ELECTION/x/jobs/job"
until = partial(waiting.until, limit=10.0)


@asynccontextmanager
async def connected(zookeeper: ZooKeeper, identity: str = "a") -> AsyncIterator[tuple[Connection, Election]]:
    async with connect(zookeeper.address, timeout=1.0) as zk:
        await zk.wait_connected()
        yield zk, zk.election("x", identity=identity, lease=0.6)


@asynccontextmanager
async def running(jobs: Schedule) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(jobs.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def status(jobs: Schedule, wanted: Callable[[JobStatus], object], name: str = "job") -> JobStatus:
    """The job's status once it is as wanted."""
    async with asyncio.timeout(10):
        while True:
            found = await jobs.job(name)
            if found is not None and wanted(found):
                return found
            await asyncio.sleep(0.002)


def reached(runs: list[tuple[str, float]], count: int) -> bool:
    return len(runs) >= count


def noting(jobs: Schedule, **how: Any) -> tuple[Schedule, list[JobRun]]:
    """A schedule with a job every 0.1 s that notes its runs, and those."""
    runs: list[JobRun] = []

    @jobs.every(0.1, name="job", **how)
    async def job(run: JobRun) -> None:
        runs.append(run)

    return jobs, runs


async def ask(jobs: Schedule) -> None:
    """Have the job run now, as soon as this process leads."""
    await until(lambda: jobs.election.is_leader)
    await status(jobs, lambda job: True)
    await jobs.run_now("job")


async def test_slots_run_in_order_and_are_written_down(zookeeper: ZooKeeper) -> None:
    runs: list[JobRun] = []
    async with connected(zookeeper) as (_, election):
        jobs = Schedule(election)

        @jobs.every(0.1)
        async def job(run: JobRun) -> None:
            runs.append(run)

        async with running(jobs):
            found = await status(jobs, lambda job: len(job.past) >= 3)
            term = election.term
            assert term is not None
            assert [past.outcome for past in found.past] == ["done"] * len(found.past)
            assert found.trigger == "every 0.1 s"
            assert found.next_slot == pytest.approx(found.slot + 0.1)
            assert [job.name for job in await jobs.jobs()] == ["job"]
            assert await jobs.job("nobody") is None
    assert {run.token for run in runs} == {term.token}
    assert all(run.attempt == 1 and not run.manual and run.job == "job" for run in runs)
    times = [run.slot for run in runs]
    assert times == sorted(set(times))
    assert times[0].utcoffset() == timedelta(0)


async def test_two_replicas_run_each_slot_once_and_the_next_leader_goes_on(zookeeper: ZooKeeper) -> None:
    runs: list[tuple[str, float]] = []
    async with connected(zookeeper, "a") as (_, first), connected(zookeeper, "b") as (_, second):
        schedules = []
        for election in (first, second):
            jobs = Schedule(election)

            @jobs.every(0.1, name="job", missed="all")
            async def job(run: JobRun, who: str = election.identity) -> None:
                runs.append((who, run.slot.timestamp()))

            schedules.append(jobs)
        async with running(schedules[0]), running(schedules[1]):
            for _ in range(4):
                leader = await first.wait_for_leader()
                more = len(runs) + 2
                await until(partial(reached, runs, more))
                await (first if leader.identity == "a" else second).resign()
                await until(lambda: first.is_leader or second.is_leader)
            await until(lambda: {who for who, _ in runs} == {"a", "b"})
    slots = [round(slot, 1) for _, slot in runs]
    assert slots == [pytest.approx(slots[0] + place / 10) for place in range(len(slots))], "none twice, none left out"


@pytest.mark.parametrize(("unfinished", "outcomes"), [("leave", ["unfinished"]), ("rerun", ["unfinished", "done"])])
async def test_an_attempt_that_nobody_finished(zookeeper: ZooKeeper, unfinished: str, outcomes: list[str]) -> None:
    begun = asyncio.Event()
    async with connected(zookeeper) as (_, election):
        jobs = Schedule(election)

        @jobs.every(3600, name="job", unfinished=unfinished)  # type: ignore[arg-type]
        async def job(run: JobRun) -> None:
            begun.set()
            if run.attempt == 1:
                await asyncio.get_running_loop().create_future()

        async with running(jobs):
            await ask(jobs)
            await begun.wait()
            running_now = await status(jobs, lambda job: job.current)
            assert running_now.current is not None
            assert (running_now.current.outcome, running_now.current.manual) == ("running", True)
            with pytest.raises(UsageError, match="is running"):
                await jobs.run_now("job")
            await election.resign()  # cancels the work, and then we lead again
            found = await status(jobs, lambda job: job.current is None and job.past)
            assert [past.outcome for past in found.past] == outcomes
            assert len({past.slot for past in found.past}) == 1


@pytest.mark.parametrize("late", [False, True])
async def test_an_error_after_the_lease_is_no_failure_of_the_work(zookeeper: ZooKeeper, late: bool) -> None:
    runs: list[JobRun] = []
    async with connected(zookeeper) as (_, election):
        jobs = Schedule(election)

        @jobs.every(0.1, name="job", missed="all", unfinished="rerun", timeout=0.3)
        async def job(run: JobRun) -> None:
            runs.append(run)
            if len(runs) == 1:
                while run.term.is_current:  # frozen: nothing else runs in this process
                    pass
                if late:
                    await asyncio.get_running_loop().create_future()
                raise StaleToken("x", run.token, run.token + 1)

        async with running(jobs):
            found = await status(jobs, lambda job: len(job.past) >= 2)
    assert [(past.attempt, past.outcome) for past in found.past[:2]] == [(1, "unfinished"), (2, "done")]
    assert runs[1].slot == runs[0].slot


async def test_failures_timeouts_and_retries(zookeeper: ZooKeeper, caplog: pytest.LogCaptureFixture) -> None:
    async with connected(zookeeper) as (_, election):
        jobs = Schedule(election)

        @jobs.every(3600, name="job", retries=2, backoff=0.01, timeout=0.05)
        async def job(run: JobRun) -> None:
            if run.attempt == 1:
                raise ValueError("no\nsecond line")
            if run.attempt == 2:
                await asyncio.get_running_loop().create_future()

        async with running(jobs):
            await ask(jobs)
            found = await status(jobs, lambda job: job.current is None and job.past)
    assert [(past.attempt, past.outcome, past.error) for past in found.past] == [
        (1, "failed", "ValueError: no"),
        (2, "failed", "it took longer than its 0.05 s"),
        (3, "done", ""),
    ]
    assert any(record.exc_info for record in caplog.records if "failed" in record.message)


async def test_asking_for_a_run_does_not_wait_for_the_pause(zookeeper: ZooKeeper) -> None:
    async with connected(zookeeper) as (_, election):
        jobs = Schedule(election)

        @jobs.every(3600, name="job", retries=1, backoff=3600)
        async def job(run: JobRun) -> None:
            if run.attempt == 1:
                raise ValueError("no")

        async with running(jobs):
            await ask(jobs)
            waiting = await status(jobs, lambda job: job.current and job.current.outcome == "waiting")
            assert waiting.past[-1].outcome == "failed"
            await jobs.run_now("job")
            found = await status(jobs, lambda job: job.current is None)
            assert [past.outcome for past in found.past] == ["failed", "done"]


async def test_a_function_runs_in_a_thread_and_is_told_of_the_end(zookeeper: ZooKeeper) -> None:
    told, threads = threading.Event(), []
    async with connected(zookeeper) as (_, election):
        jobs = Schedule(election)

        @jobs.every(3600, name="job")
        def job(run: JobRun) -> None:
            threads.append(threading.current_thread())
            if run.cancelled.wait(10):
                told.set()

        async with running(jobs) as task:
            await ask(jobs)
            await until(lambda: threads)
            assert election.is_leader
            task.cancel()
            await asyncio.wait([task])
            assert told.is_set()
        assert threads[0] is not threading.main_thread()
        found = await jobs.job("job")
        assert found is not None
        assert [past.outcome for past in found.past] == ["done"], "it came to its end, so that is written down"


def lose(zk: Connection, is_it: Callable[[m.Request], bool], *, before: bool = False) -> None:
    """Lose the connection once, as far as the caller is told: before that request leaves, or before its answer."""
    send = zk.client.send

    def losing(request: m.Request, taken: Callable[[m.Answer], None], within: float | None = None) -> float:
        if not is_it(request):
            return send(request, taken, within)
        zk.client.send = send  # type: ignore[method-assign]
        if before:
            raise NotConnected("as if the connection had just ended")
        return send(request, lambda answer: taken(m.Lost()), within)

    zk.client.send = losing  # type: ignore[assignment, method-assign]


def claims(request: m.Request) -> bool:
    parts = request.operations if isinstance(request, m.Multi) else ()
    return any(isinstance(part, m.SetData) and part.path == LEDGER for part in parts)


def closes(request: m.Request) -> bool:
    return isinstance(request, m.SetData) and request.path == LEDGER


@pytest.mark.parametrize(("is_it", "before"), [(claims, False), (claims, True), (closes, False), (closes, True)])
async def test_an_answer_that_is_lost_loses_no_run_and_makes_none_twice(
    zookeeper: ZooKeeper, is_it: Callable[[m.Request], bool], before: bool
) -> None:
    """Who looks afterwards finds its own attempt; also one that has ended, and could not be written down."""
    async with connected(zookeeper) as (zk, election):
        jobs, runs = noting(Schedule(election), missed="all", unfinished="rerun")
        async with running(jobs):
            await until(lambda: runs)
            lose(zk, is_it, before=before)
            seen = len(runs)
            await until(lambda: len(runs) > seen + 2)
            found = await status(jobs, lambda job: len(job.past) > seen + 1)
    assert {(past.attempt, past.outcome) for past in found.past} == {(1, "done")}
    slots = [run.slot.timestamp() for run in runs]
    assert slots == [pytest.approx(slots[0] + place / 10) for place in range(len(slots))]


async def test_an_attempt_whose_claim_was_not_answered_is_begun_once_under_a_term_that_is_suspended(
    zookeeper: ZooKeeper,
) -> None:
    async with connected(zookeeper) as (zk, election):
        jobs, attempts, done = Schedule(election), [], asyncio.Event()

        @jobs.every(0.1, name="job", unfinished="rerun")
        async def job(run: JobRun) -> None:
            attempts.append((run.slot, run.attempt))
            await asyncio.get_running_loop().create_future()

        async def work(term: Term) -> None:
            for count in (1, 2):
                task = asyncio.create_task(jobs.work(term))
                await until(partial(more_than, attempts, count - 1))
                task.cancel()  # as a suspension does
                await asyncio.wait([task])
            done.set()

        lose(zk, claims)
        task = asyncio.create_task(election.run(work))
        await asyncio.wait_for(done.wait(), 10)
        await task
    (slot, first), (again, second) = attempts
    assert slot == again
    assert (first, second) == (1, 2)


@pytest.mark.parametrize("before", [True, False])
async def test_a_run_that_was_asked_for_outlives_a_connection(zookeeper: ZooKeeper, before: bool) -> None:
    async with connected(zookeeper) as (zk, election):
        jobs, runs = noting(Schedule(election), window=0.001, missed="skip")
        async with running(jobs):
            await until(lambda: runs)
            lose(zk, claims, before=before)
            await ask(jobs)
            await until(lambda: any(run.manual for run in runs))


@asynccontextmanager
async def behind(zookeeper: ZooKeeper) -> AsyncIterator[tuple[Proxy, Connection, Schedule, list[JobRun]]]:
    """A leader of an hourly job whose connection can be ended, and whose session lives on."""
    host, _, port = zookeeper.address.rpartition(":")
    async with Proxy(host, int(port)) as proxy, connect(proxy.address, timeout=8.0) as zk:
        await zk.wait_connected()
        runs: list[JobRun] = []
        jobs = Schedule(zk.election("x", lease=0.6))

        @jobs.every(3600, name="job")
        async def job(run: JobRun) -> None:
            runs.append(run)

        async with running(jobs):
            await status(jobs, lambda job: True)
            yield proxy, zk, jobs, runs


async def test_a_run_that_was_asked_for_outlives_a_suspension(zookeeper: ZooKeeper) -> None:
    async with behind(zookeeper) as (proxy, _, jobs, runs):
        term = jobs.election.term
        assert term is not None
        proxy.refuse()
        asking = asyncio.create_task(jobs.run_now("job"))
        await until(lambda: not term.is_current)
        with pytest.raises(UsageError, match="does not lead"):
            await jobs.run_now("job")
        proxy.refuse(False)
        await asking
        await until(lambda: runs)
        assert [(run.manual, run.token) for run in runs] == [(True, term.token)]


async def test_a_run_that_was_asked_for_is_refused_with_the_end_of_the_term(zookeeper: ZooKeeper) -> None:
    async with behind(zookeeper) as (proxy, zk, jobs, runs):
        proxy.refuse()
        asking = asyncio.create_task(jobs.run_now("job"))
        await until(lambda: not jobs.election.is_leader)
        zookeeper.expire(zk.client.session_id)
        proxy.refuse(False)
        with pytest.raises(TermEnded, match="has lost the lead of x before 'job' could begin; ask the new leader"):
            await asking
        await until(lambda: jobs.election.is_leader)
        await jobs.run_now("job")
        await until(lambda: runs)
        assert len(runs) == 1


async def test_a_run_that_was_asked_for_is_refused_when_the_lead_is_given_up(zookeeper: ZooKeeper) -> None:
    async with behind(zookeeper) as (proxy, _, jobs, runs):
        proxy.refuse()
        asking = asyncio.create_task(jobs.run_now("job"))
        await asyncio.sleep(0)
        with pytest.raises(UsageError, match="was requested already, and begins as soon as"):
            await jobs.run_now("job")
        resigning = asyncio.create_task(jobs.election.resign())
        with pytest.raises(TermEnded, match="ask the new leader"):
            await asking
        proxy.refuse(False)
        await resigning
        assert runs == []


async def test_who_stops_asking_has_withdrawn_it(zookeeper: ZooKeeper) -> None:
    async with behind(zookeeper) as (proxy, _, jobs, runs):
        proxy.refuse()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await jobs.run_now("job")
        proxy.refuse(False)
        await until(lambda: jobs.election.is_leader)
        await jobs.run_now("job")
        await until(lambda: runs)
        assert len(runs) == 1


async def test_a_job_that_is_added_while_the_others_run_begins_at_once(zookeeper: ZooKeeper) -> None:
    async with connected(zookeeper) as (_, election):
        jobs, runs = noting(Schedule(election))
        added: list[JobRun] = []
        async with running(jobs):
            await until(lambda: runs)

            @jobs.every(0.1)
            async def another(run: JobRun) -> None:
                added.append(run)

            await until(lambda: added)
        assert added[0].token == runs[0].token


async def test_an_outage_is_ridden_out(zookeeper: ZooKeeper) -> None:
    async with connected(zookeeper) as (zk, election):
        jobs, runs = noting(Schedule(election))
        async with running(jobs):
            await until(lambda: runs)
            zookeeper.disconnect(zk.client.session_id)
            seen = len(runs)
            await until(lambda: len(runs) > seen + 1)
    slots = [run.slot for run in runs]
    assert slots == sorted(set(slots))


@pytest.mark.parametrize(("off", "words"), [(3600.0, "ahead of"), (-3600.0, "behind")])
async def test_a_wrong_clock_does_not_move_slots(
    zookeeper: ZooKeeper, off: float, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(zookeeper) as (_, election):
        jobs, runs = noting(Schedule(election, wall_clock=lambda: time.time() + off))
        async with running(jobs):
            await until(lambda: len(runs) > 1)
    assert all(abs(run.slot.timestamp() - time.time()) < 60 for run in runs)
    assert [record.levelname for record in caplog.records if words in record.message] == ["WARNING"]


async def test_a_clock_that_is_set_while_we_lead_does_not_move_slots(zookeeper: ZooKeeper) -> None:
    off = [0.0]
    async with connected(zookeeper) as (_, election):
        jobs, runs = noting(Schedule(election, wall_clock=lambda: time.time() + off[0]), missed="all")
        async with running(jobs):
            for jump in (0.0, 3600.0, -3600.0):
                off[0] = jump
                seen = len(runs)
                await until(partial(more_than, runs, seen + 1))
    assert all(abs(run.slot.timestamp() - time.time()) < 60 for run in runs)


def more_than(runs: Sequence[object], count: int) -> bool:
    return len(runs) > count


async def test_a_ledger_that_somebody_changes_is_read_again(zookeeper: ZooKeeper) -> None:
    async with connected(zookeeper) as (zk, election):
        jobs, runs = noting(Schedule(election))
        async with running(jobs):
            await until(lambda: runs)
            await zk.client.request(m.Delete(LEDGER))
            seen = len(runs)
            await until(lambda: len(runs) > seen)


async def test_a_ledger_in_the_future_is_told_of_and_runs_once_it_is_reset(
    zookeeper: ZooKeeper, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "NAP", 0.02)
    async with connected(zookeeper) as (zk, election):
        future = Ledger("every 0.1 s", round(time.time() + 3600) * 1000)
        for path in ("/ELECTION", "/ELECTION/x", "/ELECTION/x/jobs", LEDGER):
            await zk.client.request(m.Create(path, encode(future) if path == LEDGER else b""))
        jobs, runs = noting(Schedule(election))
        async with running(jobs):
            await until(lambda: "in the future, because a clock was ahead" in caplog.text)
            assert not runs
            await zk.client.request(m.SetData(LEDGER, encode(reset(future, round(time.time() * 1000))), 0))
            await until(lambda: runs)
    assert caplog.text.count("in the future") == 1, "it looks again and again, and tells once"


async def test_a_trigger_that_goes_back_runs_no_slot_twice(
    zookeeper: ZooKeeper, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "HOLD_OFF", 0.02)
    async with connected(zookeeper) as (_, election):
        jobs, runs = noting(Schedule(election))
        slot = round(time.time()) * 1000 + 1000
        monkeypatch.setattr(Every, "next", lambda self, after: slot)
        monkeypatch.setattr(Every, "latest", lambda self, after, now: slot if now >= slot else None)
        async with running(jobs):
            await until(lambda: "not later than" in caplog.text)
            await jobs.run_now("job")
    assert [(run.slot.timestamp() * 1000, run.manual) for run in runs if not run.manual] == [(slot, False)]
    assert [run.manual for run in runs] == [False, True]


async def test_a_strangers_ledger_stops_that_job_only(zookeeper: ZooKeeper, caplog: pytest.LogCaptureFixture) -> None:
    runs: list[JobRun] = []
    async with connected(zookeeper) as (zk, election):
        for path in ("/ELECTION", "/ELECTION/x", "/ELECTION/x/jobs", "/ELECTION/x/jobs/broken"):
            await zk.client.request(m.Create(path, b"not ours" if path.endswith("broken") else b""))
        jobs = Schedule(election)

        @jobs.every(0.1)
        async def job(run: JobRun) -> None:
            runs.append(run)

        @jobs.every(0.1)
        async def broken(run: JobRun) -> None:
            raise AssertionError("its ledger cannot be read")

        async with running(jobs):
            await until(lambda: len(runs) > 1)
            await until(lambda: "broken cannot be run" in caplog.text)


async def test_forgetting(zookeeper: ZooKeeper) -> None:
    async with connected(zookeeper) as (_, election):
        old = Schedule(election)
        assert await old.jobs() == []

        @old.every(3600)
        async def removed(run: JobRun) -> None: ...

        async with running(old):
            while not await old.jobs():
                await asyncio.sleep(0.002)
            with pytest.raises(UsageError, match="is a job of this schedule"):
                await old.forget("removed")
        new = Schedule(election)
        assert [job.name for job in await new.jobs()] == ["removed"]
        assert await new.forget("removed")
        assert not await new.forget("removed")


async def test_a_ledger_in_the_future_is_reset_by_anybody(
    zookeeper: ZooKeeper, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO", "leader_async")
    monkeypatch.setattr("leader_async.schedule.job.NAP", 0.05)
    async with connected(zookeeper, "a") as (zk, election), connected(zookeeper, "b") as (_, other):
        jobs, runs = noting(Schedule(election))
        assert await Schedule(other).reset("job") is None
        async with running(jobs):
            await until(lambda: runs)
        future = round((time.time() + 3600) * 1000)
        await zk.client.request(m.SetData(LEDGER, encode(Ledger("every 0.1 s", future)), m.ANY_VERSION))
        async with running(jobs):
            await until(lambda: "in the future" in caplog.text)
            seen = len(runs)
            found = await Schedule(other).reset("job")
            assert found is not None
            assert abs(found.slot - time.time()) < 60
            await until(lambda: len(runs) > seen)
    assert "job: reset; continues with its first slot after now" in caplog.text


async def test_a_reset_does_not_undo_what_is_written_meanwhile(
    zookeeper: ZooKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(zookeeper) as (zk, election):
        jobs = Schedule(election)
        async with running(noting(jobs)[0]):
            await status(jobs, lambda job: job.past)
        path, future = LEDGER, round((time.time() + 3600) * 1000)
        send, raced = zk.client.request, list[bool]()

        async def racing(request: m.Request) -> m.Reply:
            if isinstance(request, m.SetData) and request.path == path and not raced:
                raced.append(True)
                await send(m.SetData(path, encode(Ledger("every 1 s", future)), m.ANY_VERSION))
            return await send(request)

        monkeypatch.setattr(zk.client, "request", racing)
        found = await jobs.reset("job")
        assert found is not None
        assert (found.trigger, raced) == ("every 1 s", [True])
        assert abs(found.slot - time.time()) < 60


async def test_wrong_use_is_told(zookeeper: ZooKeeper) -> None:
    async with connected(zookeeper) as (_, election):
        jobs = Schedule(election)
        with pytest.raises(UsageError, match="no jobs"):
            await jobs.run()

        @jobs.cron("0 3 * * *", tz="Europe/Berlin")
        async def nightly(run: JobRun) -> None: ...

        with pytest.raises(UsageError, match="already"):
            jobs.every(1, name="nightly")(nightly)
        with pytest.raises(UsageError, match="x has a job 'nightly' already; give this one another name="):
            Schedule(election).every(1, name="nightly")(nightly)
        with pytest.raises(UsageError, match="one part of a path"):
            jobs.every(1, name="a/b")(nightly)
        with pytest.raises(UsageError, match="path"):
            jobs.every(1, name="..")(nightly)
        unused: Any = None
        bare: Any = jobs.every
        with pytest.raises(UsageError, match=r"needs its arguments, as in @jobs.every\(seconds=30\)"):
            bare(nightly)
        bare = jobs.cron
        with pytest.raises(UsageError, match=r"needs its arguments, as in @jobs.cron"):
            bare(nightly)
        wrong: list[tuple[Any, str]] = [(lambda: 0, "too many positional"), (nightly(unused), "`work`"), (3, "not 3")]
        for work, match in wrong:
            with pytest.raises(UsageError, match=match):
                jobs.every(1, name="other")(work)
        unknown: Any = {"retry": 3, "jitters": 1}
        with pytest.raises(TypeError, match="no option jitters, retry; its options are missed, window, unfinished, "):
            jobs.every(1, **unknown)
        with pytest.raises(UsageError, match="job 'wrong': retries=-1 cannot be used; give 0 to 9"):
            jobs.cron("0 3 * * *", name="wrong", retries=-1)(nightly)
        with pytest.raises(UsageError, match="there are: nightly"):
            await jobs.run_now("other")
        with pytest.raises(UsageError, match="does not lead"):
            await jobs.run_now("nightly")


class Silent(Exception):
    def __str__(self) -> str:
        raise KeyError("no text")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StopIteration(3), "RuntimeError: fail raised StopIteration: 3"),
        (StopAsyncIteration(3), "StopAsyncIteration: 3"),
        (asyncio.CancelledError(), "it cancelled itself"),
        (SystemExit(3), "RuntimeError: fail raised SystemExit: 3"),
        (Silent(), "Silent: its text cannot be had (KeyError)"),
    ],
)
async def test_whatever_a_function_raises_has_failed(zookeeper: ZooKeeper, error: BaseException, told: str) -> None:
    async with connected(zookeeper) as (_, election):
        jobs = Schedule(election)

        @jobs.every(0.1, name="job", timeout=5)
        def fail(run: JobRun) -> None:
            raise error

        async with running(jobs):
            found = await status(jobs, lambda job: len(job.past) >= 2)
        assert not election.is_leader
    assert (found.past[0].outcome, found.past[0].error) == ("failed", told)


async def test_a_job_that_exits_has_failed_and_the_others_go_on(zookeeper: ZooKeeper) -> None:
    async with connected(zookeeper) as (_, election):
        jobs = Schedule(election)

        @jobs.every(0.1)
        async def exits(run: JobRun) -> None:
            raise SystemExit(4)

        @jobs.every(0.1)
        async def goes_on(run: JobRun) -> None: ...

        async with running(jobs):
            found = await status(jobs, lambda job: len(job.past) >= 2, "exits")
            await status(jobs, lambda job: len(job.past) >= 2, "goes_on")
            assert election.is_leader
    assert (found.past[0].outcome, found.past[0].error) == ("failed", "RuntimeError: exits raised SystemExit: 4")


async def test_what_a_function_returns_is_awaited(zookeeper: ZooKeeper) -> None:
    ran: list[str] = []

    async def work(run: JobRun, name: str) -> None:
        await asyncio.sleep(0)
        ran.append(name)

    class Object:
        async def __call__(self, run: JobRun) -> None:
            await work(run, "object")

    def decorated(run: JobRun) -> Awaitable[None]:
        return work(run, "decorated")

    def generator(run: JobRun) -> Any:
        return (one for one in "never")

    async with connected(zookeeper) as (_, election):
        jobs = Schedule(election)
        jobs.every(0.1, name="object")(Object())
        jobs.every(0.1, name="decorated")(decorated)
        jobs.every(0.1, name="lambda")(lambda run: work(run, "lambda"))
        jobs.every(0.1, name="partial")(partial(work, name="partial"))
        jobs.every(0.1, name="job")(generator)
        async with running(jobs):
            failed = (await status(jobs, lambda job: job.past)).past[0]
            await until(lambda: {*ran} == {"object", "decorated", "lambda", "partial"})
    assert failed.error == "TypeError: generator returned generator, of which nothing has run"


async def test_a_function_that_is_cut_short_does_not_begin_what_it_returns(zookeeper: ZooKeeper) -> None:
    begun, told = threading.Event(), threading.Event()

    async def never(run: JobRun) -> None:
        raise AssertionError("it ran")

    async with connected(zookeeper) as (_, election):
        jobs = Schedule(election)

        @jobs.every(0.1, name="job")
        def function(run: JobRun) -> Awaitable[None]:
            begun.set()
            assert run.cancelled.wait(10)
            told.set()
            return never(run)

        async with running(jobs) as task:
            assert await asyncio.to_thread(begun.wait, 10)
            task.cancel()
            await asyncio.wait([task])
        assert told.is_set()
        found = await jobs.job("job")
        assert found is not None
        assert found.current is not None
        assert found.past == ()


# -- one attempt -------------------------------------------------------------------------------------------------------


async def ending(work: Callable[[JobRun], Awaitable[object]], cancel: bool = False) -> tuple[bool, bool, str | None]:
    async with connect("127.0.0.1:1") as zk:
        from concurrent.futures import ThreadPoolExecutor
        from datetime import datetime

        from leader_async.election.rules.lease import Hold
        from leader_async.election.term import Term

        hold = Hold("n", 2, 1, 1, 60.0, clock.now() + 60)
        run = JobRun("job", datetime.now(UTC), 1, Term(zk.confirms, zk.election("x").candidacy, hold))
        task = asyncio.create_task(attempt(work, run, None, ThreadPoolExecutor(1)))
        if cancel:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
        end = await task
        return end.finished, end.cancelled, end.error


async def test_how_an_attempt_ends() -> None:
    async def stubborn(run: JobRun) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)

    async def obedient(run: JobRun) -> None:
        await asyncio.get_running_loop().create_future()

    async def failing(run: JobRun) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            raise RuntimeError("cleaning up failed") from None

    async def quitting(run: JobRun) -> None:
        raise asyncio.CancelledError

    assert await ending(stubborn, cancel=True) == (True, True, None)
    assert await ending(obedient, cancel=True) == (False, True, "it cancelled itself")
    assert await ending(failing, cancel=True) == (False, True, "RuntimeError: cleaning up failed")
    assert await ending(quitting) == (True, False, "it cancelled itself")
