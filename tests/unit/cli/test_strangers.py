"""What others have written reaches the terminal as text, and what is secret reaches nobody else."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import click
import pytest
from aiohttp import web

from leader_async.cli import options
from leader_async.cli.asking import clock_time
from leader_async.testing import ZooKeeper, zookeeper

from .test_asking import command

__all__ = ["zookeeper"]
pytestmark = pytest.mark.timeout(60)

NAME = "a\x1b]0;owned\x07\r\nb leads\x9b2J\u202e\ud800"
SHOWN = r"a\x1b]0;owned\x07\r\nb leads\x9b2J\u202e\ud800"

CANDIDATE = {"identity": NAME, "address": NAME, "znode": NAME, "started_at": 1.0, "position": 0,
             "is_leader": True, "term": 1, "token": "5"}  # fmt: skip
TERM = {"term": 1, "token": 5, "identity": NAME, "address": NAME, "began": 1e300, "ended": 2.0, "why": NAME,
        "detail": NAME, "told_by": NAME, "leaderless_ms": 15072, "at_least": False}  # fmt: skip
ATTEMPT = {"slot": 1.0, "attempt": 1, "manual": False, "token": 5, "identity": NAME, "began": 1.0, "ended": 2.0,
           "outcome": "failed", "error": NAME}  # fmt: skip
JOB = {"name": NAME, "trigger": NAME, "slot": 1.0, "next_slot": None, "current": None, "past": [ATTEMPT]}
QUEUE = {"at": 1.0, "connected": True, "problem": "", "leader": CANDIDATE, "queue": [CANDIDATE]}
STATUS = {"identity": NAME, "state": NAME, "election": NAME, "is_leader": False, "leader": NAME,
          "session": {"connected": False, "since": 1.0, "last_error": NAME}}  # fmt: skip


@pytest.fixture
async def stranger() -> AsyncIterator[str]:
    """The address of somebody who answers as a replica does, with names that do harm to a terminal."""
    app = web.Application()

    def serve(path: str, body: object, status: int = 200) -> None:
        async def answer(request: web.Request) -> web.Response:
            return web.json_response(body, status=status)

        app.router.add_route("*", path, answer)

    for path, body in {"/status": STATUS, "/candidates": [CANDIDATE], "/history": [TERM], "/jobs": [JOB]}.items():
        serve(path, body)
    serve("/leader/resign", {"error": NAME}, 409)

    async def events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(f"event: queue\ndata: {json.dumps(QUEUE)}\n\n".encode())
        ended.append(response)
        return response

    ended: list[web.StreamResponse] = []
    app.router.add_get("/events", events)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [("status", 1), ("candidates", 1), ("history", 1), ("why", 1), ("jobs", 1), ("resign", 1), ("jobs job", 1)],
)
async def test_what_others_have_written_is_one_line_of_text(stranger: str, arguments: str, lines: int) -> None:
    _, out, err = await command(*arguments.split(), "--url", stranger, RESIGN_TOKEN="a token that is long enough")
    told = (out + err).removesuffix("\n").split("\n")
    assert len(told) == lines, told
    assert all(line.isprintable() for line in told), told
    if "job" not in arguments.split():
        assert SHOWN in told[0]


@pytest.mark.parametrize("about", ["status", "candidates", "history", "jobs"])
async def test_json_is_text_as_well_and_says_the_same(stranger: str, about: str) -> None:
    code, out, _ = await command(about, "--url", stranger, "--json")
    assert code in (0, 6)
    assert out.removesuffix("\n").isprintable()
    expected: dict[str, Any] = {"status": STATUS, "candidates": [CANDIDATE], "history": [TERM], "jobs": [JOB]}
    assert json.loads(out) == expected[about]


def test_what_is_no_time_is_none() -> None:
    for seconds in (None, 0.0, 1e300, float("nan"), float("inf"), -1e15):
        assert clock_time(seconds) == "?"
    assert clock_time(1764342000.0).count(" ") == 2, "with its zone"


async def test_a_command_that_is_run_gets_no_secret(zookeeper: ZooKeeper) -> None:
    code, out, err = await command(
        "run", "--zookeeper", zookeeper.address, "--election", "x", "--no-guardian", "--log-level", "error",
        "--", sys.executable, "-c", "import os; print(sorted(os.environ))",
        RESIGN_TOKEN="a token that is long enough", ZOOKEEPER_AUTH="user:geheim", IDENTITY="me",
    )  # fmt: skip
    assert code == 0, err
    inherited = ast.literal_eval(out)
    assert "LEADER_ASYNC_IDENTITY" in inherited
    assert not {options.AUTH, options.TOKEN} & {*inherited}


def test_every_file_with_a_secret_that_others_may_read_is_told_of(tmp_path: Path) -> None:
    files = {}
    for number, name in enumerate(("auth", "token", "key", "certificate", "other-key", "closed", "group")):
        files[name] = tmp_path / name
        files[name].write_text("secret")
        files[name].chmod({5: 0o600, 6: 0o640}.get(number, 0o644))
    context = click.Context(click.Command("x"))
    assert options.readable_secrets() == [], "nothing was given"

    def told(**given: str) -> list[str]:
        context.params = {name: str(files.get(file, file)) for name, file in given.items()}
        with context:
            return [text.rpartition("/")[2] for text in options.readable_secrets()]

    assert told(zookeeper_auth_file="auth", resign_token_file="token") == ["auth", "token"]
    assert told(tls_cert="certificate", tls_key="key", zookeeper_cert="certificate") == ["certificate", "key"]
    assert told(zookeeper_key="other-key", zookeeper_cert="certificate") == ["other-key"]
    assert told(zookeeper_auth_file="closed", resign_token_file="group", tls_key="/nowhere") == []
    assert told(zookeeper_auth_file="/dev/null") == [], "a device or a pipe keeps nothing"


async def test_the_warning_is_logged_or_told(zookeeper: ZooKeeper, tmp_path: Path) -> None:
    file = tmp_path / "auth"
    file.write_text("user:geheim")
    file.chmod(0o644)
    there = ("--zookeeper", zookeeper.address, "--zookeeper-auth-file", str(file), "--election", "x")
    _, _, told = await command("status", *there)
    assert told.startswith(f"leader-async: everybody on this machine may read the secret in {file}: chmod o-r {file}\n")
    code, _, logged = await command("run", *there, "--no-guardian", "--log-format", "json", "--", "true")
    assert code == 0
    assert "secret_readable" in [json.loads(line).get("event") for line in logged.splitlines()]
    file.chmod(0o600)
    assert "chmod" not in (await command("status", *there))[2]
