"""Writes to ZooKeeper that happen only while a term stands.

A transaction begins with the checks of a confirm: the term's own znode is there, and the record stands at the version
that this term holds. Nobody else can lead at the instant at which ZooKeeper commits it, whatever the clocks say, so it
needs no token and nothing on the other side that compares one.

It does not promise that the caller learns of the outcome: an answer can be lost on its way (`ConnectionLost`).
"""

from __future__ import annotations

from typing import TypeAlias

from ..errors import TermEnded
from ..zookeeper import hosts
from ..zookeeper import messages as m
from ..zookeeper.client import Client
from .rules import ends
from .rules import record as r
from .rules.lease import Hold
from .rules.words import over

Result: TypeAlias = str | int | None
"""Of `create` the path of the new znode, of `set_data` the znode's new version, of the others None."""


class Transaction:
    """Collects operations, then commits all of them or none. Made by `Term.transaction`.

        writes = term.transaction().set_data("/reports/last", b"17", version=4)
        writes.create("/reports/done/n-", sequential=True)
        version, path = await writes.commit()

    Paths are below the connect string's chroot.
    """

    def __init__(self, client: Client, parent: str, hold: Hold) -> None:
        self.committed_at: float | None = None
        """ZooKeeper's wall-clock time of the commit, in seconds since the epoch, if it has set any data."""
        self._client, self._hold = client, hold
        self._operations: list[m.Operation] = list(r.confirm(parent, hold.holder, hold.version))
        self._checks = len(self._operations)

    def create(self, path: str, data: bytes = b"", *, ephemeral: bool = False, sequential: bool = False) -> Transaction:
        """Create a znode; with `connect(auth=…)` for those who give the same credentials, else for everybody.

        Args:
            path: where; its parent must exist.
            data: what it holds.
            ephemeral: it ends with this process's session.
            sequential: ZooKeeper appends ten digits to the path, counting upwards.

        Raises:
            UsageError: no znode can have this path.
        """
        whole = self._path(f"{path}0")[:-1] if sequential else self._path(path)
        return self._add(m.Create(whole, data, ephemeral, sequential))

    def set_data(self, path: str, data: bytes, version: int = m.ANY_VERSION) -> Transaction:
        """Set a znode's data.

        Args:
            path: whose.
            data: what it is to hold.
            version: refuse unless the znode stands at this one; -1 for any.

        Raises:
            UsageError: no znode can have this path.
        """
        return self._add(m.SetData(self._path(path), data, version))

    def delete(self, path: str, version: int = m.ANY_VERSION) -> Transaction:
        """Delete a znode.

        Args:
            path: which; it must have no children.
            version: refuse unless the znode stands at this one; -1 for any.

        Raises:
            UsageError: no znode can have this path.
        """
        return self._add(m.Delete(self._path(path), version))

    def check(self, path: str, version: int = m.ANY_VERSION) -> Transaction:
        """Refuse everything unless a znode exists.

        Args:
            path: which.
            version: the one at which it must stand; -1 for any.

        Raises:
            UsageError: no znode can have this path.
        """
        return self._add(m.Check(self._path(path), version))

    async def commit(self) -> tuple[Result, ...]:
        """Do it all, or nothing.

        Returns:
            One result for each operation, in the order in which they were added.

        Raises:
            TermEnded: the term is over; nothing was done.
            ServerError: an operation was refused (`NoNode`, `NodeExists`, `BadVersion`, …); nothing was done.
            UsageError: it is too large for a frame of ZooKeeper's; nothing was done.
            NotConnected: no server is connected; nothing was sent.
            ConnectionLost: the answer was lost; it may have happened. Read before you do it again.
        """
        hold = self._hold
        if hold.end is not None:
            raise TermEnded(over(hold.number, hold.end))
        reply = await self._client.request(m.Multi(tuple(self._operations)))
        if reply.failure is not None:
            index, code = reply.failure
            if index < self._checks:
                raise TermEnded(over(hold.number, ends.WRITE_REFUSED))
            raise m.refusal(code, self._operations[index])
        return tuple(self._result(result) for result in reply.results[self._checks :])

    def _result(self, reply: m.OperationReply) -> Result:
        match reply:
            case m.Created(path):
                return path.removeprefix(self._client.ensemble.chroot)
            case m.DataSet(stat):
                self.committed_at = stat.mtime
                return stat.version
            case _:
                return None

    def _add(self, operation: m.Operation) -> Transaction:
        self._operations.append(operation)
        return self

    def _path(self, path: str) -> str:
        return self._client.ensemble.chroot + hosts.check_path(path)
