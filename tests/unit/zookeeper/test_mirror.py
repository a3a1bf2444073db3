"""A mirror of znodes, over the embedded ZooKeeper: what counts, for how long, and what it costs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from leader_async import ConnectionLost, NotConnected, connect
from leader_async.testing import ZooKeeper, zookeeper
from leader_async.waking import Pulse
from leader_async.zookeeper import messages as m
from leader_async.zookeeper.client import Client
from leader_async.zookeeper.mirror import Mirror

from ...support.waiting import until

__all__ = ["zookeeper"]


class Requests:
    """Counts what a client is asked, and does something behind an answer, before the one who asked has it."""

    def __init__(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[m.Request] = []
        self.then: Callable[[], Awaitable[object]] | None = None
        self._request = client.request
        monkeypatch.setattr(client, "request", self)

    async def __call__(self, request: m.Request) -> m.Reply:
        self.asked.append(request)
        try:
            return await self._request(request)
        finally:
            if self.then is not None:
                then, self.then = self.then, None
                await then()

    def taken(self) -> list[m.Request]:
        asked, self.asked = self.asked, []
        return asked


@pytest.fixture
async def other(zookeeper: ZooKeeper) -> AsyncIterator[Client]:
    """Somebody else, who changes znodes."""
    async with connect(zookeeper.address) as zk:
        await zk.wait_connected()
        yield zk.client


@pytest.fixture
async def client(zookeeper: ZooKeeper) -> AsyncIterator[Client]:
    async with connect(zookeeper.address, timeout=1.0) as zk:
        await zk.wait_connected()
        yield zk.client


@pytest.fixture
def requests(client: Client, monkeypatch: pytest.MonkeyPatch) -> Requests:
    return Requests(client, monkeypatch)


async def told(pulse: Pulse, change: Callable[[], Awaitable[object]]) -> None:
    """Make a change, and return when the mirror has been told of it."""
    news = pulse.next()
    await change()
    await news


def creating(client: Client, path: str, data: bytes = b"") -> Callable[[], Awaitable[object]]:
    return lambda: client.request(m.Create(path, data))


def setting(client: Client, path: str, data: bytes) -> Callable[[], Awaitable[object]]:
    return lambda: client.request(m.SetData(path, data, -1))


def deleting(client: Client, path: str) -> Callable[[], Awaitable[object]]:
    return lambda: client.request(m.Delete(path))


async def test_a_change_costs_one_read_of_what_it_was_about(client: Client, other: Client, requests: Requests) -> None:
    await other.request(m.Create("/a", b"1"))
    changed = Pulse()
    with Mirror(client, "/a", changed=changed) as mirror:

        async def seen() -> tuple[bytes | None, tuple[str, ...] | None]:
            data = await mirror.data("/a")
            return (None if data is None else data.data), await mirror.children("/a")

        assert await seen() == (b"1", ())
        data, children = m.GetData("/a", watch=True), m.GetChildren("/a", watch=True)
        assert requests.taken() == [data, children]
        assert await mirror.data("/a") is await mirror.data("/a")
        assert not requests.taken()
        await told(changed, setting(other, "/a", b"2"))
        assert not mirror.has(m.GetData("/a"))
        assert await seen() == (b"2", ())
        assert requests.taken() == [data]
        await told(changed, creating(other, "/a/x"))
        assert mirror.has(m.GetData("/a"))
        assert await seen() == (b"2", ("x",))
        assert requests.taken() == [children]
        assert await mirror.data("/a/x"), "children may be read, too"
        await told(changed, deleting(other, "/a/x"))
        assert not mirror.has(m.GetData("/a/x"))
        await seen()
        requests.taken()
        await told(changed, deleting(other, "/a"))
        assert await seen() == (None, None)
        assert {type(one) for one in requests.taken()} == {m.GetData, m.GetChildren, m.Exists}


async def test_that_a_znode_does_not_exist_is_known_until_it_does(
    client: Client, other: Client, requests: Requests
) -> None:
    changed = Pulse()
    with Mirror(client, "/b", changed=changed) as mirror:
        assert await mirror.data("/b") is None
        requests.taken()
        assert await mirror.data("/b") is None
        assert not requests.taken()
        assert mirror.has(m.GetData("/b"))
        await told(changed, creating(other, "/b", b"x"))
        found = await mirror.data("/b")
        assert found is not None
        assert found.data == b"x"


async def test_a_znode_that_is_created_between_two_looks_is_found(
    client: Client, other: Client, requests: Requests
) -> None:
    with Mirror(client, "/c", changed=Pulse()) as mirror:
        requests.then = creating(other, "/c", b"x")
        found = await mirror.data("/c")
        assert found is not None
        assert found.data == b"x"


async def test_a_change_before_the_answer_has_arrived_counts(client: Client, other: Client, requests: Requests) -> None:
    await other.request(m.Create("/d", b"1"))
    changed = Pulse()
    with Mirror(client, "/d", changed=changed) as mirror:
        requests.then = lambda: told(changed, setting(other, "/d", b"2"))
        before = await mirror.data("/d")
        assert before is not None
        assert before.data == b"1", "that was the answer"
        assert not mirror.has(m.GetData("/d"))
        after = await mirror.data("/d")
        assert after is not None
        assert after.data == b"2"


async def test_nothing_counts_behind_a_lost_connection(
    zookeeper: ZooKeeper, client: Client, other: Client, requests: Requests
) -> None:
    await other.request(m.Create("/e", b"1"))
    with Mirror(client, "/e", changed=Pulse()) as mirror:
        await mirror.data("/e")
        requests.taken()
        with zookeeper.outage():
            await until(lambda: not client.connected)
            assert not mirror.has(m.GetData("/e"))
            with pytest.raises((NotConnected, ConnectionLost)):
                await mirror.data("/e")
            assert not mirror.has(m.GetData("/e")), "what could not be read is read the next time"
        await client.wait_connected()
        requests.taken()
        assert await mirror.data("/e")
        assert requests.taken() == [m.GetData("/e", watch=True)]
        mirror.forget("/e")
        assert await mirror.data("/e")
        assert len(requests.taken()) == 1


async def test_no_event_reaches_a_mirror_that_was_left(client: Client, other: Client) -> None:
    await other.request(m.Create("/f", b"1"))
    changed = Pulse()
    with Mirror(client, "/f", changed=changed) as mirror:
        await mirror.data("/f")
    with Mirror(client, "/f", changed=(later := Pulse())) as second:
        await second.data("/f")
        news = changed.next()
        await told(later, setting(other, "/f", b"2"))
        assert not news.done()
