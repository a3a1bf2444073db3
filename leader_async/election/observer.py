"""What anybody may ask of an election, without taking part in it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import suppress

from ..errors import ConnectionLost, NotConnected
from ..waking import Pulse
from ..zookeeper.client import Client
from ..zookeeper.mirror import Mirror
from ..zookeeper.reader import Reader
from .following import Following
from .queries import read_queue, read_terms
from .rules.history import TermEntry
from .status import Candidate, Change, Status


class Observer(ABC):
    """What anybody may ask of an election; the answers are read from ZooKeeper.

    Args:
        client: through whom.
        parent: path of the election's znode.
    """

    def __init__(self, client: Client, parent: str) -> None:
        self._client, self._parent = client, parent
        self._changes = Pulse()  # whatever `watch` looks at may have changed

    @property
    def client(self) -> Client:
        """Through whom ZooKeeper is asked."""
        return self._client

    @property
    def parent(self) -> str:
        """Path of the election's znode, with the chroot."""
        return self._parent

    @property
    def changes(self) -> Pulse:
        """Fires whenever what `watch` gives, or a term, may have changed."""
        return self._changes

    async def leader(self) -> Candidate | None:
        """Who holds the lead, read from ZooKeeper; None if nobody alive does.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
            RecordError: the record is not this library's.
        """
        holder, problem, _ = await read_queue(self._client, self._parent, all_candidates=False)
        if problem is not None:
            raise problem
        return next((candidate for candidate in holder if candidate.is_leader), None)

    async def candidates(self) -> list[Candidate]:
        """All candidates in the order of the queue, read from ZooKeeper.

        If the record cannot be read, it is unknown which of them leads: none has `is_leader`.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
        """
        queue, _, _ = await read_queue(self._client, self._parent)
        return queue

    async def wait_for_leader(self, timeout: float | None = None) -> Candidate:
        """Return as soon as somebody, this process or another, holds the lead. One need not be a candidate.

        While the record cannot be read nobody leads; it is waited for until it was put right.

        Args:
            timeout: seconds to wait at most, None for no limit. An absent ZooKeeper is waited for.

        Raises:
            TimeoutError: nobody led in time.
            SessionClosed: the connection was closed.
            ServerError: ZooKeeper refuses to answer.
        """
        news = Pulse()
        async with asyncio.timeout(timeout):
            with Mirror(self._client, self._parent, changed=news) as mirror:
                while True:
                    await self._client.wait_connected()
                    changed = news.next()
                    try:
                        await mirror.data(self._parent)
                        holder, _, _ = await read_queue(self._client, self._parent, all_candidates=False)
                        if holder and holder[0].is_leader:
                            return holder[0]
                        await asyncio.shield(changed)
                    except (NotConnected, ConnectionLost):
                        await asyncio.sleep(0)  # the client dials; wait for that

    async def history(self) -> list[TermEntry]:
        """The latest terms, oldest first, read from ZooKeeper: who led, and why that ended. At most 100.

        The last one runs, or nobody has led since.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked.
        """
        return await read_terms(Reader(self._client), self._parent)

    async def watch(self) -> AsyncGenerator[Change, None]:
        """Follow this election: gives its state at first, and then whenever leader, queue or own state have changed.

            async for change in election.watch():
                print(change.what, change.leader, change.connected)

        You need not be a candidate. If you are slow, you get the latest state next, never a backlog. A lost connection
        is a change (`Change.connected`) and is outlived; so is a record that cannot be read (`Change.problem`). The own
        state is published before the change is given: `is_leader` and `status` are never behind it.

        Each change of an election costs each of its followers one small read, so follow with tens of processes, not
        with thousands; candidates that do not follow cost nothing more.

        Raises:
            SessionClosed: the connection was closed.
            ServerError: ZooKeeper refuses to answer.
        """
        with Mirror(self._client, self._parent, changed=self._changes) as mirror:
            following = Following(self._client, self._parent, mirror)
            while True:
                self._client.check_open()
                news = self._changes.next()
                if self._client.connected:
                    with suppress(NotConnected, ConnectionLost):  # the client dials, and then all is read again
                        await following.look()
                change = following.change(self.status(), self._client.connected)
                if change is not None:
                    yield change
                await asyncio.shield(news)

    @abstractmethod
    def status(self) -> Status:
        """What this process knows of itself."""
