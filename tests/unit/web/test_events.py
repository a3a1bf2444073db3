"""The event stream, over real sockets and the embedded ZooKeeper."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from typing import Any, NamedTuple, cast

import aiohttp
import jsonschema_rs
import pytest
from aiohttp import web

from leader_async import Connection, Election, JobRun, Schedule, Term, connect
from leader_async.testing import ZooKeeper, zookeeper
from leader_async.web import broadcast, create_app, events
from leader_async.web import missing as forgetting
from leader_async.web.openapi import SCHEMAS
from leader_async.zookeeper import messages as m

from ...support.proxy import Proxy
from ...support.waiting import until

__all__ = ["zookeeper"]
pytestmark = pytest.mark.timeout(60)
LEASE = 30.0
EMPTY: dict[str, object] = {"connected": True, "leader": None, "queue": [], "missing": []}
TOKEN = "a token that is long enough"


class Told(NamedTuple):
    """One event."""

    id: int
    name: str
    data: Any


class Listener:
    """A client of the stream, which holds every event to its schema."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer
        self.told: list[Told] = []

    async def next(self) -> Told | None:
        """The next event, None at the end."""
        fields: dict[str, str] = {}
        while line := (await self.answer.content.readline()).decode():
            if line != "\n":
                key, _, value = line.rstrip("\n").partition(": ")
                fields[key] = value
            elif "event" in fields:
                one = Told(int(fields["id"]), fields["event"], json.loads(fields["data"]))
                schema = {"$ref": f"#/components/schemas/{one.name.capitalize()}Event"}
                jsonschema_rs.validate({**schema, "components": {"schemas": SCHEMAS}}, one.data)
                self.told.append(one)
                return one
        return None

    async def until(self, name: str, wanted: Callable[[Any], bool] = lambda data: True) -> Any:
        """The data of the next event of this name that is as wanted."""
        async with asyncio.timeout(15):
            while (one := await self.next()) is not None:
                if one.name == name and wanted(one.data):
                    return one.data
        raise AssertionError("the stream has ended")


class Replica:
    """One replica's service at a port."""

    def __init__(self, zk: Connection, election: Election, schedule: Schedule | None = None) -> None:
        self.zk, self.election = zk, election
        self._app = create_app(election, zk, resign_token=TOKEN, schedule=schedule)
        self.runner = web.AppRunner(self._app, access_log=None)
        self.port = 0

    @property
    def broadcast(self) -> broadcast.Broadcast:
        return self._app[events.BROADCAST]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Replica]:
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.port = self.runner.addresses[0][1]
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), read_bufsize=2**20) as self.http:
            yield self
        await self.runner.cleanup()

    @asynccontextmanager
    async def stream(self, path: str = "/events") -> AsyncIterator[Listener]:
        async with self.http.get(f"http://127.0.0.1:{self.port}{path}") as answer:
            assert answer.status == 200
            yield Listener(answer)


@asynccontextmanager
async def replica(address: str, name: str = "me", lease: float = LEASE, timeout: float = 6.0) -> AsyncIterator[Replica]:
    """A candidate with its service."""
    async with connect(address, timeout=timeout) as zk:
        election = zk.election("x", identity=name, lease=lease)
        running = asyncio.create_task(election.run(idle))
        await until(lambda: election.status().position is not None)
        async with Replica(zk, election).serving() as one:
            yield one
        running.cancel()
        await asyncio.wait([running])


async def nothing(run: JobRun) -> None:
    """A job that is done."""


async def idle(term: Term) -> None:
    await asyncio.get_running_loop().create_future()


def led_by(name: str) -> Callable[[Any], bool]:
    return lambda data: data["leader"] is not None and data["leader"]["identity"] == name


def test_tokens_that_differ_by_one_differ_in_a_browser() -> None:
    tokens = 2**53, 2**53 + 1
    assert float(tokens[0]) == float(tokens[1]), "as JavaScript would read them"
    told = events.exact({"leader": {"token": tokens[0]}, "terms": [{"token": tokens[1], "term": 7}, {"token": None}]})
    assert told == {
        "leader": {"token": "9007199254740992"},
        "terms": [{"token": "9007199254740993", "term": 7}, {"token": None}],
    }


