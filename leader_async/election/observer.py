"""Watching an election without taking part in it."""

from __future__ import annotations

import asyncio

from ..errors import ConnectionLost, NotConnected
from ..waking import Pulse
from ..zookeeper.client import Client
from .views import Candidate, read_queue, watch_record


class Observer:
    """What anybody may ask of an election; the answers are read from ZooKeeper.

    Args:
        client: through whom.
        parent: path of the election's znode.
    """

    def __init__(self, client: Client, parent: str) -> None:
        self._client, self._parent = client, parent
        self._news = Pulse()

    @property
    def client(self) -> Client:
        """Through whom ZooKeeper is asked."""
        return self._client

    @property
    def parent(self) -> str:
        """Path of the election's znode, with the chroot."""
        return self._parent

    async def leader(self) -> Candidate | None:
        """Who holds the lead, read from ZooKeeper; None if nobody alive does.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
            RecordError: the record is not this library's.
        """
        holder = await read_queue(self._client, self._parent, all_candidates=False)
        return next((candidate for candidate in holder if candidate.is_leader), None)

    async def candidates(self) -> list[Candidate]:
        """All candidates in the order of the queue, read from ZooKeeper.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
            RecordError: the record is not this library's.
        """
        return await read_queue(self._client, self._parent, all_candidates=True)

    async def wait_for_leader(self, timeout: float | None = None) -> Candidate:
        """Return as soon as somebody, this process or another, holds the lead. One need not be a candidate.

        Args:
            timeout: seconds to wait at most, None for no limit. An absent ZooKeeper is waited for.

        Raises:
            TimeoutError: nobody led in time.
            SessionClosed: the connection was closed.
            ServerError: ZooKeeper refuses to tell.
            RecordError: the record is not this library's.
        """
        async with asyncio.timeout(timeout):
            while True:
                await self._client.wait_connected()
                news = self._news.next()
                try:
                    await watch_record(self._client, self._parent)
                    leader = await self.leader()
                    if leader is not None:
                        return leader
                    await asyncio.shield(news)
                except (NotConnected, ConnectionLost):
                    await asyncio.sleep(0)  # the client dials; wait for that
