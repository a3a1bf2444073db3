"""Listening for HTTP so that strangers cannot use a replica up.

Rules:
- A connection has `KEEPALIVE` seconds to send a whole request, counted from its start or its last answer. Bytes that
  drip in do not put that off.
- `bound()` connections stay open, half of them such as were answered at least once; a stream counts as answered once it
  has begun. One more, and the longest silent is closed: the oldest of those that were never answered if they are more
  than half, else the one whose last answer is oldest. So a load balancer finds its way in, and stays, while slow
  strangers come and come. A request that is being answered has `GRACE` seconds to end.
- Half of this process's descriptors stay free for ZooKeeper. If there are none left all the same, nothing is accepted
  for `PAUSE` seconds: the loop does not spin.
- One connection is accepted in each turn of the loop and socket: a flood waits in the kernel, not before the lease.
- What is no HTTP request gets a line of JSON, and a line in the log at level debug only.

It does not promise that a poll is answered while strangers send more than this process can read: keep them out, or let
a proxy with limits per address stand before it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohttp import web
from aiohttp.web_request import BaseRequest

from . import answers

try:
    import resource
except ImportError:  # not Unix
    resource = None  # type: ignore[assignment]

log = logging.getLogger("leader_async.web")

CONNECTIONS = 2048
"""Half of them may be streams of events."""
KEEPALIVE = 75.0
"""Seconds; longer than load balancers keep an idle connection (nginx and AWS: 60): they are the ones to close it."""
HANDSHAKE = 10.0
"""Seconds for TLS to begin."""
GRACE = 10.0
PAUSE = 0.1
QUIET = 60.0
"""Seconds between two lines of the log about too many connections."""
SETTLE = 0.01
"""Seconds for connections that were accepted right before the end to begin."""

LIMITS: dict[str, Any] = {
    "access_log": None,
    "keepalive_timeout": KEEPALIVE,
    # No route reads a body, so nobody is waited for to send the rest of one.
    "lingering_time": 0,
    "max_headers": 64,
}


def bound() -> int:
    """How many connections stay open: half of the descriptors of this process, `CONNECTIONS` at most."""
    if resource is None:
        return CONNECTIONS
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if allowed == resource.RLIM_INFINITY else min(CONNECTIONS, max(1, allowed // 2))


def allow_files() -> None:
    """Let this process open as many files as `CONNECTIONS` need, if it may: the usual limit leaves room for few."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CONNECTIONS if hard == resource.RLIM_INFINITY else min(2 * CONNECTIONS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def stream_began(request: web.Request) -> None:
    """The answer to this request has begun, and goes on."""
    if isinstance(request.protocol, Caller):
        request.protocol.was_answered()


class Callers:
    """The connections of one replica, longest silent first.

    Args:
        most: how many stay open.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.silent: dict[Caller | asyncio.Task[None], None] = {}
        self.answered: dict[Caller, None] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._told = -QUIET

    @property
    def full(self) -> bool:
        """Whether so many are about to end that another one must wait."""
        return len(self.silent) + len(self.answered) + len(self._leaving) > self._most * 5 // 4 + 4

    def bound(self) -> None:
        """Close the longest silent ones if there are too many."""
        while len(self.silent) + len(self.answered) > self._most:
            self.close_one()

    def close_one(self) -> None:
        """Close the longest silent one, if there is any."""
        many = 2 * len(self.silent) > self._most
        first, then = (self.silent, self.answered) if many else (self.answered, self.silent)
        victim: Caller | asyncio.Task[None] | None = next(iter(first or then), None)
        if victim is None:
            return
        loop = asyncio.get_running_loop()
        if loop.time() - self._told >= QUIET:
            self._told = loop.time()
            log.warning(
                "%d connections at most stay open: those that were silent for longest are closed",
                self._most,
                extra={"event": "connections_full"},
            )
        self.forget(victim)
        if isinstance(victim, asyncio.Task):
            victim.cancel()
            return
        leaving = loop.create_task(victim.leave())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    def forget(self, one: Caller | asyncio.Task[None]) -> None:
        """This one counts no more."""
        self.silent.pop(one, None)
        if isinstance(one, Caller):
            self.answered.pop(one, None)


class Caller(web.RequestHandler):
    """One connection.

    Args:
        server: whose requests they are.
        callers: all connections.
        opening: the task that opens this one; it counted for it so far.
    """

    __slots__ = ("_callers", "_opening")

    def __init__(self, server: web.Server, callers: Callers, opening: asyncio.Task[None] | None) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **LIMITS)
        self._callers, self._opening = callers, opening

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        if self._opening is not None:
            self._callers.forget(self._opening)
        self._callers.silent[self] = self._opening = None
        self._callers.bound()

    def connection_lost(self, exc: BaseException | None) -> None:
        """See `asyncio.Protocol`."""
        self._callers.forget(self)
        super().connection_lost(exc)

    def log_access(self, request: BaseRequest, response: web.StreamResponse, time: float | None) -> None:
        """A request was answered."""
        self.was_answered()

    def was_answered(self) -> None:
        """It has got an answer, or the beginning of one that goes on."""
        callers = self._callers
        try:
            del callers.answered[self]
        except KeyError:
            if self not in callers.silent:
                return  # on its way out
            del callers.silent[self]
        callers.answered[self] = None

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is no request, or what nobody has caught; it tells a stranger nothing."""
        known = status < 500
        log.log(
            logging.DEBUG if known else logging.ERROR,
            "a request from %s failed",
            request.remote,
            exc_info=exc,
            extra={"event": "request_failed"},
        )
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun, an error cannot be sent any more")
        text = "this is not HTTP/1.1, or too long" if known else "this replica could not answer; its log says why"
        answer = answers.error(status, text)
        answer.force_close()
        return answer

    async def leave(self) -> None:
        """End the connection; what is being answered has `GRACE` seconds."""
        transport = self.transport
        self.close()
        await self.shutdown(GRACE)
        if transport is not None:
            transport.abort()  # also if the other side does not read what is left


