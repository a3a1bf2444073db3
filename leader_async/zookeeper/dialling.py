"""Finding a server: names to addresses, and the order and pace of dialling them.

Rules: each round resolves all names anew, at the same time. A name that does not resolve delays no other. The server
that failed last comes last. Dials are staggered (RFC 8305) by aiohappyeyeballs.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
from collections.abc import Sequence

from aiohappyeyeballs import AddrInfoType, start_connection

from .hosts import Server

STAGGER = 0.1
"""Seconds after which the next server is dialled as well."""

LOOK_UP_LIMIT = 1.0
"""Seconds that the name service has for all names of a round."""

BACKOFF_FLOOR, BACKOFF_CAP = 0.05, 2.0
"""Seconds; see `backoff`."""

STEADY = 1.0
"""Seconds after which a connection counts as steady: when it ends, the next round begins without a pause."""


def backoff(away: float) -> float:
    """Seconds to wait before the next round of dialling.

    Full jitter below a bound that grows with the outage (an eighth of it, 50 ms to 2 s): a server that comes back after
    four seconds is found within half a second, and one that stays away for an hour is asked once a second.

    Args:
        away: seconds since the connection was lost.
    """
    return random.uniform(0, min(BACKOFF_CAP, max(BACKOFF_FLOOR, away / 8)))


class Resolver:
    """Looks up the names of these servers."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._servers = servers
        self._known: dict[Server, list[AddrInfoType]] = {}

    async def resolve(self, last: tuple[str, int] | None) -> tuple[list[AddrInfoType], list[str]]:
        """All addresses of all servers, in the order in which to dial them.

        Args:
            last: host and port of the address to dial last.

        Returns:
            The addresses, and for each name that did not resolve a line with the reason. The last known addresses of
            such a name are used: an outage of the name service is no reason to lose ZooKeeper as well.
        """
        asked = {server: asyncio.ensure_future(_look_up(server)) for server in self._servers}
        try:
            await asyncio.wait(asked.values(), timeout=LOOK_UP_LIMIT)
        finally:
            for look_up in asked.values():
                look_up.cancel()
        problems: list[str] = []
        for server, look_up in asked.items():
            try:
                self._known[server] = [*(look_up.result() if look_up.done() else ())] or self._known.get(server, [])
            except (OSError, UnicodeError) as error:
                problems.append(f"{server}: {error}")
            else:
                if not look_up.done():
                    problems.append(f"{server}: the name service did not answer in {LOOK_UP_LIMIT} s")
        found = [info for server in self._servers for info in self._known.get(server, [])]
        random.shuffle(found)
        found.sort(key=lambda info: info[4][:2] == last)
        return found, problems

    def server_at(self, address: tuple[str, int]) -> Server:
        """The server at this address: a certificate is for a server's name, not for its address."""
        for server, infos in self._known.items():
            if any(info[4][:2] == address for info in infos):
                return server
        return Server(*address)


async def _look_up(server: Server) -> list[AddrInfoType]:
    try:
        ipaddress.ip_address(server.host)
    except ValueError:
        loop = asyncio.get_running_loop()
        return [*await loop.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)]
    # A numeric address needs no thread and no name service.
    return [*socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)]


async def dial(addresses: Sequence[AddrInfoType]) -> socket.socket:
    """Connect to the first of these addresses that accepts.

    Raises:
        OSError: none accepts.
    """
    return await start_connection(addresses, happy_eyeballs_delay=STAGGER, interleave=0)
