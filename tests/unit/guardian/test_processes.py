"""Guardians that applications have started: real processes, killed, stopped and forked. The session lasts 10 s."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from leader_async import Election, Term, clock, connect
from leader_async.election.rules.record import LeadState
from leader_async.guardian import finding
from leader_async.testing import ZooKeeper

from ...conftest import need
from ...support.reporting import measured
from .processes import ROOT, application, eventually

pytestmark = [pytest.mark.timeout(60)]
SOON = 3.0
"""Seconds: far less than the session's 10, on however busy a machine."""


@pytest.fixture(autouse=True)
def _linux() -> None:
    need(None if Path("/proc/self/environ").exists() else "no /proc here", "tests of the guardian's process", "Linux")


@pytest.fixture
def server() -> Iterator[ZooKeeper]:
    """One that grants 10 s."""
    with ZooKeeper(tick=0.5) as server:
        yield server


@asynccontextmanager
async def heir(server: ZooKeeper) -> AsyncIterator[Election]:
    """Who leads when nobody else does."""

    async def work(term: Term) -> None:
        await asyncio.get_running_loop().create_future()

    async with connect(server.address, timeout=10.0) as zk:
        election = zk.election("x", identity="heir")
        running = asyncio.create_task(election.run(work))
        try:
            async with asyncio.timeout(10):
                while election.status().position is None:  # 0 if who led has gone already
                    await asyncio.sleep(0.005)
            yield election
        finally:
            running.cancel()
            await asyncio.wait([running])


async def leads(election: Election, limit: float = SOON) -> float:
    """Wait until it leads; the seconds that took."""
    begin = clock.now()
    async with asyncio.timeout(limit):
        while not election.is_leader:
            await asyncio.sleep(0.002)
    return clock.now() - begin


async def test_the_next_leads_soon_after_a_kill(server: ZooKeeper, tmp_path: Path) -> None:
    with application(tmp_path / "log", server.address, "x", "wait") as app:
        app.line("leads")
        async with heir(server) as election:
            app.process.kill()
            measured("kill -9 of the leader until the next leads, embedded ZooKeeper", await leads(election))
            assert election.term is not None
            assert election.term.number == 2
        eventually(lambda: not app.guardians())
        (told,) = (line for line in app.log().splitlines() if "terms that ended with it: 1" in line)
        assert told.startswith("leader_async.guardian: "), "in the application's own form"


