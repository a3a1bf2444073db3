"""The log: its entries, and the changes that an entry makes. Pure values.

An entry is what Raft calls a log entry, and ZooKeeper a proposal: it takes the next zxid on all servers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ..zookeeper import messages as m
from ..zookeeper.foreign import Impossible
from .access import Proofs


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session begins."""

    timeout: float
    password: bytes


@dataclass(frozen=True, slots=True)
class CloseSession:
    """A session ends, by its client's wish or by its timeout."""


Write: TypeAlias = m.Operation | m.Multi | m.SetAccess | Impossible | OpenSession | CloseSession


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log: a client's write, its proofs, and the wall-clock time in seconds, for ctime and mtime."""

    session: int
    write: Write
    proofs: Proofs = ()
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Happened:
    """A change that watches may wait for; `access` is the list that says who may read of it."""

    change: m.EventType
    path: str
    access: tuple[m.Access, ...] = m.OPEN
