"""`leader-async guard -- COMMAND`: an init for its command, and the guardian of all that has a session."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from leader_async import connect
from leader_async.guardian import finding
from leader_async.testing import ZooKeeper

from ...conftest import need
from .processes import PYTHON, ROOT, Application, application, eventually

pytestmark = pytest.mark.timeout(60)
GUARD = [sys.executable, "-m", "leader_async", "guard", "--"]
FIRST = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
"""Makes what follows the first process of a namespace, as in a container."""


@pytest.fixture
def server() -> Iterator[ZooKeeper]:
    with ZooKeeper(tick=0.5) as server:
        yield server


@pytest.fixture
def first() -> list[str]:
    """The command that makes a first process."""
    for options in ([], ["--user", "--map-root-user"]):
        command = [*FIRST, *options]
        try:
            if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
                return command
        except FileNotFoundError:
            break
    need("no PID namespaces here", "tests of `guard` as a first process", "run as root, with util-linux")
    raise AssertionError


def run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*GUARD, *command], capture_output=True, text=True, timeout=30, env=environment, cwd=ROOT, check=False
    )


def shell(log: Path, script: str, *, under: list[str] | None = None) -> Application:
    """A guarded shell."""
    return Application([*(under or []), *GUARD, "sh", "-c", script], log)


# -- an init -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -KILL $$"], 128 + 9),
        (["/nowhere/command"], 127),
        (["/"], 126),
    ],
)
def test_it_ends_as_its_command_does(command: list[str], status: int) -> None:
    result = run(*command)
    assert result.returncode == status, result.stderr
    assert "Traceback" not in result.stderr


def test_the_options_of_the_command_are_its_own() -> None:
    assert run("sh", "-c", "echo $0 $1", "--log-level", "--help").stdout == "--log-level --help\n"


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2"])
def test_signals_are_passed_on(tmp_path: Path, name: str) -> None:
    app = shell(tmp_path / "log", f"trap 'echo heard {name}; exit 3' {name}; echo ready; while :; do sleep 0.02; done")
    try:
        app.line("ready")
        app.process.send_signal(getattr(signal, f"SIG{name}"))
        assert app.line("heard") == [name]
        assert app.process.wait(10) == 3
    finally:
        app.end()


def test_a_flood_of_signals_does_not_hide_the_end(tmp_path: Path) -> None:
    app = shell(tmp_path / "log", "trap '' USR2; echo ready; sleep 0.05; exit 5")
    try:
        app.line("ready")
        # More than a socket for signals holds, and until the end, which none of them keeps from being seen.
        limit = time.monotonic() + 30
        while app.process.poll() is None and time.monotonic() < limit:
            app.process.send_signal(signal.SIGUSR2)
        assert app.process.returncode == 5
    finally:
        app.end()


def test_a_signal_when_all_is_over_does_not_hide_the_end() -> None:
    script = """if True:
        import gc, os, signal
        from leader_async.cli.exits import carry_out, end
        from leader_async.guardian.container import guard
        code = carry_out(guard(["sh", "-c", "exit 5"]))
        gc.collect()
        os.kill(os.getpid(), signal.SIGUSR2)
        end(code)
    """
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, timeout=30, check=False, capture_output=True, text=True
    )
    assert result.returncode == 5, result.stderr


def test_what_has_lost_its_parent_is_reaped_by_the_first_process(tmp_path: Path, first: list[str]) -> None:
    orphans = "for n in 1 2 3; do sh -c 'sleep 0.01 & exec true'; done; sleep 0.1"
    states = "cat /proc/[0-9]*/stat | grep -c ') Z ' | sed 's/^/zombies /'"
    app = shell(tmp_path / "log", f"echo self $$; {orphans}; {states}", under=first)
    try:
        assert int(app.line("self")[0]) < 10, "a namespace of its own"
        assert app.line("zombies") == ["0"]
        assert app.process.wait(10) == 0
    finally:
        app.end()


def test_ctrl_c_reaches_the_command_once(tmp_path: Path) -> None:
    script = (
        """trap 'echo heard; came=1' INT; echo ready; until [ "$came" ]; do sleep 0.02; done; sleep 0.3; echo over"""
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execve(sys.executable, [*GUARD, "sh", "-c", script], {**os.environ, "PYTHONPATH": str(ROOT)})
    said = b""
    try:
        while b"over" not in said:
            before = said
            said += os.read(terminal, 1000)
            if b"ready" in said and b"ready" not in before:
                eventually(lambda: os.tcgetpgrp(terminal) != pid)  # in the foreground is now the command
                os.write(terminal, b"\x03")
        assert said.count(b"heard") == 1
    finally:
        os.close(terminal)
        os.kill(pid, 9)
        os.waitpid(pid, 0)


# -- a guardian --------------------------------------------------------------------------------------------------------


async def next_leads(server: ZooKeeper, identity: str = "heir") -> None:
    """Somebody else joins, and leads far sooner than a session of 10 s ends."""
    async with connect(server.address, timeout=10.0) as zk:
        election = zk.election("x", identity=identity)
        running = asyncio.create_task(election.run(lambda term: asyncio.sleep(0)))
        async with asyncio.timeout(4):
            await running


async def test_a_killed_command_is_followed_and_its_status_kept(server: ZooKeeper, tmp_path: Path) -> None:
    with application(tmp_path / "log", server.address, "x", "wait", under=GUARD) as app:
        pid = int(app.line("leads")[0])
        assert app.guardians() == [], "nobody starts another one"
        os.kill(pid, signal.SIGKILL)
        assert app.process.wait(10) == 128 + 9
        assert "terms that ended with it: 1" in app.log()
        await next_leads(server)


async def test_a_killed_first_child_of_a_container_is_followed(
    server: ZooKeeper, tmp_path: Path, first: list[str]
) -> None:
    with application(tmp_path / "log", server.address, "x", "wait", under=[*first, *GUARD]) as app:
        app.line("leads")
        (pid,) = (pid for pid, command in app.relatives().items() if command.startswith(" ".join(PYTHON)))
        os.kill(pid, signal.SIGKILL)
        assert app.process.wait(10) == 128 + 9
        await next_leads(server)


async def test_each_of_several_workers_is_guarded(server: ZooKeeper, tmp_path: Path) -> None:
    # Something that does not end has to be their stdin.
    worker = f"sleep 60 | {' '.join(PYTHON)} {server.address}"
    app = shell(tmp_path / "log", f"{worker} x wait & {worker} y wait & read line")
    try:
        pids = [int(app.line("leads")[0]) for _ in range(2)]
        assert app.guardians() == []
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: app.log().count("terms that ended with it: 1") == 2)
        assert server.sessions == []
        app.go_on()
        assert app.process.wait(10) == 0
    finally:
        app.end()


async def test_workers_that_outlive_the_command_end_with_the_container_and_are_followed(
    server: ZooKeeper, tmp_path: Path, first: list[str]
) -> None:
    script = f"sleep 60 | {' '.join(PYTHON)} {server.address} x wait & read line"
    app = shell(tmp_path / "log", script, under=first)
    try:
        app.line("leads")
        app.go_on()
        eventually(lambda: app.process.poll() is not None)
        assert server.sessions == []
        await next_leads(server)
    finally:
        app.end()


def test_a_signal_to_stop_does_not_wait_for_zookeeper(server: ZooKeeper, tmp_path: Path) -> None:
    with application(tmp_path / "log", server.address, "x", "wait", under=GUARD) as app:
        pid = int(app.line("leads")[0])
        with server.outage():
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: "no server of" in app.log())
            app.process.send_signal(signal.SIGTERM)
            assert app.process.wait(10) == 128 + 9


async def test_a_command_that_closes_its_session_is_left_alone(server: ZooKeeper, tmp_path: Path) -> None:
    with application(tmp_path / "log", server.address, "x", "wait", under=GUARD) as app:
        app.line("leads")
        app.go_on()
        app.line("closed")
        app.go_on()
        assert app.process.wait(10) == 0
        assert "guardian" not in app.log()


@pytest.mark.parametrize(
    "value", ["x", "1:2", "99999999999999999999:1", "-1:1", "2000:1", ":", "{stdin}:{inode}", "{closed}"]
)
async def test_a_descriptor_that_is_not_the_guardians_is_of_no_use(
    server: ZooKeeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, value: str
) -> None:
    inode = os.stat(0).st_ino
    monkeypatch.setenv(finding.VARIABLE, value.format(stdin=0, inode=inode, closed="900:1"))
    started = []
    monkeypatch.setattr(finding, "spawn", lambda end: started.append(end))
    async with connect(server.address, timeout=10.0, guardian=True) as zk:
        await zk.wait_connected()
        async with asyncio.timeout(10):
            while not started:
                await asyncio.sleep(0.005)
    started[0].close()
    assert "is of no use, starting a guardian of our own" in caplog.text
