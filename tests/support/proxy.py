"""A TCP proxy between clients and one real ZooKeeper server that knows enough of the protocol to do harm on purpose."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from types import TracebackType

CREATE, DELETE, SET_DATA, CHECK, MULTI = 1, 2, 5, 13, 14


class Proxy:
    """Listens on a port of its own; see its methods for the harm.

    Args:
        host: the server's address.
        port: the server's port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._server: asyncio.Server | None = None
        self._pipes: set[_Pipe] = set()
        self._open = asyncio.Event()  # clear: bytes wait, as in a black hole
        self._open.set()
        self._refusing = False
        self.swallowing: int | None = None
        self.swallowed = asyncio.Event()
        self.port = 0
        self.requests: Counter[int] = Counter()
        self.bytes: Counter[int] = Counter()
        self.transactions: list[int] = []  # how many operations each multi had

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._open.set()
        self._server.close()
        self.cut()
        await asyncio.gather(*(pipe.done.wait() for pipe in self._pipes))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def cut(self) -> None:
        """End all connections now, on both sides."""
        for pipe in self._pipes:
            pipe.cut()

    def refuse(self, refusing: bool = True) -> None:
        """Take no connection (they are closed at once) until told otherwise; those that are there are cut."""
        self._refusing = refusing
        if refusing:
            self.cut()

    def stall(self) -> None:
        """Let nothing through, in either direction, while all connections stay: a black hole."""
        self._open.clear()

    def resume(self) -> None:
        """End `stall`."""
        self._open.set()

    def swallow(self, opcode: int) -> asyncio.Event:
        """Lose the reply to the next request of this kind, after its effect, and cut that connection.

        Returns:
            An event that is set when it has happened.
        """
        self.swallowing, self.swallowed = opcode, asyncio.Event()
        return self.swallowed

    async def passable(self) -> None:
        await self._open.wait()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        try:
            await self.passable()
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        pipe = _Pipe(self, writer, far_writer)
        self._pipes.add(pipe)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(pipe.carry(reader, far_writer, pipe.see_request))
                tasks.create_task(pipe.carry(far_reader, writer, pipe.see_reply))
        finally:
            self._pipes.discard(pipe)
            pipe.done.set()


class _Pipe:
    """One client's connection."""

    def __init__(self, proxy: Proxy, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self._proxy, self._near, self._far = proxy, near, far
        self._shaken = [False, False]
        self._word = False
        self._doomed: int | None = None  # xid of the request whose reply is swallowed
        self.done = asyncio.Event()

    def cut(self) -> None:
        self._near.transport.abort()
        self._far.transport.abort()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, see: object) -> None:
        assert callable(see)
        try:
            while True:
                head = await reader.readexactly(4)
                if self._word or head.isalpha():  # a four-letter word: no frames, neither it nor its answer
                    self._word = True
                    writer.write(head)
                    writer.write(await reader.read(-1))
                    break
                frame = await reader.readexactly(struct.unpack("!i", head)[0])
                await self._proxy.passable()
                if not see(frame):
                    break
                writer.write(head + frame)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self.cut()

    def see_request(self, frame: bytes) -> bool:
        if not self._shaken[0]:
            self._shaken[0] = True
            return True
        xid, opcode = struct.unpack_from("!ii", frame)
        self._proxy.requests[opcode] += 1
        self._proxy.bytes[opcode] += 4 + len(frame)
        if opcode == MULTI:
            self._proxy.transactions.append(_operations(frame))
        if opcode == self._proxy.swallowing:
            self._proxy.swallowing, self._doomed = None, xid
        return True

    def see_reply(self, frame: bytes) -> bool:
        if not self._shaken[1]:
            self._shaken[1] = True
            return True
        if self._doomed is not None and struct.unpack_from("!i", frame) == (self._doomed,):
            self._proxy.swallowed.set()
            return False
        return True


def _operations(frame: bytes) -> int:
    """How many operations a confirm has; 0 for other transactions.

    A confirm is of checks (each: 9 bytes of header, path, version), and ends with one. The first may have become the
    setData of a candidate's own data.
    """
    count, offset, kind = 0, 8, 0
    while (following := struct.unpack_from("!i", frame, offset)[0]) in (CHECK, SET_DATA):
        kind, offset = following, offset + 9
        for _ in range(1 if kind == CHECK else 2):  # path, and data
            offset += 4 + struct.unpack_from("!i", frame, offset)[0]
        offset += 4
        count += 1
    return count if (kind, following) == (CHECK, -1) else 0
