"""Connections and their bounds, over real sockets; what is served is an application that the tests hold up."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from leader_async.web import callers as connections
from leader_async.web.callers import UNHEARD, Callers, allow_files, bound, stream_began
from leader_async.web.site import Site
from leader_async.web.turns import PASSED, Turnstile

from ...support.certificates import Authority
from ...support.waiting import Turns, until

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Served:
    """An application behind a site that keeps three connections."""

    def __init__(self) -> None:
        self.release, self.asked = asyncio.Event(), 0
        self.counted: Callable[[], None] = lambda: None
        app = web.Application()
        app.router.add_get("/", self._quick)
        app.router.add_get("/slow", self._slow)
        app.router.add_get("/broken", self._broken)
        app.router.add_get("/stream", self._stream)
        app.router.add_get("/counted", self._counted)
        self.runner = web.AppRunner(app, shutdown_timeout=5)
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.sock.getsockname()[1]
        self.opened: list[asyncio.StreamWriter] = []

    async def begin(self, context: Callable[[], ssl.SSLContext] | None = None) -> None:
        """Listen."""
        await self.runner.setup()
        self.callers = Callers(self.runner, 3)
        await Site(self.callers, self.sock, context).start()

    async def _quick(self, request: web.Request) -> web.Response:
        return web.Response(text="quick")

    async def _slow(self, request: web.Request) -> web.Response:
        self.asked += 1
        await self.release.wait()
        return web.Response(text="slow")

    async def _counted(self, request: web.Request) -> web.Response:
        self.counted()
        return web.Response(text="counted")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        stream_began(request)
        await response.write(b"begun")
        await self.release.wait()
        return response

    async def _broken(self, request: web.Request) -> web.Response:
        raise RuntimeError("a secret")

    async def connect(self) -> Streams:
        """A connection that says nothing, once it counts."""
        server = self.runner.server
        assert server is not None
        made = server.connection_made
        counted = asyncio.Event()

        def told(*arguments: Any) -> None:
            made(*arguments)
            asyncio.get_running_loop().call_soon(counted.set)

        server.connection_made = told  # type: ignore[assignment, method-assign]
        streams = await self.open()
        async with asyncio.timeout(10):
            await counted.wait()
        server.connection_made = made  # type: ignore[method-assign]
        return streams

    async def open(self) -> Streams:
        """A connection."""
        streams = await asyncio.open_connection("127.0.0.1", self.port)
        self.opened.append(streams[1])
        return streams

    async def end(self) -> None:
        """Close all."""
        self.release.set()
        for writer in self.opened:
            writer.close()
        await self.runner.cleanup()
        assert not self.callers.silent

    async def ask(self, streams: Streams, path: str = "/") -> bytes:
        """The status line's number and the body."""
        reader, writer = streams
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return await answer(reader)


