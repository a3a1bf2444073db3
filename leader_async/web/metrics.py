"""`GET /metrics`: this replica, in Prometheus' text format.

Rule: each application has a registry of its own, so that several in one process do not meet. Not below /leader: a load
balancer would mix the counters of one leader with those of the next.
"""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from ..election.connection import Connection
from ..election.election import Election
from ..metrics import Collector
from ..schedule import Schedule
from .answers import HEADERS

REGISTRY = web.AppKey("registry", CollectorRegistry)

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


def registry(connection: Connection, election: Election, schedule: Schedule | None) -> CollectorRegistry:
    """What `page` shows: the election, and this process as Prometheus' own client does."""
    made = CollectorRegistry()
    made.register(Collector(connection, [election], [schedule] if schedule is not None else []))
    ProcessCollector(registry=made)
    return made


async def page(request: web.Request) -> web.Response:
    """All metrics of this replica."""
    text = generate_latest(request.app[REGISTRY])
    return web.Response(body=text, headers={**HEADERS, "Content-Type": TEXT_FORMAT})
