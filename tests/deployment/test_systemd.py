"""deploy/systemd: checked by systemd-analyze, and run by a real systemd, a user manager in a namespace of its own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.asking import get, status
from leader_async.testing import ZooKeeper

from ..conftest import need
from ..support.reporting import measured
from ..support.zookeeper import free_ports
from .launching import ROOT, eventually

UNITS = ROOT / "deploy" / "systemd"
SERVE, RUN = "leader-async.service", "leader-async-run@.service"
MANAGER = Path("/lib/systemd/systemd")

BEGIN = """
mount -t tmpfs tmpfs /run/systemd 2>/dev/null || { mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd; } || exit
mkdir /run/systemd/system  # systemd has booted this machine, as far as it can tell
mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit
group=/sys/fs/cgroup/$1
mkdir "$group" || exit
sh -c 'echo $$ >"$0/cgroup.procs" && exec "$1" --user --unit=basic.target --log-target=console' "$group" "$2" &
trap 'kill -KILL $!' TERM
wait
wait
while left=$(find "$group" -name cgroup.procs -exec cat {} +) && [ -n "$left" ]; do kill -KILL $left; sleep 0.05; done
find "$group" -depth -type d -exec rmdir {} +
"""
"""Starts a systemd in a group of its own, and cleans up behind it. In the root group it would move this machine's
processes about; so it would if it saw groups of the older kind."""

OWN = re.compile(
    # A user manager makes no users, this checkout may be in a home or in /tmp, and containers forbid some mounts.
    r"^(DynamicUser|PrivateUsers|StateDirectory|WorkingDirectory|ProtectHome|PrivateTmp|ProtectKernel(Logs|Tunables))=.*\n",
    re.MULTILINE,
)
FAILOVER = 6.0
"""Seconds: generous for a guardian's milliseconds and the watchdog, below the session timeout and 1.1 leases: 9 s."""

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("on_linux")]


@pytest.fixture(scope="module", autouse=True)
def _systemd() -> None:
    found = shutil.which("systemd-analyze") and MANAGER.exists()
    need(None if found else "no systemd here", "tests of deploy/systemd", "install Debian's systemd; it need not run")


def unit(name: str, **changes: str) -> str:
    """A unit with the command of this checkout, and these settings in the place of its own."""
    command = f"{sys.executable} -m leader_async"
    text = (UNITS / name).read_text()
    text, count = re.subn(r"^ExecStart=/opt/leader-async/bin/leader-async", f"ExecStart={command}", text, flags=re.M)
    assert count == 1
    for setting, value in changes.items():
        text, count = re.subn(rf"^{setting}=.*$", f"{setting}={value}", text, flags=re.MULTILINE)
        assert count == 1, setting
    return text


@pytest.mark.parametrize(("name", "instance", "exposure"), [(SERVE, SERVE, 1.5), (RUN, RUN.replace("@", "@beat"), 2.0)])
def test_systemd_finds_nothing_to_complain_about(tmp_path: Path, name: str, instance: str, exposure: float) -> None:
    path = tmp_path / instance
    path.write_text(unit(name))
    for command in (["verify"], ["security", "--offline=yes", f"--threshold={exposure * 10:.0f}", "--no-pager"]):
        told = subprocess.run(["systemd-analyze", *command, str(path)], capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stdout + told.stderr
        assert told.stderr == ""


# -- run by systemd ----------------------------------------------------------------------------------------------------


class Systemd:
    """A user manager of our own.

    Args:
        folder: for its sockets, and the units.
    """

    def __init__(self, folder: Path) -> None:
        self.units, self._run = folder / "units", folder / "run"
        self.units.mkdir()
        self._run.mkdir(mode=0o700)
        self.environment = {
            **os.environ, "XDG_RUNTIME_DIR": str(self._run), "HOME": str(folder), "PYTHONPATH": str(ROOT),
            "SYSTEMD_UNIT_PATH": f"{self.units}:/usr/lib/systemd/user",
        }  # fmt: skip
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str | None:
        """Start it; why that cannot be done, None if it could."""
        with self._log.open("wb") as log:
            self._process = process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", BEGIN, "sh", f"leader-async-test-{os.getpid()}", str(MANAGER)],
                env=self.environment, stdout=log, stderr=log,
            )  # fmt: skip
        answered = ["show", "--property=Version"]
        with contextlib.suppress(AssertionError):
            eventually(lambda: process.poll() is not None or self._told(*answered) == 0, 10, "it runs")
            if process.poll() is None:
                return None
        return f"systemd cannot be run here ({self._log.read_text().strip()[-300:]})"

    def stop(self) -> None:
        """End all units, and it."""
        assert self._process is not None
        self._told("exit")
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.terminate()
        assert self._process.wait(10) == 0, self._log.read_text()

    def systemctl(self, *arguments: str) -> str:
        """A command that has to succeed; what it says."""
        command = ["systemctl", "--user", "--no-pager", *arguments]
        told = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=30, check=False)
        if told.returncode != 0:
            why = subprocess.run([*command[:3], "show", "--property=ExecMainStatus,Result,StatusText", arguments[-1]],
                                 env=self.environment, capture_output=True, text=True, check=False).stdout  # fmt: skip
            raise AssertionError(f"systemctl {arguments}: {told.stderr}{why}{self._log.read_text()}")
        return told.stdout

    def show(self, name: str, what: str) -> str:
        return self.systemctl("show", "--property", what, "--value", name).strip()

    def _told(self, *arguments: str) -> int:
        command = ["systemctl", "--user", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, timeout=30, check=False).returncode


