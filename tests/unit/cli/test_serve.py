"""How the parts of one replica begin and end; ZooKeeper is away."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from leader_async import Candidate, Election, NoAuth, Term
from leader_async.cli.config import Config
from leader_async.cli.exits import CannotListen, Exit
from leader_async.cli.serve import Replica, bind
from leader_async.zookeeper.client import Client

Work = Callable[[Term], Awaitable[None]]


async def listening(**settings: float) -> tuple[Replica, str]:
    """A replica that listens, and its URL."""
    sock = bind("127.0.0.1", 0)
    replica = Replica(Config(zookeeper="127.0.0.1:1", identity="me", **settings))  # type: ignore[arg-type]
    await replica.listen([sock])
    return replica, f"http://127.0.0.1:{sock.getsockname()[1]}"


async def test_a_replica_that_never_met_zookeeper_stops_at_once() -> None:
    replica, url = await listening()
    replica.run()
    async with aiohttp.ClientSession() as client, client.get(url + "/healthz") as answer:
        assert answer.status == 200
    assert await replica.stop() is Exit.STOPPED


async def test_the_lead_is_given_up_while_requests_under_way_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, left, release = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(self: Election) -> list[Candidate]:
        asked.set()
        await release.wait()
        return []

    async def run(self: Election, work: Work) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            left.set()

    monkeypatch.setattr(Election, "candidates", slow)
    monkeypatch.setattr(Election, "run", run)
    replica, url = await listening()
    replica.run()
    async with aiohttp.ClientSession() as client, asyncio.TaskGroup() as group:
        request = group.create_task(client.get(url + "/candidates"))
        await asked.wait()
        stop = group.create_task(replica.stop())
        await left.wait()
        assert not request.done()
        release.set()
        async with await request as answer:
            assert (answer.status, await answer.json()) == (200, [])
    assert stop.result() is Exit.STOPPED


async def test_a_stop_that_does_not_end_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    release = asyncio.Event()

    async def stubborn(self: Election, work: Work) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        raise asyncio.CancelledError

    monkeypatch.setattr(Election, "run", stubborn)
    replica, _ = await listening(stop_timeout=0.05)
    running = replica.run()
    await asyncio.sleep(0)
    assert await replica.stop() is Exit.STOP_TIMEOUT
    assert "longer than its bound of 0.05 s" in caplog.text
    release.set()
    await asyncio.wait([running])


async def test_a_zookeeper_that_does_not_answer_is_no_failure_of_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = asyncio.Event()

    async def waiting_for_zookeeper(self: Election, work: Work) -> None:
        while not closed.is_set():
            try:
                await closed.wait()
            except asyncio.CancelledError:
                continue
        raise asyncio.CancelledError

    async def close(self: Client) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            closed.set()

    monkeypatch.setattr(Election, "run", waiting_for_zookeeper)
    monkeypatch.setattr(Client, "start", lambda self: None)
    monkeypatch.setattr(Client, "close", close)
    replica, _ = await listening(stop_timeout=0.2)
    replica.run()
    await asyncio.sleep(0)
    assert await replica.stop() is Exit.STOPPED


async def test_a_replica_that_zookeeper_does_not_let_in_ends_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def denied(self: Election, work: Work) -> None:
        raise NoAuth(about="the access list of /a")

    monkeypatch.setattr(Election, "run", denied)
    replica, url = await listening()
    await asyncio.wait([replica.run()])
    async with aiohttp.ClientSession() as client, client.get(url + "/healthz") as answer:
        assert answer.status == 503
        assert "does not let this replica take part" in await answer.text()
    assert await replica.stop() is Exit.DENIED
    assert "the access list of /a; give the credentials" in caplog.text


@pytest.mark.parametrize("error", [RuntimeError("a bug"), asyncio.CancelledError()])
async def test_an_election_that_ends_by_itself_is_a_bug(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    async def broken(self: Election, work: Work) -> None:
        raise error

    monkeypatch.setattr(Election, "run", broken)
    replica, url = await listening()
    await asyncio.wait([replica.run()])
    async with aiohttp.ClientSession() as client, client.get(url + "/healthz") as answer:
        assert answer.status == 503
        assert "died of a bug" in await answer.text()
    assert await replica.stop() is Exit.BUG
    assert [record.levelno for record in caplog.records if "bug" in record.message] == [logging.CRITICAL]


def test_a_port_is_shared_only_by_those_who_say_so() -> None:
    with bind("127.0.0.1", 0, shared=True) as first:
        port: int = first.getsockname()[1]
        with bind("127.0.0.1", port, shared=True) as second:
            assert second.getsockname() == first.getsockname()
        with pytest.raises(CannotListen, match=rf"127\.0\.0\.1:{port}: .*give another --port"):
            bind("127.0.0.1", port)
    with socket.create_server(("127.0.0.1", 0)) as alone, pytest.raises(CannotListen, match="another --shared-port"):
        bind("127.0.0.1", alone.getsockname()[1], shared=True)


@pytest.mark.parametrize("host", ["a" * 80, "203.0.113.1"])
def test_a_host_that_is_not_ours(host: str) -> None:
    with pytest.raises(CannotListen, match="cannot listen on"):
        bind(host, 0)
