"""A server's side of the token in the headers of a request; the client's is `leader_async.fence.headers`.

Rules:
- A token lower than the highest seen of its election is answered 409; none, garbage and unknown elections 428 and 400.
- A higher token waits until the requests under lower ones have been handled: what those write is written before.
- The elections are named beforehand, so strangers cannot fill the memory.

- With a `store` both hold for all processes of the server, and beyond their lives: it is entered after the gate of this
  process and left when the request has been handled, and it lets no other token in meanwhile.

It does not promise anything beyond this process and its life without a `store`: another process of the server, and this
one after a restart, have not seen what it has. With one, it does not stop a process that continues a request whose
store has let go: one that was frozen for longer than a database keeps its transaction open, or whose connection to it
broke. What such a handler writes needs a fence of its own. Nor does it know who sends a token: any client that reaches
the server can shut the leader out with a high one, so authenticate before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING

from aiohttp import web

from ..errors import StaleToken, UsageError
from ..fence import header
from ..fence.gate import Gate
from ..waking import Pulse
from . import answers
from .leading import Handler

if TYPE_CHECKING:
    from aiohttp.typedefs import Middleware

Store = Callable[[str, int], AbstractAsyncContextManager[object]]
"""Takes an election and a token. Entering raises what is kept for the election to this token, for good, or raises
`StaleToken` if that is higher; a request under a lower one has left before, or is waited for."""

READS = {"GET", "HEAD", "OPTIONS"}


def require_token(*elections: str, store: Store | None = None, patience: float = 10.0) -> Middleware:
    """A middleware that lets a request through only if no higher token of its election has been here.

        app = web.Application(middlewares=[require_token("reports")])

    A request that only reads (GET, HEAD, OPTIONS) needs no token; if it has one, it is judged. With one election its
    name need not be sent. All routes of the application are guarded: mount a subapplication to guard some.

    Args:
        elections: whose leaders may write here.
        store: keeps the tokens for all processes of the server, like `fence.postgres_store(pool.acquire)`; see `Store`.
            None: they are kept in this process, so serve from one only.
        patience: seconds that a request waits for those under lower tokens; then it is answered 503.

    Raises:
        UsageError: no election was named.
    """
    if not elections:
        raise UsageError("name the elections whose leaders may write here: require_token('reports')")
    doors = {name: _Door(name, store, patience) for name in elections}

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        tokens, names = request.headers.getall(header.TOKEN, []), request.headers.getall(header.ELECTION, [])
        if not tokens and not names and request.method in READS:
            return await handler(request)
        if not tokens:
            return answers.error(428, f"this needs the header '{header.TOKEN}: <term.token>' of the leader's term")
        token = header.token_of(tokens[0]) if len(tokens) == 1 else None
        if token is None:
            return answers.error(400, f"{header.TOKEN} must be there once, and be the number of a term")
        if not names and len(elections) > 1:
            return answers.error(400, f"the header '{header.ELECTION}: <name>' must say whose token this is")
        door = doors.get(header.election_of(names[0]) if names else elections[0]) if len(names) < 2 else None
        if door is None:
            return answers.error(400, f"{header.ELECTION} names no election whose leader may write here")
        return await door.handle(request, handler, token)

    return middleware


class _Door:
    """One election's gate, and the requests that wait at it."""

    def __init__(self, election: str, store: Store | None, patience: float) -> None:
        self._gate, self._left = Gate(election), Pulse()
        self._store, self._patience = store, patience

    async def handle(self, request: web.Request, handler: Handler, token: int) -> web.StreamResponse:
        async with AsyncExitStack() as inside:
            try:
                async with asyncio.timeout(self._patience):
                    while not self._gate.enter(token):
                        await self._left.wait()
                    inside.callback(self._leave)
                    if self._store is not None:
                        await inside.enter_async_context(self._store(self._gate.resource, token))
            except TimeoutError:
                text = "a request under a lower token is still being handled"
                return answers.error(503, text, {"Retry-After": "1"})
            except StaleToken as refused:
                return _conflict(self._gate.resource, refused)
            return await handler(request)

    def _leave(self) -> None:
        if self._gate.leave():
            self._left.fire()


def _conflict(election: str, refused: StaleToken) -> web.Response:
    # A store may know the election by another name.
    refused = StaleToken(election, refused.token, refused.seen)
    seen = {"election": election, "token": refused.token, "seen": refused.seen}
    return answers.as_json({"error": str(refused), "status": 409, "reason": "Conflict", **seen}, 409)