async def test_a_log_that_nobody_reads_does_not_hold_the_guardian_up(server: ZooKeeper, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    log = os.open(tmp_path / "log", os.O_RDWR | os.O_NONBLOCK)
    try:
        with application(tmp_path / "log", server.address, "x", "wait") as app:
            app.line("leads")
            async with heir(server) as election:
                with suppress(BlockingIOError):
                    while os.write(log, b"x"):
                        pass
                app.process.kill()
                await leads(election)
    finally:
        os.close(log)


async def test_a_signal_to_the_process_group_does_not_take_the_guardian_along(
    server: ZooKeeper, tmp_path: Path
) -> None:
    with application(tmp_path / "log", server.address, "x", "wait") as app:
        app.line("leads")
        async with heir(server) as election:
            os.killpg(app.process.pid, signal.SIGKILL)
            await leads(election)


async def test_the_guardian_ignores_what_ends_the_application_gracefully(server: ZooKeeper, tmp_path: Path) -> None:
    with application(tmp_path / "log", server.address, "x", "wait") as app:
        app.line("leads")
        guardian = app.guardian()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            os.kill(guardian, number)
        async with heir(server) as election:
            app.process.kill()
            await leads(election)


async def test_a_stopped_process_is_not_gone(server: ZooKeeper, tmp_path: Path) -> None:
    with application(tmp_path / "log", server.address, "x", "wait") as app:
        app.line("leads")
        async with heir(server) as election:
            app.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(1.5)
            assert [candidate.is_leader for candidate in await election.candidates()] == [True, False]
            app.process.send_signal(signal.SIGCONT)
            app.go_on()
            assert app.line("is_leader") == ["True", "running"]


async def test_a_descriptor_that_a_child_of_c_code_keeps_open_does_not_hide_the_death(
    server: ZooKeeper, tmp_path: Path
) -> None:
    with application(tmp_path / "log", server.address, "x", "c-fork") as app:
        app.line("forked")
        async with heir(server) as election:
            app.process.kill()
            await leads(election)


async def test_a_process_that_has_closed_its_descriptor_is_not_gone_before_it_ends(
    server: ZooKeeper, tmp_path: Path
) -> None:
    with application(tmp_path / "log", server.address, "x", "close") as app:
        app.line("done")
        async with heir(server) as election:
            eventually(lambda: "but its process lives" in app.log())
            assert [candidate.is_leader for candidate in await election.candidates()] == [True, False]
            app.process.kill()
            await leads(election)


@pytest.mark.parametrize("how", ["closerange", "exec", "wait"])
async def test_without_pidfds_nothing_is_left_for_a_process_that_may_live(
    server: ZooKeeper, tmp_path: Path, how: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os\ndel os.pidfd_open\n")
    without = ["env", f"PYTHONPATH={tmp_path}{os.pathsep}{ROOT}"]
    begin = clock.now()
    with application(tmp_path / "log", server.address, "x", how, "off", "1.5", under=without) as app:
        app.line("leads")
        async with heir(server) as election:
            if how == "wait":
                app.process.kill()
            await leads(election, limit=15.0)
            began = clock.now()
            found = election.candidacy.hold
            assert found is not None
            began_by = election.candidacy.story.how(found)
            assert began_by is not None
            assert began_by.before is not None
            assert began_by.before.state is LeadState.HELD, "it has waited the lease out, nothing had told it not to"
            assert began - begin < 10.0, "the session was closed, and did not expire"
        if how == "closerange":
            assert float(app.line("led")[0]) < began
        assert "closed its descriptors, nothing tells which: its session" in app.log()
        assert "terms that ended with it: 0" in app.log()


def test_a_forked_child_has_no_descriptor_of_the_guardian(server: ZooKeeper, tmp_path: Path) -> None:
    with application(tmp_path / "log", server.address, "x", "fork") as app:
        (before,) = app.line("before")
        (child,) = app.line("child")
        assert int(child) == int(before) - 1, "ZooKeeper's connection is inherited, the guardian's is closed"


def test_a_closed_session_lets_the_guardian_go_and_leaves_no_zombie(server: ZooKeeper, tmp_path: Path) -> None:
    with application(tmp_path / "log", server.address, "x", "wait") as app:
        app.line("leads")
        children = Path(f"/proc/{app.process.pid}/task/{app.process.pid}/children")
        eventually(lambda: not children.read_text())
        app.guardian()
        app.go_on()
        assert app.line("closed") == ["none"]
        eventually(lambda: not app.guardians())
        assert not children.read_text()
        app.go_on()
        assert app.process.wait(10) == 0
        assert "guardian" not in app.log()


async def test_a_guardian_that_finds_zookeeper_only_later_finds_out_what_has_become_of_the_session(
    server: ZooKeeper, tmp_path: Path
) -> None:
    with application(tmp_path / "log", server.address, "x", "wait") as app:
        app.line("leads")
        guardian = app.guardian()
        os.kill(guardian, signal.SIGSTOP)  # so that it tries only when somebody is there again
        with server.outage(forget=True):
            app.process.kill()
        os.kill(guardian, signal.SIGCONT)
        eventually(lambda: not app.guardians())
        assert "had expired already" in app.log(), "nothing of it is known any more"


def test_without_its_guardian_the_application_goes_on(server: ZooKeeper, tmp_path: Path) -> None:
    with application(tmp_path / "log", server.address, "x", "wait") as app:
        app.line("leads")
        guardian = app.guardian()
        os.kill(guardian, signal.SIGKILL)
        eventually(lambda: "the guardian is gone" in app.log())
        app.go_on()
        assert app.line("is_leader") == ["True", "lost"]
        app.line("closed")
        assert app.guardians() == []


def test_the_password_is_nowhere_to_be_seen(server: ZooKeeper, tmp_path: Path) -> None:
    with application(tmp_path / "log", server.address, "x", "wait") as app:
        _, password = app.line("leads")
        guardian = app.guardian()
        shown = [Path(f"/proc/{guardian}/{what}").read_bytes() for what in ("cmdline", "environ")]
        app.process.kill()
        eventually(lambda: not app.guardians())
        for text in (*shown, app.log().encode()):
            assert password.encode() not in text
            assert bytes.fromhex(password) not in text


def test_its_footprint_is_small(server: ZooKeeper, tmp_path: Path) -> None:
    with application(tmp_path / "log", server.address, "x", "wait") as app:
        app.line("leads")
        guardian = app.guardian()
        kilobytes = {
            line.split()[0]: int(line.split()[1])
            for line in Path(f"/proc/{guardian}/smaps_rollup").read_text().splitlines()[1:]
        }
        assert kilobytes["Rss:"] < 40_000
        assert kilobytes["Private_Clean:"] + kilobytes["Private_Dirty:"] < 25_000


def test_where_none_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    assert finding.problem() is None
    monkeypatch.setattr("sys.frozen", True, raising=False)
    assert "no Python interpreter" in (finding.problem() or "")
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert "leader-async guard" in (finding.problem() or "")


async def test_one_that_cannot_be_started_is_only_logged(
    server: ZooKeeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for interpreter, complaint in (("/nowhere/python", "No such file"), ("/bin/false", "exit code was 1")):
        monkeypatch.setattr("sys.executable", interpreter)
        async with connect(server.address, timeout=10.0, guardian=True) as zk:
            async with asyncio.timeout(10):
                while zk.guardian != "lost" or complaint not in caplog.text:
                    await asyncio.sleep(0.005)


async def test_in_the_first_process_of_a_container_there_is_none(
    server: ZooKeeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(finding, "problem", lambda: "it would end with it")
    async with connect(server.address, timeout=10.0, guardian=True) as zk:
        await zk.wait_connected()
        assert zk.guardian == "none"
    assert "no guardian: it would end with it" in caplog.text
