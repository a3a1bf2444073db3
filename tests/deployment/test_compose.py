"""compose.yaml on a real Docker engine: the ensemble, the replicas, nginx, and what a user does with them.

The tests share one project, of a name and port of its own, and each leaves it as it found it: with one leader.
"""

from __future__ import annotations

import http.client
import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from packaging.utils import canonicalize_name

from deploy import docker
from deploy.asking import IS_LEADER, get, status
from deploy.settings import HOST
from leader_async.version import version

from ..conftest import need
from ..support.readme import PAGES, Taken
from ..support.reporting import measured
from .image import pins
from .launching import ROOT, Launcher, eventually, free_base, hosts, leaders, milliseconds, polls

PAGE = Taken(PAGES)
TOKEN = "a token of sixteen or more"
HANDOVER = 5000
"""Milliseconds: generous for a handover that takes 50, most of them Docker's own."""
FAILOVER = 4000 + 2 * 1000 + 2200 + 3000
"""Milliseconds: session timeout, 2 ticks and 1.1 leases, and something for a busy machine."""

CRASH = """
import os, signal
for pid in filter(str.isdigit, os.listdir("/proc")):
    if b"leader-async\\0serve" in open(f"/proc/{pid}/cmdline", "rb").read() and pid not in ("1", str(os.getpid())):
        os.kill(int(pid), signal.SIGKILL)
"""
"""Run inside a container: kills the replica itself, not its guardian, which is the first process."""

pytestmark = pytest.mark.timeout(170)


