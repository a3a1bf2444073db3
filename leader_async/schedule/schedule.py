"""A schedule: the jobs of an election's leader, and what anybody may ask of them.

Rules:
- Its jobs run beside each other, each by the rules of `job`, and by one clock (`clocks`).
- The place in the queue is kept until all attempts have ended.
- In one process an election has one job of a name, in whichever `Schedule`: two would run one slot at the same time.

It does not promise that a run has effect once; see `job`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from typing import TypeVar, Unpack
from weakref import WeakKeyDictionary, WeakSet
from zoneinfo import ZoneInfo

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
from .job_options import JobOptions, Rules
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
            called = name or getattr(work, "__name__", "")
            if not called or "/" in called:
                raise UsageError(f"a job's name is one part of a path, not {called!r}; give it by name=")
            hosts.check_path(f"/{called}")
            if any(called in schedule.names for schedule in _schedules[self.election]):
                raise UsageError(f"{self.election.name} has a job {called!r} already; give this one another name=")
            self._jobs[called] = Job(self.election, self._clocks, Rules(called, trigger, **options), work)
            self._added.fire()
            return work

        return add

    @property
    def names(self) -> frozenset[str]:
        """The names of its jobs."""
        return frozenset(self._jobs)

    def counted(self) -> Iterator[tuple[str, Job]]:
        """For each job its name, and what this process does and knows about it."""
        yield from self._jobs.items()

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
        """Run the jobs under this term, until that is cancelled.

        It is for `election.run(jobs.work)`, or a part of work of your own. Jobs that are added meanwhile begin at once.

        Args:
            term: under which slots are claimed.
        """
        self._term = term
        tended = set[str]()
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    for name in self.names - tended:
                        group.create_task(self._jobs[name].run_when_due(term), name=f"schedule {name}")
                    tended |= self.names
                    await self._added.wait()
        finally:
            self._term = None
            if term.is_current:  # it is given up; one that is only suspended may go on
                for job in self._jobs.values():
                    job.refuse(self._not_begun(job.rules.name))

    async def run_now(self, name: str) -> None:
        """Have a job run at once, beside its slots; returns when that is claimed, not when it has ended.

        A connection that is lost meanwhile, and a lease that runs out and is renewed, only put it off. Who cancels this
        withdraws it, unless its claim is on the way.

        Args:
            name: the job's.

        Raises:
            UsageError: there is no such job, it is running or asked for already, or this process does not lead.
            TermEnded: the lead was lost before it could begin.
            LedgerError: its ledger is not this library's.
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
        """All jobs that were ever run under this election, read from ZooKeeper; anybody may ask.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
        """
        return await read_jobs(Reader(self._client), self._parent)

    async def job(self, name: str) -> JobStatus | None:
        """One of them, None if there is none of this name.

        Args:
            name: the job's, in its ledger.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
        """
        return await read_job(Reader(self._client), self._parent, name)

    async def reset(self, name: str) -> JobStatus | None:
        """Have a job go on with its first slot after now; anybody may.

        This is for a ledger that a clock which was ahead has left in the future, or that somebody else has written:
        the job does not run until then. Slots that were missed are passed over, and what has been run is not run again.
        What a ledger that cannot be read told is lost. The leader goes by it within half a minute.

        Args:
            name: the job's, in its ledger.

        Returns:
            The job as it is then, None if there is none of this name.

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
                continue  # somebody has run it meanwhile
            text, fields = (
                "%s: was reset, and goes on with its first slot after now",
                {"event": "job_reset", "job": name},
            )
            log.info(text, name, extra={**fields, "election": self.election.name, "identity": self.election.identity})
            return view(name, ledger)

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


def _refuse_bare(decorator: str, argument: object) -> None:
    if callable(argument):
        raise UsageError(f"@jobs.{decorator} needs its arguments, as in @jobs.{EXAMPLES[decorator]}")
