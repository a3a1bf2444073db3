"""Following: what `Election.watch` knows of an election, and how it is kept up to date.

Rules:
1. Record and queue are mirrored (`zookeeper.mirror`), so an event costs one read of what it was about. A
   candidate's data are read once for each znode, since who a candidate is never changes.
2. Of what happens while the follower is busy, or not connected, only the outcome is seen: the latest state, never a
   backlog.

Every follower of an election is woken by each of its changes, so hundreds of them are a herd; candidates that do not
follow are not, and cost nothing more than before.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from ..zookeeper.client import Client
from ..zookeeper.mirror import Mirror
from .queries import Read, in_queue, read_candidate_data, read_record
from .rules import queue as q
from .status import Candidate, Change, Status


class Following:
    """One follower's knowledge: of the record and the queue through `mirror`, of candidates' data through `client`."""

    def __init__(self, client: Client, parent: str, mirror: Mirror) -> None:
        self._client, self._parent, self._mirror = client, parent, mirror
        self._record, self._token, self._problem = read_record(parent, None)
        self._names: list[str] = []
        self._data: dict[str, Read] = {}
        self._last: Change | None = None

    async def look(self) -> None:
        """Read again what has changed.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked; what was not read is read the next time.
        """
        data, children = await asyncio.gather(self._mirror.data(self._parent), self._mirror.children(self._parent))
        self._record, self._token, self._problem = read_record(self._parent, data)
        self._names = q.in_order(children or ())
        self._data = {name: read for name, read in self._data.items() if name in self._names}
        new = [name for name in self._names if name not in self._data]
        found = await asyncio.gather(*(read_candidate_data(self._client, self._parent, name) for name in new))
        self._data |= {name: read for name, read in zip(new, found, strict=True) if read is not None}

    def change(self, status: Status, connected: bool) -> Change | None:
        """What has changed since the last call, None if nothing has; `status` is this process's own."""
        queue = tuple(in_queue(self._names, self._data, self._record, self._token))
        problem = "" if self._problem is None else str(self._problem)
        leader: Candidate | None = next((one for one in queue if one.is_leader), None)
        now, last = Change((), leader, queue, status, connected, problem), self._last
        if last is None:
            what: tuple[str, ...] = ("leader", "queue", "status", "connected")
        else:
            pairs = {
                "leader": ((_who(leader), problem), (_who(last.leader), last.problem)),
                "queue": ([_who(one) for one in queue], [_who(one) for one in last.queue]),
                "status": (_steady(status), _steady(last.status)),
                "connected": (connected, last.connected),
            }
            what = tuple(name for name, (new, old) in pairs.items() if new != old)
        if not what:
            return None
        self._last = replace(now, what=what)
        return self._last


def _who(one: Candidate | None) -> tuple[str, int | None] | None:
    return None if one is None else (one.znode, one.token)


def _steady(status: Status) -> Status:
    """A status without what changes as time passes."""
    return replace(status, lease_left=0.0, leader_seen=None, overdue=0.0, since=0.0)
