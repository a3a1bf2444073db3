"""`make up` and its sisters without Docker: real processes, real ZooKeeper, real nginx."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import servers
from deploy.asking import get, port_is_free, status
from deploy.processes import Process, start_of
from deploy.settings import ClusterError, Settings

from ..conftest import need
from ..support.reporting import measured
from ..support.zookeeper import Server, classpath, free_ports
from .launching import SHORT, Launcher, eventually, free_base, hosts, leaders, milliseconds, polls

HANDOVER = 3000
"""Milliseconds: generous for a handover that takes 20 on a quiet machine, far below any session timeout."""
FAILOVER = 1500
"""Milliseconds: generous for a failover that takes 30 on a quiet machine, below the session timeout of 2 s."""


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Launcher]:
    """A cluster of processes that needs nothing but Python; nothing of it is left after the test."""
    one = Launcher(tmp_path / "a cluster", free_base(), {"CLUSTER": "local", **SHORT})
    try:
        yield one
    finally:
        one("down")
        assert one.processes() == []
        eventually(lambda: one.guardians() == [], 10, "the guardians end with their replicas")


@pytest.fixture
def launcher(bare: Launcher) -> Launcher:
    """The same, with a real ZooKeeper."""
    need(
        None if classpath() else "no ZooKeeper server here",
        "tests of make up without Docker",
        "install Debian's package zookeeper (with Java), or set ZOOKEEPER_HOME",
    )
    return bare


@pytest.fixture
def nginx() -> str:
    found = servers.find_nginx()
    need(None if found else "no nginx here", "tests of the load balancer without Docker", "install Debian's nginx")
    assert found is not None
    return found


@pytest.mark.timeout(120)
def test_walkthrough(launcher: Launcher, nginx: str) -> None:
    told = launcher.done("up")
    assert "5 replicas behind nginx" in told
    first = polls(launcher.port, 10)
    assert len(hosts(first)) == 5
    (old,) = leaders(first)
    assert f"{old} leads." in told
    assert "another one leads within milliseconds" in told
    assert len(launcher.guardians()) == 5
    assert "5 replicas answered" in launcher.done("poll")

    told = launcher.done("restart-leader")
    measured("restart-leader, local processes through nginx", milliseconds(told) / 1000)
    assert milliseconds(told) < HANDOVER
    assert leaders(polls(launcher.port, 10)).isdisjoint({old})
    assert len(hosts(polls(launcher.port, 10))) == 5

    (old,) = leaders(polls(launcher.port, 10))
    told = launcher.done("kill-leader")
    measured("kill-leader, local processes with guardians, session timeout 2 s", milliseconds(told) / 1000)
    assert "Its guardian sees that" in told
    assert "might take 5.1 s" in told
    assert milliseconds(told) < FAILOVER
    # Round robin meets the dead one as well, and no client notices.
    after = polls(launcher.port, 25)
    assert hosts(after) == {f"replica-{number}" for number in range(1, 6)} - {old}
    assert len(leaders(after)) == 1
    # Leader-only pages reach the leader, whichever it is.
    (new,) = leaders(after)
    for _ in range(10):
        page = status(launcher.port, "/leader/status")
        assert page is not None
        assert page["identity"] == new
    # Metrics are asked of replicas.
    answer = get(launcher.port, "/metrics")
    assert answer is not None
    assert answer[0] == 404
    assert any(line.split()[:2] == [old, "down"] for line in launcher.done("ps").splitlines())

    before = len(launcher.processes())
    launcher.done("up")
    assert len(launcher.processes()) == before + 1
    eventually(lambda: len(hosts(polls(launcher.port, 10))) == 5, 5, "the killed replica answers again")
    assert "is up at port" in launcher.refused("up", PORT=str(launcher.port + 10))

    told = launcher.done("down")
    assert "had to be killed" not in told
    assert launcher.processes() == []
    assert port_is_free(launcher.port)
    assert "Nothing was up" in launcher.done("down")
    assert "make up" in launcher.refused("poll")


@pytest.mark.timeout(120)
def test_a_rolling_restart_moves_the_lead_once_and_in_the_worst_order_twice(launcher: Launcher, nginx: str) -> None:
    launcher.done("up")
    began = time.monotonic()
    told = launcher.done("rolling-restart")
    measured("rolling restart of 5 local replicas", time.monotonic() - began)
    assert "5 replicas restarted; the lead moved once." in told
    # An orchestrator that knows nothing of leaders: the leader first, the others as they stand in the queue.
    queue = get(launcher.port, "/candidates")
    assert queue is not None
    standing = [str(one["identity"]) for one in json.loads(queue[1])]
    (leader,) = leaders(polls(launcher.port, 10))
    standing.remove(leader)
    assert "the lead moved 2 times." in launcher.done("rolling-restart", leader, *standing)
    # As they are written down: three moves, each of them graceful.
    terms: list[dict[str, object]] = []

    def written() -> bool:
        answer = get(launcher.port, "/history")
        terms[:] = json.loads(answer[1]) if answer is not None and answer[0] == 200 else []
        return len(terms) == 4

    eventually(written, 10, "all terms are in the history")
    assert [term["why"] for term in terms] == ["stopped", "stopped", "stopped", ""], terms
    assert "there is no replica-9" in launcher.refused("rolling-restart", "replica-9")


@pytest.mark.timeout(60)
def test_follows_the_number_asked_for(launcher: Launcher, nginx: str) -> None:
    launcher.done("up", "1")
    alone = launcher.done("restart-leader")
    assert "leads again: there is no other replica" in alone
    assert "the only replica" in launcher.refused("kill-leader")
    launcher.done("up", "3")
    eventually(lambda: len(hosts(polls(launcher.port, 9))) == 3, 5, "nginx knows the new ones")
    launcher.done("up", "2")
    eventually(lambda: hosts(polls(launcher.port, 9)) == {"replica-1", "replica-2"}, 5, "nginx forgets the old one")


@pytest.mark.timeout(60)
def test_without_nginx_on_a_zookeeper_of_ones_own(launcher: Launcher, tmp_path: Path) -> None:
    server = Server(tmp_path / "zk", port=free_ports(1)[0])
    try:
        asyncio.run(server.start_ready())
        own = Launcher(
            launcher.state, launcher.port, {**launcher.environment, "NGINX": "none", "ZOOKEEPER": server.address}
        )
        assert "which share the port" in own.done("up", "3")
        answers = polls(own.port, 40)
        assert len(hosts(answers)) >= 2
        assert len(leaders(answers)) <= 1
        assert milliseconds(own.done("restart-leader")) < HANDOVER
        assert f"yours{'':>13} {server.address}".split() == own.done("ps").splitlines()[-1].split()[1:]
        own.done("down")
        # Not started by us, so not stopped either.
        assert asyncio.run(server.mode()) == "standalone"
    finally:
        server.kill()


def test_a_taken_port_is_told(launcher: Launcher) -> None:
    with socket.create_server(("127.0.0.1", launcher.port)):
        told = launcher.refused("up")
    assert f"port {launcher.port} is taken" in told
    assert launcher.processes() == []


@pytest.mark.timeout(60)
@pytest.mark.parametrize("wanted", ["", "embedded"], ids=["no Java", "asked for"])
def test_without_java_docker_and_nginx(bare: Launcher, tmp_path: Path, wanted: str) -> None:
    # An empty PATH has none of them; with ZOOKEEPER=embedded they need not be missing.
    missing = {"CLUSTER": "", "PATH": str(tmp_path), "JAVA_HOME": "", "ZOOKEEPER_HOME": ""}
    chosen = {"ZOOKEEPER": wanted} if wanted else missing
    own = Launcher(bare.state, bare.port, {**bare.environment, "NGINX": "none", **chosen})
    begin = time.monotonic()
    told = own.done("up")
    measured("make up without Java, Docker and nginx: 5 replicas, one leads", time.monotonic() - begin)
    assert ("There is no `java` on the PATH" if not wanted else "ZOOKEEPER=embedded") in told
    assert "NO REPLICATION" in told
    assert "NOTHING ON DISK" in told
    assert "no replication, nothing on disk." in told
    assert len(leaders(polls(own.port, 40))) <= 1
    assert "embedded, in memory" in own.done("ps")
    assert milliseconds(own.done("restart-leader")) < HANDOVER
    assert milliseconds(own.done("kill-leader")) < FAILOVER
    own.done("up")
    assert "yours" not in own.done("ps")
    assert "ZooKeeper's data" not in own.done("down")


def test_no_java_for_ones_own_zookeeper_is_told(bare: Launcher, tmp_path: Path) -> None:
    told = bare.refused("up", PATH=str(tmp_path), JAVA_HOME="", ZOOKEEPER_HOME=str(tmp_path))
    assert "no `java`" in told
    assert "apt install zookeeper" in told
    assert "ZOOKEEPER=embedded" in told
    assert bare.processes() == []


def test_no_zookeeper_is_told(launcher: Launcher, tmp_path: Path) -> None:
    assert "holds no lib/zookeeper-" in launcher.refused("up", ZOOKEEPER_HOME=str(tmp_path))
    port = free_ports(1)[0]
    assert "cannot be reached" in launcher.refused("up", ZOOKEEPER=f"127.0.0.1:{port}")
    assert launcher.processes() == []


@pytest.mark.timeout(60)
def test_half_started_is_undone(launcher: Launcher) -> None:
    told = launcher.refused("up", LEADER_ASYNC_LEASE="soon")
    assert "has ended" in told
    assert "--lease" in told, "the end of its log says why"
    assert launcher.processes() == []


@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_is_undone(launcher: Launcher, number: signal.Signals) -> None:
    # A ZooKeeper that takes connections and says nothing: nobody will ever lead, so it is not done before the signal.
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        variables = launcher.variables(ZOOKEEPER=f"127.0.0.1:{silent.getsockname()[1]}")
        up = subprocess.Popen(launcher.command("up"), env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        stack.enter_context(up)
        eventually(lambda: len(launcher.processes()) > 1, 30, "something was started")
        up.send_signal(number)
        up.communicate(timeout=40)
    assert up.returncode == 130
    assert launcher.processes() == []


def test_another_process_with_the_same_id_is_left_alone(launcher: Launcher) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        try:
            began = start_of(stranger.pid)
            assert began is not None
            stale = {"name": "replica-1", "pid": stranger.pid, "started": began + "0", "port": launcher.port + 1}
            launcher.state.mkdir()
            state = {"mode": "local", "port": launcher.port, "processes": [stale]}
            (launcher.state / "state.json").write_text(json.dumps(state))
            assert "Nothing was up" in launcher.done("down")
            assert stranger.poll() is None
            assert Process("replica-1", stranger.pid, began, 0).alive
        finally:
            stranger.kill()


def test_what_is_forgotten_is_only_what_was_made(launcher: Launcher) -> None:
    (launcher.state / "zookeeper" / "data").mkdir(parents=True)
    (launcher.state / "letters").write_text("mine")
    launcher.done("down", "--forget")
    assert [path.name for path in launcher.state.iterdir()] == ["letters"]


def test_one_at_a_time(launcher: Launcher) -> None:
    launcher.state.mkdir()
    holder = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"
    command = [sys.executable, "-c", holder, str(launcher.state / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert "another command" in launcher.refused("down")
        other.communicate(b"\n")


def test_nginx_takes_the_local_configuration(nginx: str, tmp_path: Path) -> None:
    folder = tmp_path / "of nginx"
    port = free_base()
    servers.write_nginx_conf(folder, port, [port + 1, port + 2])
    text = (folder / "nginx.conf").read_text()
    assert f"server 127.0.0.1:{port + 2} max_fails=0;" in text
    assert "leader-election" not in text
    assert "resolve" not in text.replace("what `resolve` finds", "")
    check = subprocess.run([*servers.nginx_command(nginx, folder), "-t"], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stderr


@pytest.mark.parametrize(
    ("variables", "word"), [({"PORT": "http"}, "PORT"), ({"PORT": "70000"}, "PORT"), ({"CLUSTER": "k8s"}, "CLUSTER")]
)
def test_settings_that_cannot_be_used(variables: dict[str, str], word: str) -> None:
    with pytest.raises(ClusterError, match=word):
        Settings.read(variables)
