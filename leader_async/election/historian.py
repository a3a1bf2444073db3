"""The historian: writes down in ZooKeeper who led and why that ended, behind everything else.

One for each connection, whatever the number of its elections. It listens to them; `history` decides what there is to
tell.

Rules:
1. It never stands in an election's way: a term is written down some time after it has begun (a confirm's period), one
   election after the other, and what fails is tried again later, more and more rarely.
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
from ..errors import BadVersion, ConnectionLost, NodeExists, NoNode, NotConnected, ZooKeeperError
from ..waking import Pulse
from ..zookeeper import messages as m
from ..zookeeper.client import Client
from . import history
from . import record as r
from .candidacy import Candidacy
from .commands import Hold
from .history import Teller, TermEntry
from .standing import CONFIRMS

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
        hold: the term that is being told of.
        broke_off: reading of the clock at which the lease ran out, and why; None while it has not.
        begun: terms that began, that nobody has made entries of yet.
        untold: entries that are not in ZooKeeper yet.
        due: reading of the clock at which to tell them.
        pause: seconds until the next try.
    """

    candidacy: Candidacy
    hold: Hold | None = None
    broke_off: tuple[float, str] | None = None
    begun: list[Hold] = field(default_factory=list)
    untold: list[TermEntry] = field(default_factory=list)
    due: float = float("inf")
    pause: float = RETRY[0]

    def entries(self) -> list[TermEntry]:
        """What there is to tell, bounded."""
        begun, self.begun, own = self.begun, [], self.candidacy.settings
        for hold in begun:
            if (how := hold.how) is None:
                continue  # nobody could read how it began
            before = history.predecessor(hold.number, how)
            entry = TermEntry(hold.number, hold.token, own.identity, own.address, round(how.began, 3))
            self.untold += [entry] if before is None else [before, entry]
        self.untold = history.merged(self.untold, ())
        return [*self.untold]


class Historian:
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
        diary.begun.append(hold)
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
            # What was added meanwhile is told next time.
            diary.untold = [entry for entry in diary.untold if entry not in told]
            more = diary.untold or diary.begun
            diary.due = clock.now() + diary.candidacy.settings.lease / CONFIRMS if more else float("inf")
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


async def read(client: Client, parent: str) -> tuple[list[TermEntry], int | None]:
    """An election's history, and the version of its znode; None if there is none yet.

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
