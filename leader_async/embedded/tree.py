"""The znodes: a state machine that applies one ordered log of transactions, and answers reads. Pure.

Rules, all of them ZooKeeper's (guides and `PrepRequestProcessor`, `DataTree` of 3.9):
1. Each entry of the log takes the next zxid, refused ones too. The same entries make the same tree anywhere, so
   replicas are trees that have applied more or less of the same log.
2. A transaction happens as a whole or not at all; the reply to a refused one names the operation that failed.
3. A sequential znode gets the number of znodes that were ever created below its parent.
4. An ephemeral znode belongs to a session, ends with it, and has no children.
5. Changes are returned in the order in which they happened, each with the access list that says who may read of it.
6. Null data stays null. A request with a null path is unreadable, and so is a transaction that has one.

The time is part of an entry. The tree keeps no watches and knows no clients.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ..errors import BadVersion, NoAuth, NoChildrenForEphemerals, NodeExists, NoNode, NotEmpty, SessionExpired
from ..zookeeper import messages as m
from ..zookeeper.foreign import BAD_ARGUMENTS, INVALID_ACCESS, UNREADABLE, Impossible
from .access import NullField, Proofs, allows, masked, settle
from .entries import CloseSession, Entry, Happened, OpenSession

LAST_NUMBER = 2**31 - 1
"""The highest number of a parent's counter."""

OWN = ("/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota")
"""The znodes that every tree has."""

_FORBIDDEN = re.compile("[\0-\x1f\x7f-\x9f\ud800-\uf8ff\ufff0-\uffff]")
"""Characters that no path may have."""


@dataclass(frozen=True, slots=True)
class Znode:
    """One znode; `created` is how many children it ever had, the rest is as in `Stat`."""

    data: bytes = b""
    access: tuple[m.Access, ...] = m.OPEN
    czxid: int = 0
    mzxid: int = 0
    pzxid: int = 0
    ctime: float = 0.0
    mtime: float = 0.0
    version: int = 0
    aversion: int = 0
    created: int = 0
    owner: int = 0


