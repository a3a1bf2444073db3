"""What an application tells its guardian, which is played by the test here."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from leader_async import Connection, connect
from leader_async.guardian import finding
from leader_async.guardian.protocol import Begun, Closed, Joined, Message, MessageReader, Ready, encode
from leader_async.testing import ZooKeeper


class Guardian:
    """The other end, as often as one is looked for."""

    def __init__(self) -> None:
        self.ends: list[socket.socket] = []
        self._reader = MessageReader()
        self._heard: list[Message] = []

    def take(self, end: socket.socket) -> bool:
        self.ends.append(socket.socket(fileno=os.dup(end.fileno())))
        self.ends[-1].setblocking(False)
        self._reader, self._heard = MessageReader(), []
        return True

    async def come(self, count: int = 1) -> None:
        async with asyncio.timeout(10):
            while len(self.ends) < count:
                await asyncio.sleep(0.002)

    def say(self, data: bytes) -> None:
        self.ends[-1].send(data)

    async def hear(self) -> Message:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            while not self._heard:
                data = await loop.sock_recv(self.ends[-1], 2**16)
                assert data, "the application has closed its end"
                self._heard += self._reader.feed(data)
        return self._heard.pop(0)


@pytest.fixture
def guardian(monkeypatch: pytest.MonkeyPatch) -> Guardian:
    guardian = Guardian()
    monkeypatch.setattr(finding, "hand_over", guardian.take)
    return guardian


@pytest.fixture
async def zk(zookeeper: ZooKeeper, guardian: Guardian) -> AsyncIterator[Connection]:
    async with connect(zookeeper.address, timeout=1.0, guardian=True) as zk:
        yield zk
    for end in guardian.ends:
        end.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


async def test_nothing_is_told_before_the_guardian_is_ready(zk: Connection, guardian: Guardian) -> None:
    zk.election("early")
    assert zk.guardian == "none"
    await guardian.come()
    assert zk.guardian == "starting"
    zk.election("soon")
    with pytest.raises(BlockingIOError):
        guardian.ends[0].recv(1)
    guardian.say(encode(Ready()))
    begun = await guardian.hear()
    assert begun == Begun(str(zk.client.ensemble), zk.client.credentials)  # type: ignore[arg-type]
    assert [await guardian.hear() for _ in range(2)] == [Joined("/ELECTION/early"), Joined("/ELECTION/soon")]
    assert zk.guardian == "running"
    zk.election("late", root="/a/b")
    assert await guardian.hear() == Joined("/a/b/late")
    guardian.say(encode(Ready()))  # once is enough
    await zk.close()
    assert await guardian.hear() == Closed(confirmed=True)
    assert zk.guardian == "none"


async def test_the_next_session_is_told_as_well(zk: Connection, guardian: Guardian, zookeeper: ZooKeeper) -> None:
    await guardian.come()
    guardian.say(encode(Ready()))
    first = await guardian.hear()
    zookeeper.expire(zk.client.session_id)
    second = await guardian.hear()
    assert isinstance(first, Begun)
    assert isinstance(second, Begun)
    assert second.credentials.session_id == zk.client.session_id != first.credentials.session_id
    assert len(guardian.ends) == 1


async def test_a_dropped_connection_is_none_of_its_business(
    zk: Connection, guardian: Guardian, zookeeper: ZooKeeper
) -> None:
    await guardian.come()
    guardian.say(encode(Ready()))
    await guardian.hear()
    zookeeper.disconnect(zk.client.session_id)
    await until(lambda: zk.client.stats.resumed == 1)
    zk.election("x")
    assert await guardian.hear() == Joined("/ELECTION/x")


@pytest.mark.parametrize("ready", [True, False])
async def test_a_guardian_that_is_gone_is_replaced_with_the_next_session(
    zk: Connection, guardian: Guardian, zookeeper: ZooKeeper, caplog: pytest.LogCaptureFixture, ready: bool
) -> None:
    await guardian.come()
    if ready:
        guardian.say(encode(Ready()))
        await guardian.hear()
    guardian.ends[0].close()
    await until(lambda: zk.guardian == "lost")
    assert "the guardian is gone" in caplog.text
    zk.election("x")
    zookeeper.expire(zk.client.session_id)
    await guardian.come(2)
    guardian.say(encode(Ready()))
    assert isinstance(await guardian.hear(), Begun)
    assert await guardian.hear() == Joined("/ELECTION/x")


async def test_one_that_is_not_understood_is_left(zk: Connection, guardian: Guardian) -> None:
    await guardian.come()
    guardian.say(b"what?\n")
    await until(lambda: zk.guardian == "lost")


async def test_one_that_is_gone_when_it_is_told_something(zk: Connection, guardian: Guardian) -> None:
    await guardian.come()
    guardian.say(encode(Ready()))
    await guardian.hear()
    guardian.ends[0].close()
    zk.election("x")  # before the event loop has noticed
    assert zk.guardian == "lost"


async def test_more_than_the_socket_takes_at_once_is_told_later(zk: Connection, guardian: Guardian) -> None:
    await guardian.come()
    guardian.say(encode(Ready()))
    await guardian.hear()
    names = [f"{number:08000d}" for number in range(100)]
    for name in names:
        zk.election(name)
    assert [await guardian.hear() for _ in names] == [Joined(f"/ELECTION/{name}") for name in names]
    await zk.close()
    assert await guardian.hear() == Closed(confirmed=True)


@pytest.mark.parametrize("missing", ["socket.socketpair", "threading.Thread.start"])
async def test_what_it_cannot_have_is_only_logged(
    zookeeper: ZooKeeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, missing: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("too many open files") if missing.startswith("socket") else RuntimeError("can't start new thread")

    async with connect(zookeeper.address, timeout=1.0, guardian=True) as zk:
        monkeypatch.setattr(missing, refuse)
        await zk.wait_connected()
        await until(lambda: zk.guardian == "lost")
        monkeypatch.undo()
        assert zk.client.connected
    assert "the guardian cannot be started: " in caplog.text


async def test_a_close_that_was_not_heard_is_told_so(zk: Connection, guardian: Guardian, zookeeper: ZooKeeper) -> None:
    await guardian.come()
    guardian.say(encode(Ready()))
    await guardian.hear()
    with zookeeper.outage():
        await until(lambda: not zk.client.connected)
        await zk.close()
    assert await guardian.hear() == Closed(confirmed=False)
