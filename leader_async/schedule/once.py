"""One slot, run by one of the processes that were started for it on several hosts; over asyncio.

Rules:
- The slot is decided once, by ZooKeeper's clock, when this process stands in the queue; `slots` says how.
- The leader claims the slot as `job` does, and resigns when the slot is settled. The others read its ledger meanwhile,
  and leave the queue as soon as nothing is left for them to do.
- The wait for a claim has a limit: processes that cron starts again and again must not pile up while ZooKeeper is away.

It does not promise that a slot is run: not if no process was started for it, or if none of them led in time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from .. import clock
from ..election.election import Election
from ..election.term import Term
from ..errors import AuthFailed, NoAuth, ZooKeeperError
from ..waking import outlast
from ..zookeeper.reader import Reader
from .clocks import Clocks
from .job import Job
from .job_options import JobSettings, Unfinished
from .ledger import decode, ledger_of
from .run import JobRun
from .slots import Once, SlotStatus, opened, outcome

log = logging.getLogger("leader_async.schedule")

LOOK = 0.5
"""Seconds between two reads of the ledger."""


class OneSlot:
    """What this process does about one slot.

    Args:
        election: its leader claims the slot; its name is the job's.
        slot_at: makes the slot of the time in milliseconds since the epoch.
        unfinished, work: see `JobOptions`; and the function that is run.

    Attributes:
        slot: the slot, None until ZooKeeper's clock was read.
        begun: this process has begun to run it.
    """

    def __init__(
        self,
        election: Election,
        slot_at: Callable[[int], Once],
        unfinished: Unfinished,
        work: Callable[[JobRun], Awaitable[object]],
    ) -> None:
        self.slot: Once | None = None
        self.begun = False
        self._known = asyncio.Event()  # `slot` is set
        self._election = election
        self._slot_at, self._unfinished, self._work = slot_at, unfinished, work
        self._clocks = Clocks(election, time.time)
        self._job: Job | None = None
        self._leads = False

    async def run(self, wait: float) -> SlotStatus:
        """Have the slot run here or elsewhere; `wait` is how many seconds a process has to claim it.

        Cancel this to leave the queue after the work has ended.

        Raises:
            UsageError: there is no slot, or this election is being run already.
            NoAuth, AuthFailed: ZooKeeper does not let this process take part.
            LedgerError: this library did not write the ledger.
        """
        running = asyncio.create_task(self._election.run(self._lead), name="slot")
        try:
            return await self._follow(running, clock.now() + wait)
        finally:
            running.cancel()
            cancelled = await outlast(running)
            if not running.cancelled():
                running.exception()  # asyncio logs what nobody has asked for
            if cancelled:
                raise asyncio.CancelledError

    async def _follow(self, running: asyncio.Task[None], deadline: float) -> SlotStatus:
        found = SlotStatus(False, False, "has not been run: nobody could claim it in time")
        while True:
            ended = running.done()  # then its outcome is written
            if not self._leads:
                found = await self._look() or found
            if ended:
                running.result()
                return found
            if not self._leads and self._may_leave(found, late=clock.now() > deadline):
                return found
            changes: list[asyncio.Future[None]] = [running, self._election.changes.next()]
            await asyncio.wait(changes, timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)

    def _may_leave(self, found: SlotStatus, *, late: bool) -> bool:
        if late and not (found.claimed and not found.over):
            return True
        # The process that runs it stands in the queue. If none stands before this one, it has died, and this process is
        # about to write that.
        return found.over and not (found.running and self._election.status().position == 0)

    async def _look(self) -> SlotStatus | None:
        """The slot's outcome, None if it cannot be read now."""
        try:
            async with asyncio.timeout(self._election.client.timeout):
                if self.slot is None:
                    if not self._election.status().in_queue:
                        return None
                    await self._clocks.compare(None)
                    self.slot = self._slot_at(self._clocks.now())
                    self._known.set()
                path = ledger_of(self._election.parent, self._election.name)
                found = await Reader(self._election.client).data(path)
                ledger = None if found is None else decode(found.data, path)
                return outcome(self.slot, self._settings(self.slot), ledger)
        except (NoAuth, AuthFailed):
            raise
        except (ZooKeeperError, TimeoutError) as error:
            fields = self._election.reporter.fields("slot_unknown", job=self._election.name, slot=str(self.slot))
            log.debug("the slot's ledger cannot be read: %s", error, extra=fields)
            return None

    async def _lead(self, term: Term) -> None:
        await self._known.wait()
        once = self.slot
        assert once is not None
        self._job = self._job or Job(
            self._election, self._clocks, self._settings(once), self._begin, opened=lambda ledger: opened(once, ledger)
        )
        self._leads = True
        try:
            async with asyncio.TaskGroup() as group:
                tending = group.create_task(self._job.run_when_due(term))
                await self._job.rests.wait()
                tending.cancel()
        finally:
            self._leads = False

    async def _begin(self, run: JobRun) -> None:
        self.begun = True
        await self._work(run)

    def _settings(self, once: Once) -> JobSettings:
        return JobSettings(self._election.name, once, unfinished=self._unfinished)
