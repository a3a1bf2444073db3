"""The answers of `/healthz`, `/readyz` and systemd: whether to restart this process, and whether it could lead. Pure.

Rule: ZooKeeper's absence is no reason for a restart: an outage there must not restart a whole fleet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .election.status import Status

GRACE = 1.0
"""Seconds that work may run past the end of its lease before that calls for a restart."""


def unwell(status: Status) -> str | None:
    """Why this process should be restarted, None if it should not."""
    if not status.alive:
        return "the candidacy has died of a bug, see the log; restart this replica"
    if status.overdue > GRACE:
        return f"the work runs {status.overdue:.1f} s past the end of its lease; restart this replica"
    return None


def unready(status: Status, connected: bool) -> str | None:
    """Why this process could not lead, None if it could; `connected` says whether a server serves the session."""
    if not status.alive:
        return "the candidacy has died of a bug"
    if not connected:
        return "no ZooKeeper server is connected"
    if not status.in_queue:
        return f"not in the queue ({status.state})"
    return None
