"""The historian: writes into the history's znode what the record does not tell, or not any more.

One for each connection, whatever the number of its elections. It listens to them; `history` decides what there is to
tell. Each write of the record tells of the terms before, so there is something to do only when it has come to tell of
many, when a term ended without a word, and when who follows will not read the record.

Rules:
1. It never stands in an election's way: it writes some time after a term has begun (a confirm's period), one election
   after the other, and what fails is tried again later, more and more rarely.
2. A holder writes in one transaction that checks its own znode and the record's version, as a confirm does, and the
   history's version. What is told of a term that is over is merged into that term's entry, at the history's version.
3. A term that ended gracefully says why in the record, where its successor finds it. One that could not is told of here
   as soon as a server is connected again.

It does not promise that anything is written: a process that ends takes with it what it has not told.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field

from .. import clock
from ..errors import BadVersion, ConnectionLost, NodeExists, NoNode, NotConnected, RecordError, ZooKeeperError
from ..waking import Pulse
from ..zookeeper import messages as m
from ..zookeeper.client import Client
from .rules import history
from .rules import record as r
from .rules.candidacy import Candidacy
from .rules.effects import Hold
from .rules.history import Teller, TermEntry
from .rules.state import CONFIRMS
from .status import read_card

log = logging.getLogger("leader_async.history")

AT_ONCE = 3
"""Tries in a row when somebody else wrote in between."""

RETRY = 1.0, 60.0
"""Seconds until the second try, and at most between two."""


@dataclass(slots=True, eq=False)
class _Diary:
    """What one election has to tell.

    Attributes:
        candidacy: its rules.
        hold: the term that goes on.
        broke_off: reading of the clock at which the lease ran out, and why; None while it has not.
        untold: ends of terms that could not say so in the record.
        due: reading of the clock at which to tell them.
        pause: seconds until the next try.
    """

    candidacy: Candidacy
    hold: Hold | None = None
    broke_off: tuple[float, str] | None = None
    untold: list[TermEntry] = field(default_factory=list)
    due: float = float("inf")
    pause: float = RETRY[0]

    @property
    def waits(self) -> bool:
        """Whether it is not known yet how the term began."""
        return self.hold is not None and self.hold.how is None

    def entries(self) -> list[TermEntry]:
        """What there is to write, bounded."""
        own, terms, how = self.candidacy, self.candidacy.untold, self.hold and self.hold.how
        if self.hold is own.hold and how and terms:
            if len(terms) >= history.FULL or not own.by_name or not history.known_by_record(how):
                return history.merged(self.untold, terms)
        return history.merged(self.untold, ())

    def told(self, entries: list[TermEntry]) -> None:
        """These are written."""
        self.untold = [entry for entry in self.untold if entry not in entries]
        if (hold := self.hold) is not None and hold.untold:
            hold.untold = tuple(entry for entry in hold.untold if entry not in entries)


class HistoryWriter:
    """See the module's docstring.

    Args:
        client: through whom.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._diaries: dict[Candidacy, _Diary] = {}
        self._news = Pulse()
        self._task: asyncio.Task[None] | None = None

    # -- what elections say --------------------------------------------------------------------------------------------

    def began(self, candidacy: Candidacy, hold: Hold) -> None:
        """A term began, or goes on after a suspension."""
        diary = self._diaries.setdefault(candidacy, _Diary(candidacy))
        diary.broke_off = None
        if hold is diary.hold:
            return
        diary.hold = hold
        # Nothing more now: the work of this very term waits to begin.
        self._tell(diary, clock.now() + hold.lease / CONFIRMS)

    def broke_off(self, candidacy: Candidacy, at: float, why: str) -> None:
        """The lease ran out; the term may go on later."""
        if candidacy in self._diaries:
            self._diaries[candidacy].broke_off = at, why

    def over(self, candidacy: Candidacy, hold: Hold | None, at: float) -> None:
        """The term is over for good: if it could not say so in the record, it is said here.

        Args:
            candidacy: whose.
            hold: the term.
            at: reading of the clock at which its work was told to end.
        """
        diary = self._diaries.get(candidacy)
        if diary is None or hold is None or hold is not diary.hold:
            return
        diary.hold = None
        if not hold.forfeited:
            return
        end, why = diary.broke_off or (at, hold.over)
        own = candidacy.settings
        entry = TermEntry(hold.number, hold.token, own.identity, own.address)
        if (how := hold.how) is None:
            return
        # By ZooKeeper's clock: it has gone on since the term began as ours has.
        diary.untold.append(history.ended(entry, why, how.began + end - how.known_at, Teller.HOLDER))
        self._tell(diary, clock.now() + hold.lease / CONFIRMS)

    def stop(self) -> None:
        """Write no more."""
        self._diaries.clear()
        if self._task is not None:
            self._task.cancel()

    # -- writing -------------------------------------------------------------------------------------------------------

    def _tell(self, diary: _Diary, due: float) -> None:
        diary.due, diary.pause = min(diary.due, due), RETRY[0]
        self._news.fire()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._write(), name="history")
            self._task.add_done_callback(_report)

    async def _write(self) -> None:
        while True:
            news = self._news.next()
            next_one = min(self._diaries.values(), key=lambda diary: diary.due)
            wait = next_one.due - clock.now()
            if wait > 0:
                # At most a minute: the event loop's clock stands still while the machine sleeps, ours does not.
                await asyncio.wait([news], timeout=min(wait, RETRY[1]))
                continue
            await self._client.wait_connected()
            await self._try(next_one)

    async def _try(self, diary: _Diary) -> None:
        told = diary.entries()
        if not told:
            period = diary.candidacy.settings.lease / CONFIRMS
            diary.due = clock.now() + period if diary.waits else float("inf")
            return
        try:
            done = await write(self._client, diary.candidacy, told)
        except (NotConnected, ConnectionLost):
            done = False
        except ZooKeeperError as error:
            own = diary.candidacy.settings
            log.log(
                logging.WARNING if diary.pause == RETRY[0] else logging.DEBUG,
                "%s: the history cannot be written: %s; trying again later", own.parent, error,
                extra={"event": "history_not_written", "identity": own.identity},
            )  # fmt: skip
            done = False
        if done:
            diary.told(told)
            # What was added meanwhile is told next time.
            diary.due = clock.now() + diary.candidacy.settings.lease / CONFIRMS if diary.entries() else float("inf")
            diary.pause = RETRY[0]
        else:
            diary.due = clock.now() + diary.pause
            diary.pause = min(2 * diary.pause, RETRY[1])


