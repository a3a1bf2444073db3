"""Reading znodes where one that does not exist is an answer, and no error.

A read raises a ZooKeeperError if ZooKeeper cannot be asked.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import cast

from ..errors import NoNode
from . import messages as m
from .client import Client


class Reader:
    """Asks a server at each call, through this client."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def data(self, path: str) -> m.Data | None:
        """A znode's data and metadata, None if it does not exist."""
        return cast(m.Data | None, await self._read(m.GetData(path)))

    async def children(self, path: str) -> tuple[str, ...] | None:
        """The names of a znode's children, in no order; None if it does not exist."""
        children = cast(m.Children | None, await self._read(m.GetChildren(path)))
        return None if children is None else children.names

    async def _read(self, request: m.GetData | m.GetChildren) -> m.Reply | None:
        try:
            return await self.client.request(request)
        except NoNode:
            return None


class SyncedReader(Reader):
    """Reads behind a `sync`: each answer is at least as new as the call, and has what a lost reply left behind."""

    async def _read(self, request: m.GetData | m.GetChildren) -> m.Reply | None:
        _, found = await asyncio.gather(self._sync(request.path), super()._read(request))
        return found

    async def _sync(self, path: str) -> None:
        with suppress(NoNode):
            await self.client.request(m.Sync(path))