async def test_a_stream_tells_what_is_first_and_then_every_change(zookeeper: ZooKeeper) -> None:
    async with replica(zookeeper.address, "a") as one, replica(zookeeper.address, "b") as two:
        async with two.stream() as listener:
            headers = listener.answer.headers
            assert (headers["Cache-Control"], headers["X-Accel-Buffering"]) == ("no-store", "no")
            assert listener.answer.content_type == "text/event-stream"
            first = await listener.next()
            assert first is not None
            assert (first.name, first.data["status"]["identity"]) == ("status", "b")
            assert first.data["resignable"]
            before = await listener.until("queue", led_by("a"))
            assert [each["identity"] for each in before["queue"]] == ["a", "b"]
            await one.election.resign()
            after = await listener.until("queue", lambda data: led_by("b")(data) and len(data["queue"]) == 2)
            assert two.election.is_leader, "so before it was told"
            assert after["leader"]["term"] == 2
            assert after["leader"]["token"] == str(two.election.status().token), (
                "as a string, which JavaScript reads exactly"
            )
            ids = [told.id for told in listener.told]
            assert ids == [*range(ids[0], ids[0] + len(ids))], "none was dropped"
            async with two.stream() as newcomer:
                assert (await newcomer.next()).data["status"]["is_leader"]  # type: ignore[union-attr]
                assert await newcomer.until("queue") == after, "what is known, without a question to ZooKeeper"


async def test_terms_are_told_with_a_sentence_why_they_ended(zookeeper: ZooKeeper) -> None:
    async with replica(zookeeper.address, lease=0.5) as one, one.stream() as listener:
        await listener.until("terms", lambda data: len(data["terms"]) == 1)
        await one.election.resign()
        told = await listener.until("terms", lambda data: len(data["terms"]) == 2)
        assert "me, term 1, had stopped leading at 20" in told["terms"][0]["explained"]
        assert "it resigned" in told["terms"][0]["explained"]
        assert told["terms"][1]["explained"] == ""


async def test_the_leader_tells_its_renewals_and_the_others_do_not(zookeeper: ZooKeeper) -> None:
    async with replica(zookeeper.address, "a", lease=0.5) as one, replica(zookeeper.address, "b", lease=0.5) as two:
        async with one.stream("/leader/events") as listener:
            for _ in range(3):
                told = await listener.until("lease")
                assert 0 < told["lease_left"] <= told["lease"] == 0.5
        assert (await one.http.get(f"http://127.0.0.1:{two.port}/leader/events")).status == 503


async def test_a_lost_zookeeper_is_told_and_its_return(zookeeper: ZooKeeper) -> None:
    async with replica(zookeeper.address, lease=0.3, timeout=1.0) as one, one.stream() as listener:
        await listener.until("queue", led_by("me"))
        with zookeeper.outage():
            away = await listener.until("queue", lambda data: not data["connected"])
            assert led_by("me")(away), "what was known before"
            await listener.until("status", lambda data: data["status"]["state"] != "leading")
        await listener.until("queue", lambda data: data["connected"] and led_by("me")(data))


async def test_a_record_of_somebody_else_is_told_and_outlived(
    zookeeper: ZooKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "AGAIN", 0.01)
    async with connect(zookeeper.address) as zk, Replica(zk, zk.election("x", identity="me")).serving() as one:
        await zk.wait_connected()
        for path, data in (("/ELECTION", b""), ("/ELECTION/x", b"")):
            await zk.client.request(m.Create(path, data))
        await zk.client.request(m.SetData("/ELECTION/x", b"?", -1))
        async with one.stream() as listener:
            told = await listener.until("queue", lambda data: data["problem"])
            assert told["problem"].startswith("/ELECTION/x is not an election's record: ")
            await zk.client.request(m.Delete("/ELECTION/x"))
            await listener.until("queue", lambda data: not data["problem"])


async def test_jobs_are_told_when_their_ledgers_change(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address) as zk:
        election = zk.election("x", identity="me", lease=LEASE)
        jobs = Schedule(election)

        @jobs.every(3600)
        async def tidy(run: JobRun) -> None:
            raise ValueError("no")

        async with Replica(zk, election, jobs).serving() as one, one.stream() as listener:
            assert (await listener.until("jobs"))["jobs"] == []
            running = asyncio.create_task(jobs.run())
            (job,) = (await listener.until("jobs", lambda data: data["jobs"]))["jobs"]
            assert (job["name"], job["trigger"], job["past"]) == ("tidy", "every 3600 s", [])
            await jobs.run_now("tidy")
            told = await listener.until("jobs", lambda data: data["jobs"][0]["past"])
            assert told["jobs"][0]["past"][0]["error"] == "ValueError: no"
            running.cancel()
            await asyncio.wait([running])
            await Schedule(election).forget("tidy")
            await listener.until("jobs", lambda data: not data["jobs"])


