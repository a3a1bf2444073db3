"""What all routes share: the replica, its bearer token, and asking ZooKeeper within a limit."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from aiohttp import web

from ..connection import Connection
from ..election.election import Election
from ..errors import LeaderAsyncError, LedgerError, RecordError
from ..schedule import Schedule
from . import answers
from .leading import Handler
from .turns import Full, Limiter

log = logging.getLogger("leader_async.web")

Trouble = Callable[[], str | None]

CHALLENGE = 'Bearer realm="leader_async"'
ASK_LIMIT = 2.0
"""Seconds that a route waits for its turn to ask ZooKeeper, and for the answer."""


@dataclass(frozen=True, slots=True)
class Service:
    """The replica that the routes of an application serve; see `create_app`."""

    election: Election
    connection: Connection
    resign_token: str | None
    trouble: Trouble
    schedule: Schedule | None
    limiter: Limiter = field(default_factory=Limiter)


SERVICE = web.AppKey("service", Service)


async def read(request: web.Request, what: str, ask: Callable[[], Awaitable[Any]]) -> web.Response:
    """What ZooKeeper has, as JSON.

    Args:
        request: whose answer this is.
        what: a word for the log.
        ask: asks, once it is this request's turn, for a dataclass or a list of them; None is answered by 404.
    """
    try:
        async with asyncio.timeout(ASK_LIMIT), request.app[SERVICE].limiter.inside():
            found = await ask()
    except Full:
        return answers.error(503, "too many ask for this at the moment", {"Retry-After": "1"})
    except (RecordError, LedgerError) as problem:
        log.warning("the %s cannot be read: %s", what, problem, extra={"event": "cannot_read", "what": what})
        text = f"the {what} in ZooKeeper is not this library's; the log of this replica says more"
        return answers.error(503, text)
    except (LeaderAsyncError, TimeoutError) as problem:
        why = problem or "no answer in time"
        log.info("the %s cannot be read: %s", what, why, extra={"event": "cannot_read", "what": what})
        return answers.error(503, "ZooKeeper cannot be asked now; /status says since when", {"Retry-After": "1"})
    if found is None:
        return answers.error(404, f"there is no such {what}")
    return answers.as_json([asdict(one) for one in found] if isinstance(found, list) else asdict(found))


def with_token(handler: Handler) -> Handler:
    """The same handler, for requests that have the replica's token.

    403 if no token would do, 401 if another one would (RFC 6750): so a client knows whether another token would do.
    """

    async def guarded(request: web.Request) -> web.StreamResponse:
        token, given = request.app[SERVICE].resign_token, request.headers.get("Authorization")
        if token is None:
            return answers.error(403, f"{request.method} {request.path} is off: this replica was given no token")
        if given is None:
            text = "this needs the header 'Authorization: Bearer <token>' with the replica's token"
            return answers.error(401, text, {"WWW-Authenticate": CHALLENGE})
        if not _is_bearer(given, token):
            text = "the header 'Authorization' is not 'Bearer <token>' with this replica's token"
            return answers.error(401, text, {"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token"'})
        return await handler(request)

    return guarded


def _is_bearer(header: str, token: str) -> bool:
    kind, _, given = header.partition(" ")
    # Compared as bytes and in constant time: the answer's delay depends on nothing of the token.
    # Bytes that are not text arrive as surrogates.
    bearer = given.strip().encode(errors="surrogateescape")
    return kind.lower() == "bearer" and hmac.compare_digest(bearer, token.encode())
