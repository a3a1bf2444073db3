"""Listening for HTTP so that clients cannot exhaust a replica; `callers` bounds what each connection may cost.

Rules:
- One connection is accepted in each turn of the loop and socket, and TLS handshakes wait for their turn with the
  requests: a flood waits in the kernel and in a queue, not before the lease.
- If there is no descriptor left all the same, nothing is accepted for `PAUSE` seconds: the loop does not spin.
- What was accepted before the end has `SETTLE` seconds to begin, and is answered: aiohttp 3.14 drops what comes on a
  connection that it marks as closing before that, and then waits for it until the bound of the stop.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable

from aiohttp import web

from .callers import Caller, Callers

log = logging.getLogger("leader_async.web")

HANDSHAKE = 10.0
"""Seconds for TLS to begin."""
PAUSE = 0.1
SETTLE = 0.01


class Site(web.BaseSite):
    """A socket that listens already, with TLS if `context` is given, which is called for each new connection."""

    def __init__(
        self, callers: Callers, sock: socket.socket, context: Callable[[], ssl.SSLContext] | None = None
    ) -> None:
        super().__init__(callers.runner)
        self._callers, self._sock, self._context = callers, sock, context
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
        while self._accept():
            pass
        if self._paused is not None:
            self._paused.cancel()
        self._loop.remove_reader(self._sock)
        self._sock.close()
        await asyncio.sleep(SETTLE)
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
        caller = Caller(self._callers)
        caller.opening = self._loop.create_task(self._open(connection, caller))
        self._opening.add(caller.opening)
        caller.opening.add_done_callback(self._opening.discard)
        self._callers.add(caller)
        return True

    async def _open(self, connection: socket.socket, caller: Caller) -> None:
        context, limit = None, None
        try:
            if self._context is not None:
                await self._begun(connection)
                context, limit = self._context(), HANDSHAKE
            await self._loop.connect_accepted_socket(
                lambda: caller, connection, ssl=context, ssl_handshake_timeout=limit
            )
        except (OSError, TimeoutError) as error:
            log.debug("a connection did not begin: %s", error)
            connection.close()
        finally:
            if caller.opening is not None:
                self._callers.forget(caller)

    async def _begun(self, connection: socket.socket) -> None:
        """Wait until a handshake can begin, and for its turn: it costs as much as many requests."""
        first = asyncio.Event()
        self._loop.add_reader(connection, first.set)
        try:
            async with asyncio.timeout(HANDSHAKE):
                await first.wait()
                self._loop.remove_reader(connection)
                await self._callers.turnstile.enter()
        except BaseException:
            self._loop.remove_reader(connection)
            connection.close()
            raise

    def _pause(self, error: OSError) -> None:
        log.warning("no connection can be accepted now: %s", error.strerror, extra={"event": "cannot_accept"})
        self._callers.close_one()
        self._loop.remove_reader(self._sock)
        self._paused = self._loop.call_later(PAUSE, self._loop.add_reader, self._sock, self._accept)
