"""Carries the bytes between a host and its clients, on the event loop.

Rules:
1. Replies leave in the event-loop iteration in which the request arrived, in the host's order; more than `ENOUGH` bytes
   take several, so that other clients get their turns.
2. A client that does not read its replies is neither read nor answered until it does. Watch events are sent to it all
   the same. A client that leaves too many of them unread, or sends no handshake, is disconnected: memory has a bound.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import socket
import time
from typing import Any, Self, cast

from .. import clock
from ..errors import UsageError
from ..waking import Alarm
from .alone import Alone

log = logging.getLogger("leader_async.embedded")

GREETING_LIMIT = 10.0
"""Seconds that a client has for its handshake."""

UNREAD_LIMIT = 16 * 2**20
"""Bytes that are kept for a client that does not read; as many frames as ZooKeeper's limit allows sixteen of."""

EPOCH = 1577836800
"""2020-01-01T00:00:00Z, from which zxids and session ids are counted."""


class EmbeddedServer:
    """A ZooKeeper for one machine, in memory; for use as `async with EmbeddedServer() as server`.

    Entered again, it serves at the same address with the data and the sessions that it had.

    Args:
        host: the address to listen on.
        port: the port to listen on, 0 for any free one.
        tick: seconds; sessions last 2 to 20 of them, and end on one.
        sock: a bound socket to listen on instead.

    Raises:
        UsageError: the tick cannot be used.
        OSError: the port cannot be listened on (when it is entered).
    """

    def __init__(
        self, host: str = "127.0.0.1", port: int = 0, *, tick: float = 0.1, sock: socket.socket | None = None
    ) -> None:
        check_tick(tick)
        self._listen: dict[str, Any] = {"sock": sock} if sock is not None else {"host": host, "port": port}
        # 4,096 to a millisecond, more than there can be transactions: a later server begins above all that an earlier
        # one has reached, so no client has seen more than it has. Until 2089 it begins below 2^53, up to which a number
        # of JavaScript or of a metric is exact: a zxid is a fencing token there.
        start = int((time.time() - EPOCH) * 1000) << 12
        self._alone = Alone(
            tick=tick, start=start, passwords=map(secrets.token_bytes, itertools.repeat(16)), wall=time.time
        )
        self._server: asyncio.Server | None = None
        self._clients: dict[int, _Client] = {}
        self._closed = False
        self._alarm = Alarm(self._tick)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._closed = False
        self._server = await loop.create_server(lambda: _Client(self, self._alone), **self._listen)
        if (sock := self._listen.pop("sock", None)) is not None:
            self._listen["host"] = sock.getsockname()[0]
        self._listen["port"] = self._server.sockets[0].getsockname()[1]
        self._alone.restart(clock.now())
        self._alarm.set(self._alone.deadline())
        log.debug("serving at %s", self.address)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Disconnect all clients. No session ends before the server is entered again."""
        if self._server is None:
            return
        self._closed = True
        for listening in self._server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        # A client just accepted gets its transport: asyncio (3.11) loses a socket whose transport is made later.
        await asyncio.sleep(0)
        self._server.close()
        for client in list(self._clients.values()):
            client.abort()
        self._alarm.cancel()
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        assert self._server is not None, "enter it first: async with EmbeddedServer() as server"
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def address(self) -> str:
        """Its address, as `connect` takes it."""
        assert self._server is not None, "enter it first: async with EmbeddedServer() as server"
        host = self._server.sockets[0].getsockname()[0]
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    # -- for tests: what a real server cannot be made to do at will ----------------------------------------------------

    @property
    def sessions(self) -> list[int]:
        """The ids of the sessions that live."""
        return list(self._alone.host.tree.sessions)

    def expire(self, session: int) -> None:
        """End this session now, whatever its client does. Its ephemeral znodes go with it.

        Raises:
            UsageError: there is no such session.
        """
        if session not in self._alone.host.tree.sessions:
            raise UsageError(f"there is no session 0x{session:x}")
        self._alone.expire(session)
        self.flush()

    def disconnect(self, session: int) -> None:
        """Disconnect this session's client. The session continues.

        Raises:
            UsageError: it is not connected.
        """
        numbers = self._alone.host.serving(session)
        if not numbers:
            raise UsageError(f"session 0x{session:x} is not connected")
        self._alone.host.hang_up(numbers[0])
        self.flush()

    # -- called by the clients' connections ----------------------------------------------------------------------------

    def joined(self, number: int, client: _Client) -> None:
        """A client has connected."""
        self._clients[number] = client
        if self._closed:  # it was accepted a moment before
            client.abort()

    def left(self, number: int) -> None:
        """A client's connection has ended."""
        self._clients.pop(number, None)
        self._alone.host.lost(number)

    def flush(self) -> None:
        """Write what the host has to send."""
        for number, outputs in itertools.groupby(self._alone.host.take(), key=lambda output: output[0]):
            client = self._clients.get(number)
            if client is not None:
                parts = [data for _, data in outputs]
                client.write(b"".join(part for part in parts if part is not None))
                if None in parts:
                    client.close()
        if not self._closed:
            self._alarm.set(self._alone.deadline())

    def _tick(self) -> None:
        self._alone.tick(clock.now())
        self.flush()


class _Client(asyncio.Protocol):
    """One client's connection."""

    _transport: asyncio.Transport  # once it is connected

    def __init__(self, server: EmbeddedServer, alone: Alone) -> None:
        self._server, self._host = server, alone.host
        self._number = 0
        self._limit: asyncio.TimerHandle | None = None
        self._full = False  # the transport's buffer is

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # those of uvloop are none by class
        self._number = self._host.open(str(transport.get_extra_info("peername")[0]))
        self._server.joined(self._number, self)
        self._limit = asyncio.get_running_loop().call_later(GREETING_LIMIT, self._check_greeted)

    def data_received(self, data: bytes) -> None:
        self._host.receive(self._number, data, clock.now())
        self._server.flush()

    def pause_writing(self) -> None:
        self._full = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._full = False
        self._transport.resume_reading()
        self._go_on()

    def _go_on(self) -> None:
        if not self._full:
            self._host.go_on(self._number, clock.now())
            self._server.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._limit is not None:
            self._limit.cancel()
        self._server.left(self._number)

    def write(self, data: bytes) -> None:
        """Send these bytes."""
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > UNREAD_LIMIT:
            log.warning("a client does not read what it is sent; hanging up on it", extra={"event": "client_dropped"})
            self.abort()
        elif not self._full and self._host.waits(self._number):
            asyncio.get_running_loop().call_soon(self._go_on)

    def close(self) -> None:
        """End the connection when all has been sent."""
        self._transport.close()

    def abort(self) -> None:
        """End the connection now."""
        self._transport.abort()

    def _check_greeted(self) -> None:
        if not self._host.greeted(self._number):
            self.abort()


def check_tick(tick: float) -> None:
    """Raise a UsageError unless this can be a tick."""
    if not 0.001 <= tick <= 60:
        raise UsageError(f"a tick of {tick!r} s: give 0.001 to 60 seconds (ZooKeeper's is 2)")
