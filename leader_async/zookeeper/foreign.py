"""What other people's clients say to a server, and this library's does not; the embedded server answers it.

Values like those of `messages`, of ZooKeeper's operations (`ZooDefs.OpCode`).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from . import messages as m

UNREADABLE, UNIMPLEMENTED, BAD_ARGUMENTS, INVALID_ACCESS, NO_WATCHER = -5, -6, -8, -114, -121
"""Error codes that have no exception of their own (`KeeperException.Code`)."""


class Kind(enum.IntEnum):
    """Which watches are meant (`Watcher.WatcherType`)."""

    CHILDREN = 1
    DATA = 2
    ANY = 3
    PERSISTENT = 4
    RECURSIVE = 5


# -- requests ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddWatch:
    """Tell of every change of this znode from now on; if `recursive`, of every znode's below it, too."""

    path: str
    recursive: bool


@dataclass(frozen=True, slots=True)
class CheckWatches:
    """Ask whether this connection has such a watch."""

    path: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class RemoveWatches:
    """Take these watches of this connection back."""

    path: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class SetEveryWatch:
    """`SetWatches` with persistent ones."""

    once: m.SetWatches
    persistent: tuple[str, ...] = ()
    recursive: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadMany:
    """Several reads, answered together."""

    reads: tuple[m.GetData | m.GetChildren, ...]


@dataclass(frozen=True, slots=True)
class CountBelow:
    """Ask how many znodes there are below this one, at any depth."""

    path: str


@dataclass(frozen=True, slots=True)
class ListEphemerals:
    """List this session's ephemeral znodes whose paths begin so."""

    prefix: str


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """Ask who this connection has shown to be."""


@dataclass(frozen=True, slots=True)
class Impossible:
    """A write that is refused with this error code whatever there is; it takes its place among the others."""

    code: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A request whose fields cannot be read; it is answered so, and does not count among the writes."""


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
    """There are such watches, or there were until they were taken back."""


@dataclass(frozen=True, slots=True)
class ManyRead:
    """The answers to several reads."""

    answers: tuple[m.Data | m.Children | m.Failed, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """How many there are."""

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