@pytest.fixture(scope="module")
def zookeeper() -> Iterator[ZooKeeper]:
    with ZooKeeper(tick=0.5) as one:
        yield one


@pytest.fixture(scope="module")
def systemd(zookeeper: ZooKeeper, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systemd]:
    need(None if os.geteuid() == 0 else "not root", "tests of deploy/systemd by systemd itself", "run as root")
    one = Systemd(tmp_path_factory.mktemp("systemd"))
    try:
        need(one.start(), "tests of deploy/systemd by systemd itself", "mount cgroups")
        yield one
    finally:
        one.stop()


class Replica:
    """One instance of the unit of `serve`."""

    def __init__(self, systemd: Systemd, zookeeper: ZooKeeper, name: str) -> None:
        self._systemd, self.unit = systemd, f"{name}.service"
        (self.port,) = free_ports(1)
        variables = systemd.units / f"{name}.env"
        variables.write_text(
            f"LEADER_ASYNC_ZOOKEEPER={zookeeper.address}\nLEADER_ASYNC_IDENTITY={name}\nLEADER_ASYNC_PORT={self.port}\n"
        )
        text = unit(SERVE, EnvironmentFile=str(variables), WatchdogSec="2", RestartSec="100ms")
        (systemd.units / self.unit).write_text(OWN.sub("", text))

    def leads(self) -> bool:
        known = status(self.port)
        return known is not None and known["is_leader"] is True

    def kill(self, number: signal.Signals) -> None:
        self._systemd.systemctl("kill", "--kill-whom=main", f"--signal={number.name}", self.unit)


@pytest.fixture(scope="module")
def replicas(systemd: Systemd, zookeeper: ZooKeeper) -> tuple[Replica, Replica]:
    """Two replicas, running."""
    pair = Replica(systemd, zookeeper, "one"), Replica(systemd, zookeeper, "two")
    systemd.systemctl("daemon-reload")
    for replica in pair:
        systemd.systemctl("start", replica.unit)
        answer = get(replica.port, "/readyz")
        assert answer is not None
        assert answer[0] == 200, "systemctl start has waited for that"
    return pair


def roles(replicas: tuple[Replica, Replica]) -> tuple[Replica, Replica]:
    """The one that leads, and the other."""
    eventually(lambda: sum(one.leads() for one in replicas) == 1, 10, "one leads")
    first, second = replicas
    return (first, second) if first.leads() else (second, first)


def test_the_status_says_who_leads(systemd: Systemd, replicas: tuple[Replica, Replica]) -> None:
    leader, follower = roles(replicas)
    name = leader.unit.removesuffix(".service")
    eventually(lambda: "leads leader, term" in systemd.show(leader.unit, "StatusText"), 5, "the leader says so")
    eventually(lambda: f"{name} leads leader" in systemd.show(follower.unit, "StatusText"), 5, "the other one, too")


def test_a_restart_hands_over_and_returns_when_the_replica_is_in_the_queue(
    systemd: Systemd, replicas: tuple[Replica, Replica]
) -> None:
    leader, follower = roles(replicas)
    began = time.monotonic()
    systemd.systemctl("restart", leader.unit)
    measured("systemctl restart of the leading replica, until it is in the queue again", time.monotonic() - began)
    answer = get(leader.port, "/readyz")
    assert answer is not None
    assert answer[0] == 200
    assert roles(replicas) == (follower, leader)
    assert systemd.show(leader.unit, "Result") == "success"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hung"])
