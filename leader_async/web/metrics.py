"""`GET /metrics`: this replica, in Prometheus' text format.

Rules: each application has a registry of its own, so that several in one process do not meet. The text is made once in
`FRESH` seconds at most, however often it is asked for. Not below /leader: a load balancer would mix the counters of one
leader with those of the next.
"""

from __future__ import annotations

import time

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from ..connection import Connection
from ..election.election import Election
from ..metrics import Collector
from ..schedule import Schedule
from .answers import Constant

FRESH = 1.0

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """What `page` shows: the election, its jobs if there is a schedule, and this process as Prometheus' client does."""

    def __init__(self, connection: Connection, election: Election, schedule: Schedule | None) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(Collector(connection, [election], [schedule] if schedule is not None else []))
        ProcessCollector(registry=self._registry)
        self._made, self._until = Constant(b"", TEXT_FORMAT), float("-inf")

    def answer(self) -> web.Response:
        """All metrics, as they are now or were less than `FRESH` seconds ago."""
        now = time.monotonic()
        if now >= self._until:
            self._made, self._until = Constant(generate_latest(self._registry), TEXT_FORMAT), now + FRESH
        return self._made()


METRICS = web.AppKey("metrics", Metrics)


async def page(request: web.Request) -> web.Response:
    """All metrics of this replica."""
    return request.app[METRICS].answer()
