"""Strangers who mean harm: `python -m tests.hostile.flood PORT SLOW`, until it is killed.

SLOW connections never end their request, and come again when they are thrown out. Others send nonsense, as fast as they
can. It says "flooding" once all slow ones were there.
"""

from __future__ import annotations

import asyncio
import sys

NONSENSE = b"\x16\x03\x01 nonsense\r\n\r\n"
FLOODERS = 4


class Slow(asyncio.Protocol):
    """A byte each second."""

    def __init__(self) -> None:
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"GET /status HTTP/1.1\r\nX: ")
        self._drip()

    def _drip(self) -> None:
        if not self.ended.done():
            self._transport.write(b"y")
            asyncio.get_running_loop().call_later(1, self._drip)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set_result(None)


async def slow(port: int, here: asyncio.Semaphore) -> None:
    """One slow connection after the other."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            _, protocol = await loop.create_connection(Slow, "127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            here.release()
            await protocol.ended


async def nonsense(port: int) -> None:
    """One line of it after the other."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(NONSENSE)
            await reader.read(-1)
            writer.close()
        except OSError:
            await asyncio.sleep(0.01)


async def main(port: int, number: int) -> None:
    here = asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as group:
        for _ in range(number):
            group.create_task(slow(port, here))
        for _ in range(number):
            await here.acquire()
        for _ in range(FLOODERS):
            group.create_task(nonsense(port))
        print("flooding", flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
