"""Writes an election's terms into the history's znode, where the record does not keep them.

One writer serves all elections of a connection. `history` decides what to write. The record names the latest terms, so
the writer has something to do in three cases: the record names many terms, a term ended without a reason in the record,
or the successor will not read the record.

Rules:
1. It never delays an election. It writes a confirm's period after a term has begun, one election after the other. A
   write that fails is repeated later, with growing pauses.
2. A holder writes in one transaction that checks its own znode and the record's version, as a confirm does, and the
   history's version. An entry of a term that is over is merged into that term's entry, at the history's version.
3. A term that ended gracefully has its reason in the record, where its successor reads it. The reason of any other term
   is written here as soon as a server is connected again.

It does not promise that anything is written: what is not written when the process ends is lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field

from .. import clock
from ..errors import BadVersion, ConnectionLost, NodeExists, NoNode, NotConnected, ZooKeeperError
from ..waking import Pulse
from ..zookeeper import messages as m
from ..zookeeper.client import Client
from ..zookeeper.reader import Reader
from .queries import read_history
from .rules import history
from .rules import record as r
from .rules.candidacy import Candidacy
from .rules.ends import Detail, End, Why
from .rules.history import Teller, TermEntry
from .rules.lease import Hold
from .rules.state import CONFIRMS

log = logging.getLogger("leader_async.history")

AT_ONCE = 3
"""Tries in a row when somebody else wrote in between."""

RETRY = 1.0, 60.0
"""Seconds until the second try, and at most between two."""


@dataclass(slots=True, eq=False)
class _Backlog:
    """What is not written yet of one election.

    Attributes:
        candidacy: its rules.
        hold: the term that runs.
        suspended: reading of the clock at which the lease ran out, and why; None while it has not.
        ended: entries of terms that could not write their end into the record.
        due: reading of the clock at which to write.
        pause: seconds until the next try.
    """

    candidacy: Candidacy
    hold: Hold | None = None
    suspended: tuple[float, End] | None = None
    ended: list[TermEntry] = field(default_factory=list)
    due: float = float("inf")
    pause: float = RETRY[0]

    @property
    def waits(self) -> bool:
        """Whether the record is to be read first: nobody knows yet how the term began."""
        return self.hold is not None and self.candidacy.story.how(self.hold) is None

    def entries(self) -> list[TermEntry]:
        """What is to be written, bounded."""
        own, hold = self.candidacy, self.hold
        if hold is not None and hold is own.hold and (how := own.story.how(hold)) and (terms := own.story.untold(hold)):
            if len(terms) >= history.FULL or not own.handover.by_name or not history.known_by_record(how):
                return history.merged(self.ended, terms)
        return history.merged(self.ended)

    def written(self, entries: list[TermEntry]) -> None:
        """Forget these entries."""
        self.ended = [entry for entry in self.ended if entry not in entries]
        self.candidacy.story.written(entries)


class HistoryWriter:
    """See the module's docstring."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._backlogs: dict[Candidacy, _Backlog] = {}
        self._news = Pulse()
        self._task: asyncio.Task[None] | None = None

    # -- what elections report -----------------------------------------------------------------------------------------

    def began(self, candidacy: Candidacy, hold: Hold) -> None:
        """A term began, or resumes after a suspension."""
        backlog = self._backlogs.setdefault(candidacy, _Backlog(candidacy))
        backlog.suspended = None
        if hold is backlog.hold:
            return
        backlog.hold = hold
        # Nothing more now: the work of this very term waits to begin.
        self._schedule(backlog, clock.now() + hold.lease / CONFIRMS)

    def suspended(self, candidacy: Candidacy, at: float, end: End) -> None:
        """The lease ran out; the term may resume later."""
        if candidacy in self._backlogs:
            self._backlogs[candidacy].suspended = at, end

    def over(self, candidacy: Candidacy, hold: Hold, at: float) -> None:
        """The term is over for good: note its end, unless the record has it. Its work was stopped at `at`."""
        backlog, how = self._backlogs.get(candidacy), candidacy.story.how(hold)
        if backlog is None or hold is not backlog.hold:
            return
        backlog.hold = None
        if hold.end is None or not hold.forfeited or how is None:
            return
        at, end = backlog.suspended or (at, hold.end)
        own = candidacy.settings
        entry = TermEntry(hold.number, hold.token, own.identity, own.address)
        # By ZooKeeper's clock: since the term began it has advanced as this process's clock has.
        backlog.ended.append(history.ended(entry, end, how.began + at - how.known_at, Teller.HOLDER))
        self._schedule(backlog, clock.now() + hold.lease / CONFIRMS)

    def stop(self) -> None:
        """Write no more."""
        self._backlogs.clear()
        if self._task is not None:
            self._task.cancel()

    # -- writing -------------------------------------------------------------------------------------------------------

    def _schedule(self, backlog: _Backlog, due: float) -> None:
        backlog.due, backlog.pause = min(backlog.due, due), RETRY[0]
        self._news.fire()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._write(), name="history")
            self._task.add_done_callback(_report)

    async def _write(self) -> None:
        while True:
            news = self._news.next()
            next_one = min(self._backlogs.values(), key=lambda backlog: backlog.due)
            wait = next_one.due - clock.now()
            if wait > 0:
                # At most a minute: the event loop's clock stops while the machine sleeps, `clock` does not.
                await asyncio.wait([news], timeout=min(wait, RETRY[1]))
                continue
            await self._client.wait_connected()
            await self._try(next_one)

    async def _try(self, backlog: _Backlog) -> None:
        entries, period = backlog.entries(), backlog.candidacy.settings.lease / CONFIRMS
        if not entries:
            backlog.due = clock.now() + period if backlog.waits else float("inf")
            return
        try:
            done = await write(self._client, backlog.candidacy, entries)
        except (NotConnected, ConnectionLost):
            done = False
        except ZooKeeperError as error:
            own = backlog.candidacy.settings
            log.log(
                logging.WARNING if backlog.pause == RETRY[0] else logging.DEBUG,
                "%s: the history cannot be written: %s; trying again later", own.parent, error,
                extra={"event": "history_not_written", "identity": own.identity},
            )  # fmt: skip
            done = False
        if done:
            backlog.written(entries)
            # Entries that were added meanwhile are written next time.
            backlog.due = clock.now() + period if backlog.entries() else float("inf")
            backlog.pause = RETRY[0]
        else:
            backlog.due = clock.now() + backlog.pause
            backlog.pause = min(2 * backlog.pause, RETRY[1])


