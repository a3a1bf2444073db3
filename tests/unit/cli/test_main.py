"""The command, run as a process; ZooKeeper is away."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(60)
NOWHERE = "127.0.0.1:1"


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEADER_ASYNC_")}
    root = str(Path(__file__).parents[3])
    return {**kept, "PYTHONPATH": root, **{f"LEADER_ASYNC_{name}": value for name, value in variables.items()}}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "leader_async", *arguments]


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=30, env=environment(**variables), check=False
    )


@contextmanager
def serving(*arguments: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A replica that listens, and its port."""
    process = subprocess.Popen(
        command("serve", "--port", "0", "--identity", "me", "--zookeeper", NOWHERE, *arguments),
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


def poll(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/LeaderElection/is-leader", timeout=5) as answer:
        return str(answer.read().decode())


def test_help_teaches() -> None:
    text = run("serve", "--help").stdout
    for needed in ("Example", "LEADER_ASYNC_SESSION_TIMEOUT", "Exit codes", "--resign-token-file", "[default: 8080]"):
        assert needed in text
    assert "serve" in run("--help").stdout
    assert re.fullmatch(r"leader-async, version \d+\.\d+\.\d+\n", run("--version").stdout)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("serve", "--lease", "-1"), "--lease -1 s cannot be used"),
        (("serve", "--port", "x"), "'x' is not a valid integer"),
        (("serve", "--resign-token-file", "/nowhere/token"), "cannot be read: No such file"),
        (("lead",), "No such command 'lead'"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(arguments: tuple[str, ...], complaint: str) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr


def test_variables_are_read_and_flags_win_over_them() -> None:
    assert "--lease -7 s" in run("serve", LEASE="-7").stderr
    assert "--lease -8 s" in run("serve", "--lease", "-8", LEASE="-7").stderr
    assert "too easy to guess" in run("serve", RESIGN_TOKEN="short").stderr


@pytest.mark.parametrize(("content", "complaint"), [(b"", "is empty"), (b"\xff\xfe", "not text")])
def test_a_token_file_that_cannot_be_used(tmp_path: Path, content: bytes, complaint: str) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    result = run("serve", "--resign-token-file", str(file))
    assert result.returncode == 2
    assert complaint in result.stderr


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


def test_a_shared_port_is_answered_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        shared = free.getsockname()[1]
    with serving("--shared-port", str(shared)), serving("--shared-port", str(shared)):
        assert poll(shared) == "me - False"
