"""Real ZooKeeper servers, alone and as an ensemble, that tests start, stop, freeze and kill.

They come from Debian's package `zookeeper`, or from the folder that ZOOKEEPER_HOME names (the Apache tarball). A newer
one, 3.9, is what `newer.sh` beside this file has unpacked into `build/zookeeper-3.9`, or the folder that
LEADER_ASYNC_TEST_ZOOKEEPER_HOME names. Each server has ports and a folder of its own, and ends with the test that
started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

DEBIAN_JARS = (Path("/usr/share/java/zookeeper.jar"), Path("/usr/share/java/slf4j-simple.jar"))
NETTY_JARS = (Path("/usr/share/java/netty-codec.jar"), Path("/usr/share/java/netty-resolver.jar"))
"""What TLS needs; Debian's package does not name these two in its class path."""


NEWER = Path(os.environ.get("LEADER_ASYNC_TEST_ZOOKEEPER_HOME") or Path(__file__).parents[2] / "build/zookeeper-3.9")
"""Where a server of 3.9 is, if there is one; its jars are in `lib`."""


def classpath(home: Path | None = None) -> str | None:
    """Where the server's classes are, None if there is no such ZooKeeper on this machine.

    Args:
        home: a folder with `lib`; None for what ZOOKEEPER_HOME says, or else Debian's.
    """
    if shutil.which("java") is None:
        return None
    if home is None and (named := os.environ.get("ZOOKEEPER_HOME")):
        home = Path(named)
    if home is not None:
        # `zookeeper-jute` before `zookeeper`: Debian's names another one, and the first that has a class is taken.
        return ":".join(map(str, sorted((home / "lib").glob("*.jar"), reverse=True))) or None
    return ":".join(map(str, DEBIAN_JARS + NETTY_JARS)) if all(jar.exists() for jar in DEBIAN_JARS) else None


def version() -> tuple[int, int]:
    """Of the server that `classpath` names: 3.8 is (3, 8)."""
    for name in (classpath() or "").split(":"):
        if found := re.fullmatch(r"zookeeper-(\d+)\.(\d+).*\.jar", Path(name).resolve().name):
            return int(found[1]), int(found[2])
    return (0, 0)


