"""The routes of an election and of its jobs: who leads, who stands in the queue, what jobs did; and what changes these.

Rules:
- The answers of `/candidates`, `/history`, `/jobs` and of each POST wait for ZooKeeper. Every other one comes from
  memory and is computed when it is asked for: a poll never waits, and `is_leader` cannot be true past the lease.
- `/healthz` does not depend on ZooKeeper: an outage there must not restart a whole fleet.
- Any replica reads the ledgers of jobs; only the leader runs a job.
"""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from ..errors import LeaderAsyncError, LedgerError, TermEnded, UsageError
from ..health import unready, unwell
from ..schedule.queries import read_job, read_jobs
from ..zookeeper.reader import Reader
from . import answers
from .leading import follower as not_leading
from .negotiation import prefers_json
from .service import ASK_LIMIT, SERVICE, read

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
    service = request.app[SERVICE]
    return answers.as_json(answers.everything(service.election, service.connection))


async def candidates(request: web.Request) -> web.Response:
    """The queue, as ZooKeeper has it now."""
    return await read(request, "record", request.app[SERVICE].election.candidates)


async def history(request: web.Request) -> web.Response:
    """The latest terms, as they are written down in ZooKeeper."""
    return await read(request, "history", request.app[SERVICE].election.history)


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


# -- jobs --------------------------------------------------------------------------------------------------------------


async def jobs(request: web.Request) -> web.Response:
    """All jobs of the election, with their last runs and next slots."""
    election = request.app[SERVICE].election
    return await read(request, "ledger", lambda: read_jobs(Reader(election.client), election.parent))


async def job(request: web.Request) -> web.Response:
    """One of them."""
    election, name = request.app[SERVICE].election, request.match_info["name"]
    if not name.isprintable() or name in (".", ".."):
        return answers.error(404, "there is no such job")
    return await read(request, "job", lambda: read_job(Reader(election.client), election.parent, name))


async def run_now(request: web.Request) -> web.Response:
    """Have a job run now."""
    service, name = request.app[SERVICE], request.match_info["name"]
    if service.schedule is None or name not in service.schedule.names:
        return answers.error(404, "this replica has no such job; GET /jobs lists those that ever ran")
    if service.election.term is None:
        return answers.error(409, "this replica does not lead; /leader/jobs/<name>/run reaches the one that does")
    try:
        async with asyncio.timeout(ASK_LIMIT):
            await service.schedule.run_now(name)
    except (UsageError, TermEnded, LedgerError) as problem:
        return answers.error(409, str(problem))
    except TimeoutError:
        return answers.error(503, "ZooKeeper does not answer; look whether it runs before you ask again")
    log.info("job %s was asked for over HTTP", name, extra={"event": "asked_to_run", "job": name})
    return answers.as_json({"job": name, "identity": service.election.identity}, 202)
