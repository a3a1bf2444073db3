"""Jobs over HTTP and at the command line, on the embedded ZooKeeper."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from leader_async import JobRun, Schedule, connect
from leader_async.testing import ZooKeeper, zookeeper
from leader_async.web import create_app

__all__ = ["zookeeper"]

TOKEN = "a token that is long enough"
BEARER = {"Authorization": "Bearer " + TOKEN}
Client = TestClient[web.Request, web.Application]
NEW: dict[str, object] = {"current": None, "past": []}


@pytest.fixture
async def client(zookeeper: ZooKeeper) -> AsyncIterator[Client]:
    """The service of a leader with the jobs `tidy`, which fails once, and `long`, which does not end."""
    async with connect(zookeeper.address, timeout=1.0) as zk:
        election = zk.election("leader", identity="me", lease=0.6)
        jobs = Schedule(election)

        @jobs.every(3600, retries=1, backoff=0)
        async def tidy(run: JobRun) -> None:
            if run.attempt == 1:
                raise ValueError("no")

        @jobs.cron("0 3 * * *", tz="Europe/Berlin")
        async def long(run: JobRun) -> None:
            await asyncio.get_running_loop().create_future()

        await zk.wait_connected()
        running = asyncio.create_task(jobs.run())
        async with TestClient(TestServer(create_app(election, zk, resign_token=TOKEN, schedule=jobs))) as client:
            await answer(client, "/jobs", lambda found: len(found) == 2)
            yield client
        running.cancel()
        await asyncio.wait([running])


async def answer(client: Client, path: str, wanted: Any) -> Any:
    """What stands there once it is as wanted."""
    async with asyncio.timeout(10):
        while True:
            got = await client.get(path)
            if got.status == 200 and wanted(body := await got.json()):
                return body
            await asyncio.sleep(0.005)


async def test_what_jobs_did_and_will_do(client: Client) -> None:
    assert (await client.post("/jobs/tidy/run", headers=BEARER)).status == 202
    job = await answer(client, "/jobs/tidy", lambda job: len(job["past"]) == 2)
    assert [(one["attempt"], one["outcome"], one["error"], one["manual"]) for one in job["past"]] == [
        (1, "failed", "ValueError: no", True),
        (2, "done", "", True),
    ]
    assert job["next_slot"] - job["slot"] <= 3600
    listed = await (await client.get("/leader/jobs")).json()
    assert [(one["name"], one["trigger"]) for one in listed] == [
        ("long", "cron 0 3 * * * Europe/Berlin"),
        ("tidy", "every 3600 s"),
    ]
    assert (await client.get("/jobs/nobody")).status == 404
    assert (await client.get("/jobs/%00")).status == 404


async def test_running_one_now_needs_the_token_and_a_job_that_is_not_running(client: Client) -> None:
    assert (await client.post("/jobs/long/run")).status == 401
    assert (await client.post("/jobs/nobody/run", headers=BEARER)).status == 404
    started = await client.post("/leader/jobs/long/run", headers=BEARER)
    assert (started.status, await started.json()) == (202, {"job": "long", "identity": "me"})
    await answer(client, "/jobs/long", lambda job: job["current"])
    again = await client.post("/jobs/long/run", headers=BEARER)
    assert (again.status, (await again.json())["error"]) == (409, "job 'long' is running")


async def test_only_the_leader_runs_jobs(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address, timeout=1.0) as zk:
        election = zk.election("leader")
        jobs = Schedule(election)
        jobs.every(60, name="tidy")(print)
        async with TestClient(TestServer(create_app(election, zk, resign_token=TOKEN, schedule=jobs))) as follower:
            assert (await follower.post("/jobs/tidy/run", headers=BEARER)).status == 409
            assert (await follower.post("/leader/jobs/tidy/run", headers=BEARER)).status == 503
            await zk.wait_connected()
            assert await (await follower.get("/jobs")).json() == []
        async with TestClient(TestServer(create_app(election, zk, resign_token=TOKEN))) as without:
            assert (await without.post("/jobs/tidy/run", headers=BEARER)).status == 404


async def test_the_command(client: Client, zookeeper: ZooKeeper) -> None:
    async def call(*arguments: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "leader_async", "jobs", *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "LEADER_ASYNC_RESIGN_TOKEN": TOKEN, "TZ": "UTC"},
        )  # fmt: skip
        output, _ = await process.communicate()
        return process.returncode, output.decode()

    url = str(client.make_url("/"))
    ran, listed, by_name, nobody, wrong, reset, no_reset, not_reset = await asyncio.gather(
        call("tidy", "--now", "--url", url),
        call("--zookeeper", zookeeper.address),
        call("--zookeeper", zookeeper.address, "--json", "long"),
        call("--url", url, "nobody"),
        call("tidy", "--now"),
        call("--zookeeper", zookeeper.address, "long", "--reset"),
        call("--zookeeper", zookeeper.address, "nobody", "--reset"),
        call("--url", url, "long", "--reset"),
    )
    assert ran == (0, "tidy runs now at me\n")
    assert listed[0] == 0
    assert "long  (cron 0 3 * * * Europe/Berlin)  has not run yet; next: " in listed[1]
    assert by_name[0] == 0
    fields = {"name", "trigger", "slot", "next_slot", "current", "past", "problem"}
    assert {**json.loads(by_name[1]), **NEW}.keys() == fields
    assert nobody == (1, "leader-async: leader has no job 'nobody'; `leader-async jobs` lists them\n")
    assert wrong[0] == 2
    assert "ZooKeeper cannot run it" in wrong[1]
    assert reset[0] == 0
    assert reset[1].startswith("long  (cron 0 3 * * * Europe/Berlin)  has not run yet; next: ")
    assert no_reset == nobody
    assert not_reset[0] == 2
    assert "--reset needs the job's NAME, and --zookeeper" in not_reset[1]
    await answer(client, "/jobs/tidy", lambda job: len(job["past"]) == 2)
    code, shown = await call("--zookeeper", zookeeper.address, "tidy")
    assert code == 0
    assert "failed      me  token" in shown
    assert "attempt 2  asked for" in shown