async def test_two_services_of_one_election_hear_of_the_same(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address) as zk:
        election = zk.election("x", identity="me", lease=1.0)
        jobs = Schedule(election)
        jobs.every(3600)(nothing)
        async with AsyncExitStack() as stack:
            listeners = []
            for _ in range(2):
                service = await stack.enter_async_context(Replica(zk, election).serving())
                listeners.append(await stack.enter_async_context(service.stream()))
            for listener in listeners:
                assert (await listener.until("jobs"))["jobs"] == []
            running = asyncio.create_task(jobs.run())
            for listener in listeners:
                await listener.until("jobs", lambda data: data["jobs"])
            await election.resign()
            for listener in listeners:
                await listener.until("terms", lambda data: data["terms"] and data["terms"][0]["ended"])
            running.cancel()
            await asyncio.wait([running])


async def test_zookeeper_is_followed_once_and_only_while_somebody_listens(
    zookeeper: ZooKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcast, "LINGER", 0.02)
    monkeypatch.setattr(events, "BEAT", 0.05)
    host, _, port = zookeeper.address.rpartition(":")
    async with (
        Proxy(host, int(port)) as proxy,
        connect(proxy.address) as zk,
        Replica(zk, zk.election("x", identity="me")).serving() as one,
    ):
        await zk.wait_connected()
        before = proxy.requests.copy()
        async with AsyncExitStack() as stack:
            for _ in range(10):
                await (await stack.enter_async_context(one.stream())).until("terms")
            listings = (proxy.requests - before)[8]
            assert listings <= 3, "not one for each"
        await until(lambda: one.broadcast._feeding is None)
        before = proxy.requests.copy()
        async with connect(zookeeper.address) as other:
            await other.wait_connected()
            await other.client.request(m.Create("/ELECTION"))
            await other.client.request(m.Create("/ELECTION/x"))
            await zk.client.request(m.Sync("/"))
            assert proxy.requests - before == Counter({9: 1}), "nobody listens"
        async with one.stream() as listener:
            await listener.until("queue", lambda data: data["connected"])


async def test_silence_is_broken_by_beats(zookeeper: ZooKeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "BEAT", 0.02)
    async with connect(zookeeper.address) as zk, Replica(zk, zk.election("x", identity="me")).serving() as one:
        async with one.stream() as listener:
            await listener.until("beat", lambda data: data["connected"])
            await listener.until("beat")


async def test_streams_are_limited_and_head_is_none(zookeeper: ZooKeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "STREAMS", 1)
    monkeypatch.setattr(events, "BEAT", 0.05)
    async with connect(zookeeper.address) as zk, Replica(zk, zk.election("x", identity="me")).serving() as one:
        address = f"http://127.0.0.1:{one.port}/events"
        async with one.http.head(address) as answer:
            assert (answer.status, answer.content_type) == (200, "text/event-stream")
        async with one.stream():
            async with one.http.get(address) as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
                assert "no room" in await answer.text()
        await until(lambda: not one.broadcast._listeners, 10)
        async with one.stream() as listener:
            await listener.next()


async def test_a_stop_ends_streams_at_once_also_those_of_slow_clients(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address) as zk, Replica(zk, zk.election("x", identity="me")).serving() as one:
        async with one.stream() as listener:
            await listener.next()
            slow = await slow_client(one)
            await flood(one)
            async with asyncio.timeout(5):
                await one.runner.cleanup()
                while await listener.next() is not None:
                    pass
            slow.close()


async def test_a_closed_connection_ends_streams(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address) as zk:
        async with Replica(zk, zk.election("x", identity="me")).serving() as one, one.stream() as listener:
            await listener.until("queue", lambda data: data["connected"])
            await zk.close()
            async with asyncio.timeout(5):
                while await listener.next() is not None:
                    pass


