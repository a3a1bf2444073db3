"""One TCP connection to a server, on the running event loop. It does not know what the bytes mean."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Protocol, cast

from . import hosts


class Owner(Protocol):
    """Receives the events of a stream; the end may still follow an `abort`."""

    def stream_made(self, stream: Stream) -> None:
        """The connection is established."""

    def stream_received(self, stream: Stream, data: bytes) -> None:
        """Bytes have arrived."""

    def stream_lost(self, stream: Stream, error: Exception | None) -> None:
        """The connection has ended, by an error or by an end of stream."""


class Stream(asyncio.Protocol):
    """Carries bytes between a socket and its owner; `patience`: seconds that the server has to accept a session."""

    _transport: asyncio.Transport  # once it is connected

    def __init__(self, owner: Owner, address: tuple[str, int], patience: float) -> None:
        self._owner = owner
        self.patience = patience
        self.address = address
        self.peer = str(hosts.Server(*address))

    async def attach(self, sock: socket.socket, context: ssl.SSLContext | None = None, name: str = "") -> None:
        """Use a connected socket; with a context, begin TLS with the server of this name first.

        Raises:
            OSError: the socket cannot be used, or TLS has failed.
        """
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, sock=sock, ssl=context, server_hostname=name if context else None)

    @property
    def encryption(self) -> str | None:
        """The version of TLS, None for none."""
        carried = self._transport.get_extra_info("ssl_object")
        return None if carried is None else carried.version()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast and no assertion: uvloop's transports have the methods, but not the class.
        self._transport = cast(asyncio.Transport, transport)
        self._owner.stream_made(self)

    def data_received(self, data: bytes) -> None:
        self._owner.stream_received(self, data)

    def eof_received(self) -> None:
        self._owner.stream_lost(self, None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.stream_lost(self, exc)

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def abort(self) -> None:
        self._transport.abort()
