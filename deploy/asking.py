"""Asking replicas over HTTP who leads, and timing how the lead passes on."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .settings import HOST, ClusterError

IS_LEADER = "/api/LeaderElection/is-leader"
PAUSE = 0.002
"""Seconds between two rounds of asking while the lead passes on: what a measured time is off by."""


@dataclass(frozen=True, slots=True)
class Poll:
    """One answer of `GET /api/LeaderElection/is-leader`."""

    host: str
    leads: bool


def get(port: int, path: str, *, limit: float = 2.0, headers: dict[str, str] | None = None) -> tuple[int, str] | None:
    """Status and body of a GET to this machine, None if nobody answered."""
    # Not urllib: that would go through a proxy named in the environment.
    connection = http.client.HTTPConnection(HOST, port, timeout=limit)
    try:
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def poll(port: int, *, limit: float = 2.0) -> Poll | None:
    """Who answers at this port, and whether it leads; None if nobody does."""
    answer = get(port, IS_LEADER, limit=limit, headers={"Accept": "application/json"})
    try:
        known = json.loads(answer[1]) if answer and answer[0] == 200 else None
        return Poll(str(known["host"]), known["is_leader"] is True) if known else None
    except (ValueError, KeyError, TypeError):
        return None  # something else listens there


def status(port: int, path: str = "/status") -> dict[str, Any] | None:
    """A replica's `/status`; None if nobody answers 200."""
    answer = get(port, path)
    try:
        known = json.loads(answer[1]) if answer and answer[0] == 200 else None
    except ValueError:
        return None
    return known if isinstance(known, dict) else None


def port_is_free(port: int, host: str = HOST) -> bool:
    """Whether nobody listens there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        # As servers do it: connections of an earlier one that linger in TIME_WAIT do not count.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError:
            return False
    return True


def free_port(above: int, taken: set[int]) -> int:
    """The first free port above this one that is not in `taken`."""
    for port in range(above + 1, min(above + 1000, 65536)):
        if port not in taken and port_is_free(port):
            return port
    raise ClusterError(f"no free port between {above} and {above + 1000}; give another PORT")


def wait_until(done: Callable[[], bool], limit: float, pause: float = 0.05) -> bool:
    """Ask again and again until it is so; False when the limit, in seconds, has passed."""
    end = time.monotonic() + limit
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True


@dataclass(frozen=True, slots=True)
class Takeover:
    """How the lead passed on; times in seconds.

    Attributes:
        leader: who leads now.
        after: from the order (the signal) to the new one's first True.
        gap: from the old one's last True to the new one's first True.
    """

    leader: str
    after: float
    gap: float


def takeover(leader: Callable[[], str | None], old: str, began: float, limit: float) -> Takeover | None:
    """Ask who leads until another than `old` says so; None when the limit has passed.

    Args:
        leader: asks all of them once.
        old: who led before.
        began: `time.monotonic()` when the old one was told to go.
        limit: seconds after `began` to go on for.
    """
    last = began
    while (now := time.monotonic()) < began + limit:
        name = leader()
        if name == old:
            last = now
        elif name is not None:
            now = time.monotonic()
            return Takeover(name, now - began, now - last)
        time.sleep(PAUSE)
    return None
