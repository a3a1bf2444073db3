"""The routes of an election: who leads, who stands in the queue, whether this replica is well; and resigning.

Rules:
- The answers of `/candidates`, `/history` and `/resign` wait for ZooKeeper. Every other one comes from memory and is
  computed when it is asked for: a poll never waits, and `is_leader` cannot be true past the lease.
- `/healthz` does not depend on ZooKeeper: an outage there must not restart a whole fleet.
"""

from __future__ import annotations

import logging
from dataclasses import asdict

from aiohttp import web

from ..errors import LeaderAsyncError
from ..health import unready, unwell
from . import answers
from .leading import follower as not_leading
from .negotiation import prefers_json
from .service import SERVICE, read

log = logging.getLogger("leader_async.web")

RESIGN_LIMIT = 10.0
"""Seconds that `/resign` waits for the work to end and ZooKeeper to answer."""


async def is_leader(request: web.Request) -> web.Response:
    """The poll: who this replica is, and whether it leads. It is asked more often than all else."""
    election = request.app[SERVICE].election
    if prefers_json(",".join(request.headers.getall("Accept", ()))):
        return answers.as_json({"host": election.identity, "is_leader": election.is_leader})
    return answers.as_text(answers.leadership(election.identity, election.is_leader))


async def leader(request: web.Request) -> web.Response:
    """200 from the leader, 503 from every other replica."""
    election = request.app[SERVICE].election
    role = answers.role(election.status())
    return answers.as_json(role) if role["is_leader"] else not_leading(election)


async def follower(request: web.Request) -> web.Response:
    """503 from the leader, 200 from every other replica."""
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
    return await read(request, "record", ask, lambda queue: [*map(asdict, queue)])


async def history(request: web.Request) -> web.Response:
    """The latest terms, as they are written down in ZooKeeper."""
    ask = request.app[SERVICE].election.history
    return await read(request, "history", ask, lambda terms: [*map(asdict, terms)])


async def resign(request: web.Request) -> web.Response:
    """Hand over."""
    service = request.app[SERVICE]
    term = service.election.term
    if term is None:
        return answers.error(409, "this replica does not lead; /leader/resign reaches the one that does")
    if not service.connection.client.connected:
        # The lead would be gone at once, and no replica could take it over.
        return answers.error(503, "nothing was done: ZooKeeper is away; /status says since when", {"Retry-After": "1"})
    fields = service.election.reporter.fields("asked_to_resign")
    log.info("%s was asked over HTTP to resign", service.election.identity, extra=fields)
    try:
        await service.election.resign(timeout=RESIGN_LIMIT)
    except (LeaderAsyncError, TimeoutError):
        return answers.error(504, "resigned, but the work has not ended or ZooKeeper has not answered yet")
    return answers.as_json({"resigned": True, "identity": service.election.identity, "term": term.number})
