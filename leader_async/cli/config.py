"""The settings of one replica: flag, default, help and check of each. Files and variables are read by `options`.

Rules: a `Config` that exists can be used; what cannot is refused with the name of its flag and what to do. A new flag
of `serve` is a setting here, and its name at the command in `main`.

It does not promise that a server answers at an address, or that a port is free.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .. import arguments
from ..election.names import ROOT
from ..election.rules.state import LEASE
from ..errors import UsageError
from ..logs import FORMATS, Format
from ..watchdog import ACTIONS, Action
from ..zookeeper import hosts
from ..zookeeper.identity import Identity
from ..zookeeper.tls import TLS
from .certificate import Certificate

if TYPE_CHECKING:
    from ..connection import Connection
    from ..election.election import Election

LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of `leader-async serve`; times in seconds.

    Attributes:
        auth: who this process is to ZooKeeper, None for no identity.
        tls: how to encrypt towards ZooKeeper, None for not at all.
        resign_token: the bearer token of `POST /resign`, None to forbid it.
        certificate: what HTTP is encrypted with, None for not at all.

    Raises:
        UsageError: a value cannot be used; the message names the flag and says what to do.
    """

    # fmt: off
    zookeeper: str = field(default="127.0.0.1:2181", metadata={
        "metavar": "HOSTS", "help": "The ensemble: host:port,host:port/chroot; IPv6 addresses in brackets.",
    })
    auth: Identity | None = None
    tls: TLS | None = None
    election: str = field(default="leader", metadata={
        "metavar": "NAME", "help": "The election to take part in. Replicas that give the same name elect one leader.",
    })
    root: str = field(default=ROOT, metadata={
        "metavar": "PATH", "help": "The znode below which elections live.",
    })
    identity: str = field(default="", metadata={
        "metavar": "NAME", "help": "Who this replica is.  [default: the host's name]",
    })
    address: str = field(default="", metadata={
        "metavar": "URL", "help": "Where people reach this replica.  [default: http://HOST:PORT, or with the machine's "
        "name if HOST is all addresses]",
    })
    host: str = field(default="127.0.0.1", metadata={
        "metavar": "ADDRESS", "help": "Listen on this address; 0.0.0.0 or :: for all.",
    })
    port: int = field(default=8080, metadata={
        "metavar": "N", "help": "Listen on this port; 0 for any free one, which is in the log.",
    })
    shared_port: int | None = field(default=None, metadata={
        "metavar": "N", "type": int, "help": "Listen on this port as well, together with the other replicas of this "
        "machine: the kernel spreads connections over them (SO_REUSEPORT).",
    })
    session_timeout: float = field(default=6.0, metadata={
        "metavar": "SECONDS", "help": "How long ZooKeeper keeps the place of a replica without a sign of life. The "
        "server may grant another one, see the log and /status.",
    })
    lease: float = field(default=LEASE, metadata={
        "metavar": "SECONDS", "help": "How long a leader leads without another confirm. Longer rides out longer "
        "outages; shorter lets another one lead sooner after a crash.",
    })
    stop_timeout: float = field(default=10.0, metadata={
        "metavar": "SECONDS", "help": "The bound of a graceful stop: handing over, answering what is under way, "
        "closing the session.",
    })
    guardian: bool = field(default=True, metadata={
        "help": "Have a small second process hand the lead over as soon as this one has died, however it dies. Without "
        "it the others wait for the session timeout.",
    })
    overdue: Action = field(default="dump", metadata={
        "metavar": "|".join(ACTIONS), "help": "What to do about work that runs on for one more lease after its own has "
        "run out: log where it hangs, or end this process as well.",
    })
    resign_token: str | None = field(default=None, repr=False)
    certificate: Certificate | None = None
    log_level: str = field(default="info", metadata={
        "metavar": "LEVEL", "help": f"One of {', '.join(LOG_LEVELS)}.",
    })
    log_format: Format = field(default="text", metadata={
        "help": "One line per event: for people, or as a JSON object with the fields of the event.",
    })
    # fmt: on

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

    def candidacy(self) -> tuple[Connection, Election]:
        """The connection, not started yet, and the election to be a candidate in."""
        from ..connection import connect

        connection = connect(
            self.zookeeper,
            timeout=self.session_timeout,
            auth=self.auth,
            tls=self.tls,
            guardian=self.guardian,
            overdue=self.overdue,
        )
        return connection, connection.election(
            self.election, identity=self.identity, address=self.address, lease=self.lease, root=self.root
        )

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
