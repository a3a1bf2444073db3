"""Connections between processes and servers: bytes in order, after a while, unless something happens to them.

Bytes of one direction of one connection arrive in order; those of different connections overtake each other. A cut lets
a prefix of what was on its way arrive, any number of bytes of it, so it falls before, inside and behind frames.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from leader_async.errors import ProtocolError
from leader_async.zookeeper.wire import server as wire
from leader_async.zookeeper.wire.frames import FrameReader

from .timeline import Timeline

if TYPE_CHECKING:
    from .ensemble import Server
    from .loop import Loop

LATENCY = 0.0002, 0.004
"""Seconds that bytes take, at least and, on a good network, at most."""


class Wire:
    """One direction of a connection.

    Args:
        arrive: takes what arrives; None is the end of the stream.
        slowest: seconds that bytes take at most, now.
    """

    def __init__(
        self,
        timeline: Timeline,
        rng: random.Random,
        arrive: Callable[[bytes | None], None],
        slowest: Callable[[], float],
    ) -> None:
        self._timeline, self._rng, self._arrive, self._slowest = timeline, rng, arrive, slowest
        self._under_way: deque[bytes | None] = deque()
        self._last = 0.0
        self.held = False  # nothing arrives, nothing is lost
        self._due = 0
        self.ended = False

    def send(self, data: bytes | None) -> None:
        if self.ended:
            return
        self.ended = data is None
        self._under_way.append(data)
        self._last = max(self._last, self._timeline.now + self._rng.uniform(LATENCY[0], self._slowest()))
        self._timeline.at(self._last, self._arrived)

    def _arrived(self) -> None:
        self._due += 1
        self._flush()

    def _flush(self) -> None:
        while self._due and self._under_way and not self.held:
            self._due -= 1
            self._arrive(self._under_way.popleft())

    def hold(self, held: bool) -> None:
        """Let nothing arrive, or everything that has waited."""
        self.held = held
        self._flush()

    def cut(self) -> None:
        """A prefix of what is on its way arrives, then the stream ends."""
        if self.ended and not self._under_way:
            return
        data = b"".join(part for part in self._under_way if part)
        data = data[: self._rng.choice((0, len(data), self._rng.randint(0, len(data))))]
        self._under_way.clear()
        self._due, self.ended, self.held = 0, False, False
        if data:
            self.send(data)
        self.send(None)


class Connection(asyncio.Transport):
    """A connection, as the process has it: `dial` made it, `Loop.create_connection` attaches a protocol.

    Args:
        server: at the other end.
        sent: told of each request that the process sends, before it leaves.
    """

    def __init__(
        self, timeline: Timeline, rng: random.Random, server: Server, sent: Callable[[Connection, Any], None]
    ) -> None:
        super().__init__()
        self.server = server
        self._sent = sent
        self._frames = FrameReader()
        self._greeted = False
        self._loop: Loop | None = None
        self._protocol: asyncio.Protocol | None = None
        self.closed = False
        self.up = Wire(timeline, rng, self._at_server, lambda: LATENCY[1])
        self.down = Wire(timeline, rng, self._at_client, lambda: server.ensemble.latency)
        self.number = server.accept(self)

    # -- at the process ------------------------------------------------------------------------------------------------

    def getpeername(self) -> tuple[str, int]:
        return self.server.address

    def attach(self, loop: Loop, protocol: asyncio.Protocol) -> asyncio.Transport:
        self._loop, self._protocol = loop, protocol
        protocol.connection_made(self)
        return self

    def write(self, data: Any) -> None:
        if self.closed:
            return
        try:
            for frame in self._frames.feed(bytes(data)):
                if self._greeted:
                    self._sent(self, wire.decode_request(frame)[1])
                self._greeted = True
        except ProtocolError as error:
            raise AssertionError("the library broke the protocol") from error
        self.up.send(bytes(data))

    def abort(self) -> None:
        if not self.closed:
            self.closed = True
            self.up.cut()  # bytes that were on their way may arrive yet
            self._call(lambda protocol: protocol.connection_lost(None))

    close = abort

    def is_closing(self) -> bool:
        return self.closed

    def _at_client(self, data: bytes | None) -> None:
        if self.closed:
            return
        if data is not None:
            self._call(lambda protocol: None if self.closed else protocol.data_received(data))
        else:
            self._call(self._end)

    def _end(self, protocol: asyncio.Protocol) -> None:
        if not self.closed:
            protocol.eof_received()
            self.abort()

    def _call(self, do: Callable[[asyncio.Protocol], object]) -> None:
        if self._loop is not None and not self._loop.dead and self._protocol is not None:
            self._loop.call_soon(do, self._protocol)

    def process_died(self) -> None:
        """The process is gone; its kernel ends the connection."""
        self.closed = True
        self.up.send(None)

    # -- at the server -------------------------------------------------------------------------------------------------

    def _at_server(self, data: bytes | None) -> None:
        self.server.received(self.number, data)

    # -- what can happen to it -----------------------------------------------------------------------------------------

    def cut(self) -> None:
        """Somebody in between ends the connection for both."""
        self.up.cut()
        self.down.cut()
