"""A load generator: `python -m tests.bench.polling PATH CONNECTIONS SECONDS TURNS PORT…`.

It polls each port for so many seconds, by turns, so that what else the machine does hits all alike. Each connection
sends the next request when the last one was answered. Prints JSON: for each port and turn, the seconds it took and the
milliseconds of each request. Answers are told apart by their Content-Length; any but 200 is an error.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Poller(asyncio.Protocol):
    """One connection."""

    def __init__(self, request: bytes, end: float, taken: list[float]) -> None:
        self._request, self._end, self._taken = request, end, taken
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._buffer = b""
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        length = LENGTH.search(self._buffer)
        if head < 0 or length is None or len(self._buffer) < head + 4 + int(length[1]):
            return
        if not self._buffer.startswith(b"HTTP/1.1 200 "):
            self._finish(RuntimeError(f"answered {self._buffer[:80]!r}"))
            return
        now = time.monotonic()
        self._taken.append((now - self._sent) * 1000)
        self._buffer = b""
        if now < self._end:
            self._ask()
        else:
            self._finish(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(exc or ConnectionError("the server closed the connection"))

    def _ask(self) -> None:
        assert self._transport is not None
        self._sent = time.monotonic()
        self._transport.write(self._request)

    def _finish(self, error: Exception | None) -> None:
        if not self.done.done():
            if error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(error)


async def main(path: str, connections: int, seconds: float, turns: int, ports: list[int]) -> None:
    slices: dict[int, list[tuple[float, list[float]]]] = {port: [] for port in ports}
    for turn in range(turns):
        for port in ports[turn % len(ports) :] + ports[: turn % len(ports)]:
            slices[port].append(await _slice(port, path, connections, seconds))
    sys.stdout.write(json.dumps([slices[port] for port in ports]))


async def _slice(port: int, path: str, connections: int, seconds: float) -> tuple[float, list[float]]:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n".encode()
    taken: list[float] = []
    loop = asyncio.get_running_loop()
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_poll(loop, port, request, began + seconds, taken))
    return time.monotonic() - began, [round(one, 3) for one in taken]


async def _poll(loop: asyncio.AbstractEventLoop, port: int, request: bytes, end: float, taken: list[float]) -> None:
    transport, poller = await loop.create_connection(lambda: Poller(request, end, taken), "127.0.0.1", port)
    try:
        await poller.done
    finally:
        transport.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), list(map(int, sys.argv[5:]))))
