"""The connections of one replica, and what each of them may cost.

Rules:
- A connection has `KEEPALIVE` seconds to send a whole request, counted from its start or its last answer. Bytes that
  drip in do not put that off. It may send `UNHEARD` bytes before the next request begins: that bounds the cost of one
  that does not end.
- `bound()` connections stay open, at least half of them for clients that were answered once; a stream counts as
  answered once it has begun. One more, and one is closed: the oldest of those never answered if they are more than
  half, else the one whose last answer is oldest. So a load balancer gets in, and stays, during a flood of slow
  connections. A request that is being answered has `GRACE` seconds to end.
- Half of this process's descriptors stay free for ZooKeeper.
- Few requests begin in one turn of the loop (`turns.Turnstile`), however many have come.
- What is no HTTP request, or asks for what no route has, gets an error in JSON, and a line in the log at level debug.

It does not promise that a poll is answered while clients send more than this process can read: keep them out, or put a
proxy with limits per address before it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import cache, partial
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.web_request import BaseRequest

from . import answers
from .turns import Turnstile

try:
    import resource
except ImportError:  # not Unix
    resource = None  # type: ignore[assignment]

log = logging.getLogger("leader_async.web")

CONNECTIONS = 2048
"""Half of them may be streams of events."""
KEEPALIVE = 75.0
"""Seconds; longer than load balancers keep an idle connection (nginx and AWS: 60): they are the ones to close it."""
GRACE = 10.0
QUIET = 60.0
"""Seconds between two lines of the log about too many connections."""
UNHEARD = 2**15
"""Bytes, as nginx takes: the cookies of others that share our host's name must have room."""

LIMITS: dict[str, Any] = {
    "access_log": None,
    "keepalive_timeout": KEEPALIVE,
    # No route reads a body, so the rest of one is not waited for.
    "lingering_time": 0,
    "read_bufsize": 4096,
    "max_line_size": 4096,
    "max_field_size": 8190,
    "max_headers": 64,
}

Answer = Callable[[BaseRequest], Awaitable[web.StreamResponse]]


def allow_files() -> None:
    """Let this process open as many files as `CONNECTIONS` need, if it may: the usual limit leaves room for few."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CONNECTIONS if hard == resource.RLIM_INFINITY else min(2 * CONNECTIONS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def bound() -> int:
    """How many connections stay open: half of the descriptors of this process, `CONNECTIONS` at most."""
    if resource is None:
        return CONNECTIONS
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if allowed == resource.RLIM_INFINITY else min(CONNECTIONS, max(1, allowed // 2))


def stream_began(request: web.Request) -> None:
    """The answer to this request is a stream, and has begun."""
    if isinstance(request.protocol, Caller):
        request.protocol.was_answered()


class Callers:
    """All connections of one replica, longest silent first; `most` stay open. The runner was set up before."""

    def __init__(self, runner: web.AppRunner, most: int) -> None:
        assert runner.server is not None
        self.runner, self.server, self._most = runner, runner.server, most
        self.silent: dict[Caller, bool] = {}
        self.answered: dict[Caller, bool] = {}
        self.turnstile = Turnstile()
        self._leaving: set[asyncio.Task[None]] = set()
        self._logged = -QUIET
        self.server.request_handler = partial(self._answer, self.server.request_handler)

    async def _answer(self, handler: Answer, request: BaseRequest) -> web.StreamResponse:
        if isinstance(request.protocol, Caller):
            request.protocol.begins()
        await self.turnstile.enter()
        try:
            return await handler(request)
        except web.HTTPException as problem:  # what has no path: CONNECT, and `OPTIONS *`
            answer = answers.error(problem.status, problem.reason)
            answer.force_close()
            return answer

    @property
    def full(self) -> bool:
        """Whether so many are about to end that another one must wait."""
        return len(self.silent) + len(self.answered) + len(self._leaving) > self._most * 5 // 4 + 4

    def add(self, one: Caller) -> None:
        """Count one more; if there are too many, the longest silent ends."""
        self.silent[one] = True
        while len(self.silent) + len(self.answered) > self._most:
            self.close_one()

    def forget(self, one: Caller) -> bool:
        """Count this one no more; whether it counted."""
        return self.silent.pop(one, False) or self.answered.pop(one, False)

    def close_one(self) -> None:
        """End the longest silent one, if there is any."""
        many = 2 * len(self.silent) > self._most
        first, then = (self.silent, self.answered) if many else (self.answered, self.silent)
        victim = next(iter(first or then), None)
        if victim is None:
            return
        loop = asyncio.get_running_loop()
        if loop.time() - self._logged >= QUIET:
            self._logged = loop.time()
            text = "%d connections at most stay open: those that were silent for longest are closed"
            log.warning(text, self._most, extra={"event": "connections_full"})
        self.forget(victim)
        leaving = loop.create_task(victim.leave())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)


class Caller(web.RequestHandler):
    """One connection, from the moment at which it was accepted."""

    __slots__ = ("_answering", "_callers", "_unheard", "opening")

    def __init__(self, callers: Callers) -> None:
        super().__init__(callers.server, loop=asyncio.get_running_loop(), **LIMITS)
        self.opening: asyncio.Task[None] | None = None
        self._callers, self._unheard, self._answering = callers, 0, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.opening = None
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._callers.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unheard += len(data)
        if self._unheard <= UNHEARD:
            super().data_received(data)
            return
        if self.transport is not None and not self._answering:
            self.transport.write(_too_long())
        self.force_close()

    def begins(self) -> None:
        """A whole request is there."""
        self._unheard, self._answering = 0, True

    def log_access(self, request: BaseRequest, response: web.StreamResponse, time: float | None) -> None:
        """A request was answered."""
        self._answering = False
        self.was_answered()

    def was_answered(self) -> None:
        """It has got an answer, or the beginning of a stream."""
        if self._callers.forget(self):  # else it is about to end
            self._callers.answered[self] = True

    async def leave(self) -> None:
        """End the connection; what is being answered has `GRACE` seconds."""
        if self.opening is not None:
            self.opening.cancel()
            return
        transport = self.transport
        self.close()
        await self.shutdown(GRACE)
        if transport is not None:
            transport.abort()  # also if the other side does not read what is left

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The answer to what is no request, or to an exception that no handler caught; that is in the log only."""
        known = status < 500
        level = logging.DEBUG if known else logging.ERROR
        log.log(level, "a request from %s failed", request.remote, exc_info=exc, extra={"event": "request_failed"})
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun, an error cannot be sent any more")
        text = "this is not HTTP/1.1, or too long" if known else "this replica could not answer; its log says why"
        answer = answers.error(status, text)
        answer.force_close()
        return answer


@cache
def _too_long() -> bytes:
    """The answer to a request that does not end; there is none that aiohttp could answer."""
    body = answers.json_text({"error": "the request is too long", "status": 431, "reason": HTTPStatus(431).phrase})
    fields = {**answers.HEADERS, "Content-Type": "application/json", "Content-Length": len(body), "Connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 431 {HTTPStatus(431).phrase}\r\n{head}\r\n{body}".encode()
