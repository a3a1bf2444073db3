"""`GET /events`: everything that changes, as server-sent events, for any number of listeners.

    status   what this replica knows of itself and its session, when that changes
    lease    the leader's lease, renewed: only from the replica that leads, and not more often than `LEAST`
    queue    who leads and who stands in the queue, as ZooKeeper has it; and who is missing there, see `missing`
    terms    the latest terms and why they ended
    jobs     the jobs, their last runs and next slots
    beat     nothing has changed; every `BEAT` seconds

Rules:
1. Each event is the whole of its part. A stream begins with what is known, so no listener has to catch up: a gap in the
   ids means that older events were dropped for a slow listener (`mailbox`).
2. An event is made of what the replica knows at that instant.
3. ZooKeeper is followed once for all listeners, while there are any (`broadcast`).
4. A listener that takes nothing for `PATIENCE` seconds is cut off.
5. A token is a string of digits, other than in every other answer: JavaScript's numbers are exact below 2^53 only, and
   an ensemble whose leader has changed 2 million times counts beyond.

It does not promise every change to everybody: a slow listener gets the latest state.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterable, Iterator
from contextlib import aclosing
from dataclasses import asdict
from itertools import zip_longest
from typing import Any

from aiohttp import web

from ..election.queries import read_terms
from ..election.rules import history
from ..election.rules.explain import explained
from ..election.rules.history import TermEntry
from ..election.status import Change
from ..errors import LeaderAsyncError, SessionClosed
from ..schedule.ledger import folder
from ..schedule.queries import read_jobs
from ..schedule.status import JobStatus
from ..waking import Pulse
from ..zookeeper import messages as m
from ..zookeeper.mirror import Mirror
from . import answers
from .broadcast import Broadcast, Data, Publish
from .callers import stream_began
from .missing import Missing
from .service import SERVICE, Service

log = logging.getLogger("leader_async.web")

BEAT = 5.0
"""Seconds between two beats: proxies keep a stream open that is not silent, and listeners notice one that is dead."""
LEAST = 0.25
"""Seconds between two events of a lease, or two readings of what is written down."""
PATIENCE = 30.0
"""Seconds for a listener to take what was sent."""
AGAIN = 1.0
"""Seconds until an election that cannot be followed is tried again."""
TERMS = 20
"""The latest terms in an event; `GET /history` has all."""
RUNS = 5
"""The latest runs of each job in an event; `GET /jobs` has all."""

PASSING = frozenset({"status", "lease", "beat"})
"""Events that a newcomer does not get: it begins with a status of its own."""

HEADERS = {**answers.HEADERS, "Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}


class Feed:
    """What feeds the streams of one replica."""

    def __init__(self, service: Service) -> None:
        self._service, self._missing = service, Missing()
        self._queue: Data = {}
        self._published: Data = {}

    async def run(self, publish: Publish) -> None:
        """Publish what happens, until cancelled or until the connection is closed."""
        self._publish: Publish = lambda name, data: publish(name, exact(data))
        self._queue, self._published = {}, {}
        try:
            async with asyncio.TaskGroup() as group:
                parts = [group.create_task(part()) for part in (self._renewals, self._read, self._beats)]
                group.create_task(self._follow(parts))
        finally:
            self._missing.unknown(time.time())

    def _seen(self, change: Change) -> None:
        if change.connected and not change.problem:
            # A ghost is no replica: it is not missed.
            there = ((one.identity, one.address) for one in change.queue if not one.ghost)
            self._missing.stands(there, time.time())
        else:
            self._missing.unknown(time.time())
        self._queue = _queue(change)
        self._publish_queue()

    def _publish_queue(self) -> None:
        now = {**self._queue, "missing": [asdict(one) for one in self._missing.now(time.time())]}
        if self._queue and now != self._published:
            self._published = now
            self._publish("queue", now)

    def status(self) -> tuple[str, Data]:
        """What this replica knows now, as an event's name and data."""
        service = self._service
        known = answers.everything(service.election, service.connection)
        return "status", exact({"status": known, "resignable": service.resign_token is not None})

    async def _follow(self, others: Iterable[asyncio.Task[None]]) -> None:
        election = self._service.election
        while True:
            try:
                async with aclosing(election.watch()) as changes:
                    async for change in changes:
                        self._publish(*self.status())
                        if set(change.what) - {"status"}:
                            self._seen(change)
            except SessionClosed:
                for other in others:
                    other.cancel()
                return
            except LeaderAsyncError as problem:
                fields = {"event": "cannot_read", "election": election.name}
                log.warning("%s cannot be followed: %s", election.name, problem, extra=fields)
                text = "the election cannot be read; the log of this replica says more"
                self._seen(Change((), None, (), election.status(), election.client.connected, text))
                await asyncio.sleep(AGAIN)

    async def _renewals(self) -> None:
        election = self._service.election
        while True:
            await self._service.connection.confirmed.wait()
            known = election.status()
            if known.is_leader:
                left = round(known.lease_left, 3)
                self._publish("lease", {"term": known.term, "lease": known.lease, "lease_left": left})
                await asyncio.sleep(LEAST)

    async def _read(self) -> None:
        """Publish terms and jobs when ZooKeeper has others."""
        election, changed = self._service.election, Pulse()
        sources = election.parent, f"{election.parent}/{history.NAME}"
        read: list[m.Data | None] | None = None
        jobs: list[JobStatus] | None = None
        with Mirror(election.client, *sources, folder(election.parent), changed=changed) as mirror:
            while True:
                news = changed.next()
                try:
                    if (now := [await mirror.data(path) for path in sources]) != read:
                        self._publish_terms(await read_terms(mirror, election.parent))
                        read = now
                    if (found := await read_jobs(mirror, election.parent)) != jobs:
                        jobs = found
                        self._publish("jobs", {"jobs": [_job(job) for job in jobs]})
                except LeaderAsyncError as problem:
                    log.info("what is written down cannot be read: %s", problem, extra={"event": "cannot_read"})
                    await asyncio.wait([news], timeout=AGAIN)
                else:
                    await asyncio.sleep(LEAST)
                    await asyncio.shield(news)

    def _publish_terms(self, terms: list[TermEntry]) -> None:
        self._publish("terms", {"terms": [*_explained(terms)][-TERMS:]})
        self._missing.read(terms)
        self._publish_queue()

    async def _beats(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            self._publish("beat", {"connected": self._service.connection.client.connected})
            self._publish_queue()


def exact(data: Any) -> Any:
    """The same with each token as a string."""
    if isinstance(data, dict):
        return {
            name: str(value) if name == "token" and value is not None else exact(value) for name, value in data.items()
        }
    return [exact(one) for one in data] if isinstance(data, list) else data


def _queue(change: Change) -> Data:
    return {
        "connected": change.connected,
        "leader": None if change.leader is None else asdict(change.leader),
        "queue": [*map(asdict, change.queue)],
        "problem": change.problem,
    }


def _explained(terms: list[TermEntry]) -> Iterator[Data]:
    for entry, after in zip_longest(terms, terms[1:]):
        text = "" if entry.ended is None else explained(entry, after, None, _utc)
        yield {**asdict(entry), "explained": text}


def _utc(seconds: float | None) -> str:
    """A time that the page can find in a sentence, and show in its own time zone."""
    return "?" if not seconds else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _job(job: JobStatus) -> Data:
    return {**asdict(job), "past": [asdict(one) for one in job.past[-RUNS:]]}


# -- over HTTP ---------------------------------------------------------------------------------------------------------

BROADCAST = web.AppKey("broadcast", Broadcast)


def attach(app: web.Application) -> None:
    """Give an application its broadcast; it ends first when the application stops."""
    feed = Feed(app[SERVICE])
    app[BROADCAST] = broadcast = Broadcast(feed.run, feed.status, PASSING)

    async def stop(app: web.Application) -> None:
        broadcast.close()

    app.on_shutdown.append(stop)


async def events(request: web.Request) -> web.StreamResponse:
    """The stream."""
    broadcast = request.app[BROADCAST]
    if not broadcast.room(request.transport):
        return answers.error(503, "this replica has no room for another stream of events", {"Retry-After": "5"})
    response = web.StreamResponse(headers=HEADERS)
    response.force_close()  # the connection is not used again
    await response.prepare(request)
    stream_began(request)
    if request.method == "HEAD":
        return response
    with broadcast.listener(request.transport) as listener:
        try:
            # Whose connection ends comes back a moment later, and not all in the same one.
            await response.write(f"retry: {random.randint(500, 1500)}\n\n".encode())
            while frames := await listener.next():
                async with asyncio.timeout(PATIENCE):
                    await response.write(frames)
        except TimeoutError:
            log.info("a listener takes no events; it is cut off", extra={"event": "listener_cut_off"})
            listener.end()
        except ConnectionError:
            pass  # it has gone
    return response
