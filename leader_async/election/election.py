"""The public API of one election, for one process. `driver` takes part in it.

Rules:
- `is_leader` is never stored. In a forked child, and once the candidacy has died of a bug, it is False.

It does not promise that a process frozen between asking `is_leader` and acting acts in time: that is what the token is
for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from .. import clock
from ..callables import check_async
from ..errors import ConnectionLost, NotConnected, UsageError, ZooKeeperError
from ..waking import Pulse
from ..zookeeper.mirror import Mirror
from ..zookeeper.reader import Reader
from .driver import Driver, Shared
from .following import Following
from .queries import find_appointee, find_newest, read_queue, read_terms
from .rules import ends
from .rules import record as r
from .rules.history import TermEntry
from .rules.state import Settings
from .status import Candidate, Change, Status
from .term import Term
from .work import FunctionWork, LoopWork

log = logging.getLogger("leader_async.election")
T = TypeVar("T")


class Election:
    """One election on one connection. Made by `Connection.election`.

    Attributes:
        client: through whom ZooKeeper is asked.
        parent: path of the election's znode, with the chroot.
        changes: fires whenever what `watch` gives, or a term, may have changed.
    """

    def __init__(self, settings: Settings, shared: Shared) -> None:
        self.client, self.parent, self.changes = shared.confirms.client, settings.parent, Pulse()
        self.name = settings.parent.rpartition("/")[2]
        self.identity, self.address, self.lease = settings.identity, settings.address, settings.lease
        self.driver = Driver(settings, shared, self.changes)
        self.candidacy, self.reporter = self.driver.candidacy, self.driver.reporter

    # -- asking this process -------------------------------------------------------------------------------------------

    @property
    def is_leader(self) -> bool:
        """Whether this process leads now: `rules.lease.Hold.leads` computes it at each call, from any thread."""
        return self.driver.died is None and self.candidacy.is_leader(clock.now()) and self.client.own_process

    @property
    def term(self) -> Term | None:
        """The term under which this process leads now, None if it does not lead."""
        return self.driver.term if self.is_leader else None

    @property
    def overdue(self) -> float:
        """Seconds that the work runs past the end of its lease, normally 0.0; from any thread."""
        return self.driver.overdue

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
            overdue=self.driver.overdue,
            healed=candidacy.story.healed,
            since=self.driver.since,
            alive=self.driver.died is None and self.client.died is None,
            problem="" if candidacy.unreadable is None else str(candidacy.unreadable),
        )

    def agree(self, **given: object) -> None:
        """Return if the options that were given are those that this election has.

        Args:
            given: by their names; None for one that was not given.

        Raises:
            UsageError: one is another.
        """
        history = self.candidacy.settings.history
        has = {"identity": self.identity, "address": self.address, "lease": self.lease, "history": history}
        for option, value in given.items():
            if value is not None and value != has[option]:
                raise UsageError(
                    f"this connection has an election {self.name} already, with {option}={has[option]!r} and not "
                    f"{value!r}: give the same, or leave it out"
                )

    # -- asking ZooKeeper, also without taking part --------------------------------------------------------------------

    async def leader(self) -> Candidate | None:
        """Who holds the lead, read from ZooKeeper; None if nobody alive does.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
            RecordError: the record is not this library's.
        """
        holder, problem, _ = await read_queue(self.client, self.parent, all_candidates=False)
        if problem is not None:
            raise problem
        return next((candidate for candidate in holder if candidate.is_leader), None)

    async def candidates(self) -> list[Candidate]:
        """All candidates in the order of the queue, read from ZooKeeper.

        If the record cannot be read, it is unknown which of them leads: none has `is_leader`.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
        """
        queue, _, _ = await read_queue(self.client, self.parent)
        return queue

    async def wait_for_leader(self, timeout: float | None = None) -> Candidate:
        """Return as soon as somebody, this process or another, holds the lead. One need not be a candidate.

        While the record cannot be read nobody leads; it is waited for until it was put right.

        Args:
            timeout: seconds to wait at most, None for no limit. An absent ZooKeeper is waited for.

        Raises:
            TimeoutError: nobody led in time.
            SessionClosed: the connection was closed.
            ServerError: ZooKeeper refuses to answer.
        """
        news = Pulse()
        async with asyncio.timeout(timeout):
            with Mirror(self.client, self.parent, changed=news) as mirror:
                while True:
                    await self.client.wait_connected()
                    changed = news.next()
                    try:
                        await mirror.data(self.parent)
                        holder, _, _ = await read_queue(self.client, self.parent, all_candidates=False)
                        if holder and holder[0].is_leader:
                            return holder[0]
                        await asyncio.shield(changed)
                    except (NotConnected, ConnectionLost):
                        await asyncio.sleep(0)  # the client dials; wait for that

    async def history(self) -> list[TermEntry]:
        """The latest terms, oldest first, read from ZooKeeper: who led, and why that ended. At most 100.

        The last one runs, or nobody has led since.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
        """
        return await read_terms(Reader(self.client), self.parent)

    async def watch(self) -> AsyncGenerator[Change, None]:
        """Follow this election: gives its state at first, and then whenever leader, queue or own state have changed.

            async for change in election.watch():
                print(change.what, change.leader, change.connected)

        You need not be a candidate. If you are slow, you get the latest state next, never a backlog. A lost connection
        is a change (`Change.connected`) and is outlived; so is a record that cannot be read (`Change.problem`). The own
        state is published before the change is given: `is_leader` and `status` are never behind it.

        Each change of an election costs each of its followers one small read, so follow with tens of processes, not
        with thousands; candidates that do not follow cost nothing more.

        Raises:
            SessionClosed: the connection was closed.
            ServerError: ZooKeeper refuses to answer.
        """
        with Mirror(self.client, self.parent, changed=self.changes) as mirror:
            following = Following(self.client, self.parent, mirror)
            while True:
                self.client.check_open()
                news = self.changes.next()
                if self.client.connected:
                    with suppress(NotConnected, ConnectionLost):  # the client dials, and then all is read again
                        await following.look()
                change = following.change(self.status(), self.client.connected)
                if change is not None:
                    yield change
                await asyncio.shield(news)

    # -- taking part ---------------------------------------------------------------------------------------------------

    async def run(self, work: Callable[[Term], Awaitable[T]]) -> T:
        """Be a candidate, and call `work` while this process leads, like Curator's `LeaderSelector`.

        `work(term)` is started when this process leads, cancelled and awaited when it does not, and started again when
        it leads again (with the same term if that was only suspended). When it returns or raises uncancelled, the place
        is given up, and this returns or raises the same. Cancelling this stops the work, awaits its end, and gives the
        place up. If you cancel again, you do not wait for that; it happens in the background.

        Args:
            work: a coroutine function; it gets the `Term`.

        Raises:
            UsageError: the work cannot be awaited or cannot take a `Term`, or this election is being run already.
            SessionClosed: the connection was closed.
            NoAuth, AuthFailed: ZooKeeper does not let this process take part, with the credentials that it has given.
        """
        check_async(work, "the work of an election", "term")
        called = FunctionWork(work, self.driver.work_ended)
        async with self.driver.campaign(called):
            return await called.result

    async def terms(self) -> AsyncGenerator[Term, None]:
        """Be a candidate, and give each term of this process as it begins, like a chain of Curator's `LeaderLatch`es.

            async for term in election.terms():
                async with term:              # cancelled when leadership is lost
                    await work(term.token)

        Asking for the next term means that the work of the last one has ended; if this process still leads, it hands
        over and queues again at the back. Leaving the loop gives the place up as soon as the generator is closed; use
        `contextlib.aclosing` to have that awaited.

        Raises:
            UsageError: this election is being run already.
            SessionClosed: the connection was closed.
            NoAuth, AuthFailed: ZooKeeper does not let this process take part, with the credentials that it has given.
        """
        body = LoopWork(self.driver.work_ended)
        async with self.driver.campaign(body):
            while True:
                term = await body.next()
                try:
                    yield term
                finally:
                    if self.candidacy.is_leader(clock.now()):
                        self.driver.feed(lambda now: self.candidacy.resign(now, ends.WORK_DONE))
                    body.ended()

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
        return await self.driver.give_up(self.candidacy.resign, timeout)

    async def transfer(self, to: str, timeout: float | None = None) -> bool:
        """Give the lead to this candidate, wherever it stands in the queue.

        The work is stopped and awaited first, then one transaction takes the lead from here and gives it there. A
        running `run` or `terms` queues again at the back. If that candidate is gone by then, the lead is given up as
        `resign` does.

        Args:
            to: the identity of the candidate, or the name of its znode, as `candidates` returns it.
            timeout: seconds to wait at most, None for no limit. The transfer itself cannot be taken back.

        Returns:
            True if the lead was given to it, False if it was only given up.

        Raises:
            UsageError: this process does not lead, no other candidate has this identity, or several have.
            ZooKeeperError: the queue cannot be read; nothing was done.
            TimeoutError: the work has not ended, or ZooKeeper has not answered, in time.
        """
        async with asyncio.timeout(timeout):
            appointee = await find_appointee(self.client, self.parent, self.candidacy.znode, to)
            if not self.is_leader:
                raise UsageError(f"{self.identity} does not lead {self.name}, so it cannot hand it over")
            await self.driver.give_up(lambda now: self.candidacy.transfer(appointee, now), None)
            leader = await self.leader()
        return leader is not None and leader.znode == appointee.znode

    async def favour_newest(self, timeout: float = 0.5) -> bool:
        """Have the lead go to the candidate that started last, not to the next one, when this place is given up.

        For a process that is about to end, right before its `run` is cancelled: whatever the order of a rolling
        restart, the lead then moves at most once more than it must. It goes by the wall clocks of the candidates, and
        looks at the last 16 of the queue. Nothing happens if this process does not lead, nobody started later,
        ZooKeeper does not answer in time, or the term has another lease than this process: then the next one follows.

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
                newest = await find_newest(self.client, self.parent, own, self.candidacy.settings.started_at)
        except (ZooKeeperError, TimeoutError) as error:
            text = "%s: nobody knows who started last (%s): the next one follows"
            fields = self.reporter.fields("newest_unknown")
            log.info(text, self.name, error or "no answer", extra=fields)
            return False
        if newest is not None and self.candidacy.znode == own:
            self.driver.feed(lambda now: self.candidacy.favour(newest, now))
        return newest is not None
