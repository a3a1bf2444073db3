"""What the local cluster runs: the commands and configurations of ZooKeeper, the replicas and nginx.

Rule: nginx gets the text of nginx.conf with other paths, port and servers, so both ways of running balance alike.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .settings import HOST, ClusterError

DEBIAN_JARS = (Path("/usr/share/java/zookeeper.jar"), Path("/usr/share/java/slf4j-simple.jar"))
NGINX_CONF = Path(__file__).with_name("nginx.conf")
MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"

TICK = 1.0
"""Seconds of the tick of the ZooKeeper that we start."""

NO_ZOOKEEPER = """\
{problem}, so ZooKeeper cannot be started. One of these helps:
  apt install zookeeper             Debian, Ubuntu; brings Java along
  ZOOKEEPER_HOME=folder make up     an unpacked Apache ZooKeeper; needs Java
  ZOOKEEPER=host:port make up       one that runs already
  ZOOKEEPER=embedded make up        leader_async's own, in memory
  start Docker                      then `make up` uses containers"""

EMBEDDED = """\
{why}: using the embedded one.
It has NO REPLICATION and keeps NOTHING ON DISK: good for trying things, for nothing else.
{remedy}"""
REMEDY = "For a real one: apt install zookeeper, or ZOOKEEPER=host:port make up, or start Docker."


# -- ZooKeeper ---------------------------------------------------------------------------------------------------------


def zookeeper_command(folder: Path, port: int) -> list[str]:
    """The command of a ZooKeeper server with its data in this folder, which gets its configuration.

    Raises:
        ClusterError: there is no Java or no ZooKeeper here.
    """
    java, classes = find_java(), find_zookeeper()
    (folder / "data").mkdir(parents=True, exist_ok=True)
    config = folder / "zoo.cfg"
    config.write_text(
        f"dataDir={folder / 'data'}\n"
        f"clientPortAddress={HOST}\n"
        f"clientPort={port}\n"
        # Sessions expire on a tick, so a crashed leader is found out up to a tick later than its timeout.
        f"tickTime={TICK * 1000:.0f}\n"
        "admin.enableServer=false\n"
        "4lw.commands.whitelist=srvr,conf\n"
        "autopurge.purgeInterval=24\n"
    )
    return [java, "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classes, MAIN, str(config)]


def embedded_command(port: int) -> list[str]:
    """The command of the embedded ZooKeeper."""
    return [find_leader_async(), "zookeeper", "--host", HOST, "--port", str(port), "--tick", f"{TICK:g}"]


def why_embedded(wanted: str) -> str | None:
    """Why the embedded ZooKeeper is used, None if a real one is to be started.

    Args:
        wanted: the variable ZOOKEEPER.

    Raises:
        ClusterError: there is none where ZOOKEEPER_HOME says, or no Java to run it with.
    """
    if wanted == "embedded":
        return "ZOOKEEPER=embedded"
    try:
        find_java()
        find_zookeeper()
    except ClusterError as error:
        if os.environ.get("ZOOKEEPER_HOME", "").strip():
            raise
        return str(error).partition(", so ZooKeeper")[0]
    return None


def find_java() -> str:
    """The `java` of JAVA_HOME or of the path."""
    home = os.environ.get("JAVA_HOME", "")
    java = shutil.which("java", path=f"{home}/bin") if home else None
    java = java or shutil.which("java")
    if java is None:
        raise ClusterError(NO_ZOOKEEPER.format(problem="There is no `java` on the PATH"))
    # A wrapper on the PATH need not find a Java (macOS has one that only says where to get it).
    try:
        found = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
        problem = None if found.returncode == 0 else (found.stderr.strip().splitlines() or ["no reason given"])[0]
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    if problem is not None:
        raise ClusterError(NO_ZOOKEEPER.format(problem=f"{java} does not work ({problem})"))
    return java


def find_zookeeper() -> str:
    """The class path of ZooKeeper's server."""
    home = os.environ.get("ZOOKEEPER_HOME", "").strip()
    if home:
        folder = Path(home).absolute()
        if not list(folder.glob("lib/zookeeper-*.jar")):
            raise ClusterError(f"ZOOKEEPER_HOME={home} holds no lib/zookeeper-*.jar; give the unpacked Apache tarball")
        # The folder conf tells its logger where to write to.
        return f"{folder / 'conf'}:{folder / 'lib'}/*"
    missing = [str(jar) for jar in DEBIAN_JARS if not jar.exists()]
    if missing:
        raise ClusterError(NO_ZOOKEEPER.format(problem=f"There is no {missing[0]} and no ZOOKEEPER_HOME"))
    return ":".join(map(str, DEBIAN_JARS))