def why_no_confirm(client: Client, hold: Hold) -> str:
    """Why a lease has just run out, as far as this process can tell."""
    late, session = clock.now() - hold.until, client.status()
    away = 0.0 if session.connected else max(0.0, time.time() - session.since)
    if late > hold.lease / CONFIRMS and away <= late:  # else no server was there before the lease ran out, nor since
        return f"this process, or its event loop, stood still until {late:.1f} s after that"
    if session.connected:
        return f"{session.server} did not confirm it in time"
    return f"no server was connected for {away:.1f} s; {session.last_error}"


async def write(client: Client, candidacy: Candidacy, told: list[TermEntry]) -> bool:
    """Merge these entries into an election's history; whether that is done.

    Raises:
        ZooKeeperError: it cannot be done now.
    """
    path = f"{candidacy.settings.parent}/{history.NAME}"
    for _ in range(AT_ONCE):
        known, version = await read(client, candidacy.settings.parent)
        entries = history.merged(known, told)
        if entries == history.merged(known, ()):
            return True
        hold = candidacy.hold
        checks: tuple[m.Operation, ...] = ()
        if hold is not None and not hold.over:
            checks = r.confirm(candidacy.settings.parent, hold.holder, hold.version)
        data = history.encode(entries)
        last: m.Operation = m.Create(path, data) if version is None else m.SetData(path, data, version)
        answer = await client.request(m.Multi((*checks, last)))
        assert isinstance(answer, m.Transacted)
        if answer.failure is None:
            return True
        error = m.refusal(answer.failure[1], last)
        if not isinstance(error, BadVersion | NoNode | NodeExists):
            raise error
    return False


async def terms(client: Client, parent: str) -> list[TermEntry]:
    """What is known of an election's terms, by the history and by the record.

    Raises:
        ZooKeeperError: ZooKeeper cannot be asked.
    """
    (stored, _), told = await asyncio.gather(read(client, parent), told_by_record(client, parent))
    return history.complete(stored, told or ())


async def told_by_record(client: Client, parent: str, *, watch: bool = False) -> list[TermEntry] | None:
    """What an election's record tells of terms; nothing if it is not this library's, None if there is none.

    Args:
        client: through whom to read.
        parent: path of the election's znode.
        watch: ask to be told when it changes.

    Raises:
        ZooKeeperError: ZooKeeper cannot be asked.
    """
    try:
        data = await client.request(m.GetData(parent, watch=watch))
    except NoNode:
        return None
    assert isinstance(data, m.Data)
    try:
        record = r.decode(data.data, data.stat.version, parent)
    except RecordError:
        return []
    read = None
    if record.holder and not record.identity:
        read = await read_card(client, parent, record.holder)
    who = (read.card.identity, read.card.address) if read is not None else ("", "")
    return history.in_record(record, r.token_of(record, data.stat.mzxid), data.stat.mtime, *who)


async def read(client: Client, parent: str) -> tuple[list[TermEntry], int | None]:
    """What stands in the history's znode, and that one's version; None if there is none yet.

    Raises:
        ZooKeeperError: ZooKeeper cannot be asked.
    """
    try:
        data = await client.request(m.GetData(f"{parent}/{history.NAME}"))
    except NoNode:
        return [], None
    assert isinstance(data, m.Data)
    return history.decode(data.data), data.stat.version


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, ZooKeeperError):
        log.error(
            "the historian has died of a bug; elections go on without a history", exc_info=error, extra={"event": "bug"}
        )
