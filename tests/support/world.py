"""A world in which commands can be typed as pages print them: the ports are free, and the hosts are this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from .readme import ROOT

HOSTS = "127.0.0.1 localhost zk1 zk2 zk3 replica-3\n"
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/usr/share/zookeeper/bin"
"""Where programs are: ours, and those that Debian keeps apart."""
INSTALLED = ["--old-file=.venv/installed-to-run", "--old-file=.venv/installed-to-test"]
"""For make: the virtual environment is that of whoever runs the tests; whether it is up to date is not asked again."""
BEGIN = """
ip link set lo up && mount --bind "$1" /etc/hosts && mount -t tmpfs tmpfs /etc/systemd/system || exit
mkdir -p "$2" "$3" && mount --bind "$2" "$3" || exit
echo
exec cat
"""


def problem() -> str | None:
    """Why there can be none."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "not root on Linux"
    missing = [name for name in ("unshare", "nsenter", "ip", "make", "curl") if shutil.which(name) is None]
    return f"no {missing[0]} here" if missing else None


class World:
    """Namespaces of its own for network and mounts; what was started in it ends with it.

    Args:
        folder: for its files; what commands put into `build` is in there, too.
        variables: what else is set for its commands.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LEADER_ASYNC_", "MAKE"))}
        for name in ("MFLAGS", "ZOOKEEPER", "NGINX", "CLUSTER_STATE", "PORT"):
            kept.pop(name, None)
        own = {"PATH": PATH, "PYTHONPATH": str(ROOT), "CLUSTER": "local", "SYSTEMD_OFFLINE": "1"}
        self._environment = {**kept, **own, **(variables or {})}
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> World:
        hosts = self.folder / "hosts"
        hosts.write_text(HOSTS)
        arguments = ["sh", "-c", BEGIN, "sh", str(hosts), str(self.folder / "build"), str(ROOT / "build")]
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"\n", "namespaces could not be made"
        return self

    def __exit__(self, *_: object) -> None:
        own = os.readlink(f"/proc/{self._holder.pid}/ns/net")
        while left := [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._network(pid) == own]:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for process in self._started:
                process.poll()
            self._holder.poll()
        for process in [*self._started, self._holder]:
            process.wait()
        for pipe in (self._holder.stdin, self._holder.stdout):
            assert pipe is not None
            pipe.close()
        with contextlib.suppress(OSError):
            (ROOT / "build").rmdir()

    def run(self, line: str, where: Path = ROOT) -> str:
        """Type this, wait for its end, and give what it printed; it has to succeed."""
        done = subprocess.run(
            self._command(line, where), env=self._environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{line}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, line: str, log: str, where: Path = ROOT, **variables: str) -> subprocess.Popen[bytes]:
        """Type this in a terminal of its own; its process. What it prints is in that file."""
        with (self.folder / log).open("wb") as file:
            process = subprocess.Popen(
                self._command(f"exec {line}", where), stdout=file, stderr=file, start_new_session=True,
                env={**self._environment, **variables},
            )  # fmt: skip
        self._started.append(process)
        return process

    def log(self, name: str) -> str:
        """What was printed in that terminal."""
        return (self.folder / name).read_text()

    def _command(self, line: str, where: Path) -> list[str]:
        line = line.replace("make ", f"make {' '.join(INSTALLED)} ")
        enter = ["nsenter", f"--target={self._holder.pid}", "--net", "--mount"]
        return [*enter, "sh", "-c", 'cd "$0" && eval "$1"', str(where), line]

    @staticmethod
    def _network(pid: int) -> str:
        """Which network a process lives in, "" if it lives no more."""
        try:
            return os.readlink(f"/proc/{pid}/ns/net")
        except OSError:
            return ""