def serves(port: int) -> bool:
    """Whether the ZooKeeper that we started takes sessions."""
    try:
        with socket.create_connection((HOST, port), timeout=2) as sock:
            sock.sendall(b"srvr")
            return b"Mode: " in b"".join(iter(lambda: sock.recv(4096), b""))
    except OSError:
        return False


def check_reachable(connect: str) -> None:
    """See that one of the servers in a connect string takes connections.

    Raises:
        ClusterError: none does, or the string makes no sense.
    """
    problems = []
    for server in connect.partition("/")[0].split(","):
        host, colon, port = server.strip().rpartition(":")
        if not colon or not port.isdigit() or not host:
            raise ClusterError(f"ZOOKEEPER={connect}: {server!r} is not host:port")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=3).close()
            return
        except (OSError, OverflowError, UnicodeError) as error:
            problems.append(f"{server}: {error}")
    told = "; ".join(problems)
    raise ClusterError(f"ZOOKEEPER={connect} cannot be reached ({told}); start it, or leave ZOOKEEPER out")


def find_leader_async() -> str:
    """The command of the environment that runs this one, whether it has been activated or not.

    Raises:
        ClusterError: it is not installed.
    """
    command = Path(sys.executable).with_name("leader-async")
    found = str(command) if command.exists() else shutil.which("leader-async")
    if found is None:
        raise ClusterError("leader-async is not installed; run `make deps`")
    return found


# -- replicas ----------------------------------------------------------------------------------------------------------


def replica_command(name: str, port: int, zookeeper: str, shared_port: int | None) -> list[str]:
    """The command of one replica; the rest of its settings are its LEADER_ASYNC_* variables.

    Raises:
        ClusterError: leader-async is not installed.
    """
    found = find_leader_async()
    shared = ["--shared-port", str(shared_port)] if shared_port is not None else []
    return [
        found, "serve", "--zookeeper", zookeeper, "--identity", name, "--host", HOST, "--port", str(port), *shared,
    ]  # fmt: skip


def replica_environment() -> dict[str, str]:
    """Ours, without what cannot be the same for all replicas."""
    own = {"LEADER_ASYNC_ADDRESS", "LEADER_ASYNC_SHARED_PORT"}
    return {name: value for name, value in os.environ.items() if name not in own}


# -- nginx -------------------------------------------------------------------------------------------------------------


def find_nginx() -> str | None:
    """Where nginx is, None to do without: NGINX, or else the one of this machine.

    Raises:
        ClusterError: NGINX leads nowhere.
    """
    given = os.environ.get("NGINX", "").strip()
    if given == "none":
        return None
    # Debian has it where only root's PATH leads.
    found = shutil.which(given or "nginx", path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))
    if given and found is None:
        raise ClusterError(f"NGINX={given} is no program; give its path, or NGINX=none to do without")
    return found


def nginx_conf(port: int, replicas: Sequence[int], folder: Path) -> str:
    """nginx.conf for this machine.

    Args:
        port: where it listens.
        replicas: the ports of the replicas.
        folder: for its temporary files.
    """
    servers = "\n".join(f"        server {HOST}:{replica} max_fails=0;" for replica in replicas)
    # Started by root, nginx would hand the folder's requests to a user who may not look into it.
    user = "user root;\n" if os.geteuid() == 0 else ""
    text = NGINX_CONF.read_text()
    for pattern, local in (
        # `resolve` needs a newer nginx than many a system has, and there is no name to resolve.
        (r"^ *# Docker's own DNS.*\n", ""),
        (r"^ *resolver(_timeout)? .*;\n", ""),
        (r"^ *server leader-election:8080 .*;$", servers),
        (r"\blisten 8080;", f"listen {HOST}:{port};"),
        (r"(?<= )/tmp/([a-z.]+);", f'"{folder}/\\1";'),
        (r"^worker_processes auto;", f"{user}worker_processes 1;"),
    ):
        text, count = re.subn(pattern, local, text, flags=re.MULTILINE)
        if count == 0:
            raise ClusterError(f"{NGINX_CONF} has changed: there is no {pattern} in it; adapt deploy/servers.py")
    return text


def write_nginx_conf(folder: Path, port: int, replicas: Sequence[int]) -> None:
    """Write nginx's configuration into its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nginx.conf").write_text(nginx_conf(port, replicas, folder))


def nginx_command(nginx: str, folder: Path) -> list[str]:
    """The command of nginx in the foreground, with its configuration in this folder."""
    return [nginx, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "/dev/stderr", "-g", "daemon off;"]
