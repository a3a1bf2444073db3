"""No secret is to be found anywhere: whole replicas with guardians, at the log's most talkative, in trouble."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from leader_async import Digest, clock, connect
from leader_async.cli.config import Config
from leader_async.cli.exits import Exit

from ..support.reporting import measured
from .playing import until
from .securing import Secured, Terminator

ROOT = Path(__file__).parents[2]
USER, PASSWORD = "app", "geheim-4711-und-niemand-weiss-es"
TOKEN = "token-0815-that-nobody-is-to-see"
PAGES = ("/status", "/candidates", "/history", "/healthz", "/readyz", "/leader", "/follower", "/openapi.json", "/jobs",
         "/metrics", "/leader/status", "/api/LeaderElection/is-leader", "/nowhere")  # fmt: skip
pytestmark = [pytest.mark.timeout(90), pytest.mark.usefixtures("on_linux")]


class Haystack:
    """What was said and shown, and the secrets that must not be in it."""

    def __init__(self) -> None:
        self.found: dict[str, bytes] = {}
        digest = hashlib.sha1(f"{USER}:{PASSWORD}".encode()).digest()
        self._secrets = {PASSWORD.encode(), TOKEN.encode(), base64.b64encode(digest)}

    def hide(self, password: bytes) -> None:
        """A session's password."""
        shown = repr(password)[2:-1].encode()
        self._secrets |= {password, password.hex().encode(), base64.b64encode(password), shown}

    def search(self) -> None:
        for where, text in self.found.items():
            for secret in self._secrets:
                assert secret not in text, f"{secret!r} is in {where}"


