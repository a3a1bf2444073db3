"""The commands that ask, as processes, against the embedded ZooKeeper and a replica."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from leader_async import Connection, Election, Schedule, Term, UsageError, connect
from leader_async.cli.ask_history import instant
from leader_async.cli.ask_status import in_words
from leader_async.cli.exits import Exit
from leader_async.testing import ZooKeeper, zookeeper
from leader_async.web import create_app

from ...support.waiting import until
from .test_main import NOWHERE, environment

__all__ = ["zookeeper"]
pytestmark = pytest.mark.timeout(60)
TOKEN = "a token that is long enough"


async def command(*arguments: str, **variables: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "leader_async", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment(**variables),
    )  # fmt: skip
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def idle(term: Term) -> None:
    await asyncio.get_running_loop().create_future()


@pytest.fixture
async def leader(zookeeper: ZooKeeper) -> AsyncIterator[tuple[Connection, Election]]:
    async with connect(zookeeper.address) as zk:
        election = zk.election("leader", identity="a", address="http://a", lease=0.5)
        running = asyncio.create_task(election.run(idle))
        await until(lambda: election.is_leader)
        yield zk, election
        running.cancel()
        await asyncio.wait([running])


async def test_who_leads_and_why_it_moved(zookeeper: ZooKeeper, leader: tuple[Connection, Election]) -> None:
    election, there = leader[1], ("--zookeeper", zookeeper.address)
    while not await election.history():
        await asyncio.sleep(0.02)
    code, _, err = await command("why", *there)
    assert (code, "no move" in err) == (1, True)
    token = election.status().token
    await election.resign()
    await until(lambda: election.is_leader and election.status().token != token)
    while len(await election.history()) < 2:
        await asyncio.sleep(0.02)

    answers: list[tuple[int, str, str]] = await asyncio.gather(
        command("status", *there),
        command("status", *there, "--json"),
        command("candidates", *there),
        command("history", *there),
        command("why", *there),
        command("why", *there, "--at", str(time.time() - 7200), "--json"),
        command("status", *there, "--election", "another"),
        command("why", *there, "--at", "tea time"),
        command("resign", *there),
    )
    assert [code for code, _, _ in answers] == [0, 0, 0, 0, 0, 0, 1, 2, 2]
    plain, as_json, queue, told, why, early, nobody, wrong, unsafe = (out or err for _, out, err in answers)
    assert plain.startswith("a leads leader, term 2, token ")
    assert json.loads(as_json)["leader"]["identity"] == "a"
    assert "a  http://a  leads, term 2" in queue
    assert "a  resigned; nobody led for" in told
    assert "a, term 1, had stopped leading at" in why
    assert "it resigned. a leads from" in why
    assert json.loads(early)["before"]["why"] == "resigned"
    assert "nobody leads another" in nobody
    assert "is no time" in wrong
    assert "needs --url" in unsafe


async def test_a_replica_s_url(leader: tuple[Connection, Election], zookeeper: ZooKeeper) -> None:
    zk, election = leader
    runner = web.AppRunner(create_app(election, zk, resign_token=TOKEN))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        while not await election.history():
            await asyncio.sleep(0.02)
        answers = await asyncio.gather(
            command("status", "--url", url),
            command("candidates", "--url", url, "--json"),
            command("history", "--url", url, "--json"),
            command("resign", "--url", url, RESIGN_TOKEN="a wrong one, also long"),
            command("resign", "--url", url),
        )
        assert [code for code, _, _ in answers] == [0, 0, 0, 1, 2]
        assert answers[0][1] == "a leads leader\n"
        assert [one["identity"] for one in json.loads(answers[1][1])] == ["a"]
        assert [entry["term"] for entry in json.loads(answers[2][1])] == [1]
        assert "401" in answers[3][2]
        assert "token" in answers[4][2]
        code, _, told = await command("resign", "--url", url, "--resign-token-file", "/no/such/file")
        assert code == 2
        assert "--resign-token-file '/no/such/file' cannot be read: No such file" in told
        code, out, _ = await command("resign", "--url", url, RESIGN_TOKEN=TOKEN)
        assert (code, out) == (0, "a has resigned from term 1\n")
    finally:
        await runner.cleanup()


@asynccontextmanager
async def watching(*there: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "leader_async", "watch", "--json", *there,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment(),
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        await process.communicate()


async def tells(process: asyncio.subprocess.Process, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Its first line that is wanted."""
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while True:
            change: dict[str, Any] = json.loads(await process.stdout.readline())
            if wanted(change):
                return change


def term(number: int) -> Callable[[dict[str, Any]], bool]:
    return lambda change: change["leader"] is not None and change["leader"]["term"] == number


async def test_watch_tells_each_change(zookeeper: ZooKeeper, leader: tuple[Connection, Election]) -> None:
    async with watching("--zookeeper", zookeeper.address) as process:
        first = await tells(process, term(1))
        assert set(first) == {"what", "connected", "leader", "queue", "problem"}
        await leader[1].resign()
        await tells(process, term(2))


