"""`GET /events`: everything that changes, as server-sent events, for any number of listeners.

    status   what this replica knows of itself and its session, when that changes
    lease    the leader's lease, renewed: only from the replica that leads, and not more often than `LEAST`
    queue    who leads and who stands in the queue, as ZooKeeper has it
    terms    the latest terms and why they ended
    jobs     the jobs, their last runs and next slots
    beat     nothing has changed; every `BEAT` seconds

Rules:
1. Each event is the whole of its part. A stream begins with what is known, so nobody has to catch up: a gap in the ids
   says that older events were dropped for a listener who was slow (`mailbox`).
2. What an event says was so before it was told: it is made of what the replica knows at that instant.
3. ZooKeeper is followed once for all listeners, from the first on until `LINGER` seconds after the last one. An event
   is encoded once, and handed out a few listeners at a time, so that polls are answered in between.
4. Beyond `STREAMS` listeners are refused. Who takes nothing for `PATIENCE` seconds is cut off. A stop ends all at once.

It does not promise every change to everybody: who is slow gets the latest state.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import asdict

from aiohttp import web

from ..election.history import TermEntry
from ..election.moves import explained
from ..election.views import Change
from ..errors import LeaderAsyncError, SessionClosed
from ..schedule.views import JobStatus
from ..waking import Pulse
from . import answers
from .mailbox import Event, Mailbox
from .papers import Papers
from .service import SERVICE, Service

log = logging.getLogger("leader_async.web")

STREAMS = 1000
"""Listeners at a time; fewer where the process may not open twice as many files."""
BEAT = 5.0
"""Seconds between two beats: proxies keep a stream open that is not silent, and listeners notice one that is dead."""
LEAST = 0.25
"""Seconds between two events of a lease, or two readings of what is written down."""
LINGER = 10.0
"""Seconds for which ZooKeeper is followed when the last listener has gone: a page that is reloaded is back by then."""
PATIENCE = 30.0
"""Seconds for a listener to take what was sent."""
AGAIN = 1.0
"""Seconds until an election that cannot be followed is tried again."""
SLICE = 20
"""Listeners that are woken in one iteration of the event loop."""
TERMS = 20
"""The latest terms that are told; `GET /history` has all."""
RUNS = 5
"""The latest runs of each job that are told; `GET /jobs` has all."""

HEADERS = {**answers.NO_STORE, "Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}


class Listener:
    """One open stream.

    Args:
        transport: the connection.
    """

    def __init__(self, transport: asyncio.Transport | None) -> None:
        self.mailbox, self.news, self.ended = Mailbox(), Pulse(), False
        self._transport = transport

    async def next(self) -> bytes:
        """What is to be sent next, once there is any; nothing when the stream is to end."""
        while not (self.ended or (frames := self.mailbox.take())):
            await self.news.wait()
        return b"" if self.ended else frames

    def end(self) -> None:
        """End the stream now; what has not been taken is not waited for."""
        self.ended = True
        self.news.fire()
        if self._transport is not None and self._transport.get_write_buffer_size():
            self._transport.abort()


class Broadcast:
    """All streams of one replica, and the one that feeds them.

    Args:
        service: whom they are about.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._papers = Papers(service.election.client, service.election.parent)
        self._listeners: dict[Listener, None] = {}
        self._latest: dict[str, Event] = {}
        self._number = 0
        self._news = Pulse()
        self._feeding: asyncio.Task[None] | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def full(self) -> bool:
        """Whether there is no room for another listener."""
        return self._closed or len(self._listeners) >= min(STREAMS, _files() // 2)

    @contextmanager
    def listener(self, transport: asyncio.Transport | None) -> Iterator[Listener]:
        """One more listener, to whom what is known is told first."""
        one = Listener(transport)
        if self._feeding is None:
            self._feeding = asyncio.get_running_loop().create_task(self._feed(), name="events")
            self._feeding.add_done_callback(self._fed)
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        one.mailbox.put(self._event("status", self._status()))
        for event in self._latest.values():
            one.mailbox.put(event)
        self._listeners[one] = None
        try:
            yield one
        finally:
            del self._listeners[one]
            if not (self._listeners or self._closed):
                self._ending = asyncio.get_running_loop().call_later(LINGER, self._end)

    def close(self) -> None:
        """End all streams, and take no more."""
        self._closed = True
        self._end()
        for one in self._listeners:
            one.end()

    def _end(self) -> None:
        self._ending = None
        if self._feeding is not None:
            self._feeding.cancel()

    def _fed(self, feeding: asyncio.Task[None]) -> None:
        self._feeding = None
        self._latest.clear()
        self._papers.forget()
        if not feeding.cancelled() and (error := feeding.exception()) is not None:
            log.critical("the event stream has died of a bug; its listeners are sent away", exc_info=error)
        for one in self._listeners:
            one.end()

    # -- handing out ---------------------------------------------------------------------------------------------------

    def _event(self, name: str, data: dict[str, object]) -> Event:
        self._number += 1
        text = json.dumps({"at": round(time.time(), 3), **data}, ensure_ascii=False, separators=(",", ":"))
        return Event(name, f"id: {self._number}\nevent: {name}\ndata: {text}\n\n".encode(errors="replace"))

    def _publish(self, name: str, data: dict[str, object]) -> None:
        event = self._event(name, data)
        if name not in ("status", "lease", "beat"):  # which newcomers get fresh
            self._latest[name] = event
        for one in self._listeners:
            one.mailbox.put(event)
        self._news.fire()

    async def _hand_out(self) -> None:
        while True:
            news = self._news.next()
            for number, one in enumerate([*self._listeners], 1):
                one.news.fire()
                if number % SLICE == 0:
                    await asyncio.sleep(0)
            await asyncio.shield(news)

    # -- feeding -------------------------------------------------------------------------------------------------------

    async def _feed(self) -> None:
        async with asyncio.TaskGroup() as group:
            for part in (self._hand_out, self._follow, self._renewals, self._read, self._beats):
                group.create_task(part())

    async def _follow(self) -> None:
        election = self._service.election
        while not self._closed:
            try:
                async with aclosing(election.watch()) as changes:
                    async for change in changes:
                        self._publish("status", self._status())
                        if set(change.what) - {"status"}:
                            self._publish("queue", _queue(change, ""))
            except SessionClosed:
                self.close()
            except LeaderAsyncError as problem:
                log.warning("%s cannot be followed: %s", election.name, problem)
                away = Change((), None, (), election.status(), election.client.connected)
                self._publish("queue", _queue(away, "the election cannot be read; the log of this replica says more"))
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
        while True:
            news = self._papers.news.next()
            try:
                if (terms := await self._papers.terms()) is not None:
                    self._publish("terms", {"terms": [*_told(terms)][-TERMS:]})
                if (jobs := await self._papers.jobs()) is not None:
                    self._publish("jobs", {"jobs": [_job(job) for job in jobs]})
            except LeaderAsyncError as problem:
                log.info("what is written down cannot be read: %s", problem)
                await asyncio.wait([news], timeout=AGAIN)
            else:
                await asyncio.sleep(LEAST)
                if not self._papers.due:
                    await asyncio.shield(news)

    async def _beats(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            self._publish("beat", {"connected": self._service.connection.client.connected})

    def _status(self) -> dict[str, object]:
        service = self._service
        known = answers.everything(
            service.election.status(), service.connection.client.status(), service.connection.guardian
        )
        return {"status": known, "resignable": service.resign_token is not None}


def _queue(change: Change, problem: str) -> dict[str, object]:
    return {
        "connected": change.connected,
        "leader": None if change.leader is None else answers.candidate(change.leader),
        "queue": [answers.candidate(one) for one in change.queue],
        "problem": problem,
    }


def _told(terms: list[TermEntry]) -> Iterator[dict[str, object]]:
    for entry, after in zip(terms, [*terms[1:], None], strict=True):
        told = "" if entry.ended is None else explained(entry, after, None, _utc)
        yield {**answers.term(entry), "explained": told}


def _utc(seconds: float | None) -> str:
    """A time as whoever shows it can read it, and put into a time zone of its own."""
    return "?" if not seconds else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _job(job: JobStatus) -> dict[str, object]:
    return {**asdict(job), "past": [asdict(one) for one in job.past[-RUNS:]]}


def _files() -> int:
    """How many files this process may have open."""
    try:
        import resource
    except ImportError:  # not a Unix
        return 2 * STREAMS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2 * STREAMS if soft == resource.RLIM_INFINITY else soft


# -- over HTTP ---------------------------------------------------------------------------------------------------------

BROADCAST = web.AppKey("broadcast", Broadcast)


def attach(app: web.Application) -> None:
    """Give an application its broadcast; it ends first when the application stops."""
    app[BROADCAST] = broadcast = Broadcast(app[SERVICE])

    async def stop(app: web.Application) -> None:
        broadcast.close()

    app.on_shutdown.append(stop)


async def events(request: web.Request) -> web.StreamResponse:
    """The stream."""
    broadcast = request.app[BROADCAST]
    if broadcast.full:
        return answers.error(503, "this replica has no room for another stream of events", {"Retry-After": "5"})
    response = web.StreamResponse(headers=HEADERS)
    response.force_close()  # nobody is to wait for the connection to be used again
    await response.prepare(request)
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
            log.info("a listener takes no events; it is cut off")
            listener.end()
        except ConnectionError:
            pass  # it has gone
    return response
