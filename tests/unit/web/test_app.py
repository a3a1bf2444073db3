"""The routes, served over real sockets; leadership is a matter of the candidacy's hold, which the tests set."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from leader_async import Connection, Election, clock, connect
from leader_async.election.commands import Hold
from leader_async.election.standing import Work
from leader_async.web import create_app
from leader_async.web.app import BODY_LIMIT

TOKEN = "a token that is long enough"
Client = TestClient[web.Request, web.Application]

READS = ["/api/LeaderElection/is-leader", "/leader", "/follower", "/healthz", "/readyz", "/status", "/candidates"]


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
    hold = Hold("u-n_0000000001", 2, 7, 4711, clock.now() + seconds)
    election.candidacy.hold = hold
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


@pytest.mark.parametrize(
    ("accept", "json_wanted"),
    [
        ("application/json", True),
        ("application/*", True),
        ("text/plain;q=0.5, application/json", True),
        ("application/json;q=0.3, text/plain;q=0.8", False),
        ("text/html, */*;q=0.8", False),
        ("application/json;q=nonsense", False),
        ("application/json;level=1", True),
        ("*/*", False),
        ("", False),
    ],
)
async def test_the_poll_in_json(client: Client, accept: str, json_wanted: bool) -> None:
    answer = await client.get("/api/LeaderElection/is-leader", headers={"Accept": accept})
    if json_wanted:
        assert await answer.json() == {"host": "replica-3", "is_leader": False}
    else:
        assert await answer.text() == "replica-3 - False"


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


async def test_what_only_the_leader_answers(client: Client, election: Election) -> None:
    path = "/leader/api/LeaderElection/is-leader"
    assert (await client.get(path)).status == 503
    lead(election)
    assert await (await client.get(path)).text() == "replica-3 - True"
    assert (await client.get("/leader/status")).status == 200


async def test_health_does_not_depend_on_zookeeper(client: Client, election: Election) -> None:
    assert (await client.get("/healthz")).status == 200
    answer = await client.get("/readyz")
    assert (answer.status, (await answer.json())["error"]) == (503, "no ZooKeeper server is connected")


async def test_work_past_its_lease_is_unhealthy(client: Client, election: Election) -> None:
    lead(election, seconds=-0.5)
    election.candidacy.work = Work.STOPPING
    assert (await client.get("/healthz")).status == 200, "within the grace"
    lead(election, seconds=-5)
    answer = await client.get("/healthz")
    assert answer.status == 503
    assert "past the end of its lease" in await answer.text()


async def test_a_dead_candidacy_is_unhealthy_and_does_not_lead(client: Client, election: Election) -> None:
    lead(election)
    election._die(RuntimeError("a bug"))
    assert (await client.get("/healthz")).status == 503
    assert not election.is_leader
    assert not (await (await client.get("/status")).json())["alive"]


async def test_readiness_needs_a_place_in_the_queue(
    client: Client, election: Election, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(connection.client), "connected", True)
    assert "not in the queue" in await (await client.get("/readyz")).text()
    election.candidacy.znode = "u-n_0000000001"
    assert (await client.get("/readyz")).status == 200


async def test_status_tells_everything_and_since_when_zookeeper_is_away(client: Client, election: Election) -> None:
    lead(election)
    known = await (await client.get("/status")).json()
    assert known["election"] == "reports"
    assert known["state"] == "leading"
    assert 2.0 < known["lease_left"] <= 3.0
    assert known["session"]["connected"] is False
    assert known["session"]["since"] > 1_700_000_000
    assert known["session"]["timeout_asked"] == 6.0
    assert known["session"]["timeout"] is None


async def test_the_queue_cannot_be_read_while_zookeeper_is_away(client: Client) -> None:
    answer = await client.get("/candidates")
    assert answer.status == 503
    assert (await answer.json())["error"] == "ZooKeeper cannot be asked now; /status says since when"


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer wrong", "Basic " + TOKEN, "Bearer " + TOKEN + "x", "Bearer t\u00f6ken"]
)
async def test_resigning_needs_the_token(client: Client, election: Election, header: str | None) -> None:
    lead(election)
    answer = await client.post("/resign", headers={"Authorization": header} if header else {})
    assert answer.status == 403
    assert TOKEN not in await answer.text()
    assert election.is_leader


async def test_resigning_is_off_without_a_configured_token(election: Election, connection: Connection) -> None:
    async with TestClient(TestServer(create_app(election, connection, resign_token=""))) as client:
        answer = await client.post("/resign", headers={"Authorization": "Bearer "})
        assert answer.status == 403
        assert "off" in (await answer.json())["error"]


async def test_only_the_leader_can_resign(client: Client) -> None:
    headers = {"Authorization": "bearer " + TOKEN}
    assert (await client.post("/resign", headers=headers)).status == 409
    assert (await client.post("/leader/resign", headers=headers)).status == 503


async def test_a_resignation_that_zookeeper_does_not_hear(
    client: Client, election: Election, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leader_async.web.app.RESIGN_LIMIT", 0.01)
    election._term = election.candidacy.hold = lead(election)  # type: ignore[assignment]
    election.candidacy.wanted, election.candidacy.znode = True, "u-n_0000000001"
    answer = await client.post("/resign", headers={"Authorization": "Bearer " + TOKEN})
    assert answer.status == 503
    assert not election.is_leader


@pytest.mark.parametrize("path", [*READS, "/nowhere"])
async def test_nothing_may_be_kept(client: Client, path: str) -> None:
    for method in ("GET", "HEAD"):
        answer = await client.request(method, path)
        assert answer.headers["Cache-Control"] == "no-store"


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