@asynccontextmanager
async def replica(
    zk: Connection, election: Election, port: int = 0, *, token: str | None = None, schedule: Schedule | None = None
) -> AsyncIterator[int]:
    runner = web.AppRunner(create_app(election, zk, resign_token=token, schedule=schedule))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_watch_follows_a_replica_that_comes_back(leader: tuple[Connection, Election]) -> None:
    zk, election = leader
    async with AsyncExitStack() as stack:
        async with replica(zk, election) as port:
            process = await stack.enter_async_context(watching("--url", f"http://127.0.0.1:{port}"))
            first = await tells(process, term(1))
            assert set(first) == {"what", "connected", "leader", "queue", "problem"}
            assert [one["identity"] for one in first["queue"]] == ["a"]
            await election.resign()
            assert "leader" in (await tells(process, term(2)))["what"]
        assert process.stderr is not None
        async with asyncio.timeout(30):
            told = (await process.stderr.readline()).decode()
        assert "it is asked again until it answers" in told
        await election.resign()
        async with replica(zk, election, port):
            await tells(process, term(3))


async def test_where_nothing_has_moved_there_is_no_why(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address) as zk:
        election = zk.election("leader", identity="a")
        running = asyncio.create_task(election.run(idle))
        await until(lambda: election.is_leader)
        code, _, err = await command("why", "--zookeeper", zookeeper.address)
        assert code == 1
        assert "no move of the lead of 'leader' is known" in err
        await election.resign()
        code, out, _ = await command("why", "--zookeeper", zookeeper.address)
        assert code == 0
        assert "a, term 1, had stopped leading at" in out, "at once"
        running.cancel()
        await asyncio.wait([running])


async def test_nobody_there_is_told_in_time() -> None:
    answers = await asyncio.gather(
        *(command(each, "--zookeeper", NOWHERE, "--timeout", "0.5") for each in ("status", "watch", "history")),
        command("candidates", "--url", "http://" + NOWHERE, "--timeout", "0.5"),
    )
    assert [code for code, _, _ in answers] == [6, 6, 6, 6]
    assert "does not answer within 0.5 s" in answers[0][2]
    assert "cannot be asked" in answers[3][2]
    assert all(err.count("\n") == 1 for _, _, err in answers), "one line"


async def test_a_replica_that_does_not_lead_names_who_does(
    zookeeper: ZooKeeper, leader: tuple[Connection, Election]
) -> None:
    async with connect(zookeeper.address) as zk:
        election = zk.election("leader", identity="b", lease=0.5)
        jobs = Schedule(election)
        jobs.every(3600, name="nightly")(lambda run: None)
        running = asyncio.create_task(jobs.run())
        await until(lambda: election.status().leader == "a")
        async with replica(zk, election, token=TOKEN, schedule=jobs) as port:
            code, out, err = await command("jobs", "nightly", "--now", "--url", f"http://127.0.0.1:{port}",
                                           RESIGN_TOKEN=TOKEN)  # fmt: skip
        running.cancel()
        await asyncio.wait([running])
    assert (code, out) == (1, "")
    assert "answers 503: it does not lead; http://a leads, ask that one" in err


async def test_a_replica_without_zookeeper_does_not_say_who_leads() -> None:
    async with connect(NOWHERE) as zk, replica(zk, zk.election("leader", identity="a")) as port:
        code, out, _ = await command("status", "--url", f"http://127.0.0.1:{port}")
    assert code == 6
    assert out.startswith("a is idle in leader; nobody can tell who leads; ZooKeeper has been away for ")


# -- the words, without processes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "away", "text", "code"),
    [
        ({"is_leader": True}, False, "a leads x", Exit.STOPPED),
        ({"leader": "b"}, False, "a is queued in x; b leads", Exit.STOPPED),
        ({}, False, "a is queued in x; nobody leads", Exit.NO),
        (
            {"is_leader": True, "lease_left": 1.25}, True,
            "a leads x for 1.2 s more; ZooKeeper has been away for 20 s: refused", Exit.STOPPED,
        ),
        (
            {"leader": "b"}, True,
            "a is queued in x; nobody can tell who leads; ZooKeeper has been away for 20 s: refused; before that b led",
            Exit.AWAY,
        ),
    ],
)  # fmt: skip
def test_what_a_replica_knows_in_words(known: dict[str, Any], away: bool, text: str, code: Exit) -> None:
    session = {"connected": not away, "since": 80.0, "last_error": "refused"}
    told = {"identity": "a", "election": "x", "state": "queued", "is_leader": False, "leader": None, "session": session}
    assert in_words(told | known, 100.0) == (text, code)


def test_a_time_of_day_is_the_last_one_that_has_been() -> None:
    now = time.mktime((2026, 11, 24, 12, 0, 0, 0, 0, -1))
    assert instant("11:59", now) == now - 60
    assert instant("11:59:30", now) == now - 30
    assert instant("12:01", now) == now + 60 - 86400
    assert instant("2026-11-24 03:12", now) == now - 8 * 3600 - 48 * 60
    assert instant("17.5", now) == 17.5
    for wrong in ("", "25:00", "soon", "1e999"):
        with pytest.raises(UsageError):
            instant(wrong, now)
