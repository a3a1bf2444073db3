"""Following: what `Election.watch` knows of an election, and how it is kept up to date.

Rules:
1. The record has a data watch and the queue a children watch. An event costs one read of what it was about, behind
   which the next event counts; a candidate's data are read once for each znode, since who a candidate is never changes.
2. A connection's watches end with it: on the next one both are read again. Of what happened in between, and of what
   happens while the follower is busy, only the outcome is seen: the latest state, never a backlog.

Every follower of an election is woken by each of its changes, so hundreds of them are a herd; candidates that do not
follow are not, and cost nothing more than before.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from ..errors import NoNode, RecordError
from ..zookeeper import messages as m
from ..zookeeper.client import Client
from .queries import Read, in_queue, read_candidate_data
from .rules import queue as q
from .rules import record as r
from .status import Candidate, Change, Status


class Following:
    """One follower's knowledge.

    Args:
        client: through whom to read.
        parent: path of the election's znode.
    """

    def __init__(self, client: Client, parent: str) -> None:
        self._client, self._parent = client, parent
        self._record_due = self._queue_due = True
        self._record, self._token, self._problem = r.Record(), 0, ""
        self._names: list[str] = []
        self._data: dict[str, Read] = {}
        self._last: Change | None = None

    def told(self, event: m.SessionEvent | m.Watched) -> None:
        """Something has happened: to the session, or below the election's znode or to it."""
        if not isinstance(event, m.Watched):
            self._record_due = self._queue_due = True  # the watches of a connection end with it
        elif event.path == self._parent:
            self._record_due |= event.change is not m.EventType.CHILDREN
            self._queue_due |= event.change is not m.EventType.DATA

    async def look(self) -> None:
        """Read again what has changed.

        Raises:
            ZooKeeperError: ZooKeeper cannot be asked; what was not read stays due.
        """
        await asyncio.gather(self._look_at_record(), self._look_at_queue())
        new = [name for name in self._names if name not in self._data]
        found = await asyncio.gather(*(read_candidate_data(self._client, self._parent, name) for name in new))
        self._data |= {name: read for name, read in zip(new, found, strict=True) if read is not None}

    async def _look_at_record(self) -> None:
        if not self._record_due:
            return
        self._record_due = False  # an event from here on is a new one
        try:
            data = await self._client.request(m.GetData(self._parent, watch=True))
            assert isinstance(data, m.Data)
            self._record = r.decode(data.data, data.stat.version, self._parent)
            self._token, self._problem = r.token_of(self._record, data.stat.mzxid), ""
        except RecordError as error:  # until it is put right, of which the watch tells
            self._record, self._token, self._problem = r.Record(), 0, str(error)
        except NoNode:
            self._record, self._token, self._problem, self._names = r.Record(), 0, "", []
            try:
                await self._client.request(m.Exists(self._parent, watch=True))
            except NoNode:
                return
            self._record_due = self._queue_due = True  # it was created in between
            await self._look_at_record()
        except BaseException:
            self._record_due = True
            raise

    async def _look_at_queue(self) -> None:
        if not self._queue_due:
            return
        self._queue_due = False
        try:
            children = await self._client.request(m.GetChildren(self._parent, watch=True))
        except NoNode:
            self._names = []
        except BaseException:
            self._queue_due = True
            raise
        else:
            assert isinstance(children, m.Children)
            self._names = q.in_order(children.names)
            self._data = {name: read for name, read in self._data.items() if name in self._names}

    def change(self, status: Status, connected: bool) -> Change | None:
        """What has changed since the last call, None if nothing has.

        Args:
            status: this process's own.
            connected: whether a server serves the session.
        """
        queue = tuple(in_queue(self._names, self._data, self._record, self._token))
        leader: Candidate | None = next((one for one in queue if one.is_leader), None)
        now, last = Change((), leader, queue, status, connected, self._problem), self._last
        if last is None:
            what: tuple[str, ...] = ("leader", "queue", "status", "connected")
        else:
            pairs = {
                "leader": ((_who(leader), self._problem), (_who(last.leader), last.problem)),
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
    """A status without what changes by itself as time passes."""
    return replace(status, lease_left=0.0, leader_seen=None, overdue=0.0, since=0.0)
