"""The command, run as a process; ZooKeeper is away."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from leader_async.cli.exits import Exit

pytestmark = pytest.mark.timeout(60)
NOWHERE = "127.0.0.1:1"


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEADER_ASYNC_")}
    root = str(Path(__file__).parents[3])
    return {**kept, "PYTHONPATH": root, **{f"LEADER_ASYNC_{name}": value for name, value in variables.items()}}


AS_IT_IS = "pass"
STUBBORN = """
import asyncio
from leader_async.election.election import Election

async def run(self, work):
    while True:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            pass

Election.run = run
"""
BROKEN = """
from leader_async.election.rules.candidacy import Candidacy

def join(self, now):
    raise RuntimeError("broken on purpose")

Candidacy.join = join
"""
NAMES_HANG = """
import socket, sys, threading
real = socket.getaddrinfo

def hang(host, *arguments, **options):
    if host == "hangs.example":
        print("looking it up", file=sys.stderr, flush=True)
        threading.Event().wait()
    return real(host, *arguments, **options)

socket.getaddrinfo = hang
"""


def command(*arguments: str, world: str = AS_IT_IS) -> list[str]:
    """The command, in a process in which `world` was run before."""
    if world == AS_IT_IS:
        return [sys.executable, "-m", "leader_async", *arguments]
    return [sys.executable, "-c", f"{world}\nfrom leader_async.cli import main\nmain()", *arguments]


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=30, env=environment(**variables), check=False
    )


@contextmanager
def serving(*arguments: str, world: str = AS_IT_IS, **variables: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A replica that listens, and its port."""
    process = subprocess.Popen(
        command("serve", "--port", "0", "--identity", "me", "--zookeeper", NOWHERE, *arguments, world=world),
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**variables),
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if (found := re.search(r"listens on 127\.0\.0\.1:(\d+)", line)) is not None:
                break
        else:
            raise AssertionError("it did not listen")
        yield process, int(found.group(1))
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    """Read the log up to a line with `text`."""
    assert process.stderr is not None
    assert any(text in line for line in process.stderr), f"the log ended without {text!r}"


def poll(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/LeaderElection/is-leader", timeout=5) as answer:
        return str(answer.read().decode())


def test_help_teaches() -> None:
    text = run("serve", "--help").stdout
    for needed in ("Example", "LEADER_ASYNC_SESSION_TIMEOUT", "Exit codes", "--resign-token-file", "[default: 8080]"):
        assert needed in text
    text = run("run", "--help").stdout
    for code in (Exit.SUPERVISOR_DIED, Exit.LOST, Exit.NOT_RUN, Exit.NOT_FOUND, Exit.BUG, Exit.USAGE):
        assert f" {code:>3}  " in text
    assert "serve" in run("--help").stdout
    assert re.fullmatch(r"leader-async, version \d+\.\d+\.\d+\n", run("--version").stdout)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("serve", "--lease", "-1"), "--lease -1.0 cannot be used"),
        (("serve", "--port", "x"), "'x' is not a valid integer"),
        (("serve", "--resign-token-file", "/nowhere/token"), "cannot be read: No such file"),
        (("serve", "--address", "http://[x"), "is not a URL"),
        (("serve", "reports"), "unexpected extra argument"),
        (("lead",), "No such command 'lead'"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(arguments: tuple[str, ...], complaint: str) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr


def test_variables_are_read_and_flags_win_over_them() -> None:
    assert "--lease -7.0" in run("serve", LEASE="-7").stderr
    assert "--lease -8.0" in run("serve", "--lease", "-8", LEASE="-7").stderr
    assert "too easy to guess" in run("serve", RESIGN_TOKEN="short").stderr
    assert "--lease -7.0" in run("serve", LEASE="-7", VERSION="0.1.0", PORT="", RESIGN_TOKEN="").stderr


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("ZOOKEEPER", "a,,b", "--zookeeper: an empty host"),
        ("ELECTION", "a/b", "--election is one part of a path"),
        ("ROOT", "no", "--root: 'no' is not a znode's path"),
        ("IDENTITY", "a\nb", "--identity"),
        ("ADDRESS", "me", "--address 'me' is not a URL"),
        ("PORT", "70000", "--port 70000 is no port"),
        ("SHARED_PORT", "8080", "--shared-port 8080 must be a port of its own"),
        ("SESSION_TIMEOUT", "0", "--session-timeout 0.0"),
        ("STOP_TIMEOUT", "nan", "--stop-timeout nan"),
        ("RESIGN_TOKEN_FILE", "/nowhere/token", "cannot be read"),
        ("LOG_LEVEL", "loud", "--log-level 'loud' is none of"),
        ("OVERDUE", "loud", "--overdue 'loud' is none of"),
        ("GUARDIAN", "loud", "'loud' is not a valid boolean"),
    ],
)
def test_each_flag_has_its_variable(variable: str, value: str, complaint: str) -> None:
    result = run("serve", **{variable: value})
    assert (result.returncode, complaint in result.stderr) == (2, True), result.stderr