def why_no_confirm(client: Client, hold: Hold) -> End:
    """Why a lease has just run out, as far as this process knows."""
    late, session = clock.now() - hold.until, client.status()
    away = 0.0 if session.connected else max(0.0, time.time() - session.since)
    if late > hold.lease / CONFIRMS and away <= late:  # else no server was there before the lease ran out, nor since
        return End(Why.LEASE_RAN_OUT, Detail.STOOD_STILL, seconds=late)
    if session.connected:
        return End(Why.LEASE_RAN_OUT, Detail.NOT_CONFIRMED, str(session.server))
    return End(Why.LEASE_RAN_OUT, Detail.NO_SERVER, session.last_error, seconds=away)


async def write(client: Client, candidacy: Candidacy, new: list[TermEntry]) -> bool:
    """Merge these entries into an election's history; True once that is done.

    Raises:
        ZooKeeperError: it cannot be done now.
    """
    path = f"{candidacy.settings.parent}/{history.NAME}"
    for _ in range(AT_ONCE):
        known, version = await read_history(Reader(client), candidacy.settings.parent)
        entries = history.merged(known, new)
        if entries == history.merged(known):
            return True
        hold = candidacy.hold
        checks: tuple[m.Operation, ...] = ()
        if hold is not None and hold.end is None:
            checks = r.confirm(candidacy.settings.parent, hold.holder, hold.version)
        data = history.encode(entries)
        last: m.Operation = m.Create(path, data) if version is None else m.SetData(path, data, version)
        answer = await client.request(m.Multi((*checks, last)))
        if answer.failure is None:
            return True
        error = m.refusal(answer.failure[1], last)
        if not isinstance(error, BadVersion | NoNode | NodeExists):
            raise error
    return False


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, ZooKeeperError):
        text = "the history's writer has died of a bug; elections run without a history"
        log.error(text, exc_info=error, extra={"event": "bug"})
