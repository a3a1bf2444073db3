"""Who waits for which change. One server's; they are forgotten with the connection that set them.

Rules (ZooKeeper's `WatchManager` of 3.9):
1. A data watch, which `exists` sets too, hears of creation, change and deletion; a child watch of coming and going
   children and of deletion. Who has both on a deleted znode hears once.
2. A watch fires once, unless it is persistent. A recursive one is persistent, hears what a data watch hears, and of all
   that is below its znode.
3. A connection may have watches of every kind on one path; it hears once of each change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from ..zookeeper.foreign import Kind
from ..zookeeper.messages import EventType, Watched
from .entries import Happened

ONCE, PERSISTENT, RECURSIVE = 1, 2, 4
"""How a watch hears; a connection's on one path are a sum of these."""

_Table: TypeAlias = dict[
    str, dict[int, int]
]  # path, connection, how; dicts keep the order, so that runs repeat exactly


class Watches:
    """See the module's docstring. Connections are numbers."""

    def __init__(self) -> None:
        self._data: _Table = {}
        self._children: _Table = {}
        self._set_by: dict[int, dict[str, None]] = {}
        self._recursive = 0

    def on_data(self, path: str, connection: int, how: int = ONCE) -> None:
        """Tell this connection of the next change of the znode itself."""
        self._set(self._data, path, connection, how)

    def on_children(self, path: str, connection: int, how: int = ONCE) -> None:
        """Tell this connection of the next change among the znode's children."""
        self._set(self._children, path, connection, how)

    def on_all(self, path: str, connection: int, *, recursive: bool) -> None:
        """Tell this connection of every change from now on."""
        self.on_data(path, connection, RECURSIVE if recursive else PERSISTENT)
        if not recursive:
            self.on_children(path, connection, PERSISTENT)

    def has(self, path: str, connection: int, kind: Kind) -> bool:
        """Whether this connection has such a watch."""
        return any(table.get(path, {}).get(connection, 0) & how for table, how in self._meant(kind))

    def take_back(self, path: str, connection: int, kind: Kind) -> bool:
        """Forget such watches of this connection; whether there were any."""
        there = self.has(path, connection, kind)
        for table, how in self._meant(kind):
            self._drop(table, path, connection, how)
        return there

    def forget(self, connection: int) -> None:
        """This connection is gone."""
        for path in tuple(self._set_by.get(connection, ())):
            self.take_back(path, connection, Kind.ANY)

    def fire(self, happened: Iterable[Happened]) -> Iterator[tuple[int, Happened]]:
        """Who hears of what, in order; those that hear once are used up."""
        for one in happened:
            if one.change is EventType.CHILDREN:
                heard = self._heard(self._children, one.path)
            else:
                heard = self._heard(self._data, one.path)
                heard |= dict.fromkeys(self._above(one.path))
                if one.change is EventType.DELETED:
                    heard |= self._heard(self._children, one.path)
            for connection in heard:
                yield connection, one

    @property
    def count(self) -> int:
        """How many watches wait."""
        return sum(len(waiting) for table in (self._data, self._children) for waiting in table.values())

    def _meant(self, kind: Kind) -> tuple[tuple[_Table, int], ...]:
        match kind:
            case Kind.CHILDREN:
                return ((self._children, ONCE),)
            case Kind.DATA:
                return ((self._data, ONCE),)
            case Kind.PERSISTENT:
                return (self._children, PERSISTENT), (self._data, PERSISTENT)
            case Kind.RECURSIVE:
                return ((self._data, RECURSIVE),)
            case _:
                return (self._children, ONCE | PERSISTENT), (self._data, ONCE | PERSISTENT | RECURSIVE)

    def _set(self, table: _Table, path: str, connection: int, how: int) -> None:
        waiting = table.setdefault(path, {})
        before = waiting.get(connection, 0)
        waiting[connection] = before | how
        self._recursive += bool(how & ~before & RECURSIVE)
        self._set_by.setdefault(connection, {})[path] = None

    def _drop(self, table: _Table, path: str, connection: int, how: int) -> None:
        waiting = table.get(path, {})
        before = waiting.get(connection, 0)
        self._recursive -= bool(how & before & RECURSIVE)
        if before & ~how:
            waiting[connection] = before & ~how
        elif before:
            del waiting[connection]
            if not waiting:
                del table[path]
            if not self.has(path, connection, Kind.ANY):
                mine = self._set_by[connection]
                del mine[path]
                if not mine:
                    del self._set_by[connection]

    def _heard(self, table: _Table, path: str) -> dict[int, None]:
        heard = dict.fromkeys(table.get(path, ()))
        for connection in heard:
            self._drop(table, path, connection, ONCE)
        return heard

    def _above(self, path: str) -> Iterator[int]:
        """Who hears of this znode since it is below another; nobody is looked for while nobody listens so."""
        while self._recursive and path != "/":
            path = path.rpartition("/")[0] or "/"
            yield from (one for one, how in self._data.get(path, {}).items() if how & RECURSIVE)


def told(happened: Happened) -> Watched:
    """The event, as the client gets it."""
    return Watched(happened.change, happened.path)