def test_the_guardian_outlives_its_replica_and_hands_over(
    systemd: Systemd, replicas: tuple[Replica, Replica], number: signal.Signals
) -> None:
    """Killed, it is seen at once; hung, the watchdog of (here) two seconds ends it."""
    leader, follower = roles(replicas)
    pid = systemd.show(leader.unit, "MainPID")
    restarts = int(systemd.show(leader.unit, "NRestarts"))
    began = time.monotonic()
    leader.kill(number)
    eventually(follower.leads, 10, "the other one leads")
    took = time.monotonic() - began
    measured(f"{number.name} to the leading replica under systemd until the next leads", took)
    assert took < FAILOVER
    eventually(lambda: int(systemd.show(leader.unit, "NRestarts")) > restarts, 10, "systemd starts it again")
    eventually(lambda: systemd.show(leader.unit, "ActiveState") == "active", 10, "it is in the queue again")
    assert systemd.show(leader.unit, "MainPID") != pid


def test_wrong_usage_is_not_tried_again(systemd: Systemd, replicas: tuple[Replica, Replica]) -> None:
    text = (systemd.units / "one.service").read_text().replace("leader_async serve", "leader_async serve --port=x")
    (systemd.units / "wrong.service").write_text(text)
    systemd.systemctl("daemon-reload")
    systemd.systemctl("start", "--no-block", "wrong.service")
    eventually(lambda: systemd.show("wrong.service", "ActiveState") == "failed", 10, "it has failed")
    assert systemd.show("wrong.service", "ExecMainStatus") == "2"
    assert systemd.show("wrong.service", "NRestarts") == "0"


def test_a_command_may_hold_quotes_and_all_that_a_shell_knows(
    systemd: Systemd, zookeeper: ZooKeeper, tmp_path: Path
) -> None:
    script = tmp_path / "a script"
    script.write_text("#!/bin/sh\nsleep 1000\n")
    script.chmod(0o755)
    arguments = r"""'two words' "it's \"so\"" '$HOME' 'back\slash' "$LEADER_ELECTION" '100 %' \'*\'"""
    variables = systemd.units / "quotes.env"
    command = f'test -n "$LEADER_TOKEN" && exec "{script}" {arguments}'
    quoted = re.sub(r'([\\"$`])', r"\\\1", command)
    variables.write_text(f'LEADER_ASYNC_ZOOKEEPER={zookeeper.address}\nCOMMAND="{quoted}"\n')
    text = unit(RUN, EnvironmentFile=f"{systemd.units}/%i.env")
    (systemd.units / RUN).write_text(OWN.sub("", text))
    systemd.systemctl("daemon-reload")
    name = RUN.replace("@", "@quotes")
    systemd.systemctl("start", name)

    def came() -> list[str]:
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = place.read_text().split("\0")
                if words[1:2] == [str(script)]:
                    return words[2:-1]
        return []

    eventually(lambda: came() != [], 10, "the command runs")
    assert came() == ["two words", 'it\'s "so"', "$HOME", "back\\slash", "quotes", "100 %", "'*'"]
    systemd.systemctl("stop", name)
    assert systemd.show(name, "Result") == "success"


def test_a_command_is_run_and_stopped(systemd: Systemd, zookeeper: ZooKeeper) -> None:
    variables = systemd.units / "beat.env"
    variables.write_text(f"LEADER_ASYNC_ZOOKEEPER={zookeeper.address}\nCOMMAND=sleep 1000\n")  # without quotes, too
    text = unit(RUN, EnvironmentFile=f"{systemd.units}/%i.env")
    (systemd.units / RUN).write_text(OWN.sub("", text))
    systemd.systemctl("daemon-reload")
    name = RUN.replace("@", "@beat")
    systemd.systemctl("start", name)
    eventually(lambda: "leads beat, term 1" in systemd.show(name, "StatusText"), 10, "the command runs")
    eventually(lambda: "sleep 1000" in systemd.systemctl("status", name), 10, "and can be seen")
    systemd.systemctl("stop", name)
    assert systemd.show(name, "ActiveState") == "inactive"
    assert systemd.show(name, "Result") == "success"
    assert systemd.show(name, "ExecMainStatus") in ("143", "0")