class Serving:
    """`leader-async serve` in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, mark: str) -> None:
        self.process, self.log, self._mark = process, log, mark

    async def port(self) -> int:
        await until(lambda: "listens on" in self.log.read_text())
        return int(self.log.read_text().partition("listens on 127.0.0.1:")[2].split()[0])

    async def ask(self, haystack: Haystack) -> None:
        """All that it says over HTTP."""
        async with aiohttp.ClientSession(f"http://127.0.0.1:{await self.port()}") as http:
            for page in PAGES:
                async with http.get(page) as answer:
                    haystack.found[page] = await answer.read()
            for token in ("wrong", TOKEN):
                headers = {"Authorization": f"Bearer {token}"}
                async with http.post("/jobs/none/run", headers=headers) as answer:
                    haystack.found[f"/run {token}"] = await answer.read()

    def look(self, haystack: Haystack, *, own: bool) -> int:
        """What /proc shows of it (its environment if `own`) and of its children; how many processes that are."""
        found = 0
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                environment = (place / "environ").read_bytes()
                if self._mark.encode() in environment:
                    found += 1
                    haystack.found[f"{place} cmdline"] = (place / "cmdline").read_bytes()
                    if own or int(place.name) != self.process.pid:
                        haystack.found[f"{place} environ"] = environment
        return found


@asynccontextmanager
async def serving(tmp_path: Path, *arguments: str, **variables: str) -> AsyncIterator[Serving]:
    mark, log = uuid.uuid4().hex, tmp_path / f"{uuid.uuid4().hex}.log"
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "leader_async", "serve", "--port", "0", "--log-level", "debug",
            "--session-timeout", "10", "--election", "a", "--root", f"/{tmp_path.name}", "--lease", "2", *arguments,
            stderr=stderr, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), "MARK": mark, **variables},
        )  # fmt: skip
    try:
        yield Serving(process, log, mark)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_secrets_stay_secret_and_kill_9_is_followed_at_once(
    secured: Secured, terminator: Terminator, tmp_path: Path
) -> None:
    haystack = Haystack()
    auth, token = tmp_path / "auth", tmp_path / "token"
    auth.write_text(f"{USER}:{PASSWORD}\n")
    token.write_text(TOKEN)
    tls = ("--zookeeper-ca", str(secured.good.ca), "--zookeeper-cert", str(secured.mine.both))
    one = serving(
        tmp_path, "--zookeeper", terminator.address, "--identity", "one", *tls,
        LEADER_ASYNC_ZOOKEEPER_AUTH=f"{USER}:{PASSWORD}", LEADER_ASYNC_RESIGN_TOKEN=TOKEN,
    )  # fmt: skip
    two = serving(
        tmp_path, "--zookeeper", secured.address, "--identity", "two", "--zookeeper-auth-file", str(auth),
        "--resign-token-file", str(token), "--log-format", "json", *tls,
    )  # fmt: skip
    wrong = serving(
        tmp_path, "--zookeeper", secured.address, "--identity", "wrong", *tls,
        LEADER_ASYNC_ZOOKEEPER_AUTH=f"{USER}:{PASSWORD}?", LEADER_ASYNC_RESIGN_TOKEN=TOKEN,
    )  # fmt: skip
    async with one as first, connect(secured.plain, auth=Digest(USER, PASSWORD)) as zk:
        election = zk.election("a", root=f"/{tmp_path.name}")
        assert (await election.wait_for_leader()).identity == "one"
        async with two as second, wrong as third:
            assert await third.process.wait() == Exit.DENIED
            assert "does not allow Create to this session; give the credentials" in third.log.read_text()
            while len(await election.candidates()) < 2:
                await asyncio.sleep(0.02)
            await until(lambda: first.look(haystack, own=False) == 2, 15)  # its guardian
            await until(lambda: second.look(haystack, own=True) == 2, 15)
            await first.ask(haystack)
            await second.ask(haystack)
            connections = len(terminator.passwords)
            terminator.hang_up()
            await until(lambda: len(terminator.passwords) > connections)
            await asyncio.sleep(0.1)  # its own guardian may be starting still: a second look at what /proc shows
            first.look(haystack, own=False)
            begin = clock.now()
            first.process.send_signal(signal.SIGKILL)
            while (leader := await election.leader()) is None or leader.identity != "two":
                await asyncio.sleep(0.005)
            took = clock.now() - begin
            measured("kill -9 of a leader with credentials and TLS, session timeout 10 s", took)
            assert took < 5, "by its guardian, with the same credentials; ZooKeeper would take 10 s and more"
            await until(lambda: "is closed; terms that ended with it: 1" in first.log.read_text())
            second.process.send_signal(signal.SIGTERM)
            assert await second.process.wait() == 0
            for number, replica in enumerate((first, second, third)):
                haystack.found[f"log {number}"] = replica.log.read_bytes()
    for password in terminator.passwords:
        haystack.hide(password)
    assert any(password != bytes(16) for password in terminator.passwords)
    assert b"leads, term" in haystack.found["log 0"]
    haystack.search()


async def test_a_command_that_is_run_gets_no_secret_with_its_environment(secured: Secured, tmp_path: Path) -> None:
    secret = {"LEADER_ASYNC_ZOOKEEPER_AUTH": f"{USER}:{PASSWORD}"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "leader_async", "run", "--zookeeper", secured.plain, "--election", "a", "--root",
        f"/{tmp_path.name}", "--", "env", stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **secret},
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert b"LEADER_TOKEN=" in out
    haystack = Haystack()
    haystack.found["the command's environment"] = out
    haystack.search()


async def test_wrong_credentials_end_run_and_the_commands_that_ask(secured: Secured, tmp_path: Path) -> None:
    async with connect(secured.plain, auth=Digest(USER, PASSWORD)) as zk:
        await zk.election("a", root=f"/{tmp_path.name}").run(lambda term: asyncio.sleep(0))
    at = ("--zookeeper", secured.plain, "--election", "a", "--root", f"/{tmp_path.name}")
    for command, code in (
        (("run", *at, "--", "true"), Exit.DENIED),
        (("status", *at), Exit.DENIED),
        (("doctor", *at), Exit.NO),
    ):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "leader_async", *command, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        said = b"".join(await process.communicate())
        assert process.returncode == code, said
        assert b"give the credentials of its creator (auth=, --zookeeper-auth-file)" in said
        assert b"Traceback" not in said


def test_settings_are_shown_without_their_secrets() -> None:
    haystack = Haystack()
    config = Config(auth=Digest(USER, PASSWORD), resign_token=TOKEN)
    haystack.found["the settings"] = f"{config!r} {config}".encode()
    haystack.search()
