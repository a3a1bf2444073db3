"""Drives one election: feeds its rules with what happens, and carries out what they want.

    events, answers, alarms, calls ──► feed ──► the rules ──► effects, in order ──► requests, work
                                                                          └──(later)──► alarm, logs, people

Rules:
- All inputs reach the rules in the order in which they happened, inside the event loop; so there are no locks.
- A handover waits for requests and for work. So a step of the rules is carried out in this order:
  1. at once: requests are sent, and work is started or stopped;
  2. in the next iteration of the event loop: started work takes its first step;
  3. then (`_settle`): the requests that follow the start of work, the alarm, log and history, the state for people.
- `confirms` learns of this election's stake within the step: no confirm is sent for a place that is given up.
- One place starts and stops work (`_do`). The end of work counts for the `run` or `terms` that it was started for.
- Rules that raise an error at any step are dead (`die`): the work is stopped, who runs it gets the error, and
  when the work has ended the znode is deleted, so that another process leads.

It does not promise that work obeys, or that ZooKeeper lets a place go in time: both are waited for, within limits.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from .. import clock
from ..errors import SessionClosed, UsageError, ZooKeeperError
from ..waking import Alarm, Pulse
from ..zookeeper import messages as m
from .confirms import Confirms
from .history_writer import HistoryWriter, why_no_confirm
from .inflight import Inflight
from .remains import clear_away
from .reporting import Reporter
from .rules import ends
from .rules.candidacy import Candidacy
from .rules.effects import Command, ConfirmNow, Denied, Left, Note, Send, StartWork, StopWork
from .rules.ends import End
from .rules.lease import Hold
from .rules.state import Settings
from .term import Term
from .work import TermWork


class Shared(NamedTuple):
    """What the elections of one connection share.

    Attributes:
        confirms: renews their leases.
        inflight: sends their other requests.
        history_writer: writes their terms down.
        changed: fires when the state of one of them has changed.
    """

    confirms: Confirms
    inflight: Inflight
    history_writer: HistoryWriter
    changed: Pulse


@dataclass(slots=True)
class _Later:
    """What a step leaves for `_settle`: requests that wait since `work_began`, and what is to be logged and written."""

    work_began: bool = False
    requests: list[Send] = field(default_factory=list)
    reports: list[Callable[[], None]] = field(default_factory=list)


class Driver:
    """See the module's docstring. `changes` fires whenever the own state or term may have changed.

    Attributes:
        candidacy: the rules.
        reporter: what they log and count.
        term: the latest term under which work was started.
        died: the error that the rules have raised, None while they live.
        since: wall-clock time of the last change of state.
    """

    def __init__(self, settings: Settings, shared: Shared, changes: Pulse) -> None:
        self.candidacy = Candidacy(settings, _uuids(), random.random())
        self.name = settings.parent.rpartition("/")[2]
        self.reporter = Reporter(self.name, self.candidacy)
        self.term: Term | None = None
        self.died: Exception | None = None
        self.since = time.time()
        self._state = self.candidacy.state(clock.now())
        self._shared, self._client, self._changes = shared, shared.confirms.client, changes
        self._alarm = Alarm(self.tick)
        self._work: TermWork | None = None  # of the `run` or `terms` that is under way
        self._running: TermWork | None = None  # what was started and has not ended, be it of an earlier one
        self._hold: Hold | None = None  # the latest one under which work was started
        self._stopped_at = 0.0
        self._left_behind = False  # ZooKeeper did not let us leave in time
        self._shut = False
        shared.confirms.add(self)

    # -- what happens --------------------------------------------------------------------------------------------------

    def feed(self, step: Callable[[float], None]) -> None:
        """Let the rules take this step, which gets the time, and carry out what they want."""
        if self.died is None:
            later = _Later()
            try:
                step(clock.now())
                while (command := self.candidacy.next_command()) is not None:
                    self._do(command, later)
                self._shared.confirms.note(self.candidacy)
            except Exception as error:  # the supervisor: rules that are broken must not lead
                self.die(error)
            else:
                asyncio.get_running_loop().call_soon(self._settle, later)
        self._changes.fire()

    def carry_out(self) -> None:
        """Carry out what the rules want since a confirm was answered."""
        self.feed(lambda now: None)

    def tick(self) -> None:
        """Time has passed."""
        self.feed(self.candidacy.tick)

    def session_event(self, event: m.SessionEvent) -> None:
        """See `client.Listener`."""
        match event:
            case m.Connected(session_id, timeout):
                self.feed(lambda now: self.candidacy.connected(session_id, timeout, now))
            case m.Disconnected():
                self.feed(self.candidacy.disconnected)
            case m.Expired() | m.Ended():
                self.feed(self.candidacy.expired)
                if (refused := self._client.refused) is not None:
                    self._fail(refused)

    def watch_event(self, event: m.Watched) -> None:
        """See `client.Listener`."""
        self.feed(lambda now: self.candidacy.watched(event, now))
        self._client.flush()  # it may be an heir's turn: its requests leave before other listeners look

    def work_ended(self, work: TermWork, leaving: End | None) -> None:
        """This work has ended; `leaving` is why it wants no further term, None if it wants one."""
        now = clock.now()
        if self.candidacy.is_leader(now):  # else it was stopped, at that time
            self._stopped_at = now
        leaving, self._running = leaving if work is self._work else None, None
        if self.died is not None:
            self.candidacy.work_ended(now)
        self.feed(lambda now: self.candidacy.work_ended(now, leaving))

    def die(self, error: Exception) -> None:
        """The rules have raised this error: this process must not lead, and must not stand in anybody's way."""
        if self.died is not None:
            return
        self.died, self._stopped_at = error, clock.now()
        self.candidacy.die(working=self._running is not None)
        self._shared.confirms.note(self.candidacy)
        self._shared.confirms.term_over()
        self.reporter.died(error)
        if self._running is not None and self._running.stop():
            self._running = None
            self.candidacy.work_ended(self._stopped_at)
        self._fail(error)
        self._changes.fire()
        self._shared.changed.fire()

    def _fail(self, error: Exception) -> None:
        if self._work is not None:
            self._work.fail(error)

    # -- carrying out --------------------------------------------------------------------------------------------------

    def _do(self, command: Command, later: _Later) -> None:
        match command:
            case Send(pause=0.0):
                if later.work_began:
                    later.requests.append(command)
                else:
                    self._send(command)
            case Send(pause=pause):
                asyncio.get_running_loop().call_later(pause, self._send, command)
            case StartWork(hold):
                self._start(hold, later)
            case StopWork(end):
                self._stop(end, later)
            case ConfirmNow():
                self._shared.confirms.confirm_now(self.candidacy)
            case Left():
                if self._hold is not None:
                    later.reports.append(partial(self._report_over, self._hold, self._stopped_at, clock.now()))
            case Denied(error):
                later.reports.append(partial(self.reporter.denied, error))
                self._fail(error)
            case Note():
                later.reports.append(partial(self.reporter.note, command))

    def _send(self, command: Send) -> None:
        def answered(answer: m.Answer, sent: float) -> None:
            self.feed(lambda now: self.candidacy.answered(command, answer, sent, now))

        def unsent() -> None:
            # A step of its own: another one may be being carried out.
            asyncio.get_running_loop().call_soon(self.feed, partial(self._unsent, command))

        self._shared.inflight.send(command.request, answered, unsent, command.within)

    def _unsent(self, command: Send, now: float) -> None:
        self.candidacy.unsent(command)
        self.candidacy.tick(now)  # the connection's end may have been fed before, so that nothing else follows

    def _start(self, hold: Hold, later: _Later) -> None:
        resumed = self.term is not None and self.term.token == hold.token
        if self.term is None or not resumed:
            self.term = Term(self._shared.confirms, self.candidacy, hold)
        self._hold, self._running, later.work_began = hold, self._work, True
        assert self._running is not None
        self._running.start(self.term)
        later.reports.append(partial(self._report_began, hold, clock.now(), resumed=resumed))

    def _stop(self, end: End, later: _Later) -> None:
        self._stopped_at, hold, until = clock.now(), self.candidacy.hold, 0.0
        if self._running is None or self._running.stop():
            self._running = None
            self.candidacy.work_ended(self._stopped_at)
        if hold is not None and not hold.over:
            until, end = hold.until, why_no_confirm(self._client, hold)
        later.reports.append(partial(self._report_stopped, hold, until, end))

    def _settle(self, later: _Later) -> None:
        """Do what can wait until requests are on their way and work has begun."""
        for command in later.requests:
            self._send(command)
        if not self._shut:
            try:
                self._alarm.set(self.candidacy.deadline())
            except Exception as error:
                self.die(error)
        for report in later.reports:
            report()
        if not self._shut and (state := self.candidacy.state(clock.now())) != self._state:
            self.reporter.state(state)
            self._state, self.since = state, time.time()
            self._shared.changed.fire()

    def _report_began(self, hold: Hold, at: float, *, resumed: bool) -> None:
        self.reporter.began(hold, at, resumed=resumed)
        if self.candidacy.settings.history:
            self._shared.history_writer.began(self.candidacy, hold)

    def _report_stopped(self, hold: Hold | None, until: float, end: End) -> None:
        """The work was stopped; `until` is when the lease ran out, 0.0 if that is not why."""
        self._shared.confirms.term_over()
        if until:
            self._shared.history_writer.suspended(self.candidacy, until, end)
        self.reporter.stopped(hold, end, ran_out=bool(until))

    def _report_over(self, hold: Hold, stopped_at: float, at: float) -> None:
        self.reporter.over(hold, stopped_at, at)
        self._shared.history_writer.over(self.candidacy, hold, stopped_at)

    # -- taking part, and waiting for the end of it --------------------------------------------------------------------

    @property
    def overdue(self) -> float:
        """Seconds that the work runs past the end of its lease, normally 0.0; from any thread."""
        now, hold = clock.now(), self.candidacy.hold
        if hold is None or not self.candidacy.working or hold.leads(now):
            return 0.0
        return max(0.0, now - (self._stopped_at if hold.forfeited else hold.until))

    @asynccontextmanager
    async def campaign(self, work: TermWork) -> AsyncIterator[None]:
        """Be a candidate inside of the block, and do this work while this process leads.

        Raises:
            UsageError: another campaign is under way.
            SessionClosed, AuthFailed: see `Election.run`.
        """
        if self._work is not None:
            raise UsageError(f"{self.name} is being run already; one run() or terms() at a time")
        self._raise_if_dead()
        self._client.check_open()
        self._work, self._left_behind = work, False
        self.feed(self.candidacy.join)
        try:
            yield
        finally:
            try:
                self.feed(self.candidacy.leave)
                await self._wait_left()
            finally:
                self._work = None

    async def give_up(self, step: Callable[[float], None], timeout: float | None) -> bool:
        """Give the place up by this step of the rules, and wait for that; False if there is none.

        Raises:
            TimeoutError: it is not given up in time.
        """
        if self.candidacy.idle:
            return False
        given_up = self.candidacy.places_given_up
        self.feed(step)
        async with asyncio.timeout(timeout):
            while self.candidacy.places_given_up == given_up:
                self._raise_if_dead()
                await self._changes.wait()
        return True

    async def shut(self) -> None:
        """The connection is being closed: stop the work and leave; who runs this election gets an error."""
        self._fail(SessionClosed("the connection was closed while this election was being run"))
        self.feed(lambda now: self.candidacy.leave(now, ends.CONNECTION_CLOSED))
        if not self._left_behind:
            await self._wait_left()
        self._shut = True
        self._alarm.cancel()

    async def _wait_left(self) -> None:
        """Wait for the work's end without a limit, then for ZooKeeper for as long as a session is to live."""
        while self.candidacy.working:
            await self._changes.wait()
        try:
            async with asyncio.timeout(self._client.tolerance):
                # Servers that refuse us take no leave: what there may be of us ends with the session.
                while not (self.candidacy.idle or self.died or self._client.refused):
                    await self._changes.wait()
                if self.died is not None:
                    await clear_away(self._client, self.candidacy.settings.parent, self.candidacy.uuid)
        except (TimeoutError, ZooKeeperError):
            self._left_behind = True
            self.reporter.left_behind()

    def _raise_if_dead(self) -> None:
        if self.died is not None:
            raise self.died


def _uuids() -> Iterator[str]:
    while True:
        yield uuid.uuid4().hex
