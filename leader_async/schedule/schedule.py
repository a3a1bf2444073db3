"""A schedule: carries the decisions about its jobs out over asyncio, while its election's leader is this process.

Rules:
- A slot is claimed by one transaction that checks the term and the ledger's version, and run only once the answer is
  here. So nobody else has claimed it, or can: it is claimed at most once, whatever happens to processes, clocks or the
  network.
- A job has one attempt at a time; the place in the queue is kept until all attempts have ended.
- What time it is, is ZooKeeper's word if this machine's clock is more than `TRUSTED` off it: slots then go by one
  clock, whoever leads.

It does not promise that a run has effect once: one that was cut short may have had its effect. The token is for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from .. import clock
from ..election.election import Election
from ..election.term import Term
from ..errors import (
    BadVersion,
    ConnectionLost,
    LedgerError,
    NodeExists,
    NoNode,
    NotConnected,
    ServerError,
    TermEnded,
    UsageError,
    ZooKeeperError,
)
from ..zookeeper import hosts
from ..zookeeper import messages as m
from .decisions import Missed, Overlap, Rewrite, Rules, Start, Unfinished, Wait, claimed, decide, ended, first
from .ledger import Ledger, Open, decode, encode
from .run import JobRun, JobWork, attempt
from .tally import JobTally
from .triggers import Cron, Every, Trigger
from .views import JobStatus, folder, ledger_of, read_job, read_jobs

log = logging.getLogger("leader_async.schedule")
W = TypeVar("W", bound=JobWork)

TRUSTED = 1.0
"""Seconds that this machine's clock may differ from ZooKeeper's."""
NAP = 30.0
"""Seconds between two looks at the clock, which may be set while a slot is waited for."""
HOLD_OFF = 1.0
"""Seconds to wait after ZooKeeper refused something that it should not refuse."""


@dataclass(slots=True, eq=False)
class _Job:
    """A job, and what this process does about it.

    Attributes:
        rules: how it is to be run.
        work: what is to be run.
        threads: where it runs if it is no coroutine.
        asked: somebody wants it to be run now.
        running: an attempt is being made here.
        claiming: an attempt whose claim was sent, and not answered yet.
        unclosed: an attempt that has ended, and what it failed with; that is not written down yet.
        tally: what became of its attempts here.
    """

    rules: Rules
    work: JobWork
    threads: ThreadPoolExecutor
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    running: bool = False
    claiming: Open | None = None
    unclosed: tuple[Open, str | None] | None = None
    tally: JobTally = field(default_factory=JobTally)


@dataclass(slots=True)
class _Page:
    """A ledger as it stands in ZooKeeper at a version."""

    ledger: Ledger
    version: int


class Schedule:
    """Jobs that run in the leader of an election, and what has become of each of their slots.

        jobs = Schedule(election)

        @jobs.cron("0 3 * * *", tz="Europe/Berlin")
        async def nightly(run):
            print("the night of", run.slot, "under token", run.token)

        @jobs.every(seconds=30)
        async def poll(run): ...

        await jobs.run()

    Args:
        election: whose leader runs them.
        wall_clock: tells the time in seconds since the epoch.
    """

    def __init__(self, election: Election, *, wall_clock: Callable[[], float] = time.time) -> None:
        self.election = election
        self._client, self._parent = election.client, election.parent
        # Transactions have paths below the chroot.
        self._below_chroot = self._parent.removeprefix(self._client.ensemble.chroot)
        self._jobs: dict[str, _Job] = {}
        self._wall_clock = wall_clock
        self._behind = 0.0  # seconds that our clock is behind ZooKeeper's, if that matters
        self._boot = 0.0  # our wall clock less the one that nobody sets, when they were looked at
        self._term: Term | None = None

    # -- jobs ----------------------------------------------------------------------------------------------------------

    def cron(
        self,
        expression: str,
        *,
        tz: str = "UTC",
        name: str | None = None,
        missed: Missed = "latest",
        window: float | None = None,
        unfinished: Unfinished = "leave",
        overlap: Overlap | None = None,
        jitter: float = 0.0,
        timeout: float | None = None,
        retries: int = 0,
        backoff: float = 1.0,
    ) -> Callable[[W], W]:
        """Run the decorated function at the instants of a cron expression.

        The function gets a `JobRun`. A coroutine function runs in the event loop, any other in a thread.

        Args:
            expression: five fields as cron has them, or six with seconds first.
            tz: the time zone that it is meant in; daylight saving is treated as Debian's cron does.
            name: the job's name in the ledger, the function's if None. A job of another name is another job.
            missed: what to do about slots that were due while nobody led: run the `latest` of them, or `all` of them
                one after another, or `skip` them (but for one that is less than 5 s late, or than `window`).
            window: how many seconds late a slot may be run; None for any.
            unfinished: what to do about an attempt whose leader died or lost the lead: `leave` it, so that a slot is
                run at most once, or `rerun` it, so that it is run at least once (but 10 times at most).
            overlap: what to do about slots that come due before the last run has ended: `skip` them, or `queue` them;
                `skip` if None, with missed="all" `queue`.
            jitter: put each slot off by 0 to so many seconds; the same number for whoever leads.
            timeout: seconds that an attempt may take; then it is cancelled, and has failed. None for any.
            retries: how often an attempt that failed is made again.
            backoff: seconds before that; doubled each time, an hour at most.

        Raises:
            UsageError: an argument cannot be used, or there is a job of that name.
        """
        trigger = Cron(expression, tz)
        return self._adder(
            trigger, name, missed, window, unfinished, overlap, jitter, timeout, retries, backoff
        )  # fmt: skip

    def every(
        self,
        seconds: float,
        *,
        name: str | None = None,
        missed: Missed = "latest",
        window: float | None = None,
        unfinished: Unfinished = "leave",
        overlap: Overlap | None = None,
        jitter: float = 0.0,
        timeout: float | None = None,
        retries: int = 0,
        backoff: float = 1.0,
    ) -> Callable[[W], W]:
        """Run the decorated function every so many seconds, counted from the epoch; the rest is as in `cron`.

        Args:
            seconds: from slot to slot; 0.1 at least.
            name, missed, window, unfinished, overlap, jitter, timeout, retries, backoff: see `cron`.

        Raises:
            UsageError: an argument cannot be used, or there is a job of that name.
        """
        trigger = Every(seconds)
        return self._adder(
            trigger, name, missed, window, unfinished, overlap, jitter, timeout, retries, backoff
        )  # fmt: skip

    def _adder(
        self, trigger: Trigger, name: str | None, missed: Missed, window: float | None, unfinished: Unfinished,
        overlap: Overlap | None, jitter: float, timeout: float | None, retries: int, backoff: float,
    ) -> Callable[[W], W]:  # fmt: skip
        def add(work: W) -> W:
            called = name or getattr(work, "__name__", "")
            if not called or "/" in called:
                raise UsageError(f"a job's name is one part of a path, not {called!r}; give it by name=")
            hosts.check_path(f"/{called}")
            if called in self._jobs:
                raise UsageError(f"there is a job {called!r} already; give this one another name=")
            queued = overlap or ("queue" if missed == "all" else "skip")
            rules = Rules(called, trigger, missed, window, unfinished, queued, jitter, timeout, retries, backoff)
            self._jobs[called] = _Job(rules, work, ThreadPoolExecutor(1, f"job {called}"))
            return work

        return add

    @property
    def names(self) -> frozenset[str]:
        """The names of its jobs."""
        return frozenset(self._jobs)

    def tallies(self) -> Iterator[tuple[str, JobTally, bool]]:
        """For each job its name, what became of its attempts in this process, and whether one is being made."""
        for name, job in self._jobs.items():
            yield name, job.tally, job.running

    # -- running -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Be a candidate, and run the jobs while this process leads. Cancel it to stop.

        Raises:
            UsageError: there are no jobs, or this election is being run already.
            SessionClosed: the connection was closed.
        """
        if not self._jobs:
            raise UsageError("this schedule has no jobs; decorate functions with @jobs.cron(...) or @jobs.every(...)")
        await self.election.run(self.work)

    async def work(self, term: Term) -> None:
        """Run the jobs under this term; for `election.run(jobs.work)`, or as a part of work of your own.

        Args:
            term: under which slots are claimed.
        """
        self._term = term
        try:
            async with asyncio.TaskGroup() as group:
                for job in self._jobs.values():
                    group.create_task(self._tend(job, term), name=f"schedule {job.rules.name}")
        finally:
            self._term = None

    async def run_now(self, name: str) -> None:
        """Have a job run at once, beside its slots; returns when that has been taken up, not when it has ended.

        Args:
            name: the job's.

        Raises:
            UsageError: there is no such job, it is running, or this process does not lead.
        """
        job = self._jobs.get(name)
        if job is None:
            raise UsageError(f"there is no job {name!r}; there are: {', '.join(sorted(self._jobs)) or 'none'}")
        if self._term is None or not self._term.is_current:
            raise UsageError(f"{self.election.identity} does not lead {self.election.name}; ask the leader")
        if job.running:
            raise UsageError(f"job {name!r} is running")
        job.asked.set()

    # -- asking --------------------------------------------------------------------------------------------------------

    async def jobs(self) -> list[JobStatus]:
        """All jobs that were ever run under this election, read from ZooKeeper; anybody may ask.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
            LedgerError: a ledger is not this library's.
        """
        return await read_jobs(self._client, self._parent)

    async def job(self, name: str) -> JobStatus | None:
        """One of them, None if there is none of this name.

        Args:
            name: the job's, in its ledger.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
            LedgerError: the ledger is not this library's.
        """
        return await read_job(self._client, self._parent, name)

    async def forget(self, name: str) -> bool:
        """Delete the ledger of a job that is no more; False if there was none.

        Args:
            name: the job's, in its ledger.

        Raises:
            UsageError: this schedule has that job.
            ZooKeeperError: ZooKeeper cannot be asked.
        """
        if name in self._jobs:
            raise UsageError(f"{name!r} is a job of this schedule: its ledger keeps it from being run twice")
        try:
            await self._client.request(m.Delete(ledger_of(self._parent, name)))
        except NoNode:
            return False
        return True

    # -- one job -------------------------------------------------------------------------------------------------------

    async def _tend(self, job: _Job, term: Term) -> None:
        job.asked.clear()
        while True:
            try:
                page = await self._open_page(job, term)
                await self._take_up(job, term, page)
                while True:
                    await self._step(job, term, page)
            except TermEnded:
                # We are about to be cancelled. If not, it was a lease that has been renewed just in time.
                await asyncio.sleep(HOLD_OFF)
            except BadVersion:
                continue  # somebody else has written: look again
            except (NotConnected, ConnectionLost):
                await self._client.wait_connected()
            except (ServerError, LedgerError) as error:
                log.error("%s cannot be run: %s", job.rules.name, error, extra=self._fields(job, "job_refused"))
                await asyncio.sleep(HOLD_OFF)

    async def _open_page(self, job: _Job, term: Term) -> _Page:
        """Read the ledger as it is now; make it if there is none."""
        await self._look_at_clocks(term)  # a write, so what is read behind it is not older
        try:
            data = await self._client.request(m.GetData(ledger_of(self._parent, job.rules.name)))
        except NoNode:
            ledger = first(job.rules, self._now())
            with contextlib.suppress(NodeExists):
                await term.transaction().create(self._path(job), encode(ledger)).commit()
                return _Page(ledger, 0)
            raise BadVersion(about="the ledger has just been made") from None
        assert isinstance(data, m.Data)
        return _Page(decode(data.data), data.stat.version)

    async def _take_up(self, job: _Job, term: Term, page: _Page) -> None:
        """Go on where an answer was lost: the ledger tells whether the write has happened."""
        found, claiming = page.ledger.open, job.claiming
        job.claiming = None  # it is begun now or never: not once more when it has been cut short
        if job.unclosed is not None and found == job.unclosed[0]:
            await self._close(job, page)
            return
        job.unclosed = None
        if found is not None and found == claiming and found.token == term.token:
            await self._attempt(job, term, page)

    async def _step(self, job: _Job, term: Term, page: _Page) -> None:
        if abs(self._wall_clock() - clock.now() - self._boot) > TRUSTED:
            await self._look_at_clocks(term)  # somebody has set our clock
        now, open_one = self._now(), page.ledger.open
        step = decide(job.rules, page.ledger, now)
        if job.asked.is_set():
            job.asked.clear()
            if open_one is None:
                step = Start(now, manual=True)
            elif open_one.again_at is not None:
                step = Start(open_one.slot, open_one.attempt + 1, open_one.manual)
        match step:
            case Wait(until):
                seconds = NAP if until is None else min(NAP, max(0.0, (until - now) / 1000))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await job.asked.wait()
            case Rewrite(ledger, why):
                log.info("%s: %s", job.rules.name, why, extra=self._fields(job, "job_put_right"))
                await self._write(job, term, page, ledger)
            case Start():
                ledger = claimed(page.ledger, step, term.token, self.election.identity, now)
                job.claiming = ledger.open
                await self._write(job, term, page, ledger)
                job.claiming = None
                await self._attempt(job, term, page)

    async def _attempt(self, job: _Job, term: Term, page: _Page) -> None:
        """Carry out the open attempt of this ledger, and write down how it ended."""
        start, rules = page.ledger.open, job.rules
        assert start is not None
        slot = datetime.fromtimestamp(start.slot / 1000, rules.trigger.zone)
        run = JobRun(rules.name, slot, start.attempt, term, start.manual)
        log.info(
            "%s: attempt %d at %s, token %d", rules.name, run.attempt, slot.isoformat(), run.token,
            extra=self._fields(job, "job_began", run),
        )  # fmt: skip
        job.running, began = True, clock.now()
        if run.attempt == 1 and not run.manual:
            job.tally.lateness.observe(max(0.0, (self._now() - rules.due(start.slot)) / 1000))
        try:
            ending = await attempt(job.work, run, rules.timeout, job.threads)
        finally:
            job.running = False
        job.tally.ended(ending.outcome, clock.now() - began, self._wall_clock())
        if ending.finished:
            if ending.error is not None:
                log.error(
                    "%s: attempt %d at %s failed: %s",
                    rules.name, run.attempt, slot.isoformat(), ending.error, exc_info=ending.cause,
                    extra=self._fields(job, "job_failed", run),
                )  # fmt: skip
            job.unclosed = start, ending.error
            if ending.cancelled:
                with contextlib.suppress(ZooKeeperError):  # the next leader is waiting: once, or not at all
                    await self._close(job, page)
            else:
                await self._close(job, page)
        elif ending.cause is not None:
            log.warning(
                "%s: attempt %d at %s was cut short: %s", rules.name, run.attempt, slot.isoformat(), ending.error,
                extra=self._fields(job, "job_cut_short", run),
            )  # fmt: skip
        if ending.cancelled:
            raise asyncio.CancelledError
        if not ending.finished:
            raise TermEnded(f"{rules.name} was cut short")

    async def _close(self, job: _Job, page: _Page) -> None:
        """Write down how the attempt ended."""
        assert job.unclosed is not None
        ledger = ended(job.rules, page.ledger, self._now(), job.unclosed[1])
        # Needs no term: whoever has found this attempt unfinished has written the ledger, and it is at another version.
        reply = await self._client.request(
            m.SetData(ledger_of(self._parent, job.rules.name), encode(ledger), page.version)
        )
        assert isinstance(reply, m.DataSet)
        page.ledger, page.version = ledger, reply.stat.version
        job.unclosed = None

    async def _write(self, job: _Job, term: Term, page: _Page, ledger: Ledger) -> None:
        (version,) = await term.transaction().set_data(self._path(job), encode(ledger), page.version).commit()
        assert isinstance(version, int)
        page.ledger, page.version = ledger, version

    def _fields(self, job: _Job, event: str, run: JobRun | None = None) -> dict[str, object]:
        """What a line of the log has beside its text."""
        who = {"election": self.election.name, "identity": self.election.identity, "job": job.rules.name}
        fields: dict[str, object] = {"event": event, **who}
        if run is None:
            return fields
        return {**fields, "attempt": run.attempt, "slot": run.slot.isoformat(), "token": run.token}

    def _path(self, job: _Job) -> str:
        return ledger_of(self._below_chroot, job.rules.name)

    # -- time ----------------------------------------------------------------------------------------------------------

    def _now(self) -> int:
        return round((self._wall_clock() + self._behind) * 1000)

    async def _look_at_clocks(self, term: Term) -> None:
        """Compare our clock with ZooKeeper's, by a write under this term."""
        while True:
            before, writes = self._wall_clock(), term.transaction().set_data(folder(self._below_chroot), b"")
            try:
                await writes.commit()
                break
            except NoNode:
                with contextlib.suppress(NodeExists):
                    await self._client.request(m.Create(folder(self._parent)))
        after, theirs = self._wall_clock(), writes.committed_at
        assert theirs is not None
        self._boot = after - clock.now()
        known, self._behind = self._behind, 0.0
        if not before - TRUSTED <= theirs <= after + TRUSTED:
            self._behind = theirs - (before + after) / 2
        if abs(self._behind - known) > TRUSTED:
            log.warning(
                "this machine's clock is %.1f s %s ZooKeeper's; slots go by that one. Set the clocks",
                abs(self._behind), "behind" if self._behind > 0 else "ahead of",
                extra={"event": "clock_off", "seconds": round(self._behind, 1)},
            )  # fmt: skip
