"""The messages between an application and its guardian: one JSON object a line. Pure.

Rules: the guardian sends `Ready` first, when it knows how it will notice the application's end. The application sends
nothing before that. So a process that sends a `Begun` lived after the guardian had begun to watch it.

It does not promise that both sides have one version: a line that cannot be read raises a `ValueError`, and the reader
closes the connection.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from .. import stored
from ..zookeeper.identity import Identity, restore
from ..zookeeper.session import Credentials
from ..zookeeper.tls import TLS

LINE_LIMIT = 2**16
"""Bytes of the longest line; ZooKeeper's paths are far shorter."""


@dataclass(frozen=True, slots=True)
class Ready:
    """To the application: it is watched."""


@dataclass(frozen=True, slots=True)
class Begun:
    """To the guardian: guard this session, instead of any before.

    Attributes:
        servers: the connect string.
        auth: who the application is to ZooKeeper.
    """

    servers: str
    credentials: Credentials
    auth: Identity | None = None
    tls: TLS | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """To the guardian: the session may lead the election whose znode has this path, now or later."""

    parent: str


@dataclass(frozen=True, slots=True)
class Closed:
    """To the guardian: the session was closed; nothing follows.

    If ZooKeeper has not `confirmed` it, closing is worth another try when the process has ended.
    """

    confirmed: bool


@dataclass(frozen=True, slots=True)
class Helper:
    """To the guardian: this process ends what the application has started, so wait for its end as well.

    It lives, or the application has not taken its exit status yet.
    """

    pid: int


Message: TypeAlias = Ready | Begun | Joined | Closed | Helper


def encode(message: Message) -> bytes:
    """The message as a line."""
    fields: dict[str, Any]
    match message:
        case Ready():
            fields = {"say": "ready"}
        case Begun(servers, credentials, auth, tls):
            fields = {
                "say": "begun",
                "servers": servers,
                "session": credentials.session_id,
                "password": credentials.password.hex(),
                "timeout": credentials.timeout,
                "zxid": credentials.last_zxid,
                "auth": auth and auth.fields(),
                "tls": tls and asdict(tls),
            }
        case Joined(parent):
            fields = {"say": "joined", "parent": parent}
        case Helper(pid):
            fields = {"say": "helper", "pid": pid}
        case _:
            fields = {"say": "closed", "confirmed": message.confirmed}
    return json.dumps(fields).encode() + b"\n"


def _decode(line: bytes) -> Message:
    try:
        said = stored.Fields(stored.parse(line, LINE_LIMIT))
        match said.text("say"):
            case "ready":
                return Ready()
            case "begun":
                return _begun(said)
            case "joined":
                return Joined(_exact(said, "parent"))
            case "helper":
                return Helper(said.whole("pid", 1, stored.INT))
            case "closed":
                return Closed(said.flag("confirmed"))
    except ValueError:
        pass  # not the cause either: it would show the line, which may hold a password
    raise ValueError("a line that no version of this library's guardian knows")


def _begun(said: stored.Fields) -> Begun:
    credentials = Credentials(
        said.whole("session", -stored.LONG - 1, stored.LONG),
        bytes.fromhex(said.exact("password")),
        said.number("timeout", 0, stored.INT / 1000),
        said.whole("zxid", -stored.LONG - 1, stored.LONG),
    )
    auth = restore(stored.Fields(said.value("auth"))) if "auth" in said else None
    tls = _tls(stored.Fields(said.value("tls"))) if "tls" in said else None
    return Begun(_exact(said, "servers"), credentials, auth, tls)


def _tls(said: stored.Fields) -> TLS:
    files = {name: _exact(said, name) if name in said else None for name in ("ca", "cert", "key")}
    return TLS(**files, check_hostname=said.flag("check_hostname"))


def _exact(said: stored.Fields, name: str) -> str:
    text = said.exact(name, most=LINE_LIMIT)
    text.encode()  # a lone surrogate raises a ValueError: ZooKeeper could not be asked about such a path
    return text


class MessageReader:
    """Cuts what arrives into messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are complete with this data; raises a ValueError, which quotes nothing, for any other."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            yield _decode(line)
        if len(self._rest) > LINE_LIMIT:
            raise ValueError("a line without an end")
