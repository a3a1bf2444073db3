"""The watches of one server's connections; a watch ends with the connection that set it. Pure.

Rules (ZooKeeper's `WatchManager` of 3.9):
1. A data watch, which `exists` sets too, fires at creation, change and deletion. A child watch fires when children are
   created or deleted, and at the znode's own deletion. A connection with both gets one event of a deletion.
2. A watch fires once, unless it is persistent. A recursive one is persistent, fires as a data watch does, and also for
   all znodes below its own.
3. A connection may have watches of every kind on one path; it gets one event for each change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from ..zookeeper.foreign import Kind
from ..zookeeper.messages import EventType, Watched
from .entries import Happened

ONCE, PERSISTENT, RECURSIVE = 1, 2, 4
"""Kinds of watches, as bits: one connection may have several on one path."""

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
        """Watch the znode itself for this connection."""
        self._set(self._data, path, connection, how)

    def on_children(self, path: str, connection: int, how: int = ONCE) -> None:
        """Watch the znode's children for this connection."""
        self._set(self._children, path, connection, how)

    def on_all(self, path: str, connection: int, *, recursive: bool) -> None:
        """Watch every change for this connection, from now on."""
        self.on_data(path, connection, RECURSIVE if recursive else PERSISTENT)
        if not recursive:
            self.on_children(path, connection, PERSISTENT)

    def has(self, path: str, connection: int, kind: Kind) -> bool:
        """Whether this connection has such a watch."""
        return any(table.get(path, {}).get(connection, 0) & how for table, how in self._meant(kind))

    def remove(self, path: str, connection: int, kind: Kind) -> bool:
        """Remove such watches of this connection, and return whether there were any."""
        there = self.has(path, connection, kind)
        for table, how in self._meant(kind):
            self._drop(table, path, connection, how)
        return there

    def forget(self, connection: int) -> None:
        """Remove all watches of this connection."""
        for path in tuple(self._set_by.get(connection, ())):
            self.remove(path, connection, Kind.ANY)

    def fire(self, happened: Iterable[Happened]) -> Iterator[tuple[int, Happened]]:
        """The connections to notify, and of which change, in order; removes the watches that fire once."""
        for one in happened:
            if one.change is EventType.CHILDREN:
                notified = self._notified(self._children, one.path)
            else:
                notified = self._notified(self._data, one.path)
                notified |= dict.fromkeys(self._above(one.path))
                if one.change is EventType.DELETED:
                    notified |= self._notified(self._children, one.path)
            for connection in notified:
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

    def _notified(self, table: _Table, path: str) -> dict[int, None]:
        notified = dict.fromkeys(table.get(path, ()))
        for connection in notified:
            self._drop(table, path, connection, ONCE)
        return notified

    def _above(self, path: str) -> Iterator[int]:
        """The connections with a recursive watch above this znode; costs nothing while there is no recursive watch."""
        while self._recursive and path != "/":
            path = path.rpartition("/")[0] or "/"
            yield from (one for one, how in self._data.get(path, {}).items() if how & RECURSIVE)


def event_of(happened: Happened) -> Watched:
    """The event that the client gets."""
    return Watched(happened.change, happened.path)
