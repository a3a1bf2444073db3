"""What is served of the live page; how it behaves is seen in a browser (tests/browser)."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from importlib import resources

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from leader_async import connect
from leader_async.election.rules.ends import Why
from leader_async.election.rules.state import State
from leader_async.schedule.ledger import Outcome
from leader_async.web import create_app
from leader_async.web.page import ASSETS

Client = TestClient[web.Request, web.Application]
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
FILES = resources.files("leader_async.web").joinpath("static")


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    zk = connect("127.0.0.1:1")
    outer = web.Application()
    outer.add_subapp("/election", create_app(zk.election("reports", identity="replica-3"), zk))
    async with TestClient(TestServer(outer)) as client:
        yield client


async def test_a_browser_gets_the_page_and_a_program_a_few_lines(client: Client) -> None:
    page = await client.get("/election/", headers=BROWSER)
    assert (page.status, page.content_type, page.headers["Vary"]) == (200, "text/html", "Accept")
    for accept in ({}, {"Accept": "*/*"}, {"Accept": "text/plain, text/html;q=0.5"}, {"Accept": "text/html;q=0"}):
        text = await client.get("/election/", headers=accept)
        assert (text.status, text.content_type, text.headers["Vary"]) == (200, "text/plain", "Accept")
        assert (await text.text()).startswith("replica-3 - False\nNobody is known to lead reports.\n")
    assert (await client.head("/election/")).status == 200


@pytest.mark.parametrize("path", ["/election/", *(f"/election/assets/{name}" for name in ASSETS)])
async def test_nothing_but_its_own_files_may_run_in_it_and_nothing_may_be_kept(client: Client, path: str) -> None:
    answer = await client.get(path, headers=BROWSER)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")


def test_the_page_goes_by_words_that_there_are() -> None:
    script = FILES.joinpath("page.js").read_text()
    (bad,) = re.findall(r"const BAD = (\[.*\]);", script)
    (states,) = re.findall(r"(\[[^\]]*\])\.includes\(mine\.state\)", script)
    assert {*json.loads(bad)} <= {*Why}
    assert {*json.loads(states)} <= {*State}
    assert f'last.outcome !== "{Outcome.DONE}"' in script


async def test_the_page_names_its_files_and_no_address_outside(client: Client) -> None:
    page = await (await client.get("/election/", headers=BROWSER)).text()
    named = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert {f"assets/{name}" for name in ASSETS} <= set(named)
    for path in named:
        assert (await client.get(f"/election/{path}")).status in (200, 503), "it is there; ZooKeeper is away"
    for file in FILES.iterdir():
        addresses = re.findall(r"https?://[^\"\s)]+", file.read_text())
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, file.name
    assert " style=" not in page
    assert not re.search(r"<script>|<style>| on[a-z]+=", page)
