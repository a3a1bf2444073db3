"""What a candidacy that has died of a bug leaves behind: its znode, which would keep all others from leading.

Nothing that it knew is relied on but its uuid, which its join had for itself. Rules:
1. Its work has ended before (the caller sees to that): better no leader than two.
2. The queue is listed behind a `sync`, so that a create that was on its way is seen.
3. A connection that is lost on the way is waited for, and all is done again.

The record still names the znode as its holder. The next candidate waits the lease out, as after any death.
"""

from __future__ import annotations

from contextlib import suppress

from ..errors import ConnectionLost, NoNode, NotConnected
from ..zookeeper import messages as m
from ..zookeeper.client import Client
from ..zookeeper.reader import SyncedReader
from .rules import queue as q


async def clear_away(client: Client, parent: str, uuid: str) -> None:
    """Delete the znodes of the join with this uuid.

    Raises:
        ZooKeeperError: ZooKeeper refuses, or the client was closed; the session's end deletes them, too.
    """
    while True:
        await client.wait_connected()
        with suppress(NotConnected, ConnectionLost):
            for name in q.of_join(await SyncedReader(client).children(parent) or (), uuid):
                with suppress(NoNode):
                    await client.request(m.Delete(f"{parent}/{name}"))
            return
