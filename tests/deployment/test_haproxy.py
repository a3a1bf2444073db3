"""deploy/haproxy.cfg by HAProxy itself, in front of real replicas on a real ZooKeeper."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.asking import get, status, takeover
from deploy.processes import State

from ..conftest import need
from ..support.reporting import measured
from ..support.zookeeper import classpath, free_ports
from .launching import ROOT, SHORT, Launcher, eventually, free_base, hosts, polls

CONFIG = ROOT / "deploy" / "haproxy.cfg"
LISTENERS = 100
"""Streams that one address may have; the configuration says so."""
HANDOVER, FAILOVER = 2.0, 3.0
"""Seconds: generous for 0.1, of which HAProxy's checks are most."""

pytestmark = pytest.mark.timeout(90)


@pytest.fixture(scope="module")
def haproxy() -> str:
    found = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    need(None if found else "no haproxy here", "tests of deploy/haproxy.cfg", "install Debian's haproxy")
    assert found is not None
    return found


@dataclass(frozen=True, slots=True)
class Balanced:
    """Three replicas, and the two ports of HAProxy in front of them."""

    launcher: Launcher
    replicas: int
    leader_only: int

    def leader(self) -> str | None:
        """Who answers at the port of the leader; None if nobody does."""
        answer = get(self.leader_only, "/leader", limit=1)
        if answer is None or answer[0] != 200:
            return None
        return str(json.loads(answer[1])["identity"])

    def settled(self) -> bool:
        """Whether the port of the leader is answered by nobody else, again and again."""
        answers = [get(self.leader_only, "/leader", limit=1) for _ in range(6)]
        return all(answer is not None and answer[0] == 200 for answer in answers)

    def guarded(self) -> bool:
        """Whether the leader's guardian is ready."""
        known = status(self.leader_only)
        return known is not None and known["is_leader"] is True and known["session"]["guardian"] == "running"

    def replica(self, name: str) -> int:
        """Its process id."""
        state = json.loads((self.launcher.state / "state.json").read_text())
        return next(int(one["pid"]) for one in state["processes"] if one["name"] == name)


def configured(folder: Path, ports: dict[str, int], replicas: int, leader_only: int) -> Path:
    """The configuration with our ports in it."""
    text = CONFIG.read_text().replace("bind :5000", f"bind 127.0.0.1:{replicas}")
    text = text.replace("bind :5001", f"bind 127.0.0.1:{leader_only}")
    text, count = re.subn(r"server (replica-\d) \S+", lambda m: f"server {m[1]} 127.0.0.1:{ports[m[1]]}", text)
    assert count == 6
    path = folder / "haproxy.cfg"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def balanced(haproxy: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balanced]:
    need(
        None if classpath() else "no ZooKeeper server here",
        "tests of deploy/haproxy.cfg",
        "install Debian's package zookeeper (with Java), or set ZOOKEEPER_HOME",
    )
    folder = tmp_path_factory.mktemp("haproxy")
    launcher = Launcher(folder / "cluster", free_base(), {"CLUSTER": "local", "NGINX": "none", **SHORT})
    entry, leader_only = free_ports(2)
    with contextlib.ExitStack() as stack:
        stack.callback(launcher, "down")
        launcher.done("up", "3")
        ports = State(**json.loads((launcher.state / "state.json").read_text())).ports
        config = configured(folder, ports, entry, leader_only)
        process = stack.enter_context(subprocess.Popen([haproxy, "-db", "-f", str(config)], stdout=subprocess.DEVNULL))
        stack.callback(process.terminate)
        one = Balanced(launcher, entry, leader_only)
        # HAProxy takes every server for well until it has checked it once.
        eventually(one.settled, 10, "HAProxy knows the leader")
        yield one


def test_haproxy_finds_nothing_to_warn_about(haproxy: str, tmp_path: Path) -> None:
    config = configured(tmp_path, {f"replica-{number}": 1 for number in (1, 2, 3)}, *free_ports(2))
    checked = subprocess.run([haproxy, "-c", "-V", "-f", str(config)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "WARNING" not in checked.stderr
    assert "valid" in checked.stdout


def test_one_port_has_all_replicas_and_the_other_the_leader(balanced: Balanced) -> None:
    eventually(lambda: len(hosts(polls(balanced.replicas, 6))) == 3, 5, "all are ready")
    leader = balanced.leader()
    assert dict(polls(balanced.leader_only, 6)) == {leader: True}
    assert get(balanced.replicas, "/loadbalancer/healthz", limit=1) is not None


def test_one_client_has_a_bound_of_streams_over_both_ports(balanced: Balanced) -> None:
    with contextlib.ExitStack() as stack:

        def begins(port: int) -> bool:
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            sock.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            return b" 200 OK\r\n" in sock.recv(4096)

        ports = [balanced.replicas, balanced.leader_only]
        assert all(begins(ports[number % 2]) for number in range(LISTENERS))
        assert not any(map(begins, ports))
        assert len(polls(balanced.replicas, 3)) == 3, "all else goes on"
        stack.close()
        eventually(lambda: begins(balanced.replicas), 10, "there is room again")


@pytest.mark.parametrize(
    ("number", "limit"), [(signal.SIGTERM, HANDOVER), (signal.SIGKILL, FAILOVER)], ids=["handover", "failover"]
)
def test_the_leaders_port_follows(balanced: Balanced, number: signal.Signals, limit: float) -> None:
    eventually(balanced.guarded, 10, "its guardian is ready")
    old = balanced.leader()
    assert old is not None
    pid = balanced.replica(old)
    began = time.monotonic()
    os.kill(pid, number)
    taken = takeover(balanced.leader, old, began, 15.0)
    assert taken is not None
    measured(f"HAProxy's leader-only port, {number.name} to the leader until the next answers there", taken.after)
    assert taken.after < limit
    # No client of the other port notices.
    assert len(hosts(polls(balanced.replicas, 6))) == 2
    balanced.launcher.done("up", "3")
    eventually(lambda: len(hosts(polls(balanced.replicas, 6))) == 3, 10, "the restarted one is ready")
