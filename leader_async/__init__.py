"""Leader election over ZooKeeper for asyncio services: exactly one of N replicas leads, and never two.

    import asyncio, leader_async

    async def make_reports(term):
        while True:
            print("making reports under token", term.token)
            await asyncio.sleep(60)

    async def main():
        async with leader_async.connect("zk1:2181,zk2:2181,zk3:2181") as zk:
            await zk.election("reports").run(make_reports)

    asyncio.run(main())

`connect` gives a `Connection`, that gives an `Election`, that gives a `Term` to your work. `partitions` spreads work in
shares over all replicas. Errors are in `errors`.
"""

from typing import TYPE_CHECKING

from .connection import Connection, connect
from .election.election import Election
from .election.rules.history import TermEntry
from .election.status import Candidate, Change, Status
from .election.term import Term
from .election.transaction import Transaction
from .errors import (
    AssignmentError,
    AuthFailed,
    BadVersion,
    CommandFailed,
    ConnectionLost,
    LeaderAsyncError,
    LedgerError,
    NoAuth,
    NodeExists,
    NoNode,
    NotConnected,
    QuotaExceeded,
    RecordError,
    ServerError,
    SessionClosed,
    SessionExpired,
    StaleToken,
    StoredError,
    TermEnded,
    UsageError,
    ZooKeeperError,
)
from .zookeeper.identity import Digest
from .zookeeper.status import SessionStatus
from .zookeeper.tls import TLS

if TYPE_CHECKING:
    from .schedule import JobRun, JobStatus, Schedule
    from .sharding.shares import Partitions, partitions
    from .sharding.status import Member, PartitionsStatus

__all__ = (
    "TLS",
    "AssignmentError",
    "AuthFailed",
    "BadVersion",
    "Candidate",
    "Change",
    "CommandFailed",
    "Connection",
    "ConnectionLost",
    "Digest",
    "Election",
    "JobRun",
    "JobStatus",
    "LeaderAsyncError",
    "LedgerError",
    "Member",
    "NoAuth",
    "NoNode",
    "NodeExists",
    "NotConnected",
    "Partitions",
    "PartitionsStatus",
    "QuotaExceeded",
    "RecordError",
    "Schedule",
    "ServerError",
    "SessionClosed",
    "SessionExpired",
    "SessionStatus",
    "StaleToken",
    "Status",
    "StoredError",
    "Term",
    "TermEnded",
    "TermEntry",
    "Transaction",
    "UsageError",
    "ZooKeeperError",
    "connect",
    "partitions",
)

# Loaded when it is first named: who only elects does not pay for calendars and digests, 1 MiB of 26.
_LATER = {
    "JobRun": "schedule",
    "JobStatus": "schedule",
    "Member": "sharding.status",
    "Partitions": "sharding.shares",
    "PartitionsStatus": "sharding.status",
    "Schedule": "schedule",
    "partitions": "sharding.shares",
}


if not TYPE_CHECKING:  # type checkers would take any name to be there

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found = getattr(import_module(f".{_LATER[name]}", __name__), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
