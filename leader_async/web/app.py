"""The routes of the status service.

    GET  /api/LeaderElection/is-leader   200, `<identity> - True` or `<identity> - False`; JSON if asked for
    GET  /leader, /follower              200 or 503, for load balancers; `/leader/<path>` is `/<path>`, of the leader
    GET  /healthz                        503: the candidacy is dead, or its work runs on past its lease, see `health`
    GET  /readyz                         503: not connected or not in the queue
    GET  /status                         all that this replica knows
    GET  /candidates                     the queue, read from ZooKeeper
    GET  /history                        the latest terms and why they ended, read from ZooKeeper
    GET  /jobs, /jobs/<name>             the jobs of a schedule, their last runs and next slots, read from ZooKeeper
    GET  /events                         all that changes, as server-sent events; see `events`
    GET  /                               the live page; see `page`
    GET  /openapi.json                   all of this as OpenAPI 3.1
    GET  /metrics                        this replica's metrics, for Prometheus; not below /leader
    POST /resign                         hand over; needs the bearer token
    POST /jobs/<name>/run                run a job now, at the leader; needs the bearer token

Rules:
- Every answer but those of `/candidates`, `/history`, `/jobs` and `/resign` comes from memory and is computed when it
  is asked for. A poll never waits for ZooKeeper, and `is_leader` can not be true past the lease.
- What never changes is made once, `/metrics` once a second at most, and what has to be read in ZooKeeper is read for a
  few at a time (`turns.Limiter`): beyond them it is 503.
- `/healthz` does not depend on ZooKeeper: an outage there must not restart a whole fleet.
- Nothing may be cached; errors are JSON and tell strangers nothing of what went wrong inside.
- What changes something is a POST with the bearer token in a header, which no form and no link of another site can
  send: there is nothing to forge. What only reads tells no secret: who reaches the port may read it, under whatever
  name of its host (so may a page that makes a browser ask 127.0.0.1 under a name of its own).
- How many connections there may be, and for how long, is for whoever listens: `callers`.

HEAD is answered wherever GET is; OPTIONS by /leader and /follower, for load balancers that check with it.

It does not promise that whoever asked acts in time: the answer is as old as its way through the network.
"""

from __future__ import annotations

import logging

from aiohttp import web

from ..connection import Connection
from ..election.election import Election
from ..errors import LeaderAsyncError
from ..health import unready, unwell
from ..schedule import Schedule
from . import answers, events, jobs, metrics, openapi, page
from .leading import Handler
from .leading import follower as not_leading
from .leading import leader_only as only_leader_of
from .negotiation import prefers_json
from .service import SERVICE, Service, Trouble, forbidden, read

log = logging.getLogger("leader_async.web")

RESIGN_LIMIT = 10.0
"""Seconds that `/resign` waits for the work to end and ZooKeeper to answer."""
BODY_LIMIT = 1024
"""Bytes of the largest request body; no route reads one."""


