"""What anybody reads of partitions in ZooKeeper: who takes part."""

from __future__ import annotations

import asyncio

from ..election.rules import queue
from ..zookeeper.reader import Reader
from .member_data import MemberData
from .status import Member


async def read_members(reader: Reader, parent: str) -> list[Member]:
    """The members in the order of their arrival.

    Args:
        reader: through whom to read.
        parent: path of the znode that the members are below.

    Raises:
        ZooKeeperError: ZooKeeper cannot be asked.
    """
    names = queue.in_order(await reader.children(parent) or ())
    found = await asyncio.gather(*(reader.data(f"{parent}/{name}") for name in names))
    said = [(name, MemberData.decode(one.data)) for name, one in zip(names, found, strict=True) if one is not None]
    return [Member(data.identity, data.address, name, data.announced) for name, data in said]
