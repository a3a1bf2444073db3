"""Which znodes below an election's are the library's own. Pure.

Elections can be nested: `root=` may be the path of another election. Rule: no election stands where one of these would:

    jobs, history         the ledgers of its jobs, and the terms that were
    members               who shares the partitions of this name
    <uuid>-n_<digits>     a candidate: a znode of such a name stands in the queue, and holds up all behind it
    notice:…              who is appointed, and to what
"""

from __future__ import annotations

from ..errors import UsageError
from ..zookeeper import hosts
from .rules import history
from .rules import queue as q
from .rules.record import NOTICE

JOBS, MEMBERS = "jobs", "members"

ROOT = "/ELECTION"
"""The znode below which elections live, unless another one is named."""


def is_own(name: str) -> bool:
    """Whether the library has, or may have, a znode of this name below an election's."""
    return name in (JOBS, history.NAME, MEMBERS) or name.startswith(NOTICE) or bool(q.in_order([name]))


class Names:
    """The paths of one connection's elections, below its chroot."""

    def __init__(self, chroot: str) -> None:
        self._chroot = chroot
        self._paths: set[str] = set()
        self._above_own: set[str] = set()  # the paths above those elections that are called as a znode of the library's

    def path(self, name: str, root: str) -> str:
        """The path of an election's znode.

        Raises:
            UsageError: no znode can have it.
        """
        return hosts.check_path(f"{self._chroot}{hosts.check_path(root)}/{name}")

    def take(self, name: str, root: str) -> str:
        """An election, or partitions, will have this name; returns the path.

        Raises:
            UsageError: the library may have a znode of its own there, or has one below an election that is there.
        """
        path = self.path(name, root)
        above = path.rpartition("/")[0]
        # All that stands below the usual root is taken for an election: another process may have it.
        nested = above in self._paths or root.startswith(f"{ROOT}/")
        if (is_own(name) and nested) or path in self._above_own:
            raise UsageError(
                f"{path} cannot be an election: elections would stand where this library has znodes of its own, "
                f"{JOBS}, {history.NAME} and others; take another name, or another root="
            )
        self._paths.add(path)
        if is_own(name):
            self._above_own.add(above)
        return path
