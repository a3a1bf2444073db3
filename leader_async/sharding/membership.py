"""The members as ZooKeeper has them: our own znode, who else is there, the assignment, what others announce.

    <root>/<name>/members                       the assignment (`assignment`); its children are the members
    <root>/<name>/members/<uuid>-n_<10 digits>  a member, ephemeral: identity, address, and what it announces, as bits
    <root>/<name>/<name>-0007                   the election of partition 7 (not touched here)

Rules:
- Everything is read with a watch, and read again when that fires or the connection was lost. What is marked as known is
  marked before the request leaves, so an event that comes meanwhile is not missed.
- A lost reply is resolved by looking, behind a `sync`: the create by the join's uuid, which is new for every join; the
  announcement by its version, which every write expects.
- One coroutine at a time calls what is `async` here.

A change of members wakes all of them, for two small reads: each must know, and N counts replicas, not partitions.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable, Iterable

from ..election.rules import queue
from ..errors import AssignmentError, BadVersion, NoAuth, NodeExists, NoNode, NotConnected, UsageError
from ..waking import Pulse
from ..zookeeper import messages as m
from ..zookeeper.client import Client
from .assignment import NOBODY, decode, encode, moves, rebalance
from .member_data import NOTHING, MemberData

log = logging.getLogger("leader_async.sharding")


class Membership:
    """See the module's docstring.

    Args:
        client: the session.
        parent: path of the znode that the members are below.
        count: how many partitions there are.
        card: who we are.
        changed: fired whenever something here may have changed.
        expired: called when the session is over, and the membership with it.
    """

    def __init__(
        self, client: Client, parent: str, count: int, card: MemberData, changed: Pulse, expired: Callable[[], None]
    ) -> None:
        self.me = NOBODY
        self.names: tuple[str, ...] = ()
        self.owners: tuple[str, ...] = ()
        self.announced = NOTHING
        self.stale = True  # the names and the owners are not as ZooKeeper has them
        self.closed = False
        self._client, self._parent, self._count, self._card = client, parent, count, card
        self._changed, self._expired = changed, expired
        self._said: dict[str, frozenset[int]] = {}
        self._told: set[str] = set()  # whose change we shall be told of
        self._version = 0  # of the assignment
        self._overwrite = False  # it cannot be read
        self._forget()
        client.listen(parent, self)

    # -- what is known -------------------------------------------------------------------------------------------------

    @property
    def said(self) -> dict[str, frozenset[int]]:
        """What the others announced, for those read and not changed since."""
        return {name: announced for name, announced in self._said.items() if name in self._told}

    @property
    def alone(self) -> bool:
        """Whether no other member is there."""
        return not self.stale and all(name == self.me for name in self.names)

    def session_event(self, event: m.SessionEvent) -> None:
        """See `client.Listener`."""
        self.stale = True
        self._told.clear()
        if isinstance(event, m.Expired):
            self._forget()
            self._expired()
        elif isinstance(event, m.Connected) and self._abandoned:
            self._sweep()
        self.closed = isinstance(event, m.Ended)
        self._changed.fire()

    def watch_event(self, event: m.Watched) -> None:
        """See `client.Listener`."""
        if event.path == self._parent:
            self.stale = True
        else:
            self._told.discard(event.path.rpartition("/")[2])
        self._changed.fire()

    def _forget(self) -> None:
        """We are no member."""
        self.me, self.announced = NOBODY, NOTHING
        self._uuid = uuid.uuid4().hex
        self._sought = False  # a create's reply may have been lost
        self._unsure = False  # an announcement's reply may have been lost
        self._card_version = 0
        self._abandoned = False

    # -- reading -------------------------------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Know who is there and who is to hold what.

        Raises:
            UsageError: the others have another number of partitions.
            ZooKeeperError: ZooKeeper cannot be asked.
        """
        while self.stale:
            self.stale = False
            try:
                children, data = await asyncio.gather(
                    self._client.request(m.GetChildren(self._parent, watch=True)),
                    self._client.request(m.GetData(self._parent, watch=True)),
                )
            except NoNode:
                self.stale = True
                await self._make_parents()
                continue
            except BaseException:
                self.stale = True
                raise
            assert isinstance(children, m.Children)
            assert isinstance(data, m.Data)
            self.names = tuple(queue.in_order(children.names))
            self._version = data.stat.version
            self._take(data.data)
            await self._check_own(children.names)

    def _take(self, data: bytes) -> None:
        try:
            self._take_owners(decode(data, self._parent))
        except AssignmentError as error:
            # What was known stays; the first of us writes that anew.
            self._overwrite = True
            log.error("%s", error, extra={"event": "assignment_unreadable"})
        else:
            self._overwrite = False

    def _take_owners(self, owners: tuple[str, ...] | None) -> None:
        if owners is not None and len(owners) != self._count:
            if any(name in owners and name != self.me for name in self.names):
                raise UsageError(
                    f"the members at {self._parent} have {len(owners)} partitions, not {self._count}: "
                    f"stop them all before you change the count"
                )
            owners = None
        self.owners = owners or ()

    async def _check_own(self, names: Iterable[str]) -> None:
        if self.me not in names:
            self._deleted(self.me)
        for name in names:
            if self.me and name != self.me and name.startswith(queue.prefix(self._uuid)):
                await self._delete(name)  # a twin: a create that was thought lost

    async def _make_parents(self) -> None:
        parts, denied = self._parent.split("/")[1:], None
        for depth in range(len(parts)):
            try:
                await self._client.request(m.Create("/" + "/".join(parts[: depth + 1])))
                denied = None
            except NodeExists:
                denied = None
            except NoAuth as error:
                denied = error  # asked of a znode that exists, too: whether that matters the next one tells
            except NoNode as error:
                raise denied or error from None
        if denied is not None:
            raise denied

    async def listen_to(self, names: Iterable[str]) -> None:
        """Read what these members announce, and be told when it changes.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
        """
        names = sorted(names)
        self._told.update(names)
        try:
            cards = await asyncio.gather(*(self._announced_by(name) for name in names))
        except BaseException:
            self._told.difference_update(names)
            raise
        self._said = {name: said for name, said in self._said.items() if name in self._told}
        self._said.update(zip(names, cards, strict=True))

    async def _announced_by(self, name: str) -> frozenset[int]:
        try:
            data = await self._client.request(m.GetData(f"{self._parent}/{name}", watch=True))
        except NoNode:
            return NOTHING
        assert isinstance(data, m.Data)
        return MemberData.decode(data.data).announced

    # -- writing -------------------------------------------------------------------------------------------------------

    async def join(self) -> None:
        """Be a member.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
        """
        own = self._uuid
        self._sought |= self._abandoned
        self._abandoned = False
        if self._sought:
            await self._look()
        if self.me or own != self._uuid:
            return
        self._sought = True
        path = f"{self._parent}/{queue.prefix(own)}"
        created = await self._client.request(m.Create(path, self._card.encode(), ephemeral=True, sequential=True))
        assert isinstance(created, m.Created)
        if own == self._uuid:
            self.me, self._sought = created.path.rpartition("/")[2], False

    async def _look(self) -> None:
        """Find out whether a create whose reply was lost has happened."""
        own = self._uuid
        _, children = await asyncio.gather(
            self._client.request(m.Sync(self._parent)), self._client.request(m.GetChildren(self._parent))
        )
        assert isinstance(children, m.Children)
        if own == self._uuid:
            self._sought = False
            mine = [name for name in queue.in_order(children.names) if name.startswith(queue.prefix(own))]
            self.me = mine[0] if mine else NOBODY
            self._unsure = bool(mine)

    async def plan(self) -> None:
        """Write the assignment anew if that is up to us and it is not what it should be.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
        """
        if self.stale or not self.me or self.names[:1] != (self.me,):
            return
        before = self.owners or (NOBODY,) * self._count
        after = rebalance(before, self.names)
        if after == before and not self._overwrite:
            return
        check, write = m.Check(self._path), m.SetData(self._parent, encode(after), self._version)
        answer = await self._client.request(m.Multi((check, write)))
        assert isinstance(answer, m.Transacted)
        self.stale = True  # refused: somebody else is the first; done: it is to be read with a watch
        if answer.ok:
            changed, members = moves(before, after), len(self.names)
            log.info(
                "%s: members: %d, partitions with another owner: %d", self._parent, members, changed,
                extra={"event": "rebalanced", "members": members, "moved": changed},
            )  # fmt: skip

    async def settle(self) -> None:
        """Know what our znode tells, if a reply about that was lost.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
        """
        me = self.me
        if not me or not self._unsure:
            return
        try:
            _, data = await asyncio.gather(
                self._client.request(m.Sync(self._path)), self._client.request(m.GetData(self._path))
            )
        except NoNode:
            self._deleted(me)
            return
        assert isinstance(data, m.Data)
        if me == self.me:
            self.announced, self._card_version = MemberData.decode(data.data).announced, data.stat.version
            self._unsure = False

    async def announce(self, announced: frozenset[int]) -> None:
        """Have our znode tell just these partitions. `settle` comes before it.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
        """
        me = self.me
        self._unsure = True
        card = MemberData(self._card.identity, self._card.address, announced)
        try:
            written = await self._client.request(m.SetData(self._path, card.encode(), self._card_version))
        except NoNode:
            self._deleted(me)
            return
        except BadVersion:
            return  # a write that was thought lost has happened; `settle` sees to it
        assert isinstance(written, m.DataSet)
        if me == self.me:
            self.announced, self._card_version, self._unsure = announced, written.stat.version, False

    async def leave(self) -> None:
        """Be no member.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
        """
        if self._sought:
            await self._look()
        if self.me:
            await self._delete(self.me)
            self._forget()

    def abandon(self) -> None:
        """Be no member, without waiting for ZooKeeper; it is told as soon as it can be."""
        self._abandoned = bool(self.me) or self._sought
        if self._abandoned:
            self._sweep()

    def _sweep(self) -> None:
        def listed(answer: m.Answer) -> None:
            if isinstance(answer, m.Children) and self._abandoned:
                for name in answer.names:
                    if name.startswith(queue.prefix(self._uuid)):
                        with contextlib.suppress(NotConnected):  # closing: it goes with the session
                            self._client.send(m.Delete(f"{self._parent}/{name}"), lambda answer: None)

        with contextlib.suppress(NotConnected):  # the next connection begins with this
            self._client.send(m.Sync(self._parent), lambda answer: None)
            self._client.send(m.GetChildren(self._parent), listed)

    async def _delete(self, name: str) -> None:
        with contextlib.suppress(NoNode):
            await self._client.request(m.Delete(f"{self._parent}/{name}"))

    def _deleted(self, name: str) -> None:
        if name and self.me == name:
            text = "%s: somebody deleted our znode %s; joining again"
            log.warning(text, self._parent, name, extra={"event": "member_deleted"})
            self._forget()

    @property
    def _path(self) -> str:
        return f"{self._parent}/{self.me}"