class Project:
    """The project under test.

    Args:
        launcher: `make` for it.
    """

    def __init__(self, launcher: Launcher) -> None:
        self.launcher, self.port = launcher, launcher.port

    def docker(self, *arguments: str) -> str:
        """Run a docker command that has to succeed; what it says."""
        result = subprocess.run(
            ["docker", *arguments], cwd=ROOT, env=self.launcher.variables(), capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, f"{arguments}: {result.stdout}\n{result.stderr}"
        return result.stdout

    def compose(self, *arguments: str) -> str:
        return self.docker("compose", *arguments)

    def up(self, replicas: int) -> None:
        self.compose("up", "--detach", "--build", "--wait", "--scale", f"leader-election={replicas}")

    def containers(self, service: str = "", *options: str) -> list[str]:
        return self.compose("ps", "--quiet", *options, *([service] if service else [])).split()

    def inspect(self, container: str, what: str) -> str:
        return self.docker("inspect", "--format", "{{" + what + "}}", container).strip()

    def replicas_answer(self, count: int) -> bool:
        return len(hosts(polls(self.port, 2 * count))) == count

    def leader(self) -> dict[str, object]:
        found: list[dict[str, object]] = []

        def led() -> bool:
            found[:] = [page for page in [status(self.port, "/leader/status")] if page is not None]
            return bool(found)

        eventually(led, 15, "somebody leads")
        return found[0]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The cluster of compose.yaml, up; removed in the end."""
    need(docker.problem(), "tests of compose.yaml", "start a Docker engine and install its compose plugin")
    name = f"leader-async-test-{os.getpid()}"
    variables = {
        "CLUSTER": "docker",
        "COMPOSE_PROJECT_NAME": name,
        "LEADER_ASYNC_SESSION_TIMEOUT": "4",
        "LEADER_ASYNC_LEASE": "2",
        "LEADER_ASYNC_RESIGN_TOKEN": TOKEN,
    }
    forward = os.environ.get("LEADER_ASYNC_TEST_FORWARD")
    if forward:  # the engine's loopback interface is another one than ours, and nothing leads there
        variables["ADDRESS"] = "0.0.0.0"
    launcher = Launcher(tmp_path_factory.mktemp("docker"), free_base(), variables)
    one = Project(launcher)
    try:
        began = time.monotonic()
        one.up(5)
        measured("docker compose up --build --wait, 9 containers", time.monotonic() - began)
        if forward:
            command = [word.replace("{port}", str(one.port)) for word in shlex.split(forward)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=30)
        told = launcher.done("up")
        assert "5 replicas behind nginx, in containers" in told
        yield one
    finally:
        launcher("down", "--forget")
    label = f"label=com.docker.compose.project={name}"
    for kind in (["ps", "--all"], ["volume", "ls"], ["network", "ls"]):
        assert one.docker(*kind, "--quiet", "--filter", label) == ""


@pytest.fixture(autouse=True)
def _as_found(project: Project) -> Iterator[None]:
    """Whatever a test does to the replicas, the next one finds five of them."""
    yield
    if len(project.containers("leader-election", "--status", "running")) != 5:
        project.up(5)
    eventually(lambda: project.replicas_answer(5), 30, "5 replicas answer")
    project.leader()


def test_walkthrough(project: Project) -> None:
    answers = polls(project.port, 10)
    assert len(hosts(answers)) >= 3
    assert len(leaders(answers)) == 1
    assert "5 replicas answered" in project.launcher.done("poll")
    answer = get(project.port, IS_LEADER, headers={"Accept": "application/json"})
    assert answer is not None
    assert json.loads(answer[1])["host"] in hosts(answers)


def test_restart_of_the_leader(project: Project) -> None:
    told = project.launcher.done("restart-leader")
    measured("restart-leader in Docker, with what docker itself needs", milliseconds(told) / 1000)
    assert milliseconds(told) < HANDOVER
    answers = polls(project.port, 10)
    assert len(hosts(answers)) == 5
    assert len(leaders(answers)) == 1


def test_leader_pages_reach_only_the_leader(project: Project) -> None:
    leader = project.leader()["identity"]
    for page in ("/leader", "/leader/status") * 10:
        answer = get(project.port, page)
        assert answer is not None
        assert answer[0] == 200
        assert json.loads(answer[1])["identity"] == leader
        assert json.loads(answer[1])["is_leader"] is True


def test_a_post_reaches_the_leader_once(project: Project) -> None:
    before = project.leader()
    connection = http.client.HTTPConnection(HOST, project.port, timeout=20)
    connection.request("POST", "/leader/resign", headers={"Authorization": f"Bearer {TOKEN}"})
    response = connection.getresponse()
    told = json.loads(response.read())
    connection.close()
    assert response.status == 200, told
    assert told["identity"] == before["identity"]
    eventually(lambda: project.leader()["identity"] != before["identity"], 5, "another one leads")
    assert isinstance(before["term"], int)
    assert project.leader()["term"] == before["term"] + 1


def test_nginx_follows_scaling_without_a_reload(project: Project) -> None:
    (balancer,) = project.containers("loadbalancer")
    since = project.inspect(balancer, ".State.StartedAt")
    _, *scale = shlex.split(PAGE.one("docker compose up -d --build"))
    project.docker(*scale)
    began = time.monotonic()
    eventually(lambda: project.replicas_answer(7), 20, "7 replicas answer")
    measured("nginx knows 2 more replicas, after docker compose up returned", time.monotonic() - began)
    project.compose("up", "--detach", "--no-recreate", "--scale", "leader-election=5")
    eventually(lambda: project.replicas_answer(5), 20, "5 replicas answer")
    assert project.containers("loadbalancer") == [balancer]
    assert project.inspect(balancer, ".State.StartedAt") == since
    assert "reconfiguring" not in project.docker("logs", balancer)


def test_a_killed_replica_costs_no_client_an_error(project: Project) -> None:
    leader = str(project.leader()["identity"])
    follower = next(one for one in project.containers("leader-election") if not one.startswith(leader))
    answered, slowest = 0, 0.0
    with ThreadPoolExecutor(1) as pool:
        for number in range(50):
            if number == 5:
                killed = pool.submit(project.docker, "kill", follower)
            began = time.monotonic()
            answer = get(project.port, IS_LEADER, limit=10)
            slowest = max(slowest, time.monotonic() - began)
            answered += answer is not None and answer[0] == 200
            time.sleep(0.03)  # so that the 50 last longer than nginx takes to forget the replica
        killed.result()
    measured("slowest of 50 requests while a replica is killed", slowest)
    assert answered == 50
    assert str(project.leader()["identity"]) == leader


def test_a_killed_leader_is_followed_and_stays_down(project: Project) -> None:
    old = str(project.leader()["identity"])
    told = project.launcher.done("kill-leader")
    # The guardian is killed with the container.
    measured("kill-leader in Docker, session timeout 4 s, lease 2 s", milliseconds(told) / 1000)
    assert "may take 8.2 s" in told
    assert milliseconds(told) < FAILOVER
    # Killed by `docker kill`, not crashed: Docker does not start it again by itself.
    assert project.inspect(old, ".State.Status") == "exited"
    assert len(project.containers("leader-election", "--status", "running")) == 4
    project.launcher.done("up")
    assert project.inspect(old, ".State.Status") == "running"


def crash(project: Project, container: str) -> None:
    """Kill the replica in this container."""
    subprocess.run(
        ["docker", "exec", container, "python", "-c", CRASH],
        env=project.launcher.variables(),
        capture_output=True,
        check=False,  # it ends with the container
    )


def test_a_crashed_leader_is_followed_at_once(project: Project) -> None:
    old = str(project.leader()["identity"])
    began = time.monotonic()
    crash(project, old)
    eventually(lambda: project.leader()["identity"] != old, 15, "another one leads")
    took = time.monotonic() - began
    measured("crash of the leading replica in its container, with what docker exec needs", took)
    assert took < 4.0, "its guardian leaves for it: nobody waits for the session timeout"


def test_a_crashed_replica_is_started_again(project: Project) -> None:
    leader = str(project.leader()["identity"])
    follower = next(one for one in project.containers("leader-election") if not one.startswith(leader))
    crash(project, follower)
    eventually(lambda: project.inspect(follower, ".RestartCount") == "1", 20, "Docker starts it again")


def test_nobody_may_anything(project: Project) -> None:
    for container in project.containers():
        told = project.docker("exec", container, "cat", "/proc/1/status")
        status = {name: value.split() for name, _, value in (line.partition(":") for line in told.splitlines())}
        assert "0" not in status["Uid"], "nobody is root"
        assert {status[name][0] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
        assert status["NoNewPrivs"] == ["1"]


@pytest.mark.parametrize(("service", "folder"), [("leader-election", "/venv"), ("loadbalancer", "/etc/nginx")])
def test_nothing_can_be_written(project: Project, service: str, folder: str) -> None:
    container = project.containers(service)[0]
    for path in (folder, "/"):
        # As root it is the file system that refuses, not the owner of the folder.
        command = ["docker", "exec", "--user", "0", container, "sh", "-c", f"echo >{path}/written"]
        refused = subprocess.run(command, env=project.launcher.variables(), capture_output=True, text=True, check=False)
        assert refused.returncode != 0
        assert "Read-only file system" in refused.stderr


def test_the_image_holds_what_is_locked_and_nothing_else(project: Project) -> None:
    script = "import importlib.metadata as m; [print(one.name, one.version) for one in m.distributions()]"
    told = project.docker("exec", project.containers("leader-election")[0], "python", "-c", script)
    held = {str(canonicalize_name(name)): version for name, version in map(str.split, told.splitlines())}
    assert held.pop("leader-async")
    assert held == {name: pin.version for name, pin in pins("requirements.txt").items()}


def test_the_image_is_built_as_the_page_says(project: Project) -> None:
    name = f"leader-async:{version()}"
    assert name in (ROOT / "deploy/kubernetes/replicas.yaml").read_text()
    _, *build = shlex.split(PAGE.one("docker build"))
    ours = f"leader-async-test-{os.getpid()}:built"  # whatever has that name already stays
    project.docker(*(ours if word == name else word for word in build))
    try:
        assert version() in project.docker("run", "--rm", ours, "leader-async", "--version")
    finally:
        project.docker("image", "rm", ours)
