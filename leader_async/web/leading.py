"""Handlers that only the leader answers, in the status service and in applications of your own.

It does not promise that the handler ends with the lease: have what it writes carry the token (`leader_async.fence`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps

from aiohttp import web

from ..election.election import Election
from . import answers

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

RETRY_AFTER = {"Retry-After": "1"}
"""Seconds after which another replica may lead; for clients. A load balancer asks the next replica at once."""


def leader_only(election: Election | Callable[[web.Request], Election]) -> Callable[[Handler], Handler]:
    """The same handler, from the leader; 503 from any other, with `Retry-After` and who leads, as `GET /leader`.

        @routes.post("/reports")
        @leader_only(election)
        async def make_report(request): ...

    A load balancer that passes a 503 on to the next replica (nginx: `proxy_next_upstream http_503 non_idempotent`)
    finds the leader so.

    Args:
        election: whose leader; or a function that finds it when there is a request, `lambda request: request.app[KEY]`.
    """

    def decorate(handler: Handler) -> Handler:
        @wraps(handler)
        async def guarded(request: web.Request) -> web.StreamResponse:
            asked = election if isinstance(election, Election) else election(request)
            return await handler(request) if asked.is_leader else follower(asked)

        return guarded

    return decorate


def follower(election: Election) -> web.Response:
    """503: the identity of this replica and who leads, as far as it knows."""
    return answers.as_json(answers.role(election.status()), 503, RETRY_AFTER)