@pytest.mark.parametrize(("content", "complaint"), [(b"", "is empty"), (b"\xff\xfe", "not text")])
def test_a_token_file_that_cannot_be_used(tmp_path: Path, content: bytes, complaint: str) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    result = run("serve", "--resign-token-file", str(file))
    assert result.returncode == 2
    assert complaint in result.stderr


@pytest.mark.parametrize(("mode", "warned"), [(0o644, True), (0o600, False)])
def test_a_token_that_others_may_read_is_warned_of(tmp_path: Path, mode: int, warned: bool) -> None:
    file = tmp_path / "token"
    file.write_text("a token that nobody can guess\n")
    file.chmod(mode)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        log = run("serve", "--resign-token-file", str(file), "--port", str(taken.getsockname()[1])).stderr
    assert ("chmod o-r" in log) == warned
    assert "nobody can guess" not in log


def test_a_taken_port_ends_with_3_before_anything_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("serve", "--port", str(taken.getsockname()[1]))
    assert result.returncode == 3
    assert "free it or give another --port" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_host_that_is_not_ours_ends_with_3() -> None:
    result = run("serve", "--host", "203.0.113.1", "--port", "0")
    assert result.returncode == 3
    assert "cannot listen on 203.0.113.1" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_replica_answers_false_and_stops_when_told_without_zookeeper(number: signal.Signals) -> None:
    with serving("--session-timeout", "1") as (process, port):
        assert poll(port) == "me - False"
        process.send_signal(number)
        assert process.wait(20) == 0


def test_a_name_that_is_being_looked_up_does_not_hold_up_the_stop() -> None:
    with serving("--zookeeper", "hangs.example", world=NAMES_HANG) as (process, _):
        wait_for(process, "looking it up")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_stop_that_takes_too_long_ends_with_4() -> None:
    with serving("--stop-timeout", "0.1", world=STUBBORN) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 4


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_does_not_wait(second: signal.Signals) -> None:
    with serving("--stop-timeout", "600", world=STUBBORN) as (process, _):
        process.send_signal(signal.SIGTERM)
        wait_for(process, "SIGTERM: stopping")
        process.send_signal(second)
        assert process.wait(20) == 4


@pytest.mark.parametrize("what", [["serve", "--zookeeper", NOWHERE], ["zookeeper"]], ids=lambda what: what[0])
def test_it_waits_for_nobody_who_reads_its_log(tmp_path: Path, what: list[str]) -> None:
    os.mkfifo(tmp_path / "log")
    with (
        open(os.open(tmp_path / "log", os.O_RDWR | os.O_NONBLOCK), "r+b", buffering=0) as ours,
        open(tmp_path / "log", "wb") as its,
        subprocess.Popen(command(*what, "--port", "0"), stderr=its, env=environment()) as process,
    ):
        try:
            assert select.select([ours], [], [], 20)[0], "it does not run"
            while ours.write(b"x" * select.PIPE_BUF):
                pass
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()


def test_a_bug_ends_with_70_and_is_logged() -> None:
    with serving(world=BROKEN) as (process, _):
        wait_for(process, "RuntimeError: broken on purpose")
        assert process.wait(20) == 70


def test_a_shared_port_is_answered_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        shared = free.getsockname()[1]
    with serving("--shared-port", str(shared)), serving("--shared-port", str(shared)):
        assert poll(shared) == "me - False"