class Refused(Exception):
    """An operation is refused: nothing happened."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class _Doing:
    """One entry while it is applied: what was there before each step, and what has happened."""

    entry: Entry
    before: list[tuple[str, Znode | None]] = field(default_factory=list)
    happened: list[Happened] = field(default_factory=list)


class Tree:
    """See the module's docstring; an empty tree has this zxid."""

    def __init__(self, zxid: int = 0) -> None:
        self.zxid = zxid
        self.sessions: dict[int, OpenSession] = {}
        self._nodes: dict[str, Znode] = {}
        self._children: dict[str, dict[str, None]] = {}  # a dict keeps the order, so that runs repeat exactly
        self._owned: dict[int, dict[str, None]] = {}
        self._nodes["/"], self._children["/"] = Znode(), {}
        for path in OWN[1:]:
            self._place(path, Znode())

    def copy(self) -> Tree:
        """Another tree with the same znodes and sessions."""
        other = Tree(self.zxid)
        other.sessions = dict(self.sessions)
        other._nodes = dict(self._nodes)
        other._children = {path: dict(names) for path, names in self._children.items()}
        other._owned = {session: dict(paths) for session, paths in self._owned.items()}
        return other

    # -- writing -------------------------------------------------------------------------------------------------------

    def apply(self, entry: Entry) -> tuple[m.Reply, list[Happened]]:
        """Apply the next entry of the log, and return the reply and the changes."""
        self.zxid += 1
        doing = _Doing(entry)
        match entry.write:
            case OpenSession() as session:
                self.sessions[entry.session] = session
                return m.Synced(), []
            case CloseSession():
                self._close(doing)
                return m.Closed(), doing.happened
            case write if entry.session not in self.sessions:
                return m.Failed(SessionExpired.code), []
            case write:
                try:
                    if isinstance(write, m.Multi):
                        return self._transact(doing, write.operations), doing.happened
                    return self._do(doing, write), doing.happened
                except Refused as refused:
                    return m.Failed(refused.code), []
                except NullField:
                    self._take_back(doing)
                    return m.Failed(UNREADABLE), []

    def _transact(self, doing: _Doing, operations: tuple[m.Operation, ...]) -> m.Transacted:
        results: list[m.OperationReply] = []
        for index, operation in enumerate(operations):
            try:
                if m.is_null(getattr(operation, "path", "")):
                    raise NullField
                result = self._do(doing, operation)
            except Refused as refused:
                self._take_back(doing)
                behind = len(operations) - index - 1
                codes = [m.ROLLED_BACK] * index + [refused.code] + [m.RUNTIME_INCONSISTENCY] * behind
                return m.Transacted(tuple(map(m.Failed, codes)))
            assert isinstance(result, m.Created | m.Deleted | m.DataSet | m.Checked)
            results.append(result)
        return m.Transacted(tuple(results))

    def _do(self, doing: _Doing, operation: m.Operation | m.SetAccess | Impossible) -> m.OperationReply | m.AccessSet:
        match operation:
            case Impossible(code):
                raise Refused(code)
            case m.Create():
                return self._create(doing, operation)
            case m.Delete(path, version):
                return self._delete(doing, path, version)
            case m.SetData(path, data, version):
                node = self._changeable(doing, path, m.Permission.WRITE)
                _expect(node.version, version)
                entry = doing.entry
                node = replace(node, data=data, version=node.version + 1, mzxid=self.zxid, mtime=entry.at)
                self._put(doing, path, node)
                doing.happened.append(Happened(m.EventType.DATA, path, node.access))
                return m.DataSet(self._stat(path, node))
            case m.SetAccess(path, access, version):
                node = self._changeable(doing, path, m.Permission.ADMIN)
                settled = settle(access, doing.entry.proofs)
                if settled is None:
                    raise Refused(INVALID_ACCESS)
                _expect(node.aversion, version)
                node = replace(node, access=settled, aversion=node.aversion + 1)
                self._put(doing, path, node)
                return m.AccessSet(self._stat(path, node))
            case _:
                assert isinstance(operation, m.Check)
                node = self._changeable(doing, operation.path, m.Permission.READ)
                _expect(node.version, operation.version)
                return m.Checked()

    def _create(self, doing: _Doing, request: m.Create) -> m.Created:
        entry, path = doing.entry, _read(request.path)
        if "/" not in path or "\0" in path:
            raise Refused(BAD_ARGUMENTS)
        access = settle(request.access, entry.proofs)
        if access is None:
            raise Refused(INVALID_ACCESS)
        above = _above(path)
        parent = self._node(above)
        _allow(parent, entry.proofs, m.Permission.CREATE)
        if request.sequential:
            path = f"{path}{parent.created:010d}"
        _check_path(path)
        if path in self._nodes:
            raise Refused(NodeExists.code)
        if parent.owner:
            raise Refused(NoChildrenForEphemerals.code)
        node = Znode(
            data=request.data,
            access=access,
            czxid=self.zxid,
            mzxid=self.zxid,
            pzxid=self.zxid,
            ctime=entry.at,
            mtime=entry.at,
            owner=entry.session if request.ephemeral else 0,
        )
        self._put(doing, above, replace(parent, created=min(parent.created + 1, LAST_NUMBER), pzxid=self.zxid))
        self._put(doing, path, node)
        doing.happened += [Happened(m.EventType.CREATED, path, node.access), _children_changed(above, parent)]
        return m.Created(path, self._stat(path, node) if request.stat else None)

    def _delete(self, doing: _Doing, path: str, version: int) -> m.Deleted:
        if _read(path) in OWN or "/" not in path or "\0" in path:
            raise Refused(BAD_ARGUMENTS)
        above = _above(path)
        parent = self._node(above)
        _allow(parent, doing.entry.proofs, m.Permission.DELETE)
        node = self._node(path)
        _expect(node.version, version)
        if self._children[path]:
            raise Refused(NotEmpty.code)
        self._remove(doing, path)
        return m.Deleted()

    def _close(self, doing: _Doing) -> None:
        self.sessions.pop(doing.entry.session, None)
        for path in list(self._owned.get(doing.entry.session, ())):
            self._remove(doing, path)

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, request: m.Read, proofs: Proofs = ()) -> m.ReadReply:
        """Answer a read; raises Refused if the reply is an error, NullField if the path is null."""
        if isinstance(request, m.Exists) and "\0" in request.path:
            raise Refused(BAD_ARGUMENTS)
        node = self._node(_read(request.path))
        stat = self._stat(request.path, node)
        if isinstance(request, m.GetAccess):
            _allow(node, proofs, m.Permission.READ | m.Permission.ADMIN)
            return m.AccessList(masked(node.access, proofs), stat)
        _allow(node, proofs, m.Permission.READ)
        match request:
            case m.Exists():
                return m.Found(stat)
            case m.GetData():
                return m.Data(node.data, stat)
            case _:
                return m.Children(tuple(self._children[request.path]), stat if request.stat else None)

    def count_below(self, path: str, proofs: Proofs) -> int:
        """How many znodes there are below this one; raises as `read` does."""
        _allow(self._node(_read(path)), proofs, m.Permission.READ)
        below = path.rstrip("/") + "/"
        return sum(each.startswith(below) for each in self._nodes if each != "/")

    def find(self, path: str) -> Znode | None:
        """The znode at this path."""
        return self._nodes.get(path)

    def children(self, path: str) -> tuple[str, ...]:
        """The names of its children; none if it does not exist."""
        return tuple(self._children.get(path, ()))

    def owned(self, session: int) -> tuple[str, ...]:
        """The paths of the ephemeral znodes of this session."""
        return tuple(self._owned.get(session, ()))

    def walk(self) -> Iterator[tuple[str, Znode]]:
        """All znodes with their paths."""
        return iter(self._nodes.items())

    # -- small steps ---------------------------------------------------------------------------------------------------

    def _node(self, path: str) -> Znode:
        node = self._nodes.get(path)
        if node is None:
            raise Refused(NoNode.code)
        return node

    def _changeable(self, doing: _Doing, path: str, wanted: m.Permission) -> Znode:
        _check_path(path)
        node = self._node(path)
        _allow(node, doing.entry.proofs, wanted)
        return node

    def _put(self, doing: _Doing, path: str, node: Znode | None) -> None:
        doing.before.append((path, self._nodes.get(path)))
        self._place(path, node)

    def _take_back(self, doing: _Doing) -> None:
        """Leave everything as it was."""
        for path, node in reversed(doing.before):
            self._place(path, node)
        doing.happened.clear()

    def _remove(self, doing: _Doing, path: str) -> None:
        node = self._nodes[path]
        self._put(doing, path, None)
        above = _above(path)
        parent = self._nodes[above]
        self._put(doing, above, replace(parent, pzxid=self.zxid))
        doing.happened += [Happened(m.EventType.DELETED, path, node.access), _children_changed(above, parent)]

    def _place(self, path: str, node: Znode | None) -> None:
        """The one place that changes znodes; None is none. An owner is never another one."""
        before = self._nodes.get(path)
        above, _, name = path.rpartition("/")
        siblings = self._children[above or "/"]
        if node is None:
            assert before is not None
            del self._nodes[path], self._children[path], siblings[name]
            if before.owner:
                del self._owned[before.owner][path]
                if not self._owned[before.owner]:
                    del self._owned[before.owner]
            return
        self._nodes[path] = node
        if before is None:
            self._children[path], siblings[name] = {}, None
            if node.owner:
                self._owned.setdefault(node.owner, {})[path] = None

    def _stat(self, path: str, node: Znode) -> m.Stat:
        children = len(self._children[path])
        return m.Stat(
            czxid=node.czxid,
            mzxid=node.mzxid,
            version=node.version,
            ephemeral_owner=node.owner,
            children=children,
            pzxid=node.pzxid,
            ctime=node.ctime,
            mtime=node.mtime,
            cversion=2 * node.created - children,  # comings and goings
            aversion=node.aversion,
            length=len(node.data),
        )


def _read(path: str) -> str:
    if m.is_null(path):
        raise NullField
    return path


def _above(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _children_changed(path: str, node: Znode) -> Happened:
    return Happened(m.EventType.CHILDREN, path, node.access)


def _expect(version: int, expected: int) -> None:
    if expected not in (m.ANY_VERSION, version):
        raise Refused(BadVersion.code)


def _allow(node: Znode, proofs: Proofs, wanted: m.Permission) -> None:
    if not allows(node.access, proofs, wanted):
        raise Refused(NoAuth.code)


def _check_path(path: str) -> None:
    """ZooKeeper's `PathUtils.validatePath`."""
    parts = path.split("/")
    absolute = path == "/" or (parts[0] == "" and len(parts) > 1 and all(parts[1:]))
    if not absolute or "." in parts or ".." in parts or _FORBIDDEN.search(path):
        raise Refused(BAD_ARGUMENTS)
