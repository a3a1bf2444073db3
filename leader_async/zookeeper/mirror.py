"""A mirror of znodes: what was read counts until a watch fires, so a znode is read again only after it has changed.

(Curator's words: a `NodeCache` and a `PathChildrenCache`.)

Rules:
1. Each read leaves a watch. The read is noted before its request leaves, so an event that comes meanwhile counts.
2. A connection's watches end with it: on the next one everything is read again.
3. That a znode does not exist is known as well, and its creation is an event.

It promises the latest state, and not each of the states in between.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Self

from ..errors import NoNode
from ..waking import Pulse
from . import messages as m
from .client import Client
from .reader import Reader


class Mirror(Reader):
    """A reader that asks a server only for what has changed. Before it reads, enter it (`with`), or pass it the events.

    Args:
        paths: whose events it takes inside of `with`: these znodes and their children.
        changed: fires when something does not count any more.
    """

    def __init__(self, client: Client, *paths: str, changed: Pulse) -> None:
        super().__init__(client)
        self._paths, self._changed = paths, changed
        self._known: dict[m.GetData | m.GetChildren, list[m.Reply | None]] = {}  # empty while the answer is on its way

    def __enter__(self) -> Self:
        for path in self._paths:
            self.client.listen(path, self)
        return self

    def __exit__(self, *_: object) -> None:
        for path in self._paths:
            self.client.unlisten(path, self)

    def has(self, *requests: m.GetData | m.GetChildren) -> bool:
        """Whether what was read in answer to all of these counts."""
        return all(map(self._known.get, requests))

    def forget(self, path: str) -> None:
        """Read this znode again when it is asked for next."""
        self._known.pop(m.GetData(path), None)
        self._known.pop(m.GetChildren(path), None)

    def session_event(self, event: m.SessionEvent) -> None:
        """See `client.Listener`."""
        self._known.clear()
        self._changed.fire()

    def watch_event(self, event: m.Watched) -> None:
        """See `client.Listener`."""
        if event.change is not m.EventType.CHILDREN:
            self._known.pop(m.GetData(event.path), None)
        if event.change is not m.EventType.DATA:
            self._known.pop(m.GetChildren(event.path), None)
        self._changed.fire()

    async def _read(self, request: m.GetData | m.GetChildren) -> m.Reply | None:
        known = self._known.get(request)
        if not known:
            known = self._known[request] = []  # an event takes this list away, and so the answer to come
            known.append(await self._watch(request))
        return known[0]

    async def _watch(self, request: m.GetData | m.GetChildren) -> m.Reply | None:
        while (found := await super()._read(replace(request, watch=True))) is None:
            try:
                await self.client.request(m.Exists(request.path, watch=True))  # it was created in between: read again
            except NoNode:
                break
        return found
