"""What is written down in ZooKeeper of terms and jobs, followed while somebody listens: history, record and ledgers.

Rules: each znode has one watch for all who listen, and is read again when that fires, or on a new connection; of
several changes in a short time only the outcome is read.
"""

from __future__ import annotations

import asyncio
from typing import Self

from ..election.queries import read_terms_of_record
from ..election.rules import history
from ..election.rules.history import TermEntry
from ..errors import NoNode
from ..schedule.status import JobStatus, folder, ledger_of, read
from ..waking import Pulse
from ..zookeeper import messages as m
from ..zookeeper.client import Client


class Papers:
    """See the module's docstring; they are followed inside of `with`.

    Args:
        client: through whom to read.
        parent: path of the election's znode.
    """

    def __init__(self, client: Client, parent: str) -> None:
        self._client, self._parent = client, parent
        self._history, self._folder = f"{parent}/{history.NAME}", folder(parent)
        self.news = Pulse()
        self._own = (self._history, parent, self._folder)
        self._due = {*self._own}
        self._stored: list[TermEntry] = []
        self._told: list[TermEntry] = []
        self._jobs: dict[str, JobStatus] = {}

    def __enter__(self) -> Self:
        for path in self._own:
            self._client.listen(path, self)
        return self

    def __exit__(self, *_: object) -> None:
        for path in self._own:
            self._client.unlisten(path, self)

    @property
    def due(self) -> bool:
        """Whether there is something to read again."""
        return bool(self._due)

    def session_event(self, event: m.SessionEvent) -> None:
        """See `client.Listener`: the watches of a connection end with it."""
        self._due = {*self._own}
        self.news.fire()

    def watch_event(self, event: m.Watched) -> None:
        """See `client.Listener`."""
        of_ours = event.path in self._own or event.path.startswith(self._folder)
        if of_ours and not (event.path == self._parent and event.change is m.EventType.CHILDREN):
            self._due.add(event.path)
            self.news.fire()

    async def terms(self) -> list[TermEntry] | None:
        """What is known of terms, if it has changed since the last time.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked; what was not read stays due.
        """
        if not self._due & {self._history, self._parent}:
            return None
        if self._history in self._due:
            data = await self._read(self._history)
            self._stored = [] if data is None else history.decode(data)
        if self._parent in self._due:
            await self._read_record()
        return history.complete(self._stored, self._told)

    async def _read_record(self) -> None:
        self._due.discard(self._parent)  # an event from here on is a new one
        try:
            told = await read_terms_of_record(self._client, self._parent, watch=True)
        except BaseException:
            self._due.add(self._parent)
            raise
        self._told = told or []
        if told is None:
            await self._await_creation(self._parent)

    async def jobs(self) -> list[JobStatus] | None:
        """All jobs by name, if one has changed since the last time.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked; what was not read stays due.
        """
        due = {path for path in self._due if path.startswith(self._folder)}
        if not due:
            return None
        if self._folder in due:
            names = await self._names()
            self._jobs = {name: job for name, job in self._jobs.items() if name in names}
            due |= {ledger_of(self._parent, name) for name in names if name not in self._jobs or len(due) == 1}
        await asyncio.gather(*(self._read_job(path) for path in due - {self._folder}))
        return [self._jobs[name] for name in sorted(self._jobs)]

    async def _names(self) -> list[str]:
        self._due.discard(self._folder)
        try:
            children = await self._client.request(m.GetChildren(self._folder, watch=True))
        except NoNode:
            await self._await_creation(self._folder)
            return []
        except BaseException:
            self._due.add(self._folder)
            raise
        assert isinstance(children, m.Children)
        return list(children.names)

    async def _read_job(self, path: str) -> None:
        name = path.rpartition("/")[2]
        data = await self._read(path)
        if data is None:
            self._jobs.pop(name, None)
        else:
            self._jobs[name] = read(name, path, data)

    async def _read(self, path: str) -> bytes | None:
        self._due.discard(path)  # an event from here on is a new one
        try:
            data = await self._client.request(m.GetData(path, watch=True))
        except NoNode:
            if path == self._history:
                await self._await_creation(path)
            return None
        except BaseException:
            self._due.add(path)
            raise
        assert isinstance(data, m.Data)
        return data.data

    async def _await_creation(self, path: str) -> None:
        try:
            await self._client.request(m.Exists(path, watch=True))
            self._due.add(path)  # it was created in between
        except NoNode:
            pass
        except BaseException:
            self._due.add(path)
            raise