class Held(Turnstile):
    """Lets nobody pass until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.came, self.released = 0, asyncio.Event()

    async def enter(self) -> None:
        self.came += 1
        await self.released.wait()


async def answer(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        return head.split()[1] + b" " + await reader.readexactly(length)


async def ends(streams: Streams) -> bool:
    """Wait for the other side to close."""
    async with asyncio.timeout(10):
        try:
            return await streams[0].read(-1) == b""
        except ConnectionError:
            return True


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    served = Served()
    await served.begin()
    yield served
    await served.end()


async def test_the_longest_silent_makes_room_and_not_who_was_answered(served: Served) -> None:
    balancer = await served.connect()
    assert await served.ask(balancer) == b"200 quick"
    strangers = [await served.connect() for _ in range(4)]
    assert await ends(strangers[0])
    assert await ends(strangers[1])
    assert await served.ask(balancer) == b"200 quick"
    assert await served.ask(strangers[3]) == b"200 quick"


async def test_of_those_who_were_answered_the_oldest_makes_room(served: Served) -> None:
    callers = [await served.connect() for _ in range(3)]
    for caller in (*callers, callers[0]):
        assert await served.ask(caller) == b"200 quick"
    late = await served.open()
    assert await ends(callers[1])
    assert await served.ask(callers[0]) == b"200 quick"
    assert await served.ask(late) == b"200 quick"


async def test_a_request_under_way_is_answered_before_its_connection_ends(served: Served) -> None:
    slow = await served.connect()
    slow[1].write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: served.asked)
    others = [await served.open() for _ in range(3)]
    await until(lambda: len(served.callers.silent) == 3 and not slow[0].at_eof())
    served.release.set()
    assert await answer(slow[0]) == b"200 slow"
    assert await ends(slow)
    assert await served.ask(others[0]) == b"200 quick"


async def test_those_on_their_way_out_are_bounded_too(served: Served) -> None:
    for number in range(8):
        _, writer = await served.open()
        writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda number=number: served.asked > number or served.callers.full)  # type: ignore[misc]
    assert served.callers.full
    assert await ends(await served.open())
    served.release.set()
    await until(lambda: not served.callers.full)
    assert await served.ask(await served.open()) == b"200 quick"


async def test_a_reader_who_does_not_read_is_thrown_out(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "GRACE", 0.05)
    stuck = await served.connect()
    stuck[1].write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: served.asked)
    for _ in range(3):
        await served.open()
    assert await ends(stuck)


async def test_bytes_that_drip_in_do_not_put_the_end_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.LIMITS, "keepalive_timeout", 0.3)
    served = Served()
    await served.begin()
    reader, writer = await served.connect()
    writer.write(b"GET / HTTP/1.1\r\n")

    async def drip() -> None:
        while True:
            writer.write(b"X: y\r\n")
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    assert await ends((reader, writer))
    dripping.cancel()
    await served.end()


async def test_who_never_begins_with_tls_keeps_nobody_out(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("server", "127.0.0.1").both)
    served = Served()
    await served.begin(lambda: context)
    strangers = []
    for number in range(3):
        strangers.append(await served.open())
        await until(lambda number=number: len(served.callers.silent) == number + 1)  # type: ignore[misc]
    knows = ssl.create_default_context(cafile=authority.ca)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=knows)
    served.opened.append(writer)
    assert await ends(strangers[0])
    assert await served.ask((reader, writer)) == b"200 quick"
    for _, stranger in strangers:
        stranger.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await ends(strangers[2])
    assert await served.ask((reader, writer)) == b"200 quick"
    await served.end()


async def test_descriptors_that_run_out_stop_neither_the_loop_nor_those_who_are_there(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    balancer = await served.connect()
    assert await served.ask(balancer) == b"200 quick"
    late = socket.socket()
    late.setblocking(False)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        try:
            while True:
                taken = os.open("/dev/null", os.O_RDONLY)
                stack.callback(os.close, taken)
        except OSError:
            pass
        await asyncio.get_running_loop().sock_connect(late, ("127.0.0.1", served.port))
        await until(lambda: "can be accepted now" in caplog.text)
        assert caplog.text.count("can be accepted now") == 1
        assert not served.callers.answered, "room was made for it"
        assert await ends(balancer)
    reader, writer = await asyncio.open_connection(sock=late)
    assert await served.ask((reader, writer)) == b"200 quick"
    writer.close()


async def test_what_is_no_request_is_told_so_and_not_logged(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = await served.connect()
    writer.write(b"\x16\x03\x01 this is TLS\r\n\r\n")
    assert (await answer(reader)).startswith(b'400 {\n  "error": "this is not HTTP/1.1, or too long"')
    reader, writer = await served.connect()
    writer.write(b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
    told = await answer(reader)
    assert told.startswith(b"500 {")
    assert b"secret" not in told
    assert "a secret" in caplog.text
    assert "TLS" not in caplog.text


async def test_who_came_before_the_end_is_answered(served: Served) -> None:
    reader, writer = await served.open()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    for site in [*served.runner.sites]:
        await site.stop()
    assert await answer(reader) == b"200 quick"
    with pytest.raises(ConnectionRefusedError):
        await served.open()


def test_half_of_the_descriptors_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for allowed, most in ((resource.RLIM_INFINITY, 2048), (65536, 2048), (256, 128), (1, 1)):
        monkeypatch.setattr(resource, "getrlimit", lambda which, allowed=allowed: (allowed, allowed))
        assert bound() == most
    monkeypatch.setattr(connections, "resource", None)
    assert bound() == 2048


def test_as_many_files_as_connections_need_are_allowed_if_that_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: set_to.append(limits))
    for limits in ((1024, 65536), (1024, 2048), (1024, resource.RLIM_INFINITY), (65536, 65536), (64, 64)):
        monkeypatch.setattr(resource, "getrlimit", lambda which, limits=limits: limits)
        allow_files()
    assert set_to == [(4096, 65536), (2048, 2048), (4096, resource.RLIM_INFINITY)]
    monkeypatch.setattr(connections, "resource", None)
    allow_files()


async def test_a_stream_counts_as_answered_once_it_has_begun(served: Served) -> None:
    stream_began(make_mocked_request("GET", "/"))  # in somebody else's server
    reader, writer = await served.open()
    writer.write(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"begun")
    assert len(served.callers.answered) == 1
    assert not served.callers.silent


async def test_few_requests_begin_in_one_turn_of_the_loop_however_many_are_ready(served: Served) -> None:
    served.callers._most = 64
    begun: list[int] = []
    streams = [await served.open() for _ in range(60)]
    turns = Turns()
    served.counted = lambda: begun.append(turns.number)
    for _, writer in streams:
        writer.write(b"GET /counted HTTP/1.1\r\nHost: x\r\n\r\n" * 10)
    await until(lambda: len(begun) == 600)
    turns.stop()
    assert max(Counter(begun).values()) <= PASSED
    for reader, _ in streams:
        for _ in range(10):
            assert await answer(reader) == b"200 counted"


async def test_a_handshake_waits_for_its_turn(tmp_path: Path, served: Served) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("server", "127.0.0.1").both)
    sock = socket.create_server(("127.0.0.1", 0))
    served.callers.turnstile = held = Held()
    await Site(served.callers, sock, lambda: context).start()
    knows = ssl.create_default_context(cafile=authority.ca)
    silent = await asyncio.open_connection("127.0.0.1", sock.getsockname()[1])
    served.opened.append(silent[1])
    dialling = asyncio.create_task(asyncio.open_connection("127.0.0.1", sock.getsockname()[1], ssl=knows))
    await until(lambda: held.came == 1)
    assert not dialling.done()
    held.released.set()
    reader, writer = await dialling
    served.opened.append(writer)
    assert await served.ask((reader, writer)) == b"200 quick"
    assert held.came == 2, "one that has not begun takes no turn"


@pytest.mark.parametrize("piece", [b"X: " + b"y" * 1000 + b"\r\n", b"A" * 4000 + b": y\r\n"], ids=["small", "large"])
async def test_an_unfinished_request_is_bounded(served: Served, piece: bytes) -> None:
    reader, writer = await served.open()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
    sent = 0
    while sent < UNHEARD:
        writer.write(piece)
        sent += len(piece)
    told = await reader.readuntil(b"\r\n\r\n")
    assert told.startswith(b"HTTP/1.1 431 ")
    assert b"\r\nServer: leader_async\r\n" in told
    assert b'"the request is too long"' in await reader.read(-1)


async def test_who_sends_on_and_on_while_being_answered_is_cut_off_without_a_word(served: Served) -> None:
    reader, writer = await served.open()
    writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: served.asked)
    writer.write(b"z" * (UNHEARD + 1))
    assert await ends((reader, writer))


@pytest.mark.parametrize("line", ["OPTIONS * HTTP/1.1", "CONNECT elsewhere:443 HTTP/1.1", "GET /nowhere HTTP/1.1"])
async def test_what_has_no_path_is_told_so_as_everything_else(served: Served, line: str) -> None:
    reader, writer = await served.open()
    writer.write(f"{line}\r\nHost: x\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 ")
    assert b"\r\nServer: leader_async\r\n" in head
    assert b"\r\nContent-Type: application/json" in head
    assert b'"status": 404' in await reader.read(-1), "and the connection is closed"
