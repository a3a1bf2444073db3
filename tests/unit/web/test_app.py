"""The routes, served over real sockets; leadership is a matter of the candidacy's hold, which the tests set."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from leader_async import Candidate, Connection, Election, RecordError, clock, connect
from leader_async.election.rules.lease import Hold
from leader_async.election.rules.state import Work
from leader_async.election.term import Term
from leader_async.web import create_app, metrics, openapi
from leader_async.web.app import BODY_LIMIT
from leader_async.web.route import Cost
from leader_async.web.routes import ROUTES
from leader_async.web.service import SERVICE
from leader_async.web.turns import ASKED, WAITING

TOKEN = "a token that is long enough"
Client = TestClient[web.Request, web.Application]

BEARER = {"Authorization": "Bearer " + TOKEN}
READS = [
    "/api/LeaderElection/is-leader",
    "/leader",
    "/follower",
    "/healthz",
    "/readyz",
    "/status",
    "/candidates",
    "/history",
]


@pytest.fixture
def connection() -> Connection:
    """One that was never started: ZooKeeper is away."""
    return connect("127.0.0.1:1", timeout=6.0)


@pytest.fixture
def election(connection: Connection) -> Election:
    return connection.election("reports", identity="replica-3", address="http://replica-3")


@pytest.fixture
async def client(election: Election, connection: Connection) -> AsyncIterator[Client]:
    async with TestClient(TestServer(create_app(election, connection, resign_token=TOKEN))) as client:
        yield client


def lead(election: Election, seconds: float = 3.0) -> Hold:
    hold = Hold("u-n_0000000001", 2, 7, 4711, seconds, clock.now() + seconds)
    election.candidacy.own.join.hold = hold
    return hold


async def test_the_poll_is_one_line_of_text(client: Client, election: Election) -> None:
    answer = await client.get("/api/LeaderElection/is-leader")
    assert (answer.status, await answer.text()) == (200, "replica-3 - False")
    assert answer.content_type == "text/plain"
    lead(election)
    assert await (await client.get("/api/LeaderElection/is-leader")).text() == "replica-3 - True"


async def test_the_poll_turns_false_by_itself_when_the_lease_ends(client: Client, election: Election) -> None:
    hold = lead(election)
    hold.until = clock.now()
    assert await (await client.get("/api/LeaderElection/is-leader")).text() == "replica-3 - False"


async def test_the_poll_in_json(client: Client) -> None:
    answer = await client.get("/api/LeaderElection/is-leader", headers={"Accept": "application/json"})
    assert await answer.json() == {"host": "replica-3", "is_leader": False}
    assert answer.headers["Cache-Control"] == "no-store"
    several = [("Accept", "text/html"), ("Accept", "application/json")]
    assert (await client.get("/api/LeaderElection/is-leader", headers=several)).content_type == "application/json"


async def test_leader_and_follower_for_load_balancers(client: Client, election: Election) -> None:
    for method in ("GET", "HEAD", "OPTIONS"):
        assert (await client.request(method, "/leader")).status == 503
        assert (await client.request(method, "/follower")).status == 200
    assert (await client.get("/leader")).headers["Retry-After"] == "1"
    lead(election)
    for method in ("GET", "HEAD", "OPTIONS"):
        assert (await client.request(method, "/leader")).status == 200
        assert (await client.request(method, "/follower")).status == 503
    role = await (await client.get("/leader")).json()
    assert (role["leader"], role["term"], role["token"]) == ("replica-3", 7, 4711)


@pytest.mark.parametrize("path", [path for path in READS if path != "/leader"])
async def test_what_only_the_leader_answers(client: Client, election: Election, path: str) -> None:
    for method in ("GET", "HEAD"):
        answer = await client.request(method, "/leader" + path)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    lead(election)
    for method in ("GET", "HEAD"):
        there, plain = await client.request(method, "/leader" + path), await client.request(method, path)
        assert (there.status, there.content_type) == (plain.status, plain.content_type)
    assert (await client.get("/leader/nowhere")).status == 404


async def test_health_does_not_depend_on_zookeeper(client: Client, election: Election) -> None:
    assert (await client.get("/healthz")).status == 200
    answer = await client.get("/readyz")
    assert (answer.status, (await answer.json())["error"]) == (503, "no ZooKeeper server is connected")


async def test_work_past_its_lease_is_unhealthy(client: Client, election: Election) -> None:
    lead(election, seconds=-0.5)
    election.candidacy.own.work = Work.STOPPING
    assert (await client.get("/healthz")).status == 200, "within the grace"
    lead(election, seconds=-5)
    answer = await client.get("/healthz")
    assert answer.status == 503
    assert "past the end of its lease" in await answer.text()


async def test_a_trouble_of_ones_own_is_unhealthy(election: Election, connection: Connection) -> None:
    async with TestClient(TestServer(create_app(election, connection, trouble=lambda: "out of paper"))) as client:
        answer = await client.get("/healthz")
        assert (answer.status, (await answer.json())["error"]) == (503, "out of paper")


async def test_a_dead_candidacy_is_unhealthy_and_does_not_lead(client: Client, election: Election) -> None:
    lead(election)
    election.driver.die(RuntimeError("a bug"))
    assert (await client.get("/healthz")).status == 503
    assert not election.is_leader
    assert not (await (await client.get("/status")).json())["alive"]


async def test_readiness_needs_a_place_in_the_queue(
    client: Client, election: Election, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(connection.client), "connected", True)
    assert "not in the queue" in await (await client.get("/readyz")).text()
    election.candidacy.own.join.znode = "u-n_0000000001"
    assert (await client.get("/readyz")).status == 200


async def test_status_tells_everything_and_since_when_zookeeper_is_away(client: Client, election: Election) -> None:
    lead(election)
    known = await (await client.get("/status")).json()
    assert known["election"] == "reports"
    assert known["state"] == "leading"
    assert 2.0 < known["lease_left"] <= 3.0
    assert known["version"].count(".") == 2
    assert known["session"]["connected"] is False
    assert known["session"]["away_since"] == known["session"]["since"] > 1_700_000_000
    assert known["session"]["timeout_asked"] == 6.0
    assert known["session"]["timeout"] is None


async def test_the_queue_cannot_be_read_while_zookeeper_is_away(client: Client) -> None:
    answer = await client.get("/candidates")
    assert answer.status == 503
    assert (await answer.json())["error"] == "ZooKeeper cannot be asked now; /status says since when"


async def test_a_zookeeper_that_does_not_answer_is_not_waited_for(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(self: Election) -> list[Candidate]:
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody answers")

    monkeypatch.setattr(Election, "candidates", silent)
    monkeypatch.setattr("leader_async.web.service.ASK_LIMIT", 0.01)
    assert (await client.get("/candidates")).status == 503


async def test_a_record_of_somebody_else(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def strange(self: Election) -> list[Candidate]:
        raise RecordError("/e", "it is not JSON")

    monkeypatch.setattr(Election, "candidates", strange)
    answer = await client.get("/candidates")
    assert (answer.status, "record" in (await answer.json())["error"]) == (503, True)


async def test_the_queue(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def queue(self: Election) -> list[Candidate]:
        return [Candidate("replica-1", "http://replica-1", "u-n_0000000004", 5.0, 0, True, 3, 99)]

    monkeypatch.setattr(Election, "candidates", queue)
    assert await (await client.get("/candidates")).json() == [
        {
            "identity": "replica-1",
            "address": "http://replica-1",
            "znode": "u-n_0000000004",
            "started_at": 5.0,
            "position": 0,
            "is_leader": True,
            "term": 3,
            "token": 99,
            "ghost": False,
        }
    ]


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer wrong", "Basic " + TOKEN, "Bearer " + TOKEN + "x", "Bearer t\u00f6ken"]
)
async def test_resigning_needs_the_token(client: Client, election: Election, header: str | None) -> None:
    lead(election)
    answer = await client.post("/resign", headers={"Authorization": header} if header else {})
    assert answer.status == 401
    challenge = 'Bearer realm="leader_async"'
    assert answer.headers["WWW-Authenticate"] == (challenge + ', error="invalid_token"' if header else challenge)
    assert TOKEN not in await answer.text()
    assert election.is_leader


async def test_a_token_that_is_not_text_is_refused(client: Client) -> None:
    reader, writer = await asyncio.open_connection(client.server.host, client.server.port)
    writer.write(b"POST /resign HTTP/1.1\r\nHost: me\r\nAuthorization: Bearer t\xf6ken\r\n\r\n")
    assert (await reader.readline()).split()[1] == b"401"
    writer.close()
    await writer.wait_closed()


async def test_resigning_is_off_without_a_configured_token(election: Election, connection: Connection) -> None:
    async with TestClient(TestServer(create_app(election, connection, resign_token=""))) as client:
        answer = await client.post("/resign", headers={"Authorization": "Bearer "})
        assert answer.status == 403
        assert "off" in (await answer.json())["error"]


async def test_only_the_leader_can_resign(client: Client) -> None:
    headers = {"Authorization": "bearer " + TOKEN}
    assert (await client.post("/resign", headers=headers)).status == 409
    assert (await client.post("/leader/resign", headers=headers)).status == 503


async def test_a_lead_that_nobody_could_take_over_is_kept(
    client: Client, connection: Connection, election: Election
) -> None:
    election.driver.term = Term(connection.confirms, election.candidacy, lead(election))
    answer = await client.post("/resign", headers=BEARER)
    assert (answer.status, "nothing was done" in await answer.text()) == (503, True)
    assert election.is_leader


async def test_resigning_tells_what_happened(
    client: Client, connection: Connection, election: Election, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resign(self: Election, timeout: float | None = None) -> bool:
        return True

    monkeypatch.setattr(Election, "resign", resign)
    monkeypatch.setattr(type(connection.client), "connected", True)
    election.driver.term = Term(connection.confirms, election.candidacy, lead(election))
    answer = await client.post("/resign", headers=BEARER)
    assert (answer.status, await answer.json()) == (200, {"resigned": True, "identity": "replica-3", "term": 7})


async def test_a_resignation_that_zookeeper_does_not_hear(
    client: Client, connection: Connection, election: Election, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leader_async.web.handlers.RESIGN_LIMIT", 0.01)
    monkeypatch.setattr(type(connection.client), "connected", True)
    election.driver.term = Term(connection.confirms, election.candidacy, lead(election))
    election.candidacy.own.wanted, election.candidacy.own.join.znode = True, "u-n_0000000001"
    answer = await client.post("/resign", headers=BEARER)
    # 504, not 503: that would tell a load balancer that nothing was done, and to ask the next replica.
    assert (answer.status, "not answered yet" in await answer.text()) == (504, True)
    assert not election.is_leader


@pytest.mark.parametrize("path", [*READS, "/nowhere"])
async def test_nothing_may_be_kept(client: Client, path: str) -> None:
    for method in ("GET", "HEAD"):
        answer = await client.request(method, path)
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", [*READS, "/openapi.json", "/resign", "/jobs", "/nowhere"])
async def test_browsers_are_told_to_trust_nothing(client: Client, election: Election, path: str) -> None:
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        headers = (await client.request(method, path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["Server"] == "leader_async"
        assert "Strict-Transport-Security" not in headers


async def test_errors_are_json_and_say_what_to_do(client: Client) -> None:
    answer = await client.get("/nowhere")
    assert (answer.status, answer.content_type) == (404, "application/json")
    answer = await client.post("/status", data=b"x" * (BODY_LIMIT + 1))
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert json.loads(await answer.text())["reason"] == "Method Not Allowed"


async def test_what_breaks_inside_is_not_shown(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Election) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(Election, "status", broken)
    answer = await client.get("/status")
    assert answer.status == 500
    assert "secret" not in await answer.text()
    assert "a secret" in caplog.text


async def test_the_service_can_be_mounted_in_another_application(election: Election, connection: Connection) -> None:
    outer = web.Application()
    outer.add_subapp("/election", create_app(election, connection))
    async with TestClient(TestServer(outer)) as client:
        answer = await client.get("/election/api/LeaderElection/is-leader")
        assert await answer.text() == "replica-3 - False"
        assert (await client.get("/election/leader")).status == 503
        assert (await client.get("/election/nowhere")).content_type == "application/json"


async def test_what_never_changes_is_made_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = await client.get("/openapi.json")
    described = await answer.json()
    assert described["openapi"] == "3.1.0"
    monkeypatch.setattr(openapi, "description", lambda: pytest.fail("it is made again"))
    again = await client.get("/openapi.json")
    assert await again.json() == described
    assert again.content_type == "application/json"
    assert again.headers["Cache-Control"] == "no-store"
    head = await client.head("/openapi.json")
    assert (head.status, head.headers["Content-Length"]) == (200, answer.headers["Content-Length"])


async def test_metrics_are_made_once_a_second_at_most(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    now, made = 1000.0, 0

    def count(registry: CollectorRegistry) -> bytes:
        nonlocal made
        made += 1
        return f"made {made}".encode()

    monkeypatch.setattr(metrics, "generate_latest", count)
    monkeypatch.setattr(metrics, "time", SimpleNamespace(monotonic=lambda: now))
    for later, text in ((0.0, "made 1"), (0.9, "made 1"), (0.2, "made 2"), (5.0, "made 3")):
        now += later
        assert await (await client.get("/metrics")).text() == text


async def test_zookeeper_is_asked_for_a_few_at_a_time(client: Client, election: Election) -> None:
    assert client.app is not None
    limiter = client.app[SERVICE].limiter
    leave = asyncio.Event()

    async def ask() -> None:
        async with limiter.inside():
            await leave.wait()

    asking = [asyncio.create_task(ask()) for _ in range(ASKED + WAITING)]
    await asyncio.sleep(0)
    paths = [route.path.replace("{name}", "nightly") for route in ROUTES if route.cost is Cost.READ]
    assert paths == ["/candidates", "/history", "/jobs", "/jobs/nightly"]
    for path in paths:
        answer = await client.get(path)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert (await answer.json())["error"] == "too many ask for this at the moment"
    leave.set()
    await asyncio.gather(*asking)
    assert "ZooKeeper cannot be asked" in (await (await client.get("/candidates")).json())["error"]
