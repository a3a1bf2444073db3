"""Running `python -m deploy.cluster` as `make` does, and looking at what it leaves behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.asking import IS_LEADER, get, port_is_free

ROOT = Path(__file__).resolve().parents[2]
TOOK = re.compile(r"answered True (\d+) ms after the signal")
LINE = re.compile(r"^(\S+) - (True|False)$")
SHORT = {"LEADER_ASYNC_SESSION_TIMEOUT": "2", "LEADER_ASYNC_LEASE": "1"}
"""A crashed leader is followed within 2 s + 2 ticks of 1 s + 1.1 leases of 1 s."""

GUARDIAN = "-m leader_async.guardian"


@dataclass(frozen=True, slots=True)
class Launcher:
    """The command, with a cluster of its own.

    Attributes:
        state: its folder.
        port: where its cluster is reached.
        environment: what else is set for it.
    """

    state: Path
    port: int
    environment: Mapping[str, str]

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments),
            env=self.variables(**environment),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )

    def done(self, *arguments: str) -> str:
        """Run a command that has to succeed; what it says."""
        result = self(*arguments)
        assert result.returncode == 0, f"{arguments}: {result.stdout}\n{result.stderr}"
        return result.stdout

    def refused(self, *arguments: str, **environment: str) -> str:
        """Run a command that has to fail with a reason and not with a traceback; the reason."""
        result = self(*arguments, **environment)
        assert result.returncode == 1, f"{arguments}: {result.stdout}\n{result.stderr}"
        assert result.stderr.startswith("error: "), result.stderr
        return result.stderr

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "deploy.cluster", *arguments]

    def variables(self, **environment: str) -> dict[str, str]:
        own = {"PORT": str(self.port), "CLUSTER_STATE": str(self.state)}
        ours = {name: value for name, value in os.environ.items() if name not in ("ZOOKEEPER", "NGINX", "CLUSTER")}
        return {**ours, **own, **self.environment, **environment}

    def processes(self) -> list[str]:
        """Everything that was started for this cluster and runs, but for the guardians, which follow a moment later."""
        return [command for command in self._started() if GUARDIAN not in command]

    def guardians(self) -> list[str]:
        """The guardians of its replicas."""
        return [command for command in self._started() if GUARDIAN in command]

    def _started(self) -> list[str]:
        """What runs with this cluster's folder in its environment."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if f"CLUSTER_STATE={self.state}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue  # ended meanwhile, or not ours to look at
        return found


def free_base(room: int = 20) -> int:
    """The first of so many ports that are free, below those that outgoing connections use."""
    for base in range(20000 + os.getpid() % 500 * 20, 32000, room):
        if all(port_is_free(port, "0.0.0.0") for port in range(base, base + room)):
            return base
    raise AssertionError("no free ports")


def polls(port: int, count: int) -> list[tuple[str, bool]]:
    """So many answers through the load balancer, each as (host, leads)."""
    answers = []
    for _ in range(count):
        answer = get(port, IS_LEADER)
        assert answer is not None
        status, text = answer
        assert status == 200
        match = LINE.match(text)
        assert match, text
        answers.append((match[1], match[2] == "True"))
    return answers


def hosts(answers: list[tuple[str, bool]]) -> set[str]:
    return {host for host, _ in answers}


def leaders(answers: list[tuple[str, bool]]) -> set[str]:
    return {host for host, leads in answers if leads}


def milliseconds(told: str) -> int:
    """How long the lead took to pass on, as the command says."""
    match = TOOK.search(told)
    assert match, told
    return int(match[1])


def eventually(so: Callable[[], bool], limit: float, what: str) -> None:
    end = time.monotonic() + limit
    while not so():
        assert time.monotonic() < end, f"not within {limit:g} s: {what}"
        time.sleep(0.05)