def speaks_tls() -> bool:
    """Whether a server can be had that speaks TLS."""
    home = bool(os.environ.get("ZOOKEEPER_HOME"))
    return classpath() is not None and (home or all(jar.exists() for jar in NETTY_JARS))


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on."""
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [sock.getsockname()[1] for sock in socks]


class Server:
    """One ZooKeeper server.

    Args:
        folder: where its configuration, data and log go.
        host: the address its clients reach it at.
        port: the port for clients.
        settings: more lines of its configuration.
        number: its number in an ensemble, None for a standalone one.
        namespace: the network namespace that it runs in.
        home: where its classes are; see `classpath`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        port: int,
        settings: Sequence[str] = (),
        number: int | None = None,
        namespace: str | None = None,
        home: Path | None = None,
    ) -> None:
        self.folder, self.host, self.port, self.namespace, self.home = folder, host, port, namespace, home
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir(parents=True)
        if number is not None:
            (folder / "data" / "myid").write_text(str(number))
        lines = [f"dataDir={folder / 'data'}", f"clientPort={port}", "admin.enableServer=false", *settings]
        (folder / "zoo.cfg").write_text("\n".join(lines) + "\n")

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def start(self) -> None:
        """Start it, on the data that it had."""
        classes = classpath(self.home)
        assert classes is not None, "no ZooKeeper here"
        assert self._process is None
        inside = ["ip", "netns", "exec", self.namespace] if self.namespace else []
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *inside,
                    "java",
                    "-Xmx128m",
                    "-XX:+UseSerialGC",
                    "-XX:TieredStopAtLevel=1",
                    "-Dzookeeper.forceSync=no",
                    "-Dorg.slf4j.simpleLogger.showDateTime=true",  # Debian's way of logging has no times by itself
                    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss,SSS",
                    "-cp",
                    classes,
                    "org.apache.zookeeper.server.quorum.QuorumPeerMain",
                    str(self.folder / "zoo.cfg"),
                ],
                stdout=log,
                stderr=log,
            )

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal: SIGSTOP freezes it, SIGCONT lets it go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """As a crash would end it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def ready(self, limit: float = 60.0) -> None:
        """Return once it serves sessions."""
        async with asyncio.timeout(limit):
            while not await self._serves():
                assert self._process is not None
                assert self._process.poll() is None, self.log()
                await asyncio.sleep(0.02)

    async def start_ready(self) -> None:
        self.start()
        await self.ready()

    def log(self) -> str:
        """The end of its log, for a failed test."""
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    async def mode(self) -> str:
        """`standalone`, `leader` or `follower`; "" if it does not say."""
        answer = await self.word(b"srvr")
        lines = [line for line in answer.decode().splitlines() if line.startswith("Mode: ")]
        return lines[0].removeprefix("Mode: ") if lines else ""

    async def word(self, command: bytes) -> bytes:
        """The answer to a four-letter word."""
        return await self._ask(command)

    async def _serves(self) -> bool:
        # A session of our own: four-letter words may be forbidden, and prove less.
        handshake = struct.pack("!iqiqi", 0, 0, 4000, 0, 16) + bytes(16)
        answer = await self._ask(struct.pack("!i", len(handshake)) + handshake)
        if len(answer) < 20:
            return False
        return struct.unpack_from("!q", answer, 12) != (0,)

    async def _ask(self, data: bytes) -> bytes:
        try:
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection(self.host, self.port)
                try:
                    writer.write(data)
                    if len(data) == 4:
                        return await reader.read(-1)
                    answer = await reader.readexactly(24)
                    # Close the session, so that it does not linger until its timeout.
                    writer.write(struct.pack("!iii", 8, 1, -11))
                    await reader.read(-1)
                    return answer
                finally:
                    writer.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return b""


class Ensemble:
    """Three servers.

    Args:
        folder: where their folders go.
        settings: lines for each one's configuration.
        lab: network namespaces to run them in, None for all on the loopback interface.
    """

    def __init__(self, folder: Path, settings: Sequence[str] = (), lab: Lab | None = None) -> None:
        self.lab = lab
        ports = free_ports(9)
        hosts = [lab.address(n) if lab else "127.0.0.1" for n in range(3)]
        peers = [f"server.{n + 1}={hosts[n]}:{ports[3 + n]}:{ports[6 + n]}" for n in range(3)]
        self.servers = [
            Server(
                folder / f"zk{n + 1}",
                host=hosts[n],
                port=ports[n],
                settings=[*settings, *peers],
                number=n + 1,
                namespace=lab.names[n] if lab else None,
            )
            for n in range(3)
        ]

    @property
    def address(self) -> str:
        return ",".join(server.address for server in self.servers)

    async def start_ready(self) -> None:
        for server in self.servers:
            server.start()
        await asyncio.gather(*(server.ready() for server in self.servers))

    def kill(self) -> None:
        for server in self.servers:
            server.kill()

    async def leader(self) -> Server:
        """The server that leads the ensemble."""
        async with asyncio.timeout(60):
            while True:
                for server in self.servers:
                    if await server.mode() == "leader":
                        return server
                await asyncio.sleep(0.05)


class Lab:
    """Network namespaces on one bridge, which the machine reaches by an interface of its own.

    Everything is named after this process, and goes when `close` is called.

    Args:
        hosts: how many; the first three are for the servers.
    """

    def __init__(self, hosts: int = 3) -> None:
        tag = f"la{os.getpid() % 100000}"
        self._net = f"10.{(os.getpid() >> 8) % 100 + 100}.{os.getpid() % 250 + 1}"
        self._hub = f"{tag}h"
        self._uplink = f"{tag}u"
        self.names = [f"{tag}{n}" for n in range(hosts)]

    def address(self, number: int) -> str:
        return f"{self._net}.{number + 1}"

    def open(self) -> None:
        try:
            _ip("netns", "add", self._hub)
            _ip("-n", self._hub, "link", "add", "br0", "type", "bridge")
            _ip("-n", self._hub, "link", "set", "br0", "up")
            _ip("link", "add", self._uplink, "type", "veth", "peer", "name", "up0", "netns", self._hub)
            _ip("-n", self._hub, "link", "set", "up0", "master", "br0", "up")
            _ip("addr", "add", f"{self._net}.254/24", "dev", self._uplink)
            _ip("link", "set", self._uplink, "up")
            for number, name in enumerate(self.names):
                _ip("netns", "add", name)
                _ip("-n", name, "link", "set", "lo", "up")
                _ip("-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", f"p{number}", "netns", self._hub)
                _ip("-n", self._hub, "link", "set", f"p{number}", "master", "br0", "up")
                _ip("-n", name, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
                _ip("-n", name, "link", "set", "eth0", "up")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for name in (*self.names, self._hub):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", self._uplink], capture_output=True, check=False)

    def isolate(self, number: int) -> None:
        """Cut one server off from the other two; whoever is connected to it stays so."""
        self._rules(number, "-I")

    def heal(self, number: int) -> None:
        """Undo `isolate`."""
        self._rules(number, "-D")

    def _rules(self, number: int, action: str) -> None:
        for other in {0, 1, 2} - {number}:
            for chain, flag in (("INPUT", "-s"), ("OUTPUT", "-d")):
                _run("ip", "netns", "exec", self.names[number], "iptables", action, chain, flag, self.address(other),
                     "-j", "DROP")  # fmt: skip


def lab_problem() -> str | None:
    """Why namespaces cannot be had here, None if they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [tool for tool in ("ip", "iptables") if shutil.which(tool) is None]
    return f"no {' and no '.join(missing)} here (Debian: iproute2, iptables)" if missing else None


def _ip(*arguments: str) -> None:
    _run("ip", *arguments)


def _run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(command)}: {result.stderr}"