class Site(web.BaseSite):
    """A socket that is listened on.

    Args:
        runner: whose application answers; it was set up.
        sock: it listens already.
        callers: the connections of all sites of that application.
        context: gives the TLS context for each new connection, None for no TLS.
    """

    def __init__(
        self, runner: web.AppRunner, sock: socket.socket, callers: Callers, context: Callable[[], ssl.SSLContext] | None
    ) -> None:
        super().__init__(runner)
        self._sock, self._callers, self._context = sock, callers, context
        self._opening: set[asyncio.Task[None]] = set()
        self._paused: asyncio.TimerHandle | None = None

    @property
    def name(self) -> str:
        """Where it listens."""
        return str(self._sock.getsockname())

    async def start(self) -> None:
        """Begin to accept."""
        await super().start()
        self._loop = asyncio.get_running_loop()
        self._sock.setblocking(False)
        self._loop.add_reader(self._sock, self._accept)

    async def stop(self) -> None:
        """Accept what has come, then no more."""
        await super().stop()
        if self._paused is not None:
            self._paused.cancel()
        self._loop.remove_reader(self._sock)
        while self._accept():
            pass
        self._sock.close()
        if self._opening:
            await asyncio.wait(self._opening, timeout=SETTLE)
        for opening in self._opening:
            opening.cancel()

    def _accept(self) -> bool:
        """Accept one; whether there may be another."""
        try:
            connection, _ = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            self._pause(error)
            return False
        if self._callers.full:
            connection.close()
            return True
        connection.setblocking(False)
        opening = self._loop.create_task(self._open(connection))
        self._opening.add(opening)
        self._callers.silent[opening] = None
        opening.add_done_callback(self._opened)
        return True

    async def _open(self, connection: socket.socket) -> None:
        server = self._runner.server
        assert server is not None
        try:
            context = None if self._context is None else self._context()
            await self._loop.connect_accepted_socket(
                lambda: Caller(server, self._callers, asyncio.current_task()),
                connection,
                ssl=context,
                ssl_handshake_timeout=None if context is None else HANDSHAKE,
            )
        except (OSError, TimeoutError) as error:
            log.debug("a connection did not begin: %s", error)
            connection.close()

    def _opened(self, opening: asyncio.Task[None]) -> None:
        self._opening.discard(opening)
        self._callers.forget(opening)

    def _pause(self, error: OSError) -> None:
        log.warning("no connection can be accepted now: %s", error.strerror, extra={"event": "cannot_accept"})
        self._callers.close_one()
        self._loop.remove_reader(self._sock)
        with suppress(OSError):
            self._paused = self._loop.call_later(PAUSE, self._loop.add_reader, self._sock, self._accept)
