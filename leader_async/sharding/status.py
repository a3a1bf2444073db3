"""What can be seen of partitions: this process's own share, and the members as ZooKeeper has them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from ..election.rules import queue
from ..errors import NoNode
from ..zookeeper import messages as m
from ..zookeeper.client import Client
from .member_data import MemberData


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
    state: str
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


async def read_members(client: Client, parent: str) -> list[Member]:
    """The members in the order of their arrival.

    Raises:
        ZooKeeperError: ZooKeeper cannot be asked.
    """
    found: list[Member] = []
    try:
        children = await client.request(m.GetChildren(parent))
    except NoNode:
        return found
    for name in queue.in_order(children.names):
        with contextlib.suppress(NoNode):
            data = await client.request(m.GetData(f"{parent}/{name}"))
            card = MemberData.decode(data.data)
            found.append(Member(card.identity, card.address, name, card.announced))
    return found
