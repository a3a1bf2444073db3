"""Requests under a term's token, and handlers that only the leader answers, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from leader_async import Election, StaleToken, UsageError, clock, connect, fence
from leader_async.election.rules.lease import Hold
from leader_async.web import leader_only, require_token

Client = TestClient[web.Request, web.Application]


class Ledger:
    """A server that writes tokens down; its handlers stall while `stalled` says so."""

    def __init__(self) -> None:
        self.written: list[int] = []
        self.began = asyncio.Event()
        self.stalled: dict[int, asyncio.Event] = {}

    async def write(self, request: web.Request) -> web.Response:
        token = int(request.headers["Leader-Token"])
        self.began.set()
        if token in self.stalled:
            await self.stalled[token].wait()
        self.written.append(token)
        return web.Response(text="written")

    async def read(self, request: web.Request) -> web.Response:
        return web.Response(text="read")


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def app(ledger: Ledger, *elections: str, **options: object) -> TestServer:
    application = web.Application(middlewares=[require_token(*elections, **options)])  # type: ignore[arg-type]
    application.router.add_post("/", ledger.write)
    application.router.add_get("/", ledger.read)
    return TestServer(application)


@pytest.fixture
async def client(ledger: Ledger) -> AsyncIterator[Client]:
    async with TestClient(app(ledger, "reports", "größe/7")) as client:
        yield client


async def test_a_lower_token_is_answered_409_with_what_was_seen(client: Client, ledger: Ledger) -> None:
    for token in (5, 5, 7):
        assert (await client.post("/", headers=fence.headers("reports", token))).status == 200
    answer = await client.post("/", headers=fence.headers("reports", 5))
    assert answer.status == 409
    assert await answer.json() == {
        "error": "reports: token 5 is refused, 7 has been here: end the work, a newer leader does it",
        "status": 409, "reason": "Conflict", "election": "reports", "token": 5, "seen": 7,
    }  # fmt: skip
    assert (await client.post("/", headers=fence.headers("größe/7", 5))).status == 200
    assert (await client.get("/", headers=fence.headers("reports", 5))).status == 409
    assert (await client.get("/")).status == 200
    assert ledger.written == [5, 5, 7, 5]


@pytest.mark.parametrize(
    ("headers", "status", "says"),
    [
        ([], 428, "needs the header 'Leader-Token"),
        ([("Leader-Election", "reports")], 428, "needs the header"),
        ([("Leader-Token", "x"), ("Leader-Election", "reports")], 400, "number of a term"),
        ([("Leader-Token", "-1"), ("Leader-Election", "reports")], 400, "number of a term"),
        ([("Leader-Token", "1"), ("Leader-Token", "2"), ("Leader-Election", "reports")], 400, "be there once"),
        ([("Leader-Token", "1")], 400, "whose token"),
        ([("Leader-Token", "1"), ("Leader-Election", "other")], 400, "no election"),
        ([("Leader-Token", "1"), ("Leader-Election", "reports"), ("Leader-Election", "reports")], 400, "no election"),
    ],
)
async def test_garbage_is_refused(client: Client, headers: list[tuple[str, str]], status: int, says: str) -> None:
    answer = await client.post("/", headers=headers)
    assert answer.status == status
    assert says in (await answer.json())["error"]


async def test_a_higher_token_waits_until_what_a_lower_one_writes_is_written(client: Client, ledger: Ledger) -> None:
    ledger.stalled[5] = asyncio.Event()
    lower = asyncio.create_task(client.post("/", headers=fence.headers("reports", 5)))
    await ledger.began.wait()
    higher = asyncio.create_task(client.post("/", headers=fence.headers("reports", 7)))
    async with asyncio.timeout(10):  # until it has arrived, and waits
        while (await client.get("/", headers=fence.headers("reports", 5))).status != 409:
            await asyncio.sleep(0)
    assert ledger.written == []
    ledger.stalled[5].set()
    assert (await lower).status == (await higher).status == 200
    assert ledger.written == [5, 7]


async def test_who_waits_too_long_is_told_to_come_back(ledger: Ledger) -> None:
    async with TestClient(app(ledger, "reports", patience=0.01)) as client:
        ledger.stalled[5] = asyncio.Event()
        lower = asyncio.create_task(client.post("/", headers={"Leader-Token": "5"}))
        await ledger.began.wait()
        answer = await client.post("/", headers={"Leader-Token": "7"})
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        ledger.stalled[5].set()
        assert (await lower).status == 200
        assert (await client.post("/", headers={"Leader-Token": "5"})).status == 409
        assert (await client.post("/", headers={"Leader-Token": "7"})).status == 200


async def test_a_store_outlives_the_server(ledger: Ledger) -> None:
    kept: dict[str, int] = {}

    @asynccontextmanager
    async def store(election: str, token: int) -> AsyncIterator[None]:
        kept[election] = max(token, kept.get(election, 0))
        if kept[election] > token:
            raise StaleToken("as the store calls it", token, kept[election])
        yield

    for token, status in ((7, 200), (5, 409), (8, 200)):
        async with TestClient(app(ledger, "reports", store=store)) as client:  # a server of its own each time
            answer = await client.post("/", headers={"Leader-Token": str(token)})
            assert answer.status == status
            if status == 409:
                assert (await answer.json())["error"].startswith("reports: token 5 is refused, 7 has been here")
    assert ledger.written == [7, 8]


async def test_a_store_that_holds_others_off_is_waited_for_as_long_as_the_gate_is(ledger: Ledger) -> None:
    free = asyncio.Event()

    @asynccontextmanager
    async def store(election: str, token: int) -> AsyncIterator[None]:
        await free.wait()
        yield

    async with TestClient(app(ledger, "reports", store=store, patience=0.01)) as client:
        answer = await client.post("/", headers={"Leader-Token": "7"})
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        free.set()
        assert (await client.post("/", headers={"Leader-Token": "8"})).status == 200
    assert ledger.written == [8]


def test_no_election_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="name the elections"):
        require_token()


@pytest.mark.parametrize("found", [False, True], ids=["the election", "a function that finds it"])
async def test_only_the_leader_answers(found: bool) -> None:
    election = connect("127.0.0.1:1").election("reports", identity="replica-3", address="http://replica-3")

    def find(request: web.Request) -> Election:
        return election

    @leader_only(find if found else election)
    async def make(request: web.Request) -> web.Response:
        """Makes a report."""
        return web.Response(text="made")

    assert make.__doc__ == "Makes a report."
    application = web.Application()
    application.router.add_post("/", make)
    async with TestClient(TestServer(application)) as client:
        answer = await client.post("/")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert answer.headers["Cache-Control"] == "no-store"
        role = await answer.json()
        assert (role["identity"], role["is_leader"], role["leader"]) == ("replica-3", False, None)
        election.candidacy.own.join.hold = hold = Hold("u-n_0000000001", 2, 7, 4711, 3.0, clock.now() + 3)
        assert await (await client.post("/")).text() == "made"
        hold.until = clock.now()
        assert (await client.post("/")).status == 503
