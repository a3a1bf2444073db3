"""An election as this process sees it: carries a candidacy's commands out over asyncio, and drives the work.

Rules:
- `is_leader` is computed from the lease's deadline whenever it is asked; nobody stores it. In a forked child, and once
  the candidacy has died of a bug, it is False.
- A candidacy that raises an error, whoever called it, is dead (`die`): its work is stopped, whoever runs it gets the
  error, and when the work has ended its znode is deleted, so that another process leads.
- A job's end counts for the `run` or `terms` that it was made for, and not for the next one.
- One place starts and stops work (`carry_out`). State is published before anybody is told of a change.
- All inputs reach the candidacy in the order in which they happened, in the event loop; no locks are needed.

It does not promise that a process frozen between asking `is_leader` and acting acts in time: that is what the token is
for.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import TypeVar

from .. import clock
from ..callables import check_async
from ..errors import SessionClosed, UsageError, ZooKeeperError
from ..waking import Alarm, Pulse
from ..zookeeper import messages as m
from .confirms import Confirms
from .history_writer import HistoryWriter, why_no_confirm
from .inflight import Inflight
from .observer import Observer
from .queries import find_appointee, find_newest
from .remains import clear_away
from .reporting import Reporter
from .rules import ends
from .rules import record as r
from .rules.candidacy import Candidacy
from .rules.effects import ConfirmNow, Denied, Left, Note, Send, StartWork, StopWork
from .rules.ends import End
from .rules.lease import Hold
from .rules.state import Settings
from .status import Status
from .term import Term
from .work import Call, Handout, Job

log = logging.getLogger("leader_async.election")
T = TypeVar("T")


class Election(Observer):
    """One election on one connection. Made by `Connection.election`."""

    def __init__(
        self, settings: Settings, confirms: Confirms, inflight: Inflight, writer: HistoryWriter, changed: Pulse
    ) -> None:
        super().__init__(confirms.client, settings.parent)
        self.name = settings.parent.rpartition("/")[2]
        self.identity, self.address, self.lease = settings.identity, settings.address, settings.lease
        self.candidacy = Candidacy(settings, _uuids(), random.random())
        self._confirms, self._inflight, self._writer, self._changed = confirms, inflight, writer, changed
        self._history = settings.history
        self.reporter = Reporter(self.name, self.candidacy)
        self._alarm = Alarm(self._tick)
        self._news = Pulse()  # something that a coroutine here waits for may have come
        self._job: Job | None = None
        self._working: Job | None = None  # whose work was started, and has not ended
        self._told_to_stop = False  # that work was
        self._term: Term | None = None
        self._hold: Hold | None = None  # the last one under which work was started
        self._later: list[Callable[[], None]] = []  # what people want to know, when there is time to tell them
        self._stopped_at = 0.0
        self._died: Exception | None = None
        self._busy = False
        self._staked = False
        self._settling = False
        self._shut = False
        self._gave_up = False  # ZooKeeper did not let us leave in time
        confirms.add(self)
        self._was = self.candidacy.state(clock.now())
        self._since = time.time()

    # -- asking --------------------------------------------------------------------------------------------------------

    @property
    def is_leader(self) -> bool:
        """Whether this process leads now: computed from the lease's deadline at each call, from any thread."""
        return self._died is None and self.candidacy.is_leader(clock.now()) and self._client.own_process

    @property
    def term(self) -> Term | None:
        """The term under which this process leads now, None if it does not lead."""
        return self._term if self.is_leader else None

    @property
    def overdue(self) -> float:
        """Seconds that the work runs past the end of its lease, normally 0.0; from any thread."""
        return self._overdue(clock.now(), self.candidacy.hold)

    def status(self) -> Status:
        """What this process knows of itself, from memory: never waits for ZooKeeper."""
        now, candidacy = clock.now(), self.candidacy
        hold, leads = candidacy.hold, self.is_leader
        record, seen = candidacy.story.seen or (None, 0.0)
        held = record if record is not None and record.state is r.LeadState.HELD and not record.put_right else None
        # We may have had notice, and not have read the record yet.
        leader = (self.identity, self.address) if leads else (held.identity, held.address) if held else (None, None)
        return Status(
            election=self.name,
            identity=self.identity,
            address=self.address,
            state=candidacy.state(now),
            is_leader=leads,
            in_queue=candidacy.znode is not None,
            position=candidacy.position,
            predecessor=candidacy.predecessor,
            term=hold.number if hold is not None else None,
            token=hold.token if hold is not None else None,
            lease=self.lease,
            lease_left=max(0.0, hold.until - now) if hold is not None and leads else 0.0,
            leader=leader[0],
            leader_address=leader[1],
            leader_seen=time.time() - (now - seen) if record is not None else None,
            overdue=self._overdue(now, hold),
            healed=candidacy.story.healed,
            since=self._since,
            alive=self._died is None and self._client.died is None,
            problem="" if candidacy.unreadable is None else str(candidacy.unreadable),
        )

    def agree(self, **given: object) -> None:
        """Return if the options that were given are those that this election has.

        Args:
            given: by their names; None for one that was not given.

        Raises:
            UsageError: one is another.
        """
        has = {"identity": self.identity, "address": self.address, "lease": self.lease, "history": self._history}
        for option, value in given.items():
            if value is not None and value != has[option]:
                raise UsageError(
                    f"this connection has an election {self.name} already, with {option}={has[option]!r} and not "
                    f"{value!r}: give the same, or leave it out"
                )

    # -- taking part ---------------------------------------------------------------------------------------------------

    async def run(self, work: Callable[[Term], Awaitable[T]]) -> T:
        """Be a candidate, and call `work` while this process leads.

        `work(term)` is started when this process leads, cancelled and awaited when it does not, and started again when
        it leads again (with the same term if that was only suspended). When it returns or raises by itself, the place
        is given up, and this returns or raises the same. Cancelling this stops the work, awaits its end, and gives the
        place up; who cancels again does not wait for that, and it goes on in the background.

        Args:
            work: a coroutine function; it gets the `Term`.

        Raises:
            UsageError: the work cannot be awaited or cannot take a `Term`, or this election is being run already.
            SessionClosed: the connection was closed.
            NoAuth, AuthFailed: ZooKeeper does not let this process take part, with the credentials that it has given.
        """
        check_async(work, "the work of an election", "term")

        def ended(leaving: End | None) -> None:
            self._ended(job, leaving)

        job = Call(work, ended)
        async with self._campaign(job):
            return await job.result

    async def terms(self) -> AsyncGenerator[Term, None]:
        """Be a candidate, and give each term of this process as it begins.

            async for term in election.terms():
                async with term:              # cancelled when leadership is lost
                    await work(term.token)

        Asking for the next term says that the work of the last one has ended; if this process still leads, it hands
        over and queues again at the back. Leaving the loop gives the place up as soon as the generator is closed; use
        `contextlib.aclosing` to have that awaited.

        Raises:
            UsageError: this election is being run already.
            SessionClosed: the connection was closed.
            NoAuth, AuthFailed: ZooKeeper does not let this process take part, with the credentials that it has given.
        """

        def ended(leaving: End | None) -> None:
            self._ended(job, leaving)

        job = Handout(ended)
        async with self._campaign(job):
            while True:
                term = await job.next()
                try:
                    yield term
                finally:
                    if self.candidacy.is_leader(clock.now()):
                        self._feed(lambda now: self.candidacy.resign(now, ends.WORK_DONE))
                    job.give_back()

    async def resign(self, timeout: float | None = None) -> bool:
        """Give up the lead, or the place in the queue. A running `run` or `terms` queues again at the back.

        The work is stopped and awaited first.

        Args:
            timeout: seconds to wait at most, None for no limit. The resignation itself cannot be taken back.

        Returns:
            True once the place has been given up, False if this process had none.

        Raises:
            TimeoutError: the work has not ended, or ZooKeeper has not answered, in time.
        """
        return await self._give_up(self.candidacy.resign, timeout)

    async def transfer(self, to: str, timeout: float | None = None) -> bool:
        """Give the lead to this candidate, wherever it stands in the queue.

        The work is stopped and awaited first, then one transaction takes the lead from here and gives it there. A
        running `run` or `terms` queues again at the back. If that candidate is gone by then, the lead is given up as
        `resign` does.

        Args:
            to: the identity of the candidate, or the name of its znode, as `candidates` tells it.
            timeout: seconds to wait at most, None for no limit. The transfer itself cannot be taken back.

        Returns:
            True if the lead was given to it, False if it was only given up.

        Raises:
            UsageError: this process does not lead, no other candidate has this identity, or several have.
            ZooKeeperError: the queue cannot be read; nothing was done.
            TimeoutError: the work has not ended, or ZooKeeper has not answered, in time.
        """
        async with asyncio.timeout(timeout):
            appointee = await find_appointee(self._client, self._parent, self.candidacy.znode, to)
            if not self.is_leader:
                raise UsageError(f"{self.identity} does not lead {self.name}, so it cannot hand it over")
            await self._give_up(lambda now: self.candidacy.transfer(appointee, now), None)
            leader = await self.leader()
        return leader is not None and leader.znode == appointee.znode

    async def favour_newest(self, timeout: float = 0.5) -> bool:
        """Have the lead go to the candidate that started last, not to the next one, when this place is given up.

        For a process that is about to end, right before its `run` is cancelled: whatever the order of a rolling
        restart, the lead then moves at most once more than it must. It goes by the wall clocks of the candidates, and
        looks at the last 16 of the queue. Nothing happens if this process does not lead, nobody started later,
        ZooKeeper does not tell in time, or the term has another lease than this process: then the next one follows.

        Args:
            timeout: seconds to wait for ZooKeeper at most.

        Returns:
            True if there is such a candidate.
        """
        own, hold = self.candidacy.znode, self.candidacy.hold
        # A term under another's lease is followed by a claim, so that leases which were configured anew come into use.
        if not self.is_leader or hold is None or hold.lease != self.lease:
            return False
        try:
            async with asyncio.timeout(timeout):
                newest = await find_newest(self._client, self._parent, own, self.candidacy.settings.started_at)
        except (ZooKeeperError, TimeoutError) as error:
            text = "%s: nobody knows who started last (%s): the next one follows"
            fields = self.reporter.fields("newest_unknown")
            log.info(text, self.name, error or "no answer", extra=fields)
            return False
        if newest is not None and self.candidacy.znode == own:
            self._feed(lambda now: self.candidacy.favour(newest, now))
        return newest is not None

    async def _give_up(self, step: Callable[[float], None], timeout: float | None) -> bool:
        if self.candidacy.idle:
            return False
        given_up = self.candidacy.places_given_up
        self._feed(step)
        async with nullcontext() if timeout is None else asyncio.timeout(timeout):
            while self.candidacy.places_given_up == given_up:
                self._raise_if_dead()
                await self._news.wait()
        return True

    @asynccontextmanager
    async def _campaign(self, job: Job) -> AsyncIterator[None]:
        if self._job is not None:
            raise UsageError(f"{self.name} is being run already; one run() or terms() at a time")
        self._raise_if_dead()
        self._client.check_open()
        self._job, self._gave_up = job, False
        self._feed(self.candidacy.join)
        try:
            yield
        finally:
            try:
                self._feed(self.candidacy.leave)
                await self._wait_left()
            finally:
                self._job = None

    async def _wait_left(self) -> None:
        """Wait for the work's end without a limit, then for ZooKeeper for as long as a session is to live."""
        while self.candidacy.working:
            await self._news.wait()
        try:
            async with asyncio.timeout(self._client.tolerance):
                # Who is refused has nobody to tell: what there may be ends with the session.
                while not (self.candidacy.idle or self._died or self._client.refused):
                    await self._news.wait()
                if self._died is not None:
                    await clear_away(self._client, self._parent, self.candidacy.uuid)
        except (TimeoutError, ZooKeeperError):
            self._gave_up = True
            fields = self.reporter.fields("place_left_behind")
            log.warning("%s: ZooKeeper is away: our place ends with the session", self.name, extra=fields)

    async def shut(self) -> None:
        """The connection is being closed: stop the work, leave, and tell whoever runs this election."""
        if self._job is not None:
            self._job.fail(SessionClosed("the connection was closed while this election was being run"))
        self._feed(lambda now: self.candidacy.leave(now, ends.CONNECTION_CLOSED))
        if not self._gave_up:
            await self._wait_left()
        self._shut = True
        self._alarm.cancel()

    # -- carrying out --------------------------------------------------------------------------------------------------

    def session_event(self, event: m.SessionEvent) -> None:
        """See `client.Listener`."""
        match event:
            case m.Connected(session_id, timeout):
                self._feed(lambda now: self.candidacy.connected(session_id, timeout, now))
            case m.Disconnected():
                self._feed(self.candidacy.disconnected)
            case m.Expired() | m.Ended():
                self._feed(self.candidacy.expired)
                if (refused := self._client.refused) is not None and self._job is not None:
                    self._job.fail(refused)
        self._news.fire()
        self._changes.fire()

    def watch_event(self, event: m.Watched) -> None:
        """See `client.Listener`."""
        self._feed(lambda now: self.candidacy.watched(event, now), at_once=True)
        self._changes.fire()

    def carry_out(self) -> None:
        """Do what the candidacy wants done. The one place that starts and stops work."""
        self._feed(lambda now: None)

    def _feed(self, step: Callable[[float], None], *, at_once: bool = False) -> None:
        if self._died is not None:
            return
        try:
            step(clock.now())
            if self._busy:
                return  # an outer call carries it out
            self._busy, hurry, starts = True, False, False
            try:
                while (command := self.candidacy.next_command()) is not None:
                    if isinstance(command, ConfirmNow):
                        hurry = True  # behind everything else: work that begins comes first
                    elif starts and isinstance(command, Send):
                        asyncio.get_running_loop().call_soon(self._send_behind, command)
                    else:
                        starts |= isinstance(command, StartWork)
                        self._do(command)
            finally:
                self._busy = False
            if at_once:
                self._client.flush()  # an heir's turn may have come: what follows here can wait for its read
        except Exception as error:  # the supervisor: a candidacy that has broken its own rules must not lead
            self.die(error)
            return
        self._changes.fire()
        if self._staked and not self.candidacy.has_stake:  # at once: nobody may confirm for it any more
            self._staked = False
            self._confirms.note(self.candidacy)
        if not self._settling:
            self._settling = True
            asyncio.get_running_loop().call_soon(self._settle)
        if hurry:
            self._confirms.confirm_now(self.candidacy)

    def _settle(self) -> None:
        """What can wait until requests are on their way and work has begun: a handover waits for those."""
        self._settling = False
        try:  # before anything is told: an error there must not cost the lease, or the next step
            if not self._staked and self.candidacy.has_stake:
                self._staked = True
                self._confirms.note(self.candidacy)
            if not self._shut:
                self._alarm.set(self.candidacy.deadline())
        except Exception as error:
            self.die(error)
        later, self._later = self._later, []
        for tell in later:
            tell()
        if not self._shut:
            self._note_state()
        self.reporter.speak()

    def _do(self, command: object) -> None:
        match command:
            case Send(pause=0.0):
                self._send(command, lambda: self.candidacy.unsent(command))
            case Send(pause=pause):
                asyncio.get_running_loop().call_later(pause, self._send_behind, command)
            case StartWork(hold):
                self._start(hold)
            case StopWork(end):
                self._stopped_at = clock.now()
                if self._working is not None:
                    self._stop_work(self._working)
                else:
                    self.candidacy.work_ended(self._stopped_at)
                self._later.append(self._telling_why(self.candidacy.hold, end))
            case Left():
                if self._hold is not None:
                    self._later.append(partial(self._tell_over, self._hold, self._stopped_at, clock.now()))
                self._news.fire()
            case Denied(error):
                self.reporter.denied(error)
                if self._job is not None:
                    self._job.fail(error)
            case Note() as note:
                self.reporter.note(note)

    def _send(self, command: Send, unsent: Callable[[], None]) -> None:
        def taken(answer: m.Answer, sent: float) -> None:
            self._feed(lambda now: self.candidacy.answered(command, answer, sent, now))

        self._inflight.send(command.request, taken, unsent, command.within)

    def _send_behind(self, command: Send) -> None:
        def unsent() -> None:
            # The end of the connection may have been told while it waited, so nothing more may follow.
            self.candidacy.unsent(command)
            self._tick()

        self._send(command, unsent)

    def _start(self, hold: Hold) -> None:
        resumed = self._term is not None and self._term.token == hold.token
        if not resumed:
            self._term = Term(self._confirms, self.candidacy, hold)
        self._hold = hold
        assert self._term is not None
        assert self._job is not None
        self._job.start(self._term)
        self._working, self._told_to_stop = self._job, False
        self._later.append(partial(self._tell_begun, hold, clock.now(), resumed=resumed))

    def _stop_work(self, working: Job) -> None:
        if not self._told_to_stop:
            self._told_to_stop = True
            working.stop()

    def _tell_begun(self, hold: Hold, at: float, *, resumed: bool) -> None:
        self.reporter.began(hold, at, resumed=resumed)
        if self._history:
            self._writer.began(self.candidacy, hold)

    def _telling_why(self, hold: Hold | None, end: End) -> Callable[[], None]:
        """What will tell why the work was stopped; more about it if the lease ran out."""
        ran_out = hold is not None and not hold.over
        until = hold.until if hold is not None else 0.0
        if hold is not None and ran_out:
            end = why_no_confirm(self._client, hold)

        def tell() -> None:
            self._confirms.term_over()
            if ran_out:
                self._writer.suspended(self.candidacy, until, end)
            self.reporter.stopped(hold, end, ran_out=ran_out)

        return tell

    def _tell_over(self, hold: Hold, stopped_at: float, at: float) -> None:
        self.reporter.over(hold, stopped_at, at)
        self._writer.over(self.candidacy, hold, stopped_at)

    def _ended(self, job: Job, leaving: End | None) -> None:
        if self.is_leader:  # by itself, and not because it was stopped
            self._stopped_at = clock.now()
        leaving, self._working = leaving if job is self._job else None, None
        if self._died is not None:
            self.candidacy.work_ended(clock.now())
        self._feed(lambda now: self.candidacy.work_ended(now, leaving))
        self._news.fire()

    def _tick(self) -> None:
        self._feed(self.candidacy.tick)

    def _note_state(self) -> None:
        state = self.candidacy.state(clock.now())
        if state != self._was:
            self.reporter.state(state)
            self._was, self._since = state, time.time()
            self._changed.fire()
        if self.candidacy.idle:
            self._news.fire()

    def die(self, error: Exception) -> None:
        """The candidacy has broken its own rules: it must not lead, and stands in nobody's way.

        Args:
            error: what it raised.
        """
        if self._died is not None:
            return
        self._died = error
        self._stopped_at = clock.now()
        self.candidacy.die(working=self._working is not None)
        self._confirms.note(self.candidacy)
        self._confirms.term_over()
        log.critical(
            "%s: the candidacy has died of a bug; this process leads no more",
            self.name,
            exc_info=error,
            extra=self.reporter.fields("bug"),
        )
        if self._working is not None:
            self._stop_work(self._working)
        if self._job is not None:
            self._job.fail(error)
        self._news.fire()
        self._changes.fire()
        self._changed.fire()

    def _raise_if_dead(self) -> None:
        if self._died is not None:
            raise self._died

    def _overdue(self, now: float, hold: Hold | None) -> float:
        if hold is None or not self.candidacy.working or hold.leads(now):
            return 0.0
        return max(0.0, now - (self._stopped_at if hold.forfeited else hold.until))


def _uuids() -> Iterator[str]:
    while True:
        yield uuid.uuid4().hex
