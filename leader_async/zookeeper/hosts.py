"""The connect string: which servers, and below which znode.

`a:2181,b:2181,[::1]:2181/app` means three servers and the chroot `/app`, as in ZooKeeper's own clients. Pure:
`dialling` resolves the names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..errors import UsageError

DEFAULT_PORT = 2181
WRITE = "write host:2181,host:2181,[::1]:2181/chroot"
_HOST = re.compile(r"[A-Za-z0-9_.:%-]+")


@dataclass(frozen=True, slots=True)
class Server:
    """One server's name (or address) and port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The servers, and the znode below which all paths are ("" for none)."""

    servers: tuple[Server, ...]
    chroot: str = ""

    def __str__(self) -> str:
        return ",".join(map(str, self.servers)) + self.chroot


def parse(servers: str | Sequence[str]) -> Ensemble:
    """Read a connect string.

    Args:
        servers: `host[:port][,host[:port]...][/chroot]`, or a list of `host[:port]`, the last one with the chroot;
            IPv6 addresses in brackets; the default port is 2181.

    Raises:
        UsageError: it cannot be read; the message quotes the part that is wrong.
    """
    if not isinstance(servers, str):
        if not (isinstance(servers, Sequence) and all(isinstance(one, str) for one in servers)):
            raise UsageError(f"{servers!r} is no ZooKeeper address; {WRITE}, or a list of hosts")
        servers = ",".join(servers)
    if "://" in servers:
        raise UsageError(f"the ZooKeeper address {servers!r} is a URL; {WRITE}, without http:// or the like")
    hosts, slash, chroot = servers.strip().partition("/")
    if "," in chroot:
        # As a path it would name another znode than the other replicas', and so another election.
        raise UsageError(
            f"the ZooKeeper address {servers!r} goes on behind its chroot; the chroot stands once, at the end: {WRITE}"
        )
    found = tuple(_server(host.strip(), servers) for host in hosts.split(","))
    return Ensemble(tuple(dict.fromkeys(found)), check_path("/" + chroot.rstrip("/")) if slash and chroot else "")


def _server(text: str, whole: str) -> Server:
    hint = f"in the ZooKeeper address {whole!r}; {WRITE}"
    if ";" in text:
        raise UsageError(f"hosts are separated by commas, not by ';', {hint}")
    if not text:
        raise UsageError(f"an empty host {hint}")
    if text.count(":") > 1 and not text.startswith("["):
        raise UsageError(f"an IPv6 address goes into brackets, not {text!r}, {hint}")
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{text!r} ({error}) {hint}") from error
    if not host or not _HOST.fullmatch(host) or parts.netloc != text or "@" in text or port == 0:
        raise UsageError(f"{text!r} is not a host with a port {hint}")
    return Server(host, DEFAULT_PORT if port is None else port)


def check_path(path: str) -> str:
    """Return `path` if it can be a znode's.

    Raises:
        UsageError: it is not absolute, or has an empty, `.` or `..` component or a character ZooKeeper refuses.
    """
    components = path.split("/")
    if components[0] or len(components) < 2 or any(part in ("", ".", "..") for part in components[1:]):
        raise UsageError(f"{path!r} is not a znode's path: it starts with / and has no empty, '.' or '..' part")
    if not all(character.isprintable() for character in path):
        raise UsageError(f"{path!r} has a character that a znode's path cannot have")
    return path
