"""The field: three ZooKeeper servers and five replicas, each in a network namespace of its own, on one bridge."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from ..support.zookeeper import Ensemble, Lab, Server, classpath, lab_problem

REPLICAS = 5
TICK, SYNC_LIMIT = 1.0, 10
"""Seconds; ticks that a follower which is cut off goes on serving: longer than the session timeout, which is what
makes clients that trust the word "connected" lead on."""
TIMEOUT, LEASE = 4.0, 1.5
ELECTION = "chaos"
ROOT = Path(__file__).resolve().parents[2]
SYSTEMS = ("leader_async", "kazoo", "curator")
JAVA = Path("/usr/share/java")
CURATOR_JARS = [
    JAVA / f"{name}.jar"
    for name in (
        "curator-recipes", "curator-framework", "curator-client", "guava", "zookeeper", "zookeeper-jute", "slf4j-api",
        "slf4j-nop", "netty-all", "netty-buffer", "netty-common", "netty-handler", "netty-transport", "netty-codec",
        "netty-resolver", "netty-transport-native-epoll", "netty-transport-classes-epoll",
        "netty-transport-native-unix-common", "failureaccess",
    )
]  # fmt: skip


def problem(system: str) -> str | None:
    """Why a campaign cannot be had here, None if it can."""
    if classpath() is None:
        return "no ZooKeeper server here; install Debian's package zookeeper (with Java)"
    if (why := lab_problem()) is not None:
        return why
    if system == "kazoo" and subprocess.run([sys.executable, "-c", "import kazoo"], capture_output=True).returncode:
        return "no kazoo here; pip install kazoo"
    if system == "curator" and (not CURATOR_JARS[0].exists() or shutil.which("javac") is None):
        return "no Curator or no javac here; apt install libcurator-recipes-java default-jdk-headless"
    return None


class Field:
    """See the module's docstring.

    Args:
        folder: for the servers' data, and what the replicas write down.
        system: which replicas.
        work: where they work, a file of their own if None.
    """

    def __init__(self, folder: Path, system: str, work: str | None = None) -> None:
        self.folder, self.system, self._work = folder, system, work or str(folder / "work")
        self.lab = Lab(3 + REPLICAS)
        self.ensemble: Ensemble | None = None
        self.replicas: dict[str, subprocess.Popen[bytes]] = {}
        self.extras: list[subprocess.Popen[bytes]] = []
        self.names = [f"r{number + 1}" for number in range(REPLICAS)]

    # -- begin and end -------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Start everything."""
        (self.folder / "observed").mkdir(parents=True)
        if self.system == "curator":
            source = Path(__file__).parent / "replicas" / "Latch.java"
            javac = ["javac", "-cp", self._jars(), "-d", str(self.folder), str(source)]
            await asyncio.to_thread(subprocess.run, javac, check=True, capture_output=True)
        self.lab.open()
        settings = [
            f"tickTime={TICK * 1000:.0f}", "initLimit=20", f"syncLimit={SYNC_LIMIT}", "4lw.commands.whitelist=srvr",
            "maxClientCnxns=0", "minSessionTimeout=2000",
        ]  # fmt: skip
        self.ensemble = Ensemble(self.folder / "zk", settings, self.lab)
        await self.ensemble.start_ready()
        for name in self.names:
            self.start(name)

    def close(self) -> None:
        """Stop everything; the network goes last."""
        for process in (*self.replicas.values(), *self.extras):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        if self.ensemble is not None:
            for server in self.ensemble.servers:
                if server._process is not None:
                    server.signal(signal.SIGCONT)
            self.ensemble.kill()
        self.lab.close()

    async def retire(self) -> None:
        """Let all replicas leave gracefully."""
        for process in self.replicas.values():
            process.terminate()
        end = time.monotonic() + 20
        while any(process.poll() is None for process in self.replicas.values()) and time.monotonic() < end:
            await asyncio.sleep(0.05)

    # -- replicas ------------------------------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Start a replica that is not there."""
        self.replicas[name] = self._spawn(name, self.names.index(name))

    def burst(self, count: int) -> None:
        """Start so many more, which are ended by `end_burst`."""
        self.extras += [self._spawn(f"extra{number}", number % REPLICAS) for number in range(count)]

    def end_burst(self) -> None:
        """End those: half of them gracefully."""
        for number, process in enumerate(self.extras):
            process.terminate() if number % 2 else process.kill()
        for process in self.extras:
            process.wait(20)
        self.extras.clear()

    def _spawn(self, name: str, place: int) -> subprocess.Popen[bytes]:
        assert self.ensemble is not None
        arguments = [
            self.ensemble.address, ELECTION, name, str(TIMEOUT), str(LEASE), str(self.folder / "observed" / name),
            self._work,
        ]  # fmt: skip
        if self.system == "curator":
            ahead = time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
            command = [
                "java", "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp",
                f"{self._jars()}:{self.folder}", "Latch", *arguments, str(ahead),
            ]  # fmt: skip
        else:
            module = "ours" if self.system == "leader_async" else self.system
            command = [sys.executable, "-m", f"tests.campaigns.replicas.{module}", *arguments]
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.lab.names[3 + place], *command], cwd=ROOT, stdout=log, stderr=log
            )

    def _jars(self) -> str:
        return ":".join(str(jar) for jar in CURATOR_JARS if jar.exists())

    def leader(self) -> str | None:
        """Who said last that it leads, if that was within the last tenth of a second."""
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        said = {name: self._last_true(name) or 0.0 for name in self.names}
        last = max(self.names, key=said.__getitem__)
        return last if now - said[last] < 0.1 else None

    def _last_true(self, name: str) -> float | None:
        path = self.folder / "observed" / name
        if not path.exists():
            return None
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 300))
            lines = [line.split() for line in file.read().split(b"\n")[:-1] if line.startswith(b"True ")]
        return float(lines[-1][1]) if lines and len(lines[-1]) == 4 else None

    def server_of(self, name: str) -> Server | None:
        """The server that a replica is connected to."""
        assert self.ensemble is not None
        namespace = self.lab.names[3 + self.names.index(name)]
        shown = subprocess.run(
            ["ip", "netns", "exec", namespace, "ss", "-tnH", "state", "established"],
            capture_output=True, text=True, check=False,
        ).stdout  # fmt: skip
        return next((server for server in self.ensemble.servers if f"{server.host}]:{server.port}" in shown
                     or f"{server.host}:{server.port}" in shown), None)  # fmt: skip

    # -- the network ---------------------------------------------------------------------------------------------------

    def rules(self, host: int, action: str, *rules: tuple[str, ...]) -> None:
        """Add (`-I`) or take away (`-D`) packet filter rules of a host."""
        for rule in rules:
            subprocess.run(
                ["ip", "netns", "exec", self.lab.names[host], "iptables", action, *rule],
                check=True,
                capture_output=True,
            )

    def between_servers(self, number: int, *, hear: bool, speak: bool) -> list[tuple[str, ...]]:
        """The rules that keep a server from hearing the other two, or from being heard by them."""
        others = [self.lab.address(other) for other in {0, 1, 2} - {number}]
        return [
            *(("INPUT", "-s", other, "-j", "DROP") for other in others if not hear),
            *(("OUTPUT", "-d", other, "-j", "DROP") for other in others if not speak),
        ]
