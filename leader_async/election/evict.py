"""Evicting a candidate that cannot leave: what `leader-async evict` does.

A candidate's znode is ephemeral: it goes with the session of its process. One that belongs to no session (restored from
a backup, or made by another program) is a ghost: it never goes, and who stands behind it never leads.

Rules:
1. Nobody becomes leader by an eviction. The queue moves up as it does whenever somebody has left, and the next
   leader waits out the lease of a holder that is gone without a word. So deleting any candidate's znode, at any time,
   cannot make two leaders; see deploy/GUARANTEES.md.
2. A ghost may be evicted. One whose session lives may not, unless that is wanted: its process may be at work past the
   end of its lease, and keeps its place so that nobody begins beside it.
3. The znode is deleted as it was read, or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import BadVersion, NoNode, UsageError
from ..zookeeper import messages as m
from ..zookeeper.client import Client
from ..zookeeper.reader import SyncedReader
from .rules import queue as q
from .rules.candidate_data import CandidateData


@dataclass(frozen=True, slots=True)
class Eviction:
    """Whose znode is going to be deleted.

    Attributes:
        path: the znode's.
        identity: who it is, by its data.
        address: where it is reached, by its data.
        session: the session that it lives with, 0 for none: then it is a ghost.
        version: the znode's version.
    """

    path: str
    identity: str
    address: str
    session: int
    version: int


async def plan(client: Client, parent: str, znode: str) -> Eviction:
    """Look at the candidate whose znode has this name.

    Raises:
        UsageError: that is no candidate of this election.
        ZooKeeperError: ZooKeeper cannot be asked.
    """
    if not q.in_order([znode]):
        raise UsageError(f"{znode!r} is no candidate's znode; `leader-async candidates --json` lists them")
    path = f"{parent}/{znode}"
    found = await SyncedReader(client).data(path)
    if found is None:
        raise UsageError(f"no candidate {znode} stands in the queue of {parent}")
    said = CandidateData.decode(found.data)
    return Eviction(path, said.identity or znode, said.address, found.stat.ephemeral_owner, found.stat.version)


async def carry_out(client: Client, eviction: Eviction) -> bool:
    """Delete the znode; False if it has gone, or was written, since it was looked at.

    Raises:
        ZooKeeperError: ZooKeeper cannot be asked, or does not let us.
    """
    try:
        await client.request(m.Delete(eviction.path, eviction.version))
    except (NoNode, BadVersion):
        return False
    return True
