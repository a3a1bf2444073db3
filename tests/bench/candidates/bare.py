"""Bare sockets: the least that an election over ZooKeeper can do, and so the limit that all are compared with.

A leader hands over by deleting its znode. The next one awaits the event, lists the election, and counts as leading when
that is answered; it does not even look at what the answer says, because here only the first of the queue ever goes.
There is no lease, no recovery and no check of anything: nobody should elect leaders so.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

from .talk import arguments, now, orders, tell

CREATE, DELETE, GET_DATA, GET_CHILDREN, PING, CLOSE = 1, 2, 4, 8, 11, -11
EPHEMERAL_SEQUENTIAL = 3
REJOIN = 0.005
"""Seconds before one that has handed over queues again."""

Taker = Callable[[int, bytes], None]


def text(value: str) -> bytes:
    """A string as the protocol has it."""
    return struct.pack("!i", len(value)) + value.encode()


_ACL = struct.pack("!ii", 1, 31) + text("world") + text("anyone")


class Session(asyncio.Protocol):
    """One connection with one session that is kept alive by pings."""

    def __init__(self, timeout: float) -> None:
        self._timeout, self._xid, self._buffer = timeout, 0, b""
        self._takers: dict[int, Taker] = {}
        self.watches: dict[str, Callable[[], None]] = {}
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(struct.pack("!iiqiqi", 44, 0, 0, int(self._timeout * 1000), 0, 16) + bytes(16))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 4:
            end = 4 + int.from_bytes(self._buffer[:4], "big")
            if len(self._buffer) < end:
                break
            frame, self._buffer = self._buffer[4:end], self._buffer[end:]
            self._take(frame)

    def send(self, opcode: int, body: bytes, taker: Taker) -> None:
        """Send a request; `taker` gets the error number and the body of the answer."""
        assert self._transport is not None
        self._xid += 1
        self._takers[self._xid] = taker
        self._transport.write(struct.pack("!iii", 8 + len(body), self._xid, opcode) + body)

    def ask(self, opcode: int, body: bytes) -> asyncio.Future[tuple[int, bytes]]:
        """The same, to be awaited."""
        answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self.send(opcode, body, lambda error, rest: answer.set_result((error, rest)))
        return answer

    def close(self) -> None:
        """End the session; the server closes the connection."""
        assert self._transport is not None
        self._transport.write(struct.pack("!iii", 8, self._xid + 1, CLOSE))

    def abort(self) -> None:
        """End the connection; the session ends with its timeout."""
        assert self._transport is not None
        self._transport.abort()

    def _take(self, frame: bytes) -> None:
        if not self.ready.done():
            self.ready.set_result(None)
            asyncio.get_running_loop().call_later(self._timeout / 3, self._ping)
            return
        xid, _, error = struct.unpack_from("!iqi", frame)
        if xid == -1:
            watch = self.watches.pop(frame[28:].decode(), None)
            if watch is not None:
                watch()
        elif xid != -2:
            taker = self._takers.pop(xid, None)  # the answer to a close has none
            if taker is not None:
                taker(error, frame[16:])

    def _ping(self) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(struct.pack("!iii", 8, -2, PING))
            asyncio.get_running_loop().call_later(self._timeout / 3, self._ping)


async def dial(servers: str, timeout: float) -> Session:
    """A session with the first of these servers."""
    host, _, port = servers.split(",")[0].rpartition(":")
    _, session = await asyncio.get_running_loop().create_connection(lambda: Session(timeout), host, int(port))
    await session.ready
    return session


def names(reply: bytes) -> list[str]:
    """The names in the answer to GET_CHILDREN."""
    (count,), offset, found = struct.unpack_from("!i", reply), 4, []
    for _ in range(count):
        (length,) = struct.unpack_from("!i", reply, offset)
        found.append(reply[offset + 4 : offset + 4 + length].decode())
        offset += 4 + length
    return found


class Candidate:
    """One candidate."""

    def __init__(self, number: int, session: Session, parent: str) -> None:
        self._number, self._session, self._parent = number, session, parent
        self._own = ""

    def join(self) -> None:
        node = text(f"{self._parent}/c-") + text("") + _ACL + struct.pack("!i", EPHEMERAL_SEQUENTIAL)
        parent = text(self._parent) + text("") + _ACL + struct.pack("!i", 0)
        self._session.send(CREATE, parent, lambda error, reply: None)
        self._session.send(CREATE, node, self._joined)

    def give_up(self, word: str) -> None:
        at = now()
        self._session.send(DELETE, text(self._own) + struct.pack("!i", -1), lambda error, reply: self._gone(word, at))

    def _gone(self, word: str, at: float) -> None:
        tell(word, self._number, at)
        if word == "resigned":
            # Not at once: the create, a quorum write, would hold up the read of the next one.
            asyncio.get_running_loop().call_later(REJOIN, self.join)

    def _joined(self, error: int, reply: bytes) -> None:
        self._own = reply[4:].decode()
        self._session.send(GET_CHILDREN, text(self._parent) + b"\0", self._listed)

    def _listed(self, error: int, reply: bytes) -> None:
        queue = sorted(names(reply), key=lambda name: name[-10:])
        place = queue.index(self._own.rpartition("/")[2])
        if place == 0:
            tell("leads", self._number, now())
            return
        predecessor = f"{self._parent}/{queue[place - 1]}"
        self._session.watches[predecessor] = self._next
        self._session.send(GET_DATA, text(predecessor) + b"\1", self._watched)

    def _watched(self, error: int, reply: bytes) -> None:
        if error:
            self._session.send(GET_CHILDREN, text(self._parent) + b"\0", self._listed)

    def _next(self) -> None:
        self._session.send(GET_CHILDREN, text(self._parent) + b"\0", self._leads)

    def _leads(self, error: int, reply: bytes) -> None:
        tell("leads", self._number, now())


async def main() -> None:
    given = arguments()
    count = 1 if given.shared else given.count
    sessions = [await dial(given.server(number), given.timeout) for number in range(count)]
    tell("ready", -1, now())
    candidates = [
        Candidate(number, sessions[0 if given.shared else number], f"{given.root}/{given.election(number)}")
        for number in range(given.count)
    ]
    async for order, number in orders():
        match order:
            case "join":
                candidates[number].join()
            case "resign":
                candidates[number].give_up("resigned")
            case "leave":
                candidates[number].give_up("left")
            case "close":
                tell("closing", -1, now())
                for session in sessions:
                    session.close()
                break
    await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main())
