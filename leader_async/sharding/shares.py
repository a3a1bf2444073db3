"""A replica's share of the partitions: carries the decisions out over asyncio, and drives the work.

Rules:
- Each partition is one election: that nobody else holds it, and that its tokens rise, is that election's doing. Here it
  is decided only who joins which.
- `held` is computed from the leases whenever it is asked.
- A session that expires takes the share with it: all work ends, and we join anew, at the back.
- `run` owns the tasks that it makes, and does not return before the last of them has ended.

It does not promise that a partition is held at every instant: not while it is handed over, and not until the lease of a
holder that died has been waited out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from .. import arguments, clock
from ..callables import awaited, check_async
from ..connection import Connection
from ..election.election import Election
from ..election.names import MEMBERS, ROOT
from ..election.rules.state import LEASE, State
from ..election.term import Term
from ..errors import ConnectionLost, LeaderAsyncError, NoAuth, NotConnected, ServerError, SessionClosed, UsageError
from ..zookeeper.reader import Reader
from .assignment import PARTITIONS
from .decisions import Decision, Situation, decide
from .member_data import MemberData
from .membership import Membership, read_members
from .status import Member, PartitionsStatus, ShareState

log = logging.getLogger("leader_async.sharding")

HOLD_OFF = 1.0
"""Seconds to wait after the server refused something that it should not refuse."""

NOT_STANDING = {State.IDLE, State.JOINING, State.ENDING, State.LEAVING}
"""States of a candidate that has no place in the queue, or is giving it up."""

ShareWork: TypeAlias = Callable[[int, Term], Awaitable[object]]


def partitions(
    connection: Connection,
    name: str,
    *,
    count: int,
    identity: str | None = None,
    address: str = "",
    lease: float = LEASE,
    root: str = ROOT,
) -> Partitions:
    """Work in `count` shares, spread evenly over all replicas that give the same name.

        parts = leader_async.partitions(zk, "jobs", count=256)
        await parts.run(work)                   # async def work(partition: int, term: leader_async.Term)

    Nothing is sent before `Partitions.run`.

    Args:
        connection: the session, from `connect`.
        name: what the partitions are called, a znode below `root`. Partition 7 of `jobs` is the election `jobs-0007`
            below that.
        count: how many partitions there are, 1 to 1024; the same in all replicas. It can be changed while none runs.
        identity: who this process is, for people; the host's name and the process's number if None.
        address: where this process is reached, for people.
        lease: how long a confirmed holder holds a partition without another confirm, in seconds.
        root: the znode below which all of this lives.

    Raises:
        UsageError: an argument cannot be used, or this connection has partitions of this name already.
        SessionClosed: the connection was closed.
    """
    if not 1 <= count <= PARTITIONS:
        raise UsageError(f"{count!r} partitions: give 1 to {PARTITIONS}")
    arguments.name("a name", name)
    base = f"{root.rstrip('/')}/{name}"
    if connection.find(f"{name}-0000", base) is not None:
        raise UsageError(f"this connection has partitions {name} below {root} already: use that object")
    connection.names.take(name, root)
    elections = [
        connection.election(
            f"{name}-{place:04}", identity=identity, address=address, lease=lease, root=base, history=False
        )
        for place in range(count)
    ]
    return Partitions(connection, name, base, elections)


class Partitions:
    """This process's share of the partitions. Made by `partitions`."""

    def __init__(self, connection: Connection, name: str, base: str, elections: list[Election]) -> None:
        self.name, self.count = name, len(elections)
        self.identity = elections[0].identity
        self._elections = elections
        self._client = connection.client
        self._changed = connection.changed
        self._parent = f"{self._client.ensemble.chroot}{base}/{MEMBERS}"
        card = MemberData(self.identity, elections[0].address)
        self._members = Membership(self._client, self._parent, self.count, card, self._changed, self._end_all)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._ending: set[int] = set()
        self._work: ShareWork | None = None
        self._leaving = False
        self._failure: BaseException | None = None

    # -- asking --------------------------------------------------------------------------------------------------------

    @property
    def held(self) -> frozenset[int]:
        """The partitions that this process holds now: computed from the leases at each call, from any thread."""
        return frozenset(place for place, election in enumerate(self._elections) if election.is_leader)

    def election(self, partition: int) -> Election:
        """The election of a partition: for asking who holds it, and under which term. It is run by `run`.

        Args:
            partition: its number, from 0.

        Raises:
            UsageError: there is no such partition.
        """
        if not 0 <= partition < self.count:
            raise UsageError(f"no partition {partition!r}: there are {self.count}, from 0")
        return self._elections[partition]

    def status(self) -> PartitionsStatus:
        """What this process knows of its share, from memory: never waits for ZooKeeper."""
        members, held = self._members, self.held
        assigned = frozenset(p for p, owner in enumerate(members.owners) if members.me and owner == members.me)
        state = ShareState.MEMBER if members.me else ShareState.JOINING
        if self._work is None or self._leaving:
            state = ShareState.IDLE if self._work is None else ShareState.LEAVING
        return PartitionsStatus(
            name=self.name,
            identity=self.identity,
            count=self.count,
            state=state,
            members=len(members.names),
            assigned=assigned,
            held=held,
            leaving=held - assigned | held & self._ending,
        )

    async def members(self) -> list[Member]:
        """The replicas that take part, in the order of their arrival, read from ZooKeeper.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
        """
        return await read_members(Reader(self._client), self._parent)

    # -- taking part ---------------------------------------------------------------------------------------------------

    async def run(self, work: ShareWork, *, handover: float = 10.0) -> None:
        """Take a share, and call `work` once for each partition of it.

        `work(partition, term)` is started when this process holds the partition; it is cancelled and awaited when that
        is lost, or is another replica's from now on and that one stands ready. Work that returns has done what it
        wanted under this term: the partition stays ours, and idle. Work that raises ends all of this: the other
        partitions are handed over, their work is cancelled and awaited, and this raises the same (what is raised
        meanwhile is logged).

        Cancelling this hands the partitions over and ends their work; cancelling it again does not wait for other
        replicas any more, only for the work.

        Args:
            work: a coroutine function; it gets the partition's number and the `Term`.
            handover: seconds to wait for other replicas to stand ready, when this one stops.

        Raises:
            UsageError: the work cannot be awaited or cannot take these two, it is run already, or other replicas have
                another count.
            SessionClosed: the connection was closed.
            NoAuth, AuthFailed: ZooKeeper does not let this process take part, with the credentials that it has given.
        """
        check_async(work, "the work of partitions", "partition", "term")
        if self._work is not None:
            raise UsageError(f"{self.name} is being run already; one run() at a time")
        self._client.check_open()
        self._work, self._leaving, self._failure = work, False, None
        try:
            await self._keep_share()
        finally:
            try:
                await self._hand_over(handover)
            finally:
                self._members.abandon()
                await self._all_ended()
                self._work = None
        if self._failure is not None:
            raise self._failure

    async def _keep_share(self) -> None:
        let_in = False
        while self._failure is None:
            changed = self._changed.next()
            try:
                await self._advance()
                let_in = True
            except (NotConnected, ConnectionLost):
                pass  # the client dials, and the next connection is a change
            except ServerError as error:
                if isinstance(error, NoAuth) and not let_in:
                    self._fail(error)
                    return
                text = "%s: cannot keep the share: %s; trying again in %g s"
                log.error(text, self.name, error, HOLD_OFF, extra=self._fields("share_not_kept"))
                await asyncio.sleep(HOLD_OFF)
                continue
            except LeaderAsyncError as error:
                self._fail(error)
            if self._members.closed:
                closed = SessionClosed("the connection was closed while these partitions were being run")
                self._fail(self._client.refused or closed)
            if self._failure is None:
                await asyncio.shield(changed)

    async def _hand_over(self, limit: float) -> None:
        """Leave; keep working until others stand ready, or for so long."""
        self._leaving = True
        if isinstance(self._failure, SessionClosed):
            return
        try:
            async with asyncio.timeout(limit):
                while self._tasks or self._members.me:
                    changed = self._changed.next()
                    with contextlib.suppress(ConnectionLost, NotConnected):
                        await self._advance()
                    if self._tasks or self._members.me:
                        await asyncio.shield(changed)
        except TimeoutError:
            text = "%s: nobody stands ready for %d partitions after %g s"
            log.warning(text, self.name, len(self._tasks), limit, extra=self._fields("share_not_taken"))
        except LeaderAsyncError as error:
            log.warning("%s: cannot hand over: %s", self.name, error, extra=self._fields("share_not_taken"))

    async def _all_ended(self) -> None:
        """Wait for the last task, whoever cancels this meanwhile: better no holder than two."""
        self._end_all()
        cancelled = None
        while self._tasks:
            try:
                await asyncio.wait(self._tasks.values())
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    # -- carrying out --------------------------------------------------------------------------------------------------

    async def _advance(self) -> None:
        """Do what there is to do, until nothing is left but to wait for a change."""
        members = self._members
        while True:
            if self._leaving:
                await members.leave()
            await members.settle()
            await members.refresh()
            if not self._leaving:
                await members.join()
                await members.plan()
            decision = self._decide()
            for partition in decision.begin:
                self._begin(partition)
            for partition in decision.end:
                self._end(partition)
            if members.me and decision.announce != members.announced:
                await members.announce(decision.announce)
            elif decision.ask:
                await members.listen_to(decision.ask)
            elif not members.stale:
                return

    def _decide(self) -> Decision:
        now, members = clock.now(), self._members
        running = self._tasks.keys() - self._ending
        return decide(
            Situation(
                me=members.me,
                leaving=self._leaving,
                alone=members.alone,
                owners=members.owners,
                running=running,
                ending=self._ending,
                joining={p for p in running if self._elections[p].candidacy.state(now) in NOT_STANDING},
                announced=members.announced,
                said=members.said,
            )
        )

    def _begin(self, partition: int) -> None:
        assert self._work is not None
        part = self._take_part(partition, self._work)
        task = asyncio.get_running_loop().create_task(part, name=f"{self.name} {partition}")
        self._tasks[partition] = task
        task.add_done_callback(lambda task: self._ended(partition, task))

    async def _take_part(self, partition: int, work: ShareWork) -> None:
        async def hold(term: Term) -> None:
            await awaited(work, partition, term)
            await asyncio.get_running_loop().create_future()  # idle until it is lost

        await self._elections[partition].run(hold)

    def _end(self, partition: int) -> None:
        # Cancelled once: an election that is cancelled while it leaves does not wait for the work's end any more.
        self._ending.add(partition)
        self._tasks[partition].cancel()

    def _end_all(self) -> None:
        for partition in self._tasks.keys() - self._ending:
            self._end(partition)

    def _ended(self, partition: int, task: asyncio.Task[None]) -> None:
        del self._tasks[partition]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)
        elif partition not in self._ending:
            self._fail(asyncio.CancelledError(f"the work of partition {partition} has cancelled itself"))
        self._ending.discard(partition)
        self._changed.fire()

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
        elif error is not self._failure and not isinstance(error, SessionClosed):
            text = "%s: failed as well, while the share is given up"
            log.error(text, self.name, exc_info=error, extra=self._fields("share_failed"))
        self._changed.fire()

    def _fields(self, event: str) -> dict[str, str]:
        return {"event": event, "partitions": self.name}
