"""The members as ZooKeeper has them: our own znode, who else is there, the assignment, what others announce.

    <root>/<name>/members                       the assignment (`assignment`); its children are the members
    <root>/<name>/members/<uuid>-n_<10 digits>  a member, ephemeral: identity, address, and what it announces, as bits
    <root>/<name>/<name>-0007                   the election of partition 7 (not touched here)

Rules:
- What others write is read through a mirror (`zookeeper.mirror`).
- A lost reply is resolved by looking, behind a `sync`: the create by the join's uuid, which is new for every join, as
  in an election (`election.rules.queue`); the announcement by its version, which every write expects.
- A join that is over is replaced as a whole; an answer that belongs to it changes nothing any more.
- One coroutine at a time calls what is `async` in `Membership`. If ZooKeeper cannot be asked, that raises
  `ZooKeeperError`.

A change of members wakes all of them, for two small reads: each must know, and N counts replicas, not partitions.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from ..election.rules import queue
from ..errors import AssignmentError, BadVersion, NodeExists, NoNode, NotConnected, UsageError
from ..waking import Pulse
from ..zookeeper import messages as m
from ..zookeeper.client import Client
from ..zookeeper.mirror import Mirror
from ..zookeeper.reader import Reader, SyncedReader
from .assignment import NOBODY, decode, encode, moves, rebalance
from .member_data import NOTHING, MemberData
from .status import Member

log = logging.getLogger("leader_async.sharding")


@dataclass(slots=True, eq=False)
class MemberJoin:
    """One attempt to be a member.

    Attributes:
        uuid: what our znode's name begins with.
        name: our znode's name, `NOBODY` while there is none.
        announced: the partitions that it announces.
        version: its version.
        sought: the reply to its create may have been lost.
        unsure: the reply to an announcement may have been lost.
        abandoned: it is to be deleted as soon as ZooKeeper can be reached.
    """

    uuid: str = field(default_factory=lambda: uuid.uuid4().hex)
    name: str = NOBODY
    announced: frozenset[int] = NOTHING
    version: int = 0
    sought: bool = False
    unsure: bool = False
    abandoned: bool = False


class Membership:
    """See the module's docstring.

    Args:
        client, parent: the session, and the path of the znode that the members are below.
        count, card: how many partitions there are, and who we are.
        changed: fired whenever something here may have changed.
        expired: called when the session is over, and the membership with it.
    """

    def __init__(
        self, client: Client, parent: str, count: int, card: MemberData, changed: Pulse, expired: Callable[[], None]
    ) -> None:
        self.names: tuple[str, ...] = ()
        self.owners: tuple[str, ...] = ()
        self.closed = False
        self._client, self._parent, self._count, self._card = client, parent, count, card
        self._changed, self._expired = changed, expired
        self._mirror = Mirror(client, changed=changed)
        self._join = MemberJoin()
        self._said: dict[str, frozenset[int]] = {}
        self._version = 0  # of the assignment
        self._overwrite = False  # it cannot be read
        client.listen(parent, self)

    # -- what is known -------------------------------------------------------------------------------------------------

    @property
    def me(self) -> str:
        """The name of our znode, `NOBODY` while we are no member."""
        return self._join.name

    @property
    def announced(self) -> frozenset[int]:
        """The partitions that our znode announces."""
        return self._join.announced

    @property
    def stale(self) -> bool:
        """Whether the names and the owners are not as ZooKeeper has them."""
        return not self._mirror.has(m.GetChildren(self._parent), m.GetData(self._parent))

    @property
    def said(self) -> dict[str, frozenset[int]]:
        """What the others announced, for those read and not changed since."""
        return {name: said for name, said in self._said.items() if self._mirror.has(m.GetData(self._path(name)))}

    @property
    def alone(self) -> bool:
        """Whether no other member is there."""
        return not self.stale and all(name == self.me for name in self.names)

    def session_event(self, event: m.SessionEvent) -> None:
        """See `client.Listener`."""
        if isinstance(event, m.Expired):
            self._join = MemberJoin()
            self._expired()
        elif isinstance(event, m.Connected) and self._join.abandoned:
            self._sweep(self._join)
        self.closed = isinstance(event, m.Ended)
        self._mirror.session_event(event)

    def watch_event(self, event: m.Watched) -> None:
        """See `client.Listener`."""
        self._mirror.watch_event(event)

    # -- reading -------------------------------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Know who is there and who is to hold what.

        Raises:
            UsageError: the others have another number of partitions.
        """
        while self.stale:
            children, data = await asyncio.gather(self._mirror.children(self._parent), self._mirror.data(self._parent))
            if children is None or data is None:
                self._mirror.forget(self._parent)
                await self._make_parents()
                continue
            self.names = tuple(queue.in_order(children))
            self._version = data.stat.version
            self._take(data.data)
            await self._check_own(children)

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
            self._deleted(self._join)
        for name in queue.of_join(names, self._join.uuid):
            if self.me and name != self.me:
                await self._delete(name)  # a twin

    async def _make_parents(self) -> None:
        creates = (self._client.request(m.Create(path)) for path in queue.above(self._parent))
        answers = await asyncio.gather(*creates, return_exceptions=True)
        refused = [one for one in answers if isinstance(one, Exception) and not isinstance(one, NodeExists)]
        if refused and refused[-1] is answers[-1]:  # a refusal counts only if the last one does not exist, either
            raise next((one for one in reversed(refused) if not isinstance(one, NoNode)), refused[-1])

    async def listen_to(self, names: Iterable[str]) -> None:
        """Read what these members announce, and have its next change reported."""
        self._said = self.said  # the rest is read when it is asked for
        await asyncio.gather(*(self._listen_to(name) for name in sorted(names)))

    async def _listen_to(self, name: str) -> None:
        found = await self._mirror.data(self._path(name))
        self._said[name] = NOTHING if found is None else MemberData.decode(found.data).announced

    # -- writing -------------------------------------------------------------------------------------------------------

    async def join(self) -> None:
        """Be a member."""
        own = self._join
        own.sought |= own.abandoned
        own.abandoned = False
        if own.sought:
            await self._look(own)
        if own.name or own is not self._join:
            return
        own.sought = True
        path = self._path(queue.prefix(own.uuid))
        created = await self._client.request(m.Create(path, self._card.encode(), ephemeral=True, sequential=True))
        own.name, own.sought = created.path.rpartition("/")[2], False

    async def _look(self, own: MemberJoin) -> None:
        """Find out whether a create whose reply was lost has happened."""
        mine = queue.of_join(await SyncedReader(self._client).children(self._parent) or (), own.uuid)
        own.sought, own.name, own.unsure = False, mine[0] if mine else NOBODY, bool(mine)

    async def plan(self) -> None:
        """Write the assignment anew if that is up to us and it is not what it should be."""
        if self.stale or not self.me or self.names[:1] != (self.me,):
            return
        before = self.owners or (NOBODY,) * self._count
        after = rebalance(before, self.names)
        if after == before and not self._overwrite:
            return
        check, write = m.Check(self._path(self.me)), m.SetData(self._parent, encode(after), self._version)
        answer = await self._client.request(m.Multi((check, write)))
        self._mirror.forget(self._parent)  # refused: another member is the first; done: it is to be read with a watch
        if answer.ok:
            changed, members = moves(before, after), len(self.names)
            fields = {"event": "rebalanced", "members": members, "moved": changed}
            text = "%s: members: %d, partitions with another owner: %d"
            log.info(text, self._parent, members, changed, extra=fields)

    async def settle(self) -> None:
        """Know what our znode announces, if a reply about that was lost."""
        own = self._join
        if not own.name or not own.unsure:
            return
        found = await SyncedReader(self._client).data(self._path(own.name))
        if found is None:
            self._deleted(own)
            return
        own.announced, own.version, own.unsure = MemberData.decode(found.data).announced, found.stat.version, False

    async def announce(self, announced: frozenset[int]) -> None:
        """Have our znode announce just these partitions. `settle` comes before it."""
        own, card = self._join, replace(self._card, announced=announced)
        own.unsure = True
        try:
            written = await self._client.request(m.SetData(self._path(own.name), card.encode(), own.version))
        except NoNode:
            self._deleted(own)
        except BadVersion:
            pass  # a write that was thought lost has happened; `settle` sees to it
        else:
            own.announced, own.version, own.unsure = announced, written.stat.version, False

    async def leave(self) -> None:
        """Be no member."""
        own = self._join
        if own.sought:
            await self._look(own)
        if own.name:
            await self._delete(own.name)
            self._join = MemberJoin()

    def abandon(self) -> None:
        """Be no member, without waiting for ZooKeeper; our znode is deleted as soon as it can be."""
        own = self._join
        own.abandoned = bool(own.name) or own.sought
        if own.abandoned:
            self._sweep(own)

    def _sweep(self, own: MemberJoin) -> None:
        def listed(answer: m.Answer) -> None:
            if isinstance(answer, m.Children) and own.abandoned:
                for name in queue.of_join(answer.names, own.uuid):
                    with contextlib.suppress(NotConnected):  # closing: it goes with the session
                        self._client.send(m.Delete(self._path(name)), lambda answer: None)

        with contextlib.suppress(NotConnected):  # the next connection begins with this
            self._client.send(m.Sync(self._parent), lambda answer: None)
            self._client.send(m.GetChildren(self._parent), listed)

    async def _delete(self, name: str) -> None:
        with contextlib.suppress(NoNode):
            await self._client.request(m.Delete(self._path(name)))

    def _deleted(self, own: MemberJoin) -> None:
        if own.name and own is self._join:
            text = "%s: somebody deleted our znode %s; joining again"
            log.warning(text, self._parent, own.name, extra={"event": "member_deleted"})
            self._join = MemberJoin()

    def _path(self, name: str) -> str:
        return f"{self._parent}/{name}"


async def read_members(reader: Reader, parent: str) -> list[Member]:
    """The members below the znode of this path, in the order of their arrival; any process may ask.

    Raises:
        ZooKeeperError: ZooKeeper cannot be asked.
    """
    names = queue.in_order(await reader.children(parent) or ())
    found = await asyncio.gather(*(reader.data(f"{parent}/{name}") for name in names))
    said = [(name, MemberData.decode(one.data)) for name, one in zip(names, found, strict=True) if one is not None]
    return [Member(data.identity, data.address, name, data.announced) for name, data in said]
