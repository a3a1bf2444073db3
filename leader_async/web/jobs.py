"""The routes of jobs: what they did, read from their ledgers by any replica; and running one now, at the leader."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict

from aiohttp import web

from ..errors import LedgerError, TermEnded, UsageError
from ..schedule.queries import read_job, read_jobs
from ..schedule.status import JobStatus
from ..zookeeper.reader import Reader
from . import answers
from .service import ASK_LIMIT, SERVICE, read

log = logging.getLogger("leader_async.web")


async def jobs(request: web.Request) -> web.Response:
    """All jobs of the election, with their last runs and next slots."""
    election = request.app[SERVICE].election
    return await read(
        request,
        "ledger",
        lambda: read_jobs(Reader(election.client), election.parent),
        lambda found: [*map(asdict, found)],
    )


async def job(request: web.Request) -> web.Response:
    """One of them."""
    election, name = request.app[SERVICE].election, request.match_info["name"]
    if not name.isprintable() or name in (".", ".."):
        return answers.error(404, "there is no such job")
    return await read(request, "job", lambda: read_job(Reader(election.client), election.parent, name), _shown)


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


def _shown(found: JobStatus | None) -> object:
    assert found is not None
    return asdict(found)