leader_only = only_leader_of(lambda request: request.app[SERVICE].election)


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
        resign_token: the bearer token that `POST /resign` and `POST /jobs/<name>/run` ask for; None forbids them to
            everybody.
        trouble: asked at each `/healthz` for a reason of your own to restart this process; None if there is none.
        schedule: whose jobs may be run now over HTTP; what jobs did is shown without it, too.
    """
    app = web.Application(client_max_size=BODY_LIMIT)
    app[SERVICE] = Service(election, connection, resign_token or None, trouble, schedule)
    is_leader = poll(election)
    pages: dict[str, Handler] = {
        "/api/LeaderElection/is-leader": is_leader,
        "/follower": follower,
        "/healthz": healthz,
        "/readyz": readyz,
        "/status": status,
        "/candidates": candidates,
        "/history": history,
        "/jobs": jobs.jobs,
        "/jobs/{name}": jobs.job,
        "/events": events.events,
        "/openapi.json": described,
    }
    for path, handler in pages.items():
        app.router.add_get(path, handler if handler is is_leader else _errors_as_json(handler))
        if handler is follower:
            app.router.add_options(path, _errors_as_json(follower))
        app.router.add_get("/leader" + path, _errors_as_json(leader_only(handler)))
    app[metrics.METRICS] = metrics.Metrics(connection, election, schedule)
    app.router.add_get("/metrics", _errors_as_json(metrics.page))
    app.router.add_get("/leader", _errors_as_json(leader))
    app.router.add_options("/leader", _errors_as_json(leader))  # right behind: one resource has all methods of a path
    page.attach(app)
    events.attach(app)
    for path, handler in {"/resign": resign, "/jobs/{name}/run": jobs.run_now}.items():
        app.router.add_post(path, _errors_as_json(handler))
        app.router.add_post("/leader" + path, _errors_as_json(leader_only(handler)))
    # What does not exist is answered by routes of its own and not by a middleware, which would be on the way of polls.
    for resource in list(app.router.resources()):
        assert isinstance(resource, web.Resource)
        resource.add_route("*", _not_allowed(sorted({route.method for route in resource})))
    app.router.add_route("*", "/{path:.*}", _not_found)
    return app


# -- routes ------------------------------------------------------------------------------------------------------------


def poll(election: Election) -> Handler:
    """The poll: who we are, and whether we lead. It is asked more often than all else, and looks nothing up."""

    async def is_leader(request: web.Request) -> web.Response:
        if prefers_json(",".join(request.headers.getall("Accept", ()))):
            return answers.as_json({"host": election.identity, "is_leader": election.is_leader})
        return answers.as_text(answers.leadership(election.identity, election.is_leader))

    return is_leader


async def leader(request: web.Request) -> web.Response:
    """200 from the leader, 503 from everybody else."""
    election = request.app[SERVICE].election
    role = answers.role(election.status())
    return answers.as_json(role) if role["is_leader"] else not_leading(election)


async def follower(request: web.Request) -> web.Response:
    """503 from the leader, 200 from everybody else."""
    role = answers.role(request.app[SERVICE].election.status())
    return answers.as_json(role, 503 if role["is_leader"] else 200)


async def healthz(request: web.Request) -> web.Response:
    """Whether this process is worth keeping; ZooKeeper's absence does not count."""
    service = request.app[SERVICE]
    problem = unwell(service.election.status()) or service.trouble()
    return answers.as_json({"status": "ok"}) if problem is None else answers.error(503, problem)


async def readyz(request: web.Request) -> web.Response:
    """Whether this replica could lead: connected, and in the queue."""
    service = request.app[SERVICE]
    known = service.election.status()
    problem = unready(known, service.connection.client.status().connected)
    return answers.as_json({"status": "ok", "state": known.state}) if problem is None else answers.error(503, problem)


async def status(request: web.Request) -> web.Response:
    """All that this replica knows."""
    connection, known = request.app[SERVICE].connection, request.app[SERVICE].election.status()
    return answers.as_json(answers.everything(known, connection.client.status(), connection.guardian))


async def candidates(request: web.Request) -> web.Response:
    """The queue, as ZooKeeper has it now."""
    ask = request.app[SERVICE].election.candidates
    return await read(request, "record", ask, lambda queue: [answers.candidate(one) for one in queue])


async def history(request: web.Request) -> web.Response:
    """The latest terms, as they are written down in ZooKeeper."""
    ask = request.app[SERVICE].election.history
    return await read(request, "history", ask, lambda entries: [answers.term(entry) for entry in entries])


async def described(request: web.Request) -> web.Response:
    """What all the routes answer."""
    return openapi.answer()


async def resign(request: web.Request) -> web.Response:
    """Hand over, if the bearer token is right."""
    service = request.app[SERVICE]
    refusal = forbidden(request, "resigning")
    if refusal is not None:
        return refusal
    term = service.election.term
    if term is None:
        return answers.error(409, "this replica does not lead; /leader/resign reaches the one that does")
    if not service.connection.client.connected:
        # The lead would be gone at once, and nobody could take it over.
        return answers.error(503, "nothing was done: ZooKeeper is away; /status says since when", {"Retry-After": "1"})
    fields = {"event": "asked_to_resign", "election": service.election.name, "identity": service.election.identity}
    log.info("%s was asked over HTTP to resign", service.election.identity, extra=fields)
    try:
        await service.election.resign(timeout=RESIGN_LIMIT)
    except (LeaderAsyncError, TimeoutError):
        return answers.error(504, "resigned, but the work has not ended or ZooKeeper has not answered yet")
    return answers.as_json({"resigned": True, "identity": service.election.identity, "term": term.number})


# -- helpers -----------------------------------------------------------------------------------------------------------


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
        except Exception:  # the boundary: a stranger must not see what broke
            log.exception("%s %s failed", request.method, request.raw_path, extra={"event": "bug"})
            return answers.error(500, "this replica could not answer; its log says why")

    return guarded
