"""The live page in headless Chromium: in front of replicas in this process, and of a whole cluster behind nginx."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from deploy import servers
from leader_async import JobRun, Schedule, Term, connect
from leader_async.election.rules import explain as moves
from leader_async.testing import ZooKeeper, zookeeper
from leader_async.web import create_app

from ..conftest import need
from ..deployment.launching import SHORT, Launcher, free_base
from ..support.zookeeper import classpath
from .chromium import Chromium, Page, find

__all__ = ["zookeeper"]
pytestmark = pytest.mark.timeout(120)
TOKEN = "a token that is long enough"
NOBODY = "document.getElementById('lead').dataset.sure === 'no'"
THERE = "document.querySelectorAll('#queue li:not([data-missing])').length"
WIDTH = "document.documentElement.scrollWidth"


@pytest.fixture
async def chromium(tmp_path: Path) -> AsyncIterator[Chromium]:
    need(None if find() else "no Chromium here", "tests of the live page", "install Debian's package chromium")
    async with Chromium(tmp_path / "profile") as browser:
        yield browser


@pytest.fixture
async def replica(zookeeper: ZooKeeper) -> AsyncIterator[str]:
    """The address of a leader with two jobs and a follower behind it, which serves a page of its own."""
    async with contextlib.AsyncExitStack() as stack:
        ends = []
        for name in ("replica-1", "replica-2"):
            zk = await stack.enter_async_context(connect(zookeeper.address, timeout=2.0))
            election = zk.election("reports", identity=name, address=f"http://{name}.example:8080", lease=3.0)
            jobs = Schedule(election)

            @jobs.cron("0 3 * * *", tz="Europe/Berlin")
            async def nightly(run: JobRun) -> None:
                raise ConnectionError("the database is away")

            @jobs.every(3600, name="tidy up")
            async def tidy(run: JobRun) -> None:
                pass

            ends.append(asyncio.create_task(jobs.run()))
            while not election.status().in_queue:
                await asyncio.sleep(0.005)
            if name == "replica-1":
                runner = web.AppRunner(create_app(election, zk, resign_token=TOKEN, schedule=jobs), access_log=None)
                await runner.setup()
                stack.push_async_callback(runner.cleanup)
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                while len(await jobs.jobs()) < 2:
                    await asyncio.sleep(0.005)
                for job in ("nightly", "tidy up"):
                    await jobs.run_now(job)
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
        for end in ends:
            end.cancel()
        await asyncio.wait(ends)


async def hold(term: Term) -> None:
    await asyncio.get_running_loop().create_future()


def leads(name: str) -> str:
    return f"document.getElementById('leader')?.innerText === {name!r}"


async def live(page: Page, name: str) -> None:
    """Return when the page is drawn in whole and says that this one leads."""
    await page.until(leads(name))
    await page.until("document.getElementById('link').dataset.state === 'live'")
    await page.until("!document.getElementById('lease').hidden && document.querySelector('#terms li[data-runs]')")


async def test_the_page_is_whole_in_light_dark_and_on_a_phone(chromium: Chromium, replica: str) -> None:
    looks = {"light": {}, "dark": {"dark": True}, "phone": {"width": 360, "height": 740, "still": True}}
    for name, preferred in looks.items():
        page = await chromium.open(replica, **preferred)  # type: ignore[arg-type]
        await live(page, "replica-1")
        await page.until("document.querySelectorAll('#jobs .note').length >= 4")
        queue = await page.js("[...document.querySelectorAll('#queue .who')].map((one) => one.innerText)")
        assert queue == ["replica-1", "replica-2"]
        assert "ConnectionError: the database is away" in await page.text("jobs")
        assert await page.js("document.title") == "replica-1 leads reports"
        assert await page.text("said") == "replica-1 leads, term 1"
        width = await page.js("window.innerWidth")
        assert await page.js(WIDTH) <= width, "nothing to scroll sideways"
        # The lease runs down, and is renewed.
        if name == "light":
            scale = "new DOMMatrix(getComputedStyle(document.getElementById('bar')).transform).a"
            for part in ("> 0.92", "< 0.9", "> 0.92"):  # a fifth of it, until the next confirm
                await page.until(f"{scale} {part}")
        await page.screenshot(name)
        assert (page.problems, page.failed) == ([], [])
        await page.close()


async def test_who_leaves_is_shown_as_missing_and_jobs_have_the_reader_s_zone(
    chromium: Chromium, replica: str, zookeeper: ZooKeeper
) -> None:
    rows = "[...document.querySelectorAll('#queue li')].map((one) => one.innerText.split('\\n').filter(Boolean))"
    page, phone = await chromium.open(replica), await chromium.open(replica, width=360, height=740, still=True)
    async with connect(zookeeper.address, timeout=2.0) as zk:
        standing = asyncio.create_task(zk.election("reports", identity="replica-3", lease=3.0).run(hold))
        for one in (page, phone):
            await live(one, "replica-1")
            await one.until("document.querySelectorAll('#queue li').length === 3")
        standing.cancel()
        await asyncio.wait([standing])
    for name, one in (("missing", page), ("missing-phone", phone)):
        await one.until("document.querySelectorAll('#queue li[data-missing]').length === 1")
        place, who, state, note = (await one.js(rows))[2]
        assert (place, who, state) == ("\N{EN DASH}", "replica-3", "missing")
        assert re.fullmatch(r"since \d\d:\d\d:\d\d, for [\d.]+ m?s", note)
        assert await one.text("queue-count") == "· 2, 1 missing"
        await one.until("document.querySelectorAll('#jobs .note').length >= 4")
        assert await one.js(WIDTH) <= await one.js("window.innerWidth"), "nothing to scroll sideways"
        await one.screenshot(name)
    parts = "new Intl.DateTimeFormat([], {timeZoneName: 'short'}).formatToParts()"
    zone = await page.js(f"{parts}.find((one) => one.type === 'timeZoneName').value")
    told = await page.js("[...document.querySelectorAll('#jobs .next, #jobs .note')].map((one) => one.innerText)")
    assert sum(line.startswith("next ") and line.endswith(f" {zone}") for line in told) == 2
    assert sum(f" {zone}, replica-1, took " in line for line in told) == 2
    # The page and the commands say lengths of time in the same words.
    lengths = [0.004, 0.25, 0.999, 1, 9.94, 15.072, 89, 91, 5399, 5401, 100_000, 259_200]
    assert await page.js(f"{lengths}.map(span)") == [*map(moves.span, lengths)]
    async with connect(zookeeper.address, timeout=2.0) as zk:
        standing = asyncio.create_task(zk.election("reports", identity="replica-3", lease=3.0).run(hold))
        await page.until("document.querySelectorAll('#queue li').length === 3")
        await page.until("document.querySelectorAll('#queue li[data-missing]').length === 0")
        standing.cancel()
        await asyncio.wait([standing])
    assert (page.problems, phone.problems) == ([], [])
    await page.close()
    await phone.close()


async def test_handing_over_by_keyboard(chromium: Chromium, replica: str) -> None:
    page = await chromium.open(replica)
    await live(page, "replica-1")
    focused = "document.activeElement.id"
    while await page.js(focused) != "resign":
        before = await page.js("document.activeElement.outerHTML")
        await page.key("Tab", 9)
        assert await page.js("document.activeElement.outerHTML") != before, "the button is not reached"
    await page.key("Enter", 13, "\r")
    await page.until("document.getElementById('dialog').open")
    assert "replica-2 is next" in await page.text("dialog-text")
    assert await page.js(focused) == "token"
    await page.ask("Input.insertText", text="a wrong one")
    await page.key("Enter", 13, "\r")
    await page.until("document.getElementById('dialog-problem').innerText.includes('not the replicas')")
    await page.screenshot("handing-over")
    await page.ask("Input.insertText", text=TOKEN)
    await page.key("Enter", 13, "\r")
    await page.until(leads("replica-2"))
    await page.until("!document.getElementById('dialog').open")
    await page.until("document.getElementById('why').innerText.includes('it resigned')")
    # One click from the page to why the lead moved.
    await page.until("document.querySelector('#terms summary')")
    await page.js("document.querySelector('#terms summary').click()")
    await page.until("document.querySelector('#terms details p').checkVisibility()")
    assert "nobody led for" in await page.js("document.querySelector('#terms details p').innerText")
    # This replica is a follower now, and nothing here leads /leader/… to the leader, who alone knows its lease.
    await page.until("!document.getElementById('lease-unknown').hidden")
    assert "Only replica-2 knows" in await page.text("lease-unknown")
    # The token is asked for once.
    await page.js("document.getElementById('resign').click()")
    assert await page.js("document.getElementById('token-part').hidden")
    await page.key("Escape", 27)
    await page.until("!document.getElementById('dialog').open")
    assert await page.js("Object.keys(localStorage).length + Object.keys(sessionStorage).length") == 0
    assert page.problems == []
    assert all("401" in one or "503" in one for one in page.failed), page.failed
    await page.close()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Launcher]:
    """Three replicas behind nginx, with a real ZooKeeper."""
    for problem, remedy in (
        (None if classpath() else "no ZooKeeper server here", "install Debian's package zookeeper"),
        (None if servers.find_nginx() else "no nginx here", "install Debian's nginx"),
    ):
        need(problem, "tests of the live page behind nginx", remedy)
    one = Launcher(tmp_path / "cluster", free_base(), {"CLUSTER": "local", **SHORT, "LEADER_ASYNC_RESIGN_TOKEN": TOKEN})
    try:
        one.done("up", "3")
        yield one
    finally:
        one("down")


def process(cluster: Launcher, name: str) -> int:
    """The number of one of its processes."""
    state = json.loads((cluster.state / "state.json").read_text())
    return next(int(one["pid"]) for one in state["processes"] if one["name"] == name)


async def test_the_page_outlives_what_the_cluster_does(chromium: Chromium, cluster: Launcher) -> None:
    page = await chromium.open(f"http://127.0.0.1:{cluster.port}/")
    await page.until(f"{THERE} === 3")
    first = await page.text("leader")
    await live(page, first)
    assert await page.js("told.status.status.identity") == first, "it listens to the leader itself"

    await page.until(
        "fetch('leader/status').then((got) => got.json()).then((known) => known.session.guardian === 'running')"
    )
    os.kill(process(cluster, first), signal.SIGKILL)
    await page.until(f"!({leads(first)}) && document.getElementById('lead').dataset.sure === 'yes'")
    second = await page.text("leader")
    await live(page, second)
    await page.until("document.getElementById('why').innerText.includes('its process died, and its guardian saw that')")
    await page.until(f"{THERE} === 2")
    missing = "[...document.querySelectorAll('#queue li[data-missing] .who')].map((one) => one.innerText)"
    assert await page.js(missing) == [first], "though the replica that is listened to now has not seen it go"
    await page.screenshot("after-a-failover")

    zookeeper = process(cluster, "zookeeper")
    os.kill(zookeeper, signal.SIGKILL)
    await page.until("document.getElementById('notice').innerText.includes('has had no connection to ZooKeeper')")
    await page.until("told.status.status.state === 'suspended'")
    await page.until(NOBODY)
    assert (await page.text("lead-label")).lower() == "leader when last seen"
    assert await page.text("leader") == second, "as what was known before"
    await page.screenshot("zookeeper-lost")
    await page.prefer(dark=True)
    await page.screenshot("zookeeper-lost-dark")
    await page.prefer()
    await asyncio.to_thread(cluster.done, "up", "3")
    await page.until(f"document.getElementById('notice').hidden && {THERE} === 3")
    third = await page.text("leader")
    await live(page, third)

    # The one that is listened to stops gracefully: the page goes on with another one.
    listened = await page.js("told.status.status.identity")
    os.kill(process(cluster, listened), signal.SIGTERM)
    await page.until(f"stream && told.status.status.identity !== {listened!r}")
    await page.until("document.getElementById('notice').hidden")
    await page.until(f"{THERE} === 2")
    fourth = await page.text("leader")
    await live(page, fourth)

    os.kill(process(cluster, "nginx"), signal.SIGTERM)
    await page.until("document.getElementById('notice').innerText.includes('No connection to any replica')")
    assert await page.text("leader") == fourth
    await page.until("/is \\d+ s old/.test(document.getElementById('notice').innerText)")
    await page.screenshot("everything-lost")
    await asyncio.to_thread(cluster.done, "up", "3")
    await page.until(f"document.getElementById('notice').hidden && {THERE} === 3")
    assert page.problems == []
    assert all("/events" in one for one in page.failed), page.failed
    await page.close()
