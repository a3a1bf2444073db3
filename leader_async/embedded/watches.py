"""Who waits for which change. One server's; they are forgotten with the connection that set them.

Rules (ZooKeeper's `WatchManager`): a watch fires once. A data watch, which `exists` sets too, hears of creation, change
and deletion; a child watch of coming and going children and of deletion. Who has both on a deleted znode hears once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from ..zookeeper.messages import Change, Watched
from .tree import Happened

_Table: TypeAlias = dict[str, dict[int, None]]  # dicts keep the order, so that runs repeat exactly


class Watches:
    """See the module's docstring. Connections are numbers."""

    def __init__(self) -> None:
        self._data: _Table = {}
        self._children: _Table = {}
        self._set_by: dict[int, set[str]] = {}  # may name paths whose watch has fired

    def on_data(self, path: str, connection: int) -> None:
        """Tell this connection of the next change of the znode itself."""
        self._data.setdefault(path, {})[connection] = None
        self._set_by.setdefault(connection, set()).add(path)

    def on_children(self, path: str, connection: int) -> None:
        """Tell this connection of the next change among the znode's children."""
        self._children.setdefault(path, {})[connection] = None
        self._set_by.setdefault(connection, set()).add(path)

    def forget(self, connection: int) -> None:
        """This connection is gone."""
        for path in self._set_by.pop(connection, ()):
            for table in (self._data, self._children):
                if (waiting := table.get(path)) is not None:
                    waiting.pop(connection, None)
                    if not waiting:
                        del table[path]

    def fire(self, happened: Iterable[Happened]) -> Iterator[tuple[int, Happened]]:
        """Who hears of what, in order; those watches are used up."""
        for one in happened:
            if one.change is Change.CHILDREN:
                heard = self._children.pop(one.path, {})
            else:
                heard = self._data.pop(one.path, {})
                if one.change is Change.DELETED:
                    heard = heard | self._children.pop(one.path, {})
            for connection in heard:
                if one.path not in self._data and one.path not in self._children:
                    self._set_by[connection].discard(one.path)
                yield connection, one

    @property
    def count(self) -> int:
        """How many watches wait."""
        return sum(len(waiting) for table in (self._data, self._children) for waiting in table.values())


def told(happened: Happened) -> Watched:
    """The event, as the client gets it."""
    return Watched(happened.change, happened.path)
