"""The requests and replies that only other clients use (Java, kazoo, Curator); the embedded server answers them.

They are pure values as in `messages`, one for each operation of ZooKeeper (`ZooDefs.OpCode`).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from . import messages as m

UNREADABLE, UNIMPLEMENTED, BAD_ARGUMENTS, INVALID_ACCESS, NO_WATCHER = -5, -6, -8, -114, -121
"""Error codes that have no exception of their own (`KeeperException.Code`)."""


class Kind(enum.IntEnum):
    """Which watches a request is about (`Watcher.WatcherType`)."""

    CHILDREN = 1
    DATA = 2
    ANY = 3
    PERSISTENT = 4
    RECURSIVE = 5


# -- requests ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddWatch:
    """Watch every change of this znode from now on; if `recursive`, of every znode below it, too."""

    path: str
    recursive: bool


@dataclass(frozen=True, slots=True)
class CheckWatches:
    """Ask whether this connection has such a watch."""

    path: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class RemoveWatches:
    """Remove these watches of this connection."""

    path: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class SetEveryWatch:
    """`SetWatches` with persistent watches."""

    once: m.SetWatches
    persistent: tuple[str, ...] = ()
    recursive: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadMany:
    """Several reads, answered together."""

    reads: tuple[m.GetData | m.GetChildren, ...]


@dataclass(frozen=True, slots=True)
class CountBelow:
    """Count the znodes below this one, at any depth."""

    path: str


@dataclass(frozen=True, slots=True)
class ListEphemerals:
    """List this session's ephemeral znodes whose paths begin with `prefix`."""

    prefix: str


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """List the identities that this connection has proved."""


@dataclass(frozen=True, slots=True)
class Impossible:
    """A write that is always refused with this error code; it takes its place in the order of writes."""

    code: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A request whose fields cannot be read; it takes no place in the order of writes."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A request of no known kind."""


Request: TypeAlias = (
    AddWatch | CheckWatches | RemoveWatches | SetEveryWatch | ReadMany | CountBelow | ListEphemerals | WhoAmI
    | Impossible | Unreadable | Unknown
)  # fmt: skip


# -- replies -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WatchAdded:
    """The watch is set."""


@dataclass(frozen=True, slots=True)
class WatchesFound:
    """There are such watches, or there were until they were removed."""


@dataclass(frozen=True, slots=True)
class ManyRead:
    """The answers to several reads."""

    answers: tuple[m.Data | m.Children | m.Failed, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """The number of znodes."""

    number: int


@dataclass(frozen=True, slots=True)
class Listed:
    """Paths of znodes."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class YouAre:
    """Pairs of scheme and id."""

    identities: tuple[tuple[str, str], ...]


Reply: TypeAlias = WatchAdded | WatchesFound | ManyRead | Counted | Listed | YouAre
