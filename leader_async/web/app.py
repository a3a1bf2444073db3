"""The status service of one replica, as an application; `routes` is the table of what it answers.

Rules:
- What never changes is made once, `/metrics` once a second at most, and what has to be read in ZooKeeper is read for a
  few at a time (`turns.Limiter`): beyond them it is 503.
- Nothing may be cached; errors are JSON, and what went wrong inside is in the log only.
- HEAD is answered wherever GET is. A path with another method is 405, any other path 404: by routes of their own and
  not by a middleware, which would be on the way of polls.
- How many connections there may be, and for how long, is decided by the listener: `callers`.

It does not promise that a client acts in time: an answer is as old as its way through the network.
"""

from __future__ import annotations

import logging

from aiohttp import web

from ..connection import Connection
from ..election.election import Election
from ..schedule import Schedule
from . import answers, events, metrics
from .leading import Handler, leader_only
from .route import LEADER, Cost, Route
from .routes import ROUTES
from .service import SERVICE, Service, Trouble, with_token

log = logging.getLogger("leader_async.web")

BODY_LIMIT = 1024
"""Bytes of the largest request body; no route reads one."""

_only_leader = leader_only(lambda request: request.app[SERVICE].election)


def create_app(
    election: Election,
    connection: Connection,
    *,
    resign_token: str | None = None,
    trouble: Trouble = lambda: None,
    schedule: Schedule | None = None,
) -> web.Application:
    """The status service of one replica, to be served alone or mounted in an application of your own.

    Args:
        election: whose status is served.
        connection: the connection that the election lives on.
        resign_token: the bearer token that `POST /resign` and `POST /jobs/<name>/run` ask for; None forbids both.
        trouble: asked at each `/healthz` for a reason of your own to restart this process; None if there is none.
        schedule: whose jobs may be run now over HTTP; what jobs did is shown without it, too.
    """
    app = web.Application(client_max_size=BODY_LIMIT)
    app[SERVICE] = Service(election, connection, resign_token or None, trouble, schedule)
    app[metrics.METRICS] = metrics.Metrics(connection, election, schedule)
    events.attach(app)
    for route in ROUTES:
        handler = with_token(route.handler) if route.cost is Cost.CHANGE else route.handler
        _add(app, route, route.path, handler)
        if route.below_leader:
            _add(app, route, LEADER + route.path, _only_leader(handler))
    for resource in list(app.router.resources()):
        assert isinstance(resource, web.Resource)
        resource.add_route("*", _not_allowed(sorted({route.method for route in resource})))
    app.router.add_route("*", "/{path:.*}", _not_found)
    return app


def _add(app: web.Application, route: Route, path: str, handler: Handler) -> None:
    guarded = _errors_as_json(handler)
    resource = app.router.add_resource(path)
    for method in ("POST",) if route.cost is Cost.CHANGE else ("GET", "HEAD", *(("OPTIONS",) if route.options else ())):
        resource.add_route(method, guarded)


def _not_allowed(methods: list[str]) -> Handler:
    allowed = ", ".join(methods)

    async def refuse(request: web.Request) -> web.StreamResponse:
        return answers.error(405, f"{request.path} takes {allowed}", {"Allow": allowed})

    return refuse


async def _not_found(request: web.Request) -> web.StreamResponse:
    return answers.error(404, "no such page; GET / or /status, /leader, /candidates or /api/LeaderElection/is-leader")


def _errors_as_json(handler: Handler) -> Handler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as problem:
            return answers.error(problem.status, problem.reason)
        except Exception:  # the boundary: a client must not see what broke
            log.exception("%s %s failed", request.method, request.raw_path, extra={"event": "bug"})
            return answers.error(500, "this replica could not answer; its log says why")

    return guarded
