"""A schedule: the jobs that an election's leader runs, and what any process may ask about them.

Rules:
- Its jobs run concurrently, each by the rules of `job`, and all by one clock (`clocks`).
- The place in the queue is kept until all attempts have ended.
- In one process an election has one job of a name, in any `Schedule`: two would run one slot at the same time.

It does not promise that a run has its effect once; see `job`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from typing import TypeVar, Unpack
from weakref import WeakKeyDictionary, WeakSet
from zoneinfo import ZoneInfo

from .. import arguments
from ..callables import check
from ..election.election import Election
from ..election.term import Term
from ..errors import BadVersion, LedgerError, NoNode, TermEnded, UsageError
from ..waking import Pulse
from ..zookeeper import hosts
from ..zookeeper import messages as m
from ..zookeeper.reader import Reader
from .clocks import Clocks
from .job import Job
from .job_options import JobOptions, JobSettings
from .ledger import UNKNOWN, Ledger, decode, encode, ledger_of, reset
from .queries import read_job, read_jobs
from .run import JobWork
from .status import JobStatus, view
from .triggers import Cron, Every, Trigger

log = logging.getLogger("leader_async.schedule")
W = TypeVar("W", bound=JobWork)

_schedules: WeakKeyDictionary[Election, WeakSet[Schedule]] = WeakKeyDictionary()

EXAMPLES = {"cron": 'cron("0 3 * * *")', "every": "every(seconds=30)"}


class Schedule:
    """Jobs that the leader of an election runs, and the outcome of each of their slots.

        jobs = Schedule(election)

        @jobs.cron("0 3 * * *", tz="Europe/Berlin")
        async def nightly(run):
            print("the night of", run.slot, "under token", run.token)

        @jobs.every(seconds=30)
        async def poll(run): ...

        await jobs.run()

    Args:
        election: its leader runs them.
        wall_clock: returns the time in seconds since the epoch.
    """

    def __init__(self, election: Election, *, wall_clock: Callable[[], float] = time.time) -> None:
        self.election = election
        self._client, self._parent = election.client, election.parent
        self._clocks = Clocks(election, wall_clock)
        self._jobs: dict[str, Job] = {}
        self._term: Term | None = None
        self._added = Pulse()
        _schedules.setdefault(election, WeakSet()).add(self)

    # -- jobs ----------------------------------------------------------------------------------------------------------

    def cron(
        self,
        expression: str,
        *,
        tz: str | ZoneInfo = "UTC",
        name: str | None = None,
        **options: Unpack[JobOptions],
    ) -> Callable[[W], W]:
        """Run the decorated function at the instants of a cron expression.

        The function gets a `JobRun`. A coroutine function runs in the event loop, any other in a thread; what that
        returns is awaited in the event loop if it can be.

        Args:
            expression: five fields as cron has them, or six with seconds first.
            tz: the time zone of the expression, or its name. When its clock is changed, a fixed time is due once: the
                first of two, and one that is left out right after the gap. Expressions whose minute or hour begins with
                `*`, or that have seconds, follow the clock.
            name: the job's name in the ledger, the function's if None. A job of another name is another job.
            **options: what to do with slots that were missed, with failures and with overlaps: the attributes of
                `leader_async.schedule.JobOptions`, which says what each means.

        Raises:
            UsageError: an argument or the function cannot be used, or there is a job of that name.
        """
        _refuse_bare("cron", expression)
        return self._adder(Cron(expression, tz), name, options)

    def every(self, seconds: float, *, name: str | None = None, **options: Unpack[JobOptions]) -> Callable[[W], W]:
        """Run the decorated function every so many seconds, counted from the epoch.

        Args:
            seconds: from slot to slot; 0.1 at least.
            name: as in `cron`.
            **options: as in `cron`.

        Raises:
            UsageError: an argument or the function cannot be used, or there is a job of that name.
        """
        _refuse_bare("every", seconds)
        return self._adder(Every(seconds), name, options)

    def _adder(self, trigger: Trigger, name: str | None, options: JobOptions) -> Callable[[W], W]:
        if unknown := options.keys() - JobOptions.__annotations__.keys():
            known = ", ".join(JobOptions.__annotations__)
            raise TypeError(f"a job has no option {', '.join(sorted(unknown))}; its options are {known}")

        def add(work: W) -> W:
            check(work, "a job", "run")
            called = arguments.name("a job's name", name or getattr(work, "__name__", ""), "give it by name=")
            hosts.check_path(f"/{called}")
            if any(called in schedule.names for schedule in _schedules[self.election]):
                raise UsageError(f"{self.election.name} has a job {called!r} already; give this one another name=")
            self._jobs[called] = Job(self.election, self._clocks, JobSettings(called, trigger, **options), work)
            self._added.fire()
            return work

        return add

    @property
    def names(self) -> frozenset[str]:
        """The names of its jobs."""
        return frozenset(self._jobs)

    def counted(self) -> Iterator[tuple[str, Job]]:
        """Each job's name and its `Job`, for metrics."""
        yield from self._jobs.items()

    # -- running -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Stand as a candidate, and run the jobs while this process leads. Cancel it to stop.

        Raises:
            UsageError: there are no jobs, or this election is being run already.
            SessionClosed: the connection was closed.
        """
        if not self._jobs:
            raise UsageError("this schedule has no jobs; decorate functions with @jobs.cron(...) or @jobs.every(...)")
        await self.election.run(self.work)

    async def work(self, term: Term) -> None:
        """Run the jobs under this term, until this is cancelled.

        Give it to `election.run(jobs.work)`, or call it in your own work. Jobs that are added meanwhile start at once.

        Args:
            term: slots are claimed under it.
        """
        self._term = term
        started = set[str]()
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    for name in self.names - started:
                        group.create_task(self._jobs[name].run_when_due(term), name=f"schedule {name}")
                    started |= self.names
                    await self._added.wait()
        finally:
            self._term = None
            if term.is_current:  # it ends here; a suspended term may still be renewed
                for job in self._jobs.values():
                    job.refuse(self._not_begun(job.settings.name))

    async def run_now(self, name: str) -> None:
        """Run a job now, in addition to its slots; returns when the run is claimed, not when it has ended.

        A lost connection, and a lease that runs out and is renewed, only delay the run. If you cancel this call, the
        request is withdrawn, unless its claim was sent already.

        Args:
            name: the job's name.

        Raises:
            UsageError: there is no such job, it is running or requested already, or this process does not lead.
            TermEnded: the lead was lost before the run could begin.
            LedgerError: this library did not write the job's ledger.
        """
        job, term = self._jobs.get(name), self._term
        if job is None:
            raise UsageError(f"there is no job {name!r}; there are: {', '.join(sorted(self._jobs)) or 'none'}")
        if term is None or not term.is_current:
            raise UsageError(f"{self.election.identity} does not lead {self.election.name}; ask the leader")
        claimed = job.request()
        try:
            while not claimed.done():
                if term.over:
                    raise self._not_begun(name)
                await asyncio.wait([claimed, self.election.changes.next()], return_when=asyncio.FIRST_COMPLETED)
            await claimed
        finally:
            job.withdraw()

    def _not_begun(self, name: str) -> TermEnded:
        lead = f"{self.election.identity} has lost the lead of {self.election.name}"
        return TermEnded(f"{lead} before {name!r} could begin; ask the new leader")

    # -- asking --------------------------------------------------------------------------------------------------------

    async def jobs(self) -> list[JobStatus]:
        """All jobs that ever ran under this election, as ZooKeeper has them; any process may ask.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
        """
        return await read_jobs(Reader(self._client), self._parent)

    async def job(self, name: str) -> JobStatus | None:
        """One of these jobs, None if there is none of this name.

        Args:
            name: the job's name.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
        """
        return await read_job(Reader(self._client), self._parent, name)

    async def reset(self, name: str) -> JobStatus | None:
        """Let a job continue with its first slot after now; any process may call this.

        Use it when a ledger is in the future because a clock was ahead, or when another program wrote it: until then
        the job does not run. Missed slots are skipped, and slots that were run are not run again. The contents of a
        ledger that cannot be read are lost. The leader follows within half a minute.

        Args:
            name: the job's name.

        Returns:
            The job after the reset, None if there is none of this name.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
        """
        path = ledger_of(self._parent, name)
        while True:
            try:
                data = await self._client.request(m.GetData(path))
                await self._clocks.compare(None)
                now = self._clocks.now()
                try:
                    ledger = reset(decode(data.data, path), now)
                except LedgerError:
                    ledger = Ledger(UNKNOWN, now)
                await self._client.request(m.SetData(path, encode(ledger), data.stat.version))
            except NoNode:
                return None
            except BadVersion:
                continue  # another process wrote meanwhile
            fields = self.election.reporter.fields("job_reset", job=name)
            log.info("%s: reset; continues with its first slot after now", name, extra=fields)
            return view(name, ledger)

    async def forget(self, name: str) -> bool:
        """Delete the ledger of a job that you removed; False if there was none.

        Args:
            name: the job's name.

        Raises:
            UsageError: this schedule has that job.
            ZooKeeperError: ZooKeeper cannot be asked.
        """
        if name in self._jobs:
            raise UsageError(f"{name!r} is a job of this schedule and would run slots again; remove it first")
        try:
            await self._client.request(m.Delete(ledger_of(self._parent, name)))
        except NoNode:
            return False
        return True


def _refuse_bare(decorator: str, argument: object) -> None:
    if callable(argument):
        raise UsageError(f"@jobs.{decorator} needs its arguments, as in @jobs.{EXAMPLES[decorator]}")
