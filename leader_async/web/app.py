"""The routes of the status service.

    GET  /api/LeaderElection/is-leader   200, `<identity> - True` or `<identity> - False`; JSON if asked for
    GET  /leader, /follower              200 or 503, for load balancers; `/leader/<path>` is `/<path>`, of the leader
    GET  /healthz                        503: the candidacy is dead, or its work runs past its lease by more than GRACE
    GET  /readyz                         503: not connected or not in the queue
    GET  /status                         all that this replica knows
    GET  /candidates                     the queue, read from ZooKeeper
    GET  /openapi.json                   all of this as OpenAPI 3.1
    POST /resign                         hand over; needs the bearer token

Rules:
- Every answer but those of `/candidates` and `/resign` comes from memory and is computed when it is asked for. A poll
  never waits for ZooKeeper, and `is_leader` can not be true past the lease.
- `/healthz` does not depend on ZooKeeper: an outage there must not restart a whole fleet.
- Nothing may be cached; errors are JSON and tell strangers nothing of what went wrong inside.

HEAD is answered wherever GET is; OPTIONS by /leader and /follower, for load balancers that check with it.

It does not promise that whoever asked acts in time: the answer is as old as its way through the network.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from ..election.connection import Connection
from ..election.election import Election
from ..errors import LeaderAsyncError, RecordError
from . import answers, openapi
from .accept import prefers_json
from .leading import Handler
from .leading import follower as not_leading
from .leading import leader_only as only_leader_of

log = logging.getLogger("leader_async.web")

Trouble = Callable[[], str | None]

GRACE = 1.0
"""Seconds that work may run past the end of its lease before `/healthz` calls for a restart."""
ASK_LIMIT = 2.0
"""Seconds that `/candidates` waits for ZooKeeper."""
RESIGN_LIMIT = 10.0
"""Seconds that `/resign` waits for the work to end and ZooKeeper to answer."""
BODY_LIMIT = 1024
"""Bytes of the largest request body; no route reads one."""


@dataclass(frozen=True, slots=True)
class _Service:
    election: Election
    connection: Connection
    resign_token: str | None
    trouble: Trouble


_SERVICE = web.AppKey("service", _Service)
leader_only = only_leader_of(lambda request: request.app[_SERVICE].election)


def create_app(
    election: Election,
    connection: Connection,
    *,
    resign_token: str | None = None,
    trouble: Trouble = lambda: None,
) -> web.Application:
    """The status service of one replica, to be served alone or mounted in an application of your own.

    Args:
        election: whose status is served.
        connection: the connection that the election lives on.
        resign_token: the bearer token that `POST /resign` asks for; None forbids it to everybody.
        trouble: asked at each `/healthz` for a reason of your own to restart this process; None if there is none.
    """
    app = web.Application(middlewares=[_errors_as_json], client_max_size=BODY_LIMIT)
    app[_SERVICE] = _Service(election, connection, resign_token or None, trouble)
    pages: dict[str, Handler] = {
        "/api/LeaderElection/is-leader": is_leader,
        "/follower": follower,
        "/healthz": healthz,
        "/readyz": readyz,
        "/status": status,
        "/candidates": candidates,
        "/openapi.json": described,
    }
    for path, handler in pages.items():
        app.router.add_get(path, handler)
        app.router.add_get("/leader" + path, leader_only(handler))
    app.router.add_get("/leader", leader)
    app.router.add_post("/resign", resign)
    app.router.add_post("/leader/resign", leader_only(resign))
    app.router.add_options("/leader", leader)
    app.router.add_options("/follower", follower)
    return app


# -- routes ------------------------------------------------------------------------------------------------------------


async def is_leader(request: web.Request) -> web.Response:
    """The poll: who we are, and whether we lead."""
    election = request.app[_SERVICE].election
    if prefers_json(",".join(request.headers.getall("Accept", ()))):
        return answers.as_json({"host": election.identity, "is_leader": election.is_leader})
    return web.Response(text=answers.leadership(election.identity, election.is_leader), headers=answers.NO_STORE)


async def leader(request: web.Request) -> web.Response:
    """200 from the leader, 503 from everybody else."""
    election = request.app[_SERVICE].election
    role = answers.role(election.status())
    return answers.as_json(role) if role["is_leader"] else not_leading(election)


async def follower(request: web.Request) -> web.Response:
    """503 from the leader, 200 from everybody else."""
    role = answers.role(request.app[_SERVICE].election.status())
    return answers.as_json(role, 503 if role["is_leader"] else 200)


async def healthz(request: web.Request) -> web.Response:
    """Whether this process is worth keeping; ZooKeeper's absence does not count."""
    service = request.app[_SERVICE]
    known, trouble = service.election.status(), service.trouble()
    if not known.alive:
        return answers.error(503, "the candidacy has died of a bug, see the log; restart this replica")
    if known.overdue > GRACE:
        return answers.error(
            503, f"the work runs {known.overdue:.1f} s past the end of its lease; restart this replica"
        )
    if trouble is not None:
        return answers.error(503, trouble)
    return answers.as_json({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Whether this replica could lead: connected, and in the queue."""
    service = request.app[_SERVICE]
    session, known = service.connection.client.status(), service.election.status()
    if not session.connected:
        return answers.error(503, "no ZooKeeper server is connected")
    if not known.in_queue:
        return answers.error(503, f"not in the queue ({known.state})")
    return answers.as_json({"status": "ok", "state": known.state})


async def status(request: web.Request) -> web.Response:
    """All that this replica knows."""
    connection, known = request.app[_SERVICE].connection, request.app[_SERVICE].election.status()
    return answers.as_json(answers.everything(known, connection.client.status(), connection.guardian))


async def candidates(request: web.Request) -> web.Response:
    """The queue, as ZooKeeper has it now."""
    try:
        async with asyncio.timeout(ASK_LIMIT):
            queue = await request.app[_SERVICE].election.candidates()
    except RecordError as problem:
        log.warning("the queue cannot be read: %s", problem)
        return answers.error(503, "the election's record is not this library's; the log of this replica says more")
    except (LeaderAsyncError, TimeoutError) as problem:
        log.info("the queue cannot be read: %s", problem or "no answer in time")
        return answers.error(503, "ZooKeeper cannot be asked now; /status says since when", {"Retry-After": "1"})
    return answers.as_json([answers.candidate(one) for one in queue])


async def described(request: web.Request) -> web.Response:
    """What all the routes answer."""
    return answers.as_json(openapi.description())


async def resign(request: web.Request) -> web.Response:
    """Hand over, if the bearer token is right."""
    service = request.app[_SERVICE]
    if service.resign_token is None:
        return answers.error(403, "resigning over HTTP is off: no token is configured on this replica")
    if not _has_token(request, service.resign_token):
        return answers.error(403, "this needs the header 'Authorization: Bearer <token>' with the replica's token")
    term = service.election.term
    if term is None:
        return answers.error(409, "this replica does not lead; /leader/resign reaches the one that does")
    if not service.connection.client.connected:
        # The lead would be gone at once, and nobody could take it over.
        return answers.error(503, "nothing was done: ZooKeeper is away; /status says since when", {"Retry-After": "1"})
    log.info("%s was asked over HTTP to resign", service.election.identity)
    try:
        await service.election.resign(timeout=RESIGN_LIMIT)
    except (LeaderAsyncError, TimeoutError):
        return answers.error(504, "resigned, but the work has not ended or ZooKeeper has not answered yet")
    return answers.as_json({"resigned": True, "identity": service.election.identity, "term": term.number})


# -- helpers -----------------------------------------------------------------------------------------------------------


def _has_token(request: web.Request, token: str) -> bool:
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    # Compared as bytes and in constant time: the answer's delay tells nothing of the token.
    # Bytes that are not text arrive as surrogates.
    bearer = given.strip().encode(errors="surrogateescape")
    return kind.lower() == "bearer" and hmac.compare_digest(bearer, token.encode())


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPMethodNotAllowed as problem:
        allowed = ", ".join(sorted(problem.allowed_methods))
        return answers.error(405, f"{request.path} takes {allowed}", {"Allow": allowed})
    except web.HTTPNotFound:
        return answers.error(404, "no such page; GET /status, /leader, /candidates or /api/LeaderElection/is-leader")
    except web.HTTPException as problem:
        return answers.error(problem.status, problem.reason)
    except Exception:  # the boundary: a stranger must not see what broke
        log.exception("%s %s failed", request.method, request.raw_path)
        return answers.error(500, "this replica could not answer; its log says why")
