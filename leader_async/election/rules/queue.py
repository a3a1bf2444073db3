"""The queue: who stands before us, and which znode to watch. Pure.

A candidate's znode is `<uuid>-n_<10 digits>`: a new uuid for every join (in Curator the GUID of protection mode), and
the digits of ZooKeeper's counter.

Rules:
1. Sequence numbers rise, so a listing made after our own create holds every znode before ours that still lives.
   What stands ahead of us only ever shrinks.
   Broken by: "the queue is listed before the own create".
2. We watch the last of them and nobody else. When it goes, the next last is watched; a departure wakes one candidate.
3. None left: we are first. One left: we are the heir.

ZooKeeper's counter sticks at 2147483647 after that many joins of one parent; from then on names tie and stand in the
order of their uuids. That order is as total and as stable, only no longer that of arrival; the record keeps the lead
single whatever the order.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import UsageError

SEPARATOR = "-n_"


def prefix(uuid: str) -> str:
    """What a join's znode name begins with; ZooKeeper adds ten digits."""
    return uuid + SEPARATOR


def of_join(names: Iterable[str], uuid: str) -> list[str]:
    """The znodes that one join created, first first. Of twins the first is kept: a create was thought lost."""
    return in_order(name for name in names if name.startswith(prefix(uuid)))


def above(path: str) -> list[str]:
    """A path and all above it, the highest first: what there must be before a znode can be created below it."""
    parts = path.split("/")
    return ["/".join(parts[: depth + 1]) for depth in range(1, len(parts))]


def order(name: str) -> tuple[int, str]:
    """The key that sorts candidates' names into the queue's order.

    Raises:
        ValueError: it is not a candidate's name.
    """
    uuid, separator, digits = name.rpartition(SEPARATOR)
    if not uuid or not separator or not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"{name!r} is not a candidate's znode")
    return int(digits), name


def in_order(names: Iterable[str]) -> list[str]:
    """The candidates among these names, first first; znodes that are no candidates are left out."""
    found = []
    for name in names:
        try:
            found.append((order(name), name))
        except ValueError:
            continue
    return [name for _, name in sorted(found)]


class Queue:
    """What one join knows of the queue. Empty until `listed`."""

    def __init__(self) -> None:
        self._ahead: list[str] | None = None

    @property
    def known(self) -> bool:
        """Whether there was a listing since the join."""
        return self._ahead is not None

    @property
    def ahead(self) -> tuple[str, ...]:
        """The names before ours that may still live, first first."""
        return tuple(self._ahead or ())

    @property
    def position(self) -> int:
        """How many may still stand before us."""
        return len(self._ahead or ())

    @property
    def predecessor(self) -> str | None:
        """The znode to watch; None for none."""
        return self._ahead[-1] if self._ahead else None

    def listed(self, names: Iterable[str], own: str) -> tuple[set[str], set[str]]:
        """Take a listing, with our `own` name in it, that was sent after the answer to our own create.

        Returns:
            The names ahead of us that are gone, and those that are new there, which rule 1 excludes.
        """
        now_ahead = in_order(names)
        if own not in now_ahead:
            raise UsageError("the listing does not have the own znode")
        now_ahead = now_ahead[: now_ahead.index(own)]
        before = now_ahead if self._ahead is None else self._ahead
        self._ahead = now_ahead
        return set(before) - set(now_ahead), set(now_ahead) - set(before)

    def last_but(self, name: str) -> None:
        """The holder of this name says that we are its heir: it alone stands ahead of us."""
        if name in self.ahead:
            self._ahead = [name]

    def gone(self, name: str) -> bool:
        """This znode does not exist any more; whether it stood ahead of us."""
        if self._ahead is None or name not in self._ahead:
            return False
        self._ahead.remove(name)
        return True
