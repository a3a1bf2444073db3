"""What the status service answers, as plain data and as HTTP responses; nothing here waits for anything.

Rules: `is_leader` in an answer is computed from the lease's deadline when the answer is made. Times that are shown to
people are wall-clock seconds since the epoch; durations are seconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus

from aiohttp import web
from multidict import CIMultiDict

from ..connection import Connection
from ..election.election import Election
from ..election.status import Status
from ..version import version

HEADERS: CIMultiDict[str] = CIMultiDict(
    {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Server": "leader_async",  # aiohttp would give its version, and Python's
    }
)
"""The headers of every answer: it is not kept, not shown in a frame, and not run. They are copied: that costs a poll
less than a middleware, or a signal."""
TEXT_HEADERS = HEADERS.copy()
TEXT_HEADERS["Content-Type"] = "text/plain; charset=utf-8"


def as_text(text: str) -> web.Response:
    """An answer of one line, made with the least effort: it is the poll's."""
    return web.Response(body=text.encode(), headers=TEXT_HEADERS.copy())


def json_text(data: object) -> str:
    """As JSON that people can read, too."""
    return json.dumps(data, indent=2) + "\n"


def as_json(data: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer in JSON."""
    all_of_them = HEADERS.copy()
    all_of_them.update(headers or {})
    return web.Response(text=json_text(data), status=status, content_type="application/json", headers=all_of_them)


class Constant:
    """An answer that never changes: its bytes and its headers, those beside its type, are made once."""

    def __init__(self, body: bytes, kind: str, headers: Mapping[str, str] = HEADERS) -> None:
        self._body, self._headers = body, CIMultiDict({**headers, "Content-Type": kind})

    def __call__(self) -> web.Response:
        """The answer, once more."""
        return web.Response(body=self._body, headers=self._headers.copy())


def error(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """An error in JSON: what went wrong, and what the client can do."""
    return as_json({"error": text, "status": status, "reason": HTTPStatus(status).phrase}, status, headers)


def leadership(identity: str, is_leader: bool) -> str:
    """The line of `GET /api/LeaderElection/is-leader`, kept as the service that this replaces had it."""
    return f"{identity} - {is_leader}"


def role(status: Status) -> dict[str, object]:
    """The identity of this replica, and who leads as far as it knows."""
    return {
        "identity": status.identity,
        "is_leader": status.is_leader,
        "state": status.state,
        "term": status.term if status.is_leader else None,
        "token": status.token if status.is_leader else None,
        "lease_left": round(status.lease_left, 3),
        "leader": status.identity if status.is_leader else status.leader,
        "leader_address": status.address if status.is_leader else status.leader_address,
        "leader_seen": status.leader_seen,
    }


def everything(election: Election, connection: Connection) -> dict[str, object]:
    """All that this replica knows, for `GET /status`."""
    status, session = election.status(), connection.client.status()
    return {
        "version": version(),
        **asdict(status),
        "lease_left": round(status.lease_left, 3),
        "overdue": round(status.overdue, 3),
        "session": {
            **asdict(session),
            "session_id": f"0x{session.session_id:x}",
            "away_since": None if session.connected else session.since,
            "guardian": connection.guardian,
        },
    }
