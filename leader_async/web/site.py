"""Listening for HTTP so that strangers cannot use a replica up; `callers` says what one of them may have.

Rules:
- One connection is accepted in each turn of the loop and socket, and TLS handshakes wait for their turn with the
  requests: a flood waits in the kernel and in a queue, not before the lease.
- If there is no descriptor left all the same, nothing is accepted for `PAUSE` seconds: the loop does not spin.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from aiohttp import web

from .callers import Caller, Callers

log = logging.getLogger("leader_async.web")

HANDSHAKE = 10.0
"""Seconds for TLS to begin."""
PAUSE = 0.1
SETTLE = 0.01
"""Seconds for connections that were accepted right before the end to begin."""


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
        server = self._runner.server
        assert isinstance(server, web.Server)
        self._callers.attend(server)
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
            if context is not None:
                await self._hear_from(connection)
            await self._loop.connect_accepted_socket(
                lambda: Caller(server, self._callers, asyncio.current_task()),
                connection,
                ssl=context,
                ssl_handshake_timeout=None if context is None else HANDSHAKE,
            )
        except (OSError, TimeoutError) as error:
            log.debug("a connection did not begin: %s", error)
            connection.close()

    async def _hear_from(self, connection: socket.socket) -> None:
        """Wait until a handshake can begin, and for its turn: it costs as much as many requests."""
        heard = self._loop.create_future()
        self._loop.add_reader(connection, _tell, heard)
        try:
            async with asyncio.timeout(HANDSHAKE):
                await heard
                self._loop.remove_reader(connection)
                await self._callers.turnstile.enter()
        except BaseException:
            self._loop.remove_reader(connection)
            connection.close()
            raise

    def _opened(self, opening: asyncio.Task[None]) -> None:
        self._opening.discard(opening)
        self._callers.forget(opening)

    def _pause(self, error: OSError) -> None:
        log.warning("no connection can be accepted now: %s", error.strerror, extra={"event": "cannot_accept"})
        self._callers.close_one()
        self._loop.remove_reader(self._sock)
        with suppress(OSError):
            self._paused = self._loop.call_later(PAUSE, self._loop.add_reader, self._sock, self._accept)


def _tell(heard: asyncio.Future[None]) -> None:
    if not heard.done():
        heard.set_result(None)
