"""Replies to requests that change no znode: reads, and watches that are set, found and removed. Pure.

Rules:
1. A read that is refused sets no watch, except `exists` on a znode that does not exist yet.
2. Several reads in one request set none.
3. A reply to several reads of more than `ANSWER_LIMIT` bytes of data is refused: ZooKeeper would send it, and every
   client would refuse it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from ..errors import NoNode
from ..zookeeper import foreign
from ..zookeeper import messages as m
from .access import NullField, Proofs
from .entries import Happened
from .tree import Refused, Tree
from .watches import Watches

ANSWER_LIMIT = 4 * 2**20
"""Bytes of data in one answer to several reads."""

Reading: TypeAlias = (
    m.Read | foreign.CountBelow | foreign.ReadMany | foreign.AddWatch | foreign.CheckWatches | foreign.RemoveWatches
    | foreign.ListEphemerals | foreign.WhoAmI
)  # fmt: skip


class Asker(NamedTuple):
    """The client that asks: its connection, its session, and the identities that it has proved."""

    connection: int
    session: int
    proofs: Proofs


class ReadHandler:
    """See the module's docstring."""

    def __init__(self, tree: Tree, watches: Watches) -> None:
        self._tree, self._watches = tree, watches

    def answer(self, asker: Asker, request: Reading) -> m.Reply | foreign.Reply:
        """Answer this request."""
        try:
            return self._answer(asker, request)
        except Refused as refused:
            return m.Failed(refused.code)
        except NullField:
            return m.Failed(foreign.UNREADABLE)

    def set_again(self, asker: Asker, request: m.SetWatches | foreign.SetEveryWatch) -> Iterator[Happened]:
        """Set each watch again, or return the change for which it would have fired."""
        once = request if isinstance(request, m.SetWatches) else request.once
        yield from self._set_once(asker.connection, once)
        if isinstance(request, foreign.SetEveryWatch):
            for path in request.persistent:
                self._watches.on_all(path, asker.connection, recursive=False)
            for path in request.recursive:
                self._watches.on_all(path, asker.connection, recursive=True)

    def _answer(self, asker: Asker, request: Reading) -> m.Reply | foreign.Reply:
        match request:
            case foreign.ReadMany(reads):
                return self._read_many(asker, reads)
            case foreign.AddWatch(path, recursive):
                self._watches.on_all(path, asker.connection, recursive=recursive)
                return foreign.WatchAdded()
            case foreign.CheckWatches(path, kind):
                return _found(self._watches.has(path, asker.connection, kind))
            case foreign.RemoveWatches(path, kind):
                return _found(self._watches.remove(path, asker.connection, kind))
            case foreign.ListEphemerals(prefix):
                wanted = "" if prefix.strip() in ("", "/") else prefix
                return foreign.Listed(tuple(p for p in self._tree.owned(asker.session) if p.startswith(wanted)))
            case foreign.WhoAmI():
                named = ((scheme, id_.partition(":")[0] if scheme == "digest" else id_) for scheme, id_ in asker.proofs)
                return foreign.YouAre(tuple(named))
            case foreign.CountBelow(path):
                return foreign.Counted(self._tree.count_below(path, asker.proofs))
            case _:
                return self._read(asker, request)

    def _read(self, asker: Asker, request: m.Read) -> m.ReadReply:
        try:
            reply = self._tree.read(request, asker.proofs)
        except Refused as refused:
            if refused.code == NoNode.code and isinstance(request, m.Exists) and request.watch:
                self._watches.on_data(request.path, asker.connection)
            raise
        match request:
            case m.GetData(path, True) | m.Exists(path, True):
                self._watches.on_data(path, asker.connection)
            case m.GetChildren(path, True):
                self._watches.on_children(path, asker.connection)
        return reply

    def _read_many(self, asker: Asker, reads: tuple[m.GetData | m.GetChildren, ...]) -> foreign.ManyRead:
        answers: list[m.Data | m.Children | m.Failed] = []
        room = ANSWER_LIMIT
        for request in reads:
            try:
                answer = self._tree.read(request, asker.proofs)
            except Refused as refused:
                answers.append(m.Failed(refused.code))
                continue
            assert isinstance(answer, m.Data | m.Children)
            answers.append(answer)
            room -= len(answer.data) if isinstance(answer, m.Data) else sum(map(len, answer.names))
            if room < 0:
                raise NullField
        return foreign.ManyRead(tuple(answers))

    def _set_once(self, connection: int, request: m.SetWatches) -> Iterator[Happened]:
        find = self._tree.find
        for path in request.data:
            node = find(path)
            if node is None:
                yield Happened(m.EventType.DELETED, path)
            elif node.mzxid > request.zxid:
                yield Happened(m.EventType.DATA, path, node.access)
            else:
                self._watches.on_data(path, connection)
        for path in request.exists:
            if (node := find(path)) is not None:
                yield Happened(m.EventType.CREATED, path, node.access)
            else:
                self._watches.on_data(path, connection)
        for path in request.children:
            node = find(path)
            if node is None:
                yield Happened(m.EventType.DELETED, path)
            elif node.pzxid > request.zxid:
                yield Happened(m.EventType.CHILDREN, path, node.access)
            else:
                self._watches.on_children(path, connection)


def _found(there: bool) -> foreign.WatchesFound | m.Failed:
    return foreign.WatchesFound() if there else m.Failed(foreign.NO_WATCHER)
