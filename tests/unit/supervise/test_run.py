"""`leader-async run`: at most one copy at any time, and nothing left, whoever is killed or frozen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from leader_async.testing import ZooKeeper

from ..guardian.processes import ROOT, Application, eventually
from .place import PROGRAM, Place, supervisor

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("on_linux")]


def everything(place: Place, one: Application) -> list[int]:
    return [*one.relatives()]


VICTIMS: dict[str, Callable[[Place, Application], list[int]]] = {
    "run": lambda place, one: [one.process.pid],
    "supervisor": lambda place, one: [supervisor(one)],
    "command": lambda place, one: [place.pids("command")],
    "everything": everything,
}


@pytest.mark.parametrize("victim", VICTIMS)
def test_nothing_is_left_and_the_other_begins_afterwards(place: Place, server: ZooKeeper, victim: str) -> None:
    first = place.start("--stop-timeout", "0.2")
    eventually(lambda: place.running(1))
    place.waiting()
    victims = VICTIMS[victim](place, first)
    for number in (signal.SIGSTOP, signal.SIGKILL):  # in one instant
        for pid in victims:
            with suppress(ProcessLookupError):  # it has died with its parent
                os.kill(pid, number)
    first.process.wait(10)
    if victim == "everything":
        server.expire(server.sessions[0])  # nobody is left to end it
    eventually(lambda: place.running(2))
    eventually(lambda: not first.relatives())
    place.judge()


@pytest.mark.parametrize("victim", ["run", "supervisor"])
def test_a_log_that_nobody_reads_does_not_keep_the_command_alive(place: Place, tmp_path: Path, victim: str) -> None:
    os.mkfifo(tmp_path / "log")
    log = os.open(tmp_path / "log", os.O_RDWR | os.O_NONBLOCK)
    try:
        first = place.start(under=["sh", "-c", 'exec "$@" 2>"$0"', str(tmp_path / "log")])
        eventually(lambda: place.running(1))
        with suppress(BlockingIOError):
            while os.write(log, b"x"):
                pass
        os.kill(VICTIMS[victim](place, first)[0], signal.SIGKILL)
        eventually(lambda: not first.relatives())
    finally:
        os.close(log)


def test_a_killed_daemon_is_the_commands_own_affair(place: Place) -> None:
    first = place.start()
    eventually(lambda: place.running(1))
    os.kill(place.pids("daemon"), signal.SIGKILL)
    eventually(lambda: len(first.relatives()) == 3)  # run, its supervisor, the command
    first.process.terminate()
    assert first.process.wait(10) == 128 + signal.SIGTERM
    eventually(lambda: not first.relatives())


def test_a_frozen_run_does_not_keep_the_command_past_its_lease(place: Place, server: ZooKeeper) -> None:
    first = place.start()
    eventually(lambda: place.running(1))
    place.waiting()
    os.kill(first.process.pid, signal.SIGSTOP)
    server.expire(server.sessions[0])  # sooner than by itself
    eventually(lambda: len(first.relatives()) == 2, 3.0)  # run and its supervisor
    eventually(lambda: place.running(2))
    os.kill(first.process.pid, signal.SIGCONT)
    place.judge()
    first.process.terminate()
    first.process.wait(10)
    eventually(lambda: not first.relatives())


@pytest.mark.parametrize(("script", "status"), [("exit 7", 7), ("kill -9 $$", 137), ("test -n $LEADER_TOKEN", 0)])
def test_it_ends_as_its_command_does(place: Place, script: str, status: int) -> None:
    assert place.start(command=("sh", "-c", script)).process.wait(10) == status


def test_it_ends_as_its_command_does_without_a_stderr(place: Place) -> None:
    closed = ["sh", "-c", 'exec "$@" 2>&-', "sh"]
    assert place.start(command=("sh", "-c", "exit 7"), under=closed).process.wait(10) == 7


def test_a_command_that_does_not_exist(place: Place) -> None:
    assert place.start("--on-exit", "restart", command=("/nowhere",)).process.wait(10) == 127
    assert place.start(command=("/",)).process.wait(10) == 126


def test_too_few_file_descriptors_are_told_at_once() -> None:
    run = [sys.executable, *PROGRAM, "run", "--election", "beat", "--", "true"]
    few = ["sh", "-c", 'ulimit -n 16; exec "$@"', "sh", *run]
    done = subprocess.run(few, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(
        "Error: leader-async run needs 20 more file descriptors than it was started with: Too many open files; "
        "raise the limit (ulimit -n, LimitNOFILE=)\n"
    )


def test_a_second_signal_kills(place: Place) -> None:
    one = place.start(command=("sh", "-c", "trap 'echo told' TERM; echo ready; while :; do sleep 0.01; done"))
    one.line("ready")
    one.process.terminate()
    one.line("told")
    one.process.send_signal(signal.SIGINT)
    assert one.process.wait(5) == 137


def test_a_frozen_supervisor_is_replaced_by_run_itself(place: Place) -> None:
    one = place.start("--stop-timeout", "0.2")
    eventually(lambda: place.running(1))
    os.kill(supervisor(one), signal.SIGSTOP)
    one.process.terminate()
    assert one.process.wait(5) == 71
    eventually(lambda: not one.relatives())
