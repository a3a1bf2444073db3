"""What a supervisor and its leader say to each other: one JSON object a packet, on a socket that keeps packets whole.

Rule: nobody waits for the other. What one that does not listen is told may be lost.
"""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable
from typing import Any

log = logging.getLogger("leader_async.run")

LONGEST = 2**16
"""Bytes of a packet."""


def say(sock: socket.socket, what: str, **fields: Any) -> None:
    """Say it, if the other end is there and has room."""
    try:
        sock.send(json.dumps({"say": what, **fields}).encode())
    except OSError as error:
        log.debug("%s", error)


def hear(sock: socket.socket, take: Callable[[dict[str, Any]], None]) -> bool:
    """Give all that was said to `take`; False once the other end is gone."""
    try:
        while data := sock.recv(LONGEST):
            take(json.loads(data))
    except BlockingIOError:
        return True
    except OSError as error:
        log.debug("%s", error)
    return False
