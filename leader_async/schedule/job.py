"""One job: carries out over asyncio what `decisions` decides, while this process leads the election.

Rules:
- A slot is claimed by one transaction, which checks the term and the ledger's version. The run begins after the answer
  to that. So a slot is claimed at most once, whatever happens to processes, clocks or the network.
- An attempt begins at most once. If the answer to its claim was lost, it begins when the ledger shows the claim. An
  attempt that was cut short does not begin again.
- A job has one attempt at a time.
- A run that was requested stays requested until its claim is written, whatever happens to connections and leases.

It does not promise that a run has its effect once: a run that was cut short may have had it. The token fences it off.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from .. import clock
from ..election.election import Election
from ..election.term import Term
from ..errors import (
    BadVersion,
    CommandFailed,
    ConnectionLost,
    LedgerError,
    NodeExists,
    NotConnected,
    ServerError,
    SlotTaken,
    TermEnded,
    UsageError,
    ZooKeeperError,
)
from ..waking import Pulse
from ..zookeeper import messages as m
from ..zookeeper.reader import Reader
from .clocks import Clocks
from .decisions import Correction, Rewrite, Start, Wait, claimed, decide, due, ended, first
from .job_options import JobSettings
from .ledger import Ledger, Open, decode, encode, ledger_of
from .run import JobRun, JobWork, attempt
from .stats import JobStats

log = logging.getLogger("leader_async.schedule")

NAP = 30.0
"""Seconds between two readings of the clock, which may be set during the wait for a slot."""
HOLD_OFF = 1.0
"""Seconds to wait after an error that another try at once would meet again."""
CORRECTIONS = {
    Correction.RESPELLED: "its trigger is written {now.spec!r} now, {before.spec!r} before",
    Correction.RETRIGGERED: "its trigger is {now.spec!r} from now on, {before.spec!r} before",
    Correction.ABANDONED: "{before.open.identity} left it unfinished; it is not run again",
}
"""What the log says of each, of the ledger before and now."""


@dataclass(slots=True)
class _Page:
    """A ledger and its version in ZooKeeper."""

    ledger: Ledger
    version: int


class Job:
    """A job, and what this process does about it.

    Args:
        election: its leader runs the job.
        clocks, settings, work: what time it is, how the job is run, and the function that is run.
        opened: makes the ledger to begin with of the one that was read, which is None if there is none.

    Attributes:
        rests: set when the ledger says that nothing is ever due again.
        running: an attempt runs in this process.
    """

    def __init__(
        self,
        election: Election,
        clocks: Clocks,
        settings: JobSettings,
        work: JobWork,
        *,
        opened: Callable[[Ledger | None], Ledger] | None = None,
    ) -> None:
        self.settings = settings
        self.rests = asyncio.Event()
        self.running = False
        self.stats = JobStats()
        self._opened = opened or (lambda ledger: first(settings, clocks.now()) if ledger is None else ledger)
        self._election, self._client, self._clocks, self._work = election, election.client, clocks, work
        self._threads = ThreadPoolExecutor(1, f"job {settings.name}")  # runs work that is no coroutine function
        self._path = ledger_of(election.parent, settings.name)
        # Transactions have paths below the chroot.
        self._below_chroot = self._path.removeprefix(self._client.ensemble.chroot)
        self._page: _Page | None = None  # the ledger as this leader knows it, None if this process does not lead
        self._refused_at: float | None = None  # wall-clock time since when it cannot be run
        self._refused: tuple[object, ...] | None = None  # why it cannot be run, as it was logged last
        self._ahead: Ledger | None = None  # the ledger about which was warned that it is in the future
        self._request: asyncio.Future[None] | None = None  # of a run; done when its claim is written
        self._requests = Pulse()
        self._claiming: Open | None = None  # an attempt whose claim was sent, and not answered yet
        self._claims_request = False  # that attempt is the one that was requested
        self._unclosed: tuple[Open, str | None] | None = None  # an attempt that ended, and its error: not written yet

    @property
    def done_at(self) -> float | None:
        """Wall-clock time at which an attempt last succeeded anywhere; None if none has, or if we do not lead."""
        done = None if self._page is None else self._page.ledger.done
        return None if done is None else done / 1000

    @property
    def due_at(self) -> float | None:
        """Wall-clock time at which the next attempt is due; None if none is, if one runs, or if we do not lead.

        If it cannot be claimed, since when.
        """
        if self._page is None or self.running:
            return self._refused_at
        instant = due(self.settings, self._page.ledger, self._clocks.now())
        return None if instant is None else instant / 1000

    def request(self) -> asyncio.Future[None]:
        """Request a run now; done when that is claimed, or raises what `refuse` was given.

        Raises:
            UsageError: it is running, or was requested already.
        """
        if self.running or self._request is not None:
            why = "is running" if self.running else "was requested already, and begins as soon as it can be claimed"
            raise UsageError(f"job {self.settings.name!r} {why}")
        self._request = asyncio.get_running_loop().create_future()
        self._requests.fire()
        return self._request

    def withdraw(self) -> None:
        """Drop the request; a run that is claimed already continues."""
        self._request = None

    def refuse(self, error: Exception) -> None:
        """End the request with this error, if there is one."""
        if (request := self._pending) is not None:
            request.set_exception(error)

    async def run_when_due(self, term: Term) -> None:
        """Run it whenever it is due under this term, until this is cancelled."""
        try:
            await self._run_when_due(term)
        finally:
            self._page = self._refused_at = None

    async def _run_when_due(self, term: Term) -> None:
        while True:
            try:
                page = self._page = await self._open_page(term)
                await self._recover(term, page)
                while True:
                    await self._step(term, page)
                    self._refused = self._refused_at = None
            except TermEnded:
                # This is about to be cancelled. If it is not, the lease was renewed at the last moment.
                await asyncio.sleep(HOLD_OFF)
            except BadVersion:
                continue  # somebody else has written: read again
            except (NotConnected, ConnectionLost):
                await self._client.wait_connected()
            except (ServerError, LedgerError, SlotTaken) as error:
                refused = type(error), error.args
                level = logging.DEBUG if refused == self._refused else logging.ERROR
                self._refused, self._refused_at = refused, self._refused_at or self._clocks.wall_clock()
                if isinstance(error, LedgerError):
                    self.refuse(error)
                log.log(level, "%s cannot be run: %s", self.settings.name, error, extra=self._fields("job_refused"))
                await asyncio.sleep(HOLD_OFF)

    async def _open_page(self, term: Term) -> _Page:
        """Read the ledger; create it if there is none."""
        await self._clocks.compare(term)  # a write, so what is read after it is not older
        found = await Reader(self._client).data(self._path)
        if found is not None:
            return _Page(self._opened(decode(found.data, self._path)), found.stat.version)
        ledger = self._opened(None)
        try:
            await term.transaction().create(self._below_chroot, encode(ledger)).commit()
        except NodeExists:
            raise BadVersion(about="the ledger has just been created") from None
        return _Page(ledger, 0)

    async def _recover(self, term: Term, page: _Page) -> None:
        """Continue after a write whose answer was lost: the ledger shows whether that has happened."""
        found, claiming = page.ledger.open, self._claiming
        self._claiming = None  # the attempt begins now or never: it does not begin again after it was cut short
        if self._unclosed is not None and found == self._unclosed[0]:
            await self._close(page)
            return
        self._unclosed = None
        if found is not None and found == claiming and found.token == term.token:
            await self._attempt(term, page)

    async def _step(self, term: Term, page: _Page) -> None:
        if self._clocks.set_meanwhile:
            await self._clocks.compare(term)
        now, open_one = self._clocks.now(), page.ledger.open
        step = decide(self.settings, page.ledger, now)
        # An attempt that nobody finished comes before a request.
        requested = self._pending is not None and (open_one is None or open_one.again_at is not None)
        if requested and open_one is None:
            step = Start(now, manual=True)
        elif requested and open_one is not None:
            step = Start(open_one.slot, open_one.attempt + 1, open_one.manual)
        match step:
            case Wait(until, ahead):
                self._warn_if_ahead(page, ahead)
                if until is None:
                    self.rests.set()
                seconds = NAP if until is None else min(NAP, max(0.0, (until - now) / 1000))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._requests.wait()
                if ahead:
                    raise BadVersion(about="the ledger may have been reset")
            case Rewrite(ledger, why):
                text = CORRECTIONS[why].format(before=page.ledger, now=ledger)
                log.info("%s: %s", self.settings.name, text, extra=self._fields("job_put_right"))
                await self._write(term, page, ledger)
            case Start():
                ledger = claimed(page.ledger, step, term.token, self._election.identity, now)
                self._claiming, self._claims_request = ledger.open, requested
                await self._write(term, page, ledger)
                self._claiming = None
                await self._attempt(term, page)

    @property
    def _pending(self) -> asyncio.Future[None] | None:
        """The request, if it has no answer yet."""
        return None if self._request is None or self._request.done() else self._request

    def _warn_if_ahead(self, page: _Page, ahead: int) -> None:
        if ahead and self._ahead != page.ledger:
            log.warning(
                "%s: its ledger is %.0f s in the future, because a clock was ahead; it is not run until then. "
                "`leader-async jobs %s --reset` brings it back",
                self.settings.name, ahead / 1000, self.settings.name,
                extra={**self._fields("job_ledger_ahead"), "seconds": round(ahead / 1000, 1)},
            )  # fmt: skip
        self._ahead = page.ledger if ahead else None

    async def _attempt(self, term: Term, page: _Page) -> None:
        """Carry out the open attempt of this ledger, and write how it ended."""
        start, settings = page.ledger.open, self.settings
        assert start is not None
        if self._claims_request:
            self._claims_request = False
            if (request := self._pending) is not None:
                request.set_result(None)
        slot = datetime.fromtimestamp(start.slot / 1000, settings.trigger.zone)
        run = JobRun(settings.name, slot, start.attempt, term, start.manual, self._variables(start, slot))
        title = f"{settings.name}: attempt {run.attempt} at {slot.isoformat()}"
        log.info("%s, token %d", title, run.token, extra=self._fields("job_began", run))
        self.running, began = True, clock.now()
        if run.attempt == 1 and not run.manual:
            self.stats.lateness.observe(max(0.0, (self._clocks.now() - settings.due(start.slot)) / 1000))
        try:
            ending = await attempt(self._work, run, settings.timeout, self._threads)
        finally:
            self.running = False
        self.stats.ended(ending.outcome, clock.now() - began)
        if ending.finished:
            if ending.error is not None:
                # A command's status says all: a reader of the log wants no traceback of this library.
                where = None if isinstance(ending.cause, CommandFailed) else ending.cause
                fields = self._fields("job_failed", run)
                log.error("%s failed: %s", title, ending.error, exc_info=where, extra=fields)
            self._unclosed = start, ending.error
            if ending.cancelled:
                with contextlib.suppress(ZooKeeperError):  # the next leader waits: one try
                    await self._close(page)
            else:
                await self._close(page)
        elif ending.cause is not None:
            log.warning("%s was cut short: %s", title, ending.error, extra=self._fields("job_cut_short", run))
        if ending.cancelled:
            raise asyncio.CancelledError
        if not ending.finished:
            raise TermEnded(f"{settings.name} was cut short")

    def _variables(self, start: Open, slot: datetime) -> dict[str, str]:
        return {
            "LEADER_TOKEN": str(start.token),
            "LEADER_ELECTION": self._election.name,
            "LEADER_IDENTITY": self._election.identity,
            "LEADER_JOB": self.settings.name,
            "LEADER_SLOT": slot.isoformat(),
            "LEADER_ATTEMPT": str(start.attempt),
        }

    async def _close(self, page: _Page) -> None:
        assert self._unclosed is not None
        ledger = ended(self.settings, page.ledger, self._clocks.now(), self._unclosed[1])
        # Needs no term: a leader that found this attempt unfinished has changed the ledger's version.
        reply = await self._client.request(m.SetData(self._path, encode(ledger), page.version))
        page.ledger, page.version = ledger, reply.stat.version
        self._unclosed = None

    async def _write(self, term: Term, page: _Page, ledger: Ledger) -> None:
        (version,) = await term.transaction().set_data(self._below_chroot, encode(ledger), page.version).commit()
        assert isinstance(version, int)
        page.ledger, page.version = ledger, version

    def _fields(self, event: str, run: JobRun | None = None) -> dict[str, object]:
        more = {} if run is None else {"attempt": run.attempt, "slot": run.slot.isoformat(), "token": run.token}
        return self._election.reporter.fields(event, job=self.settings.name, **more)
