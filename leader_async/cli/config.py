"""The settings of one replica, validated once. Pure: files and the environment are read by `main`.

Rules: a `Config` that exists can be used; what cannot is refused with the name of its flag and what to do. It does not
promise that a server answers at an address, or that a port is free.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .. import arguments
from ..errors import UsageError
from ..logs import FORMATS, Format
from ..watchdog import ACTIONS, Action
from ..zookeeper import hosts
from ..zookeeper.identity import Identity
from ..zookeeper.tls import TLS
from .certificate import Certificate

LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of `leader-async serve`; times in seconds.

    Attributes:
        zookeeper: the connect string.
        auth: who we are to ZooKeeper, None for nobody.
        tls: how to encrypt towards ZooKeeper, None for not at all.
        election: the election's name.
        root: the znode below which elections live.
        identity: who this replica is.
        address: where it is reached, for people; made of `host` and `port` if empty.
        host: the address to listen on.
        port: the port to listen on, 0 for any free one.
        shared_port: a port to listen on together with the other replicas of this machine, None for none.
        session_timeout: the session timeout to ask ZooKeeper for.
        lease: the lease.
        stop_timeout: the bound of a graceful stop.
        guardian: whether a guardian is to end the session if this process dies.
        overdue: what to do about work that runs on after its lease: `off`, `dump` or `exit`.
        resign_token: the bearer token of `POST /resign`, None to forbid it.
        certificate: what HTTP is encrypted with, None for not at all.
        log_level: the least severe messages to log.
        log_format: `text` or `json`.

    Raises:
        UsageError: a value cannot be used; the message names the flag and says what to do.
    """

    zookeeper: str = "127.0.0.1:2181"
    auth: Identity | None = None
    tls: TLS | None = None
    election: str = "leader"
    root: str = "/ELECTION"
    identity: str = ""
    address: str = ""
    host: str = "127.0.0.1"
    port: int = 8080
    shared_port: int | None = None
    session_timeout: float = 6.0
    lease: float = 3.0
    stop_timeout: float = 10.0
    guardian: bool = True
    overdue: Action = "dump"
    resign_token: str | None = field(default=None, repr=False)
    certificate: Certificate | None = None
    log_level: str = "info"
    log_format: Format = "text"

    def __post_init__(self) -> None:
        _named("--zookeeper", hosts.parse, self.zookeeper)
        _named("--root", hosts.check_path, self.root)
        arguments.name("--election", self.election, "use --root for the path above it")
        _named("--election", hosts.check_path, f"/{self.election}")
        for flag, text in (("--identity", self.identity), ("--address", self.address)):
            arguments.line(f"{flag} ", text, empty=True)
        if self.address and not _is_url(self.address):
            raise UsageError(f"--address {self.address!r} is not a URL; write http://host:port")
        for flag, port in (("--port", self.port), ("--shared-port", self.shared_port)):
            if port is not None and not 0 <= port <= 65535:
                raise UsageError(f"{flag} {port} is no port; give 1 to 65535" + (", or 0" if flag == "--port" else ""))
        if self.shared_port == 0 or (self.shared_port is not None and self.shared_port == self.port):
            raise UsageError(f"--shared-port {self.shared_port} must be a port of its own, other than --port")
        for flag, seconds in (("--session-timeout", self.session_timeout), ("--lease", self.lease)):
            arguments.seconds(f"{flag} ", seconds)
        arguments.seconds("--stop-timeout ", self.stop_timeout, least=0.001)
        if self.resign_token is not None and len(self.resign_token) < 16:
            raise UsageError("the resign token is too easy to guess: give at least 16 characters")
        if self.resign_token is not None and not (self.resign_token.isascii() and self.resign_token.isprintable()):
            raise UsageError("the resign token cannot be sent in a header: give one line of printable ASCII")
        if self.overdue not in ACTIONS:
            raise UsageError(f"--overdue {self.overdue!r} is none of {', '.join(ACTIONS)}")
        if self.log_level not in LOG_LEVELS:
            raise UsageError(f"--log-level {self.log_level!r} is none of {', '.join(LOG_LEVELS)}")
        if self.log_format not in FORMATS:
            raise UsageError(f"--log-format {self.log_format!r} is none of {', '.join(FORMATS)}")

    def url(self, port: int, machine: str) -> str:
        """Where this replica is reached, if it listens on `port` of the machine of that name."""
        host = machine if self.host in ("0.0.0.0", "::") else self.host
        scheme = "http" if self.certificate is None else "https"
        return self.address or f"{scheme}://{authority(host, port)}"


def authority(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _named(flag: str, check: Callable[[str], object], value: str) -> None:
    try:
        check(value)
    except UsageError as error:
        raise UsageError(f"{flag}: {error}") from error


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
