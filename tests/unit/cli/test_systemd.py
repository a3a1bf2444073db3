"""What systemd is told, heard on real datagram sockets; by whole processes on the embedded ZooKeeper, too."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from leader_async import connect
from leader_async.cli.systemd import Notify, report, words
from leader_async.election.rules.state import State
from leader_async.testing import ZooKeeper

ROOT = Path(__file__).parents[3]
LIMIT = 15.0
"""Seconds until something must have been told."""


class Manager:
    """systemd's end."""

    def __init__(self, name: str) -> None:
        self.name, self.status = name, ""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind("\0" + name[1:] if name.startswith("@") else name)
        self.sock.settimeout(LIMIT)

    def hear(self) -> dict[str, str]:
        """What is told next."""
        told = dict(line.split("=", 1) for line in self.sock.recv(4096).decode().splitlines())
        self.status = told.get("STATUS", self.status)
        return told

    def hear_status(self, text: str) -> None:
        """Return once the status says this."""
        while text not in self.status:
            self.hear()

    def hear_the_last(self) -> None:
        """Whatever is left; returns when nothing more comes."""
        self.sock.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            for _ in range(100):
                self.hear()
            raise AssertionError("it goes on and on")

    def hear_of(self, field: str, text: str = "") -> dict[str, str]:
        """What is told next with this in it."""
        while text not in (told := self.hear()).get(field, "\0"):
            pass
        return told


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    one = Manager(str(tmp_path / "notify"))
    with one.sock:
        yield one


def test_children_are_not_to_speak_for_us() -> None:
    environment = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "6000000", "WATCHDOG_PID": str(os.getpid()), "A": "b"}
    notify = Notify.take(environment)
    assert environment == {"A": "b"}
    assert notify
    assert notify.watchdog == 6.0


@pytest.mark.parametrize(
    ("variables", "watchdog"),
    [
        ({"WATCHDOG_USEC": "500000"}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_whose_watchdog_it_is(variables: dict[str, str], watchdog: float | None) -> None:
    assert Notify.take({"NOTIFY_SOCKET": "/run/x", **variables}).watchdog == watchdog
    assert Notify.take(variables).watchdog is None, "nobody could be told"


def test_a_socket_that_nobody_understands_is_named(caplog: pytest.LogCaptureFixture) -> None:
    assert not Notify.take({"NOTIFY_SOCKET": "vsock:2:1234"})
    assert "NOTIFY_SOCKET=vsock:2:1234 is neither a path nor @name" in caplog.text


def test_nobody_listening_is_no_failure(tmp_path: Path) -> None:
    Notify(str(tmp_path / "nobody")).send(STATUS="alone")
    Notify().send(STATUS="alone")


@pytest.mark.usefixtures("on_linux")
def test_an_abstract_socket() -> None:
    manager = Manager(f"@leader-async-test-{os.getpid()}")
    with manager.sock:
        Notify(manager.name).send(READY="1")
        assert manager.hear() == {"READY": "1"}


def test_a_field_is_one_line(manager: Manager) -> None:
    Notify(manager.name).send(STATUS="two\nREADY=1", STOPPING="1")
    assert manager.hear() == {"STATUS": "two READY=1", "STOPPING": "1"}


async def test_the_status_in_words() -> None:
    status = connect("127.0.0.1:1").election("reports").status()
    assert words(status, False) == "ZooKeeper is away; does not lead"
    assert words(replace(status, is_leader=True), False) == "leads; ZooKeeper is away"
    assert words(replace(status, is_leader=True, term=7), True) == "leads reports, term 7"
    assert words(replace(status, state=State.QUEUED, leader="b"), True) == "queued; b leads reports"
    assert words(replace(status, state=State.JOINING), True) == "joining; nobody that is known leads reports"


async def test_the_watchdog_is_fed_only_while_nothing_is_wrong(manager: Manager) -> None:
    connection = connect("127.0.0.1:1")
    wrong = ""
    telling = asyncio.create_task(
        report(Notify(manager.name, 0.03), connection.election("e"), connection, lambda: wrong or None)
    )
    first = await asyncio.to_thread(manager.hear)
    assert first == {"STATUS": "ZooKeeper is away; does not lead", "WATCHDOG": "1"}, "and it is not ready"
    for _ in range(3):
        assert await asyncio.to_thread(manager.hear) == {"WATCHDOG": "1"}
    wrong = "something"
    connection.changed.fire()
    await asyncio.sleep(0)
    await asyncio.to_thread(manager.hear_the_last)
    telling.cancel()
    await asyncio.wait([telling])


async def test_nothing_is_done_for_nobody() -> None:
    connection = connect("127.0.0.1:1")
    await report(Notify(), connection.election("e"), connection)


def start(manager: Manager, *arguments: str) -> subprocess.Popen[bytes]:
    """`leader-async` under systemd, as far as it can tell."""
    variables = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "300000", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "leader_async", *arguments], cwd=ROOT, env={**os.environ, **variables}
    )


def test_a_replica_tells_from_its_start_to_its_stop(manager: Manager) -> None:
    with ZooKeeper() as zookeeper:
        flags = ("--zookeeper", zookeeper.address, "--port", "0", "--identity", "me", "--log-level", "error")
        process = start(manager, "serve", *flags)
        try:
            manager.hear_of("READY", "1")
            manager.hear_status("leads leader, term 1")
            manager.hear_of("WATCHDOG", "1")
            process.terminate()
            manager.hear_of("STOPPING", "1")
            assert process.wait(LIMIT) == 0
        finally:
            process.kill()
            process.wait()


@pytest.mark.usefixtures("on_linux")
def test_run_tells_as_well_and_its_command_cannot(manager: Manager) -> None:
    with ZooKeeper() as zookeeper:
        flags = ("--zookeeper", zookeeper.address, "--election", "beat", "--identity", "me", "--log-level", "error")
        told = "test -z \"$NOTIFY_SOCKET$WATCHDOG_USEC\" || exit 9; trap 'exit 3' TERM; while :; do sleep 0.05; done"
        process = start(manager, "run", *flags, "--", "sh", "-c", told)
        try:
            manager.hear_of("READY", "1")
            manager.hear_status("leads beat, term 1")
            manager.hear_of("WATCHDOG", "1")
            process.send_signal(signal.SIGTERM)
            manager.hear_of("STOPPING", "1")
            assert process.wait(LIMIT) in (3, 128 + signal.SIGTERM), "not 9: systemd's variables are gone"
        finally:
            process.kill()
            process.wait()
