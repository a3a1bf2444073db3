"""What candidates of all systems share: their arguments, their clock, how they hear and how they tell."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arguments:
    """See the package's docstring.

    Attributes:
        servers: the connect string.
        root: the path that everything is below.
        timeout: the session timeout in seconds.
        count: how many candidates.
        words: what else was asked for.
    """

    servers: str
    root: str
    timeout: float
    count: int
    words: frozenset[str]

    @property
    def shared(self) -> bool:
        """One session for all, an election for each."""
        return "shared" in self.words

    def server(self, number: int) -> str:
        """The connect string of that candidate's session: with `spread` a single server, by turns."""
        servers = self.servers.split(",")
        return servers[number % len(servers)] if "spread" in self.words else self.servers

    def election(self, number: int) -> str:
        """The name of that candidate's election, a znode below the root."""
        return f"e{number}" if self.shared else "e0"


def arguments() -> Arguments:
    """Those of this process."""
    servers, root, timeout, count, *words = sys.argv[1:]
    return Arguments(servers, root, float(timeout), int(count), frozenset(words))


now = time.monotonic
"""The same clock for all processes of a machine, Java's System.nanoTime as well."""


def tell(what: str, number: int, at: float) -> None:
    """Say what happened to which candidate, and when; in the pipe when this returns."""
    os.write(1, f"{what} {number} {at:.9f}\n".encode())


async def orders() -> AsyncIterator[tuple[str, int]]:
    """What we are told to do, until nobody is there to tell."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        what, _, number = line.decode().strip().partition(" ")
        yield what, int(number or -1)