async def slow_client(one: Replica) -> socket.socket:
    """One that asks for events and takes none."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sock.setblocking(False)
    loop, there = asyncio.get_running_loop(), len(one.broadcast._listeners)
    await loop.sock_connect(sock, ("127.0.0.1", one.port))
    await loop.sock_sendall(sock, b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: len(one.broadcast._listeners) == there + 1)
    return sock


async def flood(one: Replica) -> None:
    """Publish until the last listener, who is slow, drops."""
    slow = [*one.broadcast._listeners][-1]
    while not slow.mailbox.dropped:
        one.broadcast._publish("queue", EMPTY | {"problem": "x" * 50_000})
        await asyncio.sleep(0)


async def test_a_slow_client_gets_the_latest_state_and_one_that_takes_nothing_is_cut_off(
    zookeeper: ZooKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect(zookeeper.address) as zk, Replica(zk, zk.election("x", identity="me")).serving() as one:
        loop = asyncio.get_running_loop()
        slow = await slow_client(one)
        await flood(one)
        one.broadcast._publish("queue", EMPTY | {"problem": "the latest"})
        received = b""
        async with asyncio.timeout(20):
            while b"the latest" not in received:
                received += await loop.sock_recv(slow, 2**20)
        ids = [int(line[4:]) for line in received.split(b"\n") if line.startswith(b"id: ")]
        assert ids == sorted(ids)
        assert len(ids) < ids[-1] - ids[0] + 1, "a gap"
        slow.close()
        async with asyncio.timeout(10):
            while one.broadcast._listeners:
                one.broadcast._publish("beat", {"connected": True})
                await asyncio.sleep(0.005)

        monkeypatch.setattr(events, "PATIENCE", 0.05)
        slow = await slow_client(one)
        await flood(one)
        await until(lambda: not one.broadcast._listeners)
        with suppress(ConnectionError):
            async with asyncio.timeout(20):
                while await loop.sock_recv(slow, 2**20):
                    pass
        slow.close()


class From:
    """A connection from this address, which only tells where it comes from."""

    def __init__(self, peer: object) -> None:
        self._peer = peer

    def get_extra_info(self, name: str) -> object:
        assert name == "peername"
        return self._peer

    def get_write_buffer_size(self) -> int:
        return 0


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("10.0.0.1", 4711), "10.0.0.1"),
        (("::ffff:10.0.0.1", 4711, 0, 0), "10.0.0.1"),
        (("2001:db8:1:2:3:4:5:6", 4711, 0, 0), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 4711, 0, 2), "fe80::/64"),
        (("somewhere", 1), "somewhere"),
        ("", ""),
        (None, ""),
    ],
)
def test_where_a_listener_comes_from(peer: object, address: str) -> None:
    assert broadcast.address_of(cast(asyncio.Transport, From(peer))) == address
    assert broadcast.address_of(None) == ""


async def test_who_has_most_makes_room_for_who_has_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "STREAMS", 4)

    async def feed(publish: broadcast.Publish) -> None:
        await asyncio.get_running_loop().create_future()

    def come(address: str) -> broadcast.Subscriber | None:
        transport = cast(asyncio.Transport, From((address, 1)))
        return stack.enter_context(streams.listener(transport)) if streams.room(transport) else None

    streams = broadcast.Broadcast(feed, lambda: ("status", {}), frozenset())
    with ExitStack() as stack:
        proxy = [come("10.0.0.1") for _ in range(4)]
        assert all(proxy), "who is alone may have all"
        assert come("10.0.0.1") is None
        first, second = come("10.0.0.2"), come("10.0.0.2")
        assert first
        assert second
        assert [one.ended for one in proxy if one] == [True, True, False, False]
        assert come("10.0.0.2") is None, "both have as much"
        assert come("10.0.0.3"), "who has nothing comes before who has two"
        assert come("10.0.0.4")
        assert [one.ended for one in proxy if one] == [True, True, True, False]
        assert first.ended
        assert come("10.0.0.5") is None, "nobody has two any more"
        streams.close()
        assert come("10.0.0.5") is None


async def test_who_leaves_the_queue_is_missing_until_it_is_back(
    zookeeper: ZooKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "BEAT", 0.05)

    def missing(*names: str) -> Callable[[dict[str, Any]], bool]:
        return lambda data: [one["identity"] for one in data["missing"]] == [*names]

    async with replica(zookeeper.address, "a") as one:
        async with one.stream() as listener:
            async with connect(zookeeper.address) as other:
                election = other.election("x", identity="b", address="http://b")
                standing = asyncio.create_task(election.run(idle))
                await listener.until("queue", lambda data: len(data["queue"]) == 2 and not data["missing"])
                began = time.time()
                standing.cancel()
                await asyncio.wait([standing])
                told = await listener.until("queue", missing("b"))
                (gone,) = told["missing"]
                assert gone["address"] == "http://b"
                assert began - 0.001 <= gone["since"] <= time.time()
                async with one.stream() as newcomer:
                    assert await newcomer.until("queue") == told
                standing = asyncio.create_task(election.run(idle))
                await listener.until("queue", lambda data: len(data["queue"]) == 2 and missing()(data))
                # Nobody misses a ghost that was evicted.
                await other.client.request(m.Create("/ELECTION/x/ghost-n_0000000009"))
                await listener.until("queue", lambda data: len(data["queue"]) == 3)
                await other.client.request(m.Delete("/ELECTION/x/ghost-n_0000000009"))
                await listener.until("queue", lambda data: len(data["queue"]) == 2 and missing()(data))
                standing.cancel()
                await asyncio.wait([standing])
            await listener.until("queue", missing("b"))
            monkeypatch.setattr(forgetting, "FORGET", 0.0)
            await listener.until("queue", missing())
