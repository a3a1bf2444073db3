"""What can be seen of partitions, as values: this process's own share, and the members as ZooKeeper has them. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class ShareState(enum.StrEnum):
    """Whether a process has a share of the partitions."""

    IDLE = "idle"
    JOINING = "joining"
    MEMBER = "member"
    LEAVING = "leaving"


@dataclass(frozen=True, slots=True)
class PartitionsStatus:
    """What this process knows of its share, from memory.

    Attributes:
        name: what the partitions are called.
        identity: who this process is.
        count: how many partitions there are.
        state: `idle`, `joining`, `member` or `leaving`.
        members: how many replicas there were when that was last read.
        assigned: the partitions that are to be ours.
        held: the partitions that are ours now, by their leases.
        leaving: those of them that are to be another's, or whose work is ending.
    """

    name: str
    identity: str
    count: int
    state: ShareState
    members: int
    assigned: frozenset[int]
    held: frozenset[int]
    leaving: frozenset[int]


@dataclass(frozen=True, slots=True)
class Member:
    """One replica that takes part, as ZooKeeper has it.

    Attributes:
        identity: who it is.
        address: where it is reached.
        znode: name of its znode.
        standing: the partitions that it holds, or in whose queues it stands, as it has announced.
    """

    identity: str
    address: str
    znode: str
    standing: frozenset[int]
