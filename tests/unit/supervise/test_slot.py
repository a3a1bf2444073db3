"""`leader-async run` for a slot: once in all, however many hosts start it, and whoever dies."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from leader_async.testing import ZooKeeper

from ...support import readme
from ..guardian import processes
from ..guardian.processes import ROOT, Application
from .place import PROGRAM, Place

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("on_linux")]

EVERY = ("--every", "86400")
LEISURELY = ("--lease", "3", "--session-timeout", "4")
"""Here nothing waits for a lease or a timeout, and a busy machine shall not lose them."""

eventually = partial(processes.eventually, limit=30.0)


class Hosts(Place):
    """Hosts whose crontabs all start the same; each run notes who runs which slot."""

    def host(self, name: str, *flags: str, script: str = "") -> Application:
        note = f'echo "$LEADER_IDENTITY $LEADER_ATTEMPT" >>{self.folder}/ran; {script}'
        return self.start("--identity", name, *LEISURELY, *flags, command=["sh", "-c", note])

    def ran(self) -> list[str]:
        return (self.folder / "ran").read_text().splitlines() if (self.folder / "ran").exists() else []

    def jobs(self) -> str:
        return self._asked("jobs")

    def candidates(self) -> str:
        return self._asked("candidates")

    def _asked(self, command: str) -> str:
        ask = [sys.executable, *PROGRAM, command, "--zookeeper", self.address, "--election", "beat"]
        return subprocess.run(ask, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True).stdout


@pytest.fixture
def hosts(server: ZooKeeper, tmp_path: Path) -> object:
    hosts = Hosts(server.address, tmp_path)
    try:
        yield hosts
    finally:
        hosts.end()


def gate(hosts: Hosts) -> tuple[str, Path]:
    """A script that goes on when this file is there."""
    file = hosts.folder / "go"
    return f"until test -e {file}; do sleep 0.01; done", file


def test_it_runs_once_in_all_and_the_others_end_at_once(hosts: Hosts) -> None:
    script, go = gate(hosts)
    started = [hosts.host(f"host-{name}", *EVERY, script=script) for name in "abc"]
    eventually(lambda: sum(one.process.poll() == 0 for one in started) == 2)
    (runner,) = [one for one in started if one.process.poll() is None]
    eventually(hosts.ran)
    name = hosts.ran()[0].split()[0]
    for one in started:
        assert one is runner or f"is being run by {name}" in one.log()
    go.touch()
    assert runner.process.wait(30) == 0
    late = hosts.host("host-d", *EVERY)
    assert late.process.wait(30) == 0
    assert f"was run by {name}" in late.log()
    assert hosts.ran() == [f"{name} 1"]
    assert "beat  (every 86400 s)  done at " in hosts.jobs()


def test_the_pages_crontab_on_three_hosts(hosts: Hosts) -> None:
    (line,) = readme.examples(readme.section("A command once for each slot"), "crontab")
    program, *arguments = shlex.split(line)[5:]
    assert program == "leader-async"
    script = hosts.folder / arguments[-1]
    script.write_text(f'#!/bin/sh\necho "$LEADER_JOB $LEADER_SLOT" >>{hosts.folder}/ran\n')
    script.chmod(0o755)
    arguments[-1:], servers = [str(script)], arguments.index("--zookeeper") + 1
    arguments[servers] = hosts.address
    started = [Application([sys.executable, *PROGRAM, *arguments], hosts.folder / f"log-{name}") for name in "abc"]
    hosts.started += started
    assert [one.process.wait(30) for one in started] == [0, 0, 0]
    (run,) = hosts.ran()
    assert re.fullmatch(r"nightly \d{4}-\d\d-\d\dT00:00:00\+00:00", run)


def test_it_ends_as_its_command_does_and_those_who_come_late_by_0(hosts: Hosts) -> None:
    first = hosts.host("host-a", "--cron", "0 3 * * *", "--tz", "Europe/Berlin", script="exit 7")
    assert first.process.wait(30) == 7
    assert "Traceback" not in first.log(), "the status says it all"
    late = hosts.host("host-b", "--cron", "0 3 * * *", "--tz", "Europe/Berlin")
    assert late.process.wait(30) == 0
    assert "was run by host-a, and has failed: CommandFailed: sh ended with status 7" in late.log()
    assert "T03:00:00+01:00 was run" in late.log() or "T03:00:00+02:00 was run" in late.log()
    assert hosts.ran() == ["host-a 1"]


@pytest.mark.parametrize(("unfinished", "ran"), [("leave", ["host-a 1"]), ("rerun", ["host-a 1", "host-b 2"])])
def test_a_host_that_dies(hosts: Hosts, unfinished: str, ran: list[str]) -> None:
    script, go = gate(hosts)
    flags = (*EVERY, "--unfinished", unfinished)
    first = hosts.host("host-a", *flags, script=script)
    eventually(hosts.ran)
    if unfinished == "rerun":
        second = hosts.host("host-b", *flags, script=script)
        eventually(lambda: "is in the queue" in second.log())
    first.process.kill()
    eventually(lambda: not first.relatives())
    go.touch()
    if unfinished == "leave":
        # While its place stands, whoever comes says that it is being run, and ends.
        eventually(lambda: "host-a" not in hosts.candidates())
        second = hosts.host("host-b", *flags)
    assert second.process.wait(30) == 0
    assert ("was begun by host-a, and left unfinished" in second.log()) == (unfinished == "leave")
    assert hosts.ran() == ran


def test_a_lost_lead_ends_the_command_and_the_run(hosts: Hosts, server: ZooKeeper) -> None:
    script, _ = gate(hosts)
    one = hosts.host("host-a", *EVERY, script=script)
    eventually(hosts.ran)
    server.expire(server.sessions[0])
    assert one.process.wait(30) == 75
    assert "was begun here and left unfinished, because the lead was lost" in one.log()
    eventually(lambda: not one.relatives())


def test_signals_stop_it(hosts: Hosts) -> None:
    script, _ = gate(hosts)
    first = hosts.host("host-a", *EVERY, "--unfinished", "rerun", script=script)
    eventually(hosts.ran)
    second = hosts.host("host-b", *EVERY, "--unfinished", "rerun", script=f"trap '' TERM; {script}")
    eventually(lambda: "is in the queue" in second.log())
    first.process.terminate()
    assert first.process.wait(30) == 128 + signal.SIGTERM
    eventually(lambda: len(hosts.ran()) == 2)
    third = hosts.host("host-c", *EVERY, "--unfinished", "rerun", script=script)
    eventually(lambda: "is in the queue" in third.log())
    third.process.terminate()
    assert third.process.wait(30) == 0
    second.process.terminate()
    second.process.send_signal(signal.SIGINT)
    assert second.process.wait(5) == 137
    eventually(lambda: not second.relatives())


def test_slots_that_are_given_rise(hosts: Hosts) -> None:
    for day, words in (
        ("2026-11-28", "slot 2026-11-28T00:00:00+00:00 was run by host-a"),
        ("2026-11-28", "slot 2026-11-28T00:00:00+00:00 was run by host-a"),
        ("2026-11-27", "slot 2026-11-27T00:00:00+00:00 is not later than the last one that was run"),
    ):
        one = hosts.host("host-a", "--slot", day)
        assert one.process.wait(30) == 0
        assert words in one.log()
    future = hosts.host("host-a", "--slot", "2999-01-01")
    assert future.process.wait(30) == 2
    assert "is in the future; start this when it is due" in future.log()
    assert hosts.ran() == ["host-a 1"]


def test_nobody_waits_for_ever(hosts: Hosts, server: ZooKeeper) -> None:
    server.stop()
    one = hosts.host("host-a", *EVERY, "--wait", "0")
    assert one.process.wait(30) == 75
    assert "has not been run: nobody could claim it in time" in one.log()


def test_a_killed_supervisor_has_failed(hosts: Hosts) -> None:
    script, _ = gate(hosts)
    one = hosts.host("host-a", *EVERY, script=f"exec sleep 60; {script}")
    eventually(hosts.ran)
    (pid,) = [pid for pid, command in one.relatives().items() if " -m leader_async.supervise " in command]
    os.kill(pid, signal.SIGKILL)
    assert one.process.wait(30) == 71


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--every", "60", "--cron", "0 3 * * *"], "--every and --cron are two ways to say which slot; give one"),
        (["--cron", "0 3"], "'0 3' is not a cron expression"),
        (["--slot", "tonight"], "'tonight' is no slot: give a date like 2026-11-24, or 2026-11-24T03:00"),
        (["--every", "60", "--on-exit", "restart"], "a slot is run once: give --unfinished"),
        (["--every", "60", "--wait", "-1"], "--wait -1.0 is not 0 seconds or more"),
        (["--every", "60", "--lease", "0.5"], "give at least 1 second"),
    ],
)
def test_wrong_use_is_told(flags: list[str], told: str) -> None:
    run = [sys.executable, *PROGRAM, "run", "--election", "beat", *flags, "--", "true"]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
