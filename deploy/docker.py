"""The cluster in containers, by `docker compose` and compose.yaml.

Rules: Docker keeps what runs, and this only asks it; a replica's identity is its container's id. An `up` that fails
takes down what it brought up.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace

from .asking import IS_LEADER, Poll, get, poll, port_is_free, status, wait_until
from .processes import Keeper
from .settings import HOST, ROOT, ClusterError, Settings, say

ENGINE = 5.0
"""Seconds that an engine may take to answer."""
READY = 60.0
"""Seconds that healthy replicas may take to elect; more than a crashed leader's session lasts."""
GRACE = 15
"""Seconds from SIGTERM to SIGKILL, as in compose.yaml."""


def problem() -> str | None:
    """Why containers cannot be used here, None if they can."""
    for command in (["docker", "version", "--format", "{{.Server.Version}}"], ["docker", "compose", "version"]):
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=ENGINE, check=False)
        except FileNotFoundError:
            return "there is no `docker` on the PATH"
        except (OSError, subprocess.TimeoutExpired):
            return f"`{' '.join(command)}` does not answer"
        if answer.returncode != 0:
            return (answer.stderr.strip().splitlines() or [f"`{' '.join(command)}` fails"])[-1]
    return None


class DockerFleet:
    """The cluster of one compose project.

    Args:
        settings: what was asked for.
        keeper: remembers the port.
    """

    mode = "docker"

    def __init__(self, settings: Settings, keeper: Keeper) -> None:
        self._settings, self._keeper = settings, keeper
        self._restarting: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """Where the cluster is reached."""
        return self._keeper.state.port or self._settings.port

    @property
    def tick(self) -> float:
        """The seconds of ZooKeeper's tick, as in compose.yaml."""
        return 1.0

    @property
    def routed(self) -> bool:
        """Whether /leader/... reaches the leader, whichever it is."""
        return True

    @property
    def spares_guardian(self) -> bool:
        """Whether `kill` leaves a replica's guardian alive: no, it is in the container that is killed."""
        return False

    # -- up and down

    def up(self, count: int) -> str:
        """Have this many replicas run, and one of them lead; returns what it is that runs.

        Raises:
            ClusterError: it cannot be done; if nothing ran before, nothing does now.
        """
        before = self._containers()
        if self._settings.port_given or not before:
            port = self._settings.port
            if (not before or port != self.port) and not port_is_free(port, os.environ.get("ADDRESS") or HOST):
                raise ClusterError(
                    f"port {port} is taken by another program; stop that one, or choose another: make up PORT=5002"
                )
            self._keeper.state = replace(self._keeper.state, port=port)
        self._keeper.state.mode = self.mode
        self._keeper.write()
        try:
            if self._compose("up", "-d", "--build", "--wait", "--scale", f"leader-election={count}") != 0:
                raise ClusterError("docker compose failed, see above; CLUSTER=local make up does without Docker")
            self._await_leader(count)
        except BaseException:
            if not before:
                self._compose("down")
                self._keeper.forget()
            raise
        return f"{count} replicas behind nginx, in containers"

    def down(self, forget: bool) -> str:
        """Stop and remove the containers and their network."""
        running = self._containers()
        if self._compose("down", *(["--volumes", "--rmi", "local"] if forget else [])) != 0:
            raise ClusterError("docker compose failed, see above")
        self._keeper.forget()
        kept = "" if forget else " ZooKeeper's data is kept in volumes; `make clean` deletes them."
        return f"Removed {len(running)} containers.{kept}" if running else "Nothing was up."

    def _await_leader(self, count: int) -> None:
        polls: list[Poll] = []

        def settled() -> bool:
            polls[:] = [one for one in (poll(self.port) for _ in range(2 * count)) if one is not None]
            hosts, leaders = {one.host for one in polls}, {one.host for one in polls if one.leads}
            return len(hosts) == count and len(leaders) == 1

        if not wait_until(settled, READY, 0.2):
            heard = f"{len({one.host for one in polls})} of {count} replicas answer"
            raise ClusterError(
                f"no leader at port {self.port} after {READY:g} s ({heard}); `docker compose logs` says more"
            )

    # -- who is there

    def leader(self) -> str | None:
        """Who answers what only the leader answers, None if nobody does."""
        known = status(self.port, "/leader/status")
        return str(known["identity"]) if known and known.get("is_leader") is True else None

    def status(self, name: str) -> dict[str, object] | None:
        """The `/status` of that replica, if it leads."""
        known = status(self.port, "/leader/status")
        return known if known and known.get("identity") == name else None

    def others(self, name: str) -> bool:
        """Whether there are replicas besides that one."""
        return any(not one.startswith(name) for one in self._containers("leader-election"))

    def names(self) -> list[str]:
        """The replicas that run, as they call themselves: the first twelve digits of their containers' ids."""
        return [one[:12] for one in self._containers("leader-election")]

    def shown(self, name: str) -> str:
        """What people call that replica: its id, as it says itself, and its container's name."""
        answer = self._docker("inspect", "--format", "{{.Name}}", name)
        return f"{name} ({answer.stdout.strip().lstrip('/')})" if answer.returncode == 0 else name

    def check_up(self) -> None:
        """See that there is something to talk to.

        Raises:
            ClusterError: there is not.
        """
        if not self._containers("loadbalancer"):
            raise ClusterError("nothing is up; `make up` starts it")
        if get(self.port, IS_LEADER) is None:
            raise ClusterError(f"nobody answers at port {self.port}; `make up` starts what is missing")

    def _containers(self, *services: str) -> list[str]:
        """The ids of the running containers."""
        answer = self._docker("compose", *self._project(), "ps", "--quiet", "--status", "running", *services)
        if answer.returncode != 0 and "no such service" not in answer.stderr:
            raise ClusterError(f"docker compose fails: {answer.stderr.strip()}")
        return answer.stdout.split()

    # -- one replica

    def restart(self, name: str) -> None:
        """Begin to restart a container; `restarted` has to follow."""
        self._restarting = subprocess.Popen(
            ["docker", "restart", "--timeout", str(GRACE), name], stdout=subprocess.DEVNULL
        )

    def restarted(self, name: str) -> None:
        """Wait until it answers again."""
        assert self._restarting is not None
        if self._restarting.wait(GRACE + 30) != 0:
            raise ClusterError(f"docker cannot restart {name}, see above")
        if not wait_until(lambda: (one := poll(self.port)) is not None and one.host == name, READY, 0.02):
            raise ClusterError(f"{name} does not answer; `make logs` says more")

    def kill(self, name: str) -> None:
        """End a replica as a crash would, but for good: Docker does not restart what was killed by `docker kill`."""
        answer = self._docker("kill", "--signal", "KILL", name)
        if answer.returncode != 0:
            raise ClusterError(f"docker cannot kill {name}: {answer.stderr.strip()}")

    # -- what is told

    def ps(self) -> str:
        """A table of the containers."""
        self._compose("ps", "--all")
        leader = self.leader()
        return f"\n{self.shown(leader)} leads." if leader else "\nNobody leads."

    def logs(self, names: Sequence[str], follow: bool) -> None:
        """Show the ends of the logs; with `follow` go on until interrupted."""
        with contextlib.suppress(KeyboardInterrupt):
            self._compose("logs", "--tail", "20", *(["--follow"] if follow else []), *names)

    # -- docker

    def _project(self) -> list[str]:
        return ["--project-directory", str(ROOT), "--file", str(ROOT / "compose.yaml")]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PORT": str(self.port)}

    def _compose(self, *arguments: str) -> int:
        """Run a command of compose for everybody to see."""
        command = ["docker", "compose", *self._project(), *arguments]
        return subprocess.run(command, env=self._environment(), check=False).returncode

    def _docker(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of docker and keep what it says."""
        try:
            return subprocess.run(
                ["docker", *arguments], env=self._environment(), capture_output=True, text=True, timeout=60, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            say(str(error))
            raise ClusterError("docker does not answer; is its engine running?") from error
