"""The status of a client's session, as a value. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """What a client knows of its session, from memory.

    Attributes:
        connected: a server serves the session now.
        since: wall-clock time of the last change of `connected`, in seconds since the epoch.
        server: `host:port` of the server, None when not connected.
        encryption: the version of TLS with it, None for none.
        session_id: ZooKeeper's id of the session, 0 for none.
        timeout_asked: the session timeout asked for, in seconds.
        timeout: the session timeout that the server granted, None before the first connection.
        last_error: why the last connection ended or could not be made, "" if that never happened.
    """

    connected: bool
    since: float
    server: str | None
    encryption: str | None
    session_id: int
    timeout_asked: float
    timeout: float | None
    last_error: str
