"""Keeping a session connected: names to addresses, the order and pace of dialling them, TLS.

Rules:
- Each round resolves all names anew, at the same time. A name that does not resolve delays no other. The server that
  failed last comes last. Dials are staggered (RFC 8305) by aiohappyeyeballs.
- One handshake at a time: with two, the session would move to and fro between servers.
- A connection that ended is dialled again at once, then with growing, jittered pauses, for as long as the client lives.
- A server with which TLS fails costs the others nothing; why it did is logged, and it is tried again.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
import ssl
from collections.abc import Sequence

from aiohappyeyeballs import AddrInfoType, start_connection

from .. import clock
from ..errors import UsageError
from ..waking import Pulse
from . import messages as m
from .hosts import Server
from .reporting import Failure, SessionReporter
from .session import Phase, Session
from .stream import Owner, Stream
from .tls import TLS, explain

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

    Full jitter below a bound that grows with the outage (an eighth of `away`, 50 ms to 2 s): a server that comes back
    after four seconds is found within half a second, and one that stays away for an hour is asked once a second.
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
    """Connect to the first of these addresses that accepts; raises an OSError if none does."""
    return await start_connection(addresses, happy_eyeballs_delay=STAGGER, interleave=0)


class Dialler:
    """See the module's docstring; `owner` receives what the streams report, and calls `use` and `drop`."""

    def __init__(
        self,
        owner: Owner,
        session: Session,
        reporter: SessionReporter,
        servers: Sequence[Server],
        tls: TLS | ssl.SSLContext | None,
    ) -> None:
        self.stream: Stream | None = None  # the one that carries the session
        self.closing = False
        self.changed = Pulse()  # fires when the stream or the session's phase has changed
        # Seconds that a server has to take over a session at the first round; later rounds are more patient.
        self.patience = session.timeout_asked / 3
        self._owner, self._session, self._reporter = owner, session, reporter
        self._servers, self._tls = servers, tls
        self._resolver = Resolver(servers)
        self._failed_last: tuple[str, int] | None = None

    @property
    def over(self) -> bool:
        """No connection is wanted any more."""
        return self.closing or self._session.phase is Phase.OVER

    def use(self, stream: Stream) -> float:
        """This stream carries the session from now on; returns how many seconds the server has for the handshake."""
        self.stream = stream
        return self._limit(stream)

    def drop(self) -> str | None:
        """The stream carries the session no more; which server it was to, None if there is none."""
        stream, self.stream = self.stream, None
        if stream is None:
            return None
        self._failed_last = stream.address
        stream.abort()
        return stream.peer

    async def run(self) -> None:
        """Dial whenever no stream carries the session, until the client is over."""
        session = self._session
        lost, patience = clock.now(), self.patience
        while not self.over:
            expiring = session.session_id
            if await self._dial_round(patience):
                since = clock.now()
                while self.stream is not None:
                    await self.changed.wait()
                if clock.now() - since >= STEADY:
                    lost, patience = clock.now(), self.patience
                    continue
                # Taken up and dropped at once is still the same outage: no tight loop on a server that does so.
            elif session.serving or (expiring and not session.session_id):
                continue  # servers serve, or one answered that the session is over: shake hands again at once
            patience = session.timeout_asked / 3
            await asyncio.sleep(backoff(clock.now() - lost))

    async def _dial_round(self, patience: float) -> bool:
        """Dial every server once; whether one serves the session now."""
        addresses, unknown = await self._resolver.resolve(self._failed_last)
        failures: list[Failure] = [(f"cannot look up {problem}", m.Cause.UNKNOWN_NAME) for problem in unknown]
        while addresses and not self.over:
            try:
                context = self._tls.context() if isinstance(self._tls, TLS) else self._tls
                async with asyncio.timeout(self._session.timeout_asked / 3):
                    sock = await dial(addresses)
                stream = Stream(self._owner, sock.getpeername()[:2], patience)
            except UsageError as error:
                failures.append((str(error), m.Cause.TLS))
                break
            except OSError as error:
                names = ",".join(map(str, self._servers))
                failures.append((f"no server of {names} takes a connection: {error or 'no answer'}", _cause(error)))
                break
            if failure := await self._attach(stream, sock, context):
                failures.append(failure)
            addresses = [info for info in addresses if info[4][:2] != stream.address]
            while self.stream is stream and self._session.phase is Phase.SHAKING:
                await self.changed.wait()
            if self.stream is stream:
                break
        self._reporter.failed(failures)
        return self.stream is not None

    async def _attach(self, stream: Stream, sock: socket.socket, context: ssl.SSLContext | None) -> Failure | None:
        """Begin to talk on this socket; what keeps us from it, None if nothing does."""
        server = self._resolver.server_at(stream.address)
        try:
            async with asyncio.timeout(self._limit(stream)):
                await stream.attach(sock, context, server.host)
        except OSError as error:
            self._failed_last = stream.address
            text, cause = explain(error) if context else (str(error) or "no answer", _cause(error))
            return f"{server}: {text}", cause
        return None

    def _limit(self, stream: Stream) -> float:
        # Making a session takes a quorum write, resuming one does not: no hurry with the former.
        return stream.patience if self._session.session_id else self._session.timeout_asked / 3


def _cause(error: OSError) -> m.Cause:
    return m.Cause.NO_ANSWER if isinstance(error, TimeoutError) else m.Cause.NETWORK
