"""What anybody reads of jobs in ZooKeeper: their ledgers. If ZooKeeper cannot be asked, it is a `ZooKeeperError`."""

from __future__ import annotations

import asyncio

from ..zookeeper.reader import Reader
from .ledger import folder, ledger_of
from .status import JobStatus, status_of


async def read_jobs(reader: Reader, parent: str) -> list[JobStatus]:
    """All jobs that the election with this znode ever ran, by name."""
    names = await reader.children(folder(parent)) or ()
    found = await asyncio.gather(*(read_job(reader, parent, name) for name in sorted(names)))
    return [job for job in found if job is not None]


async def read_job(reader: Reader, parent: str, name: str) -> JobStatus | None:
    """One job, None if there is none of this name."""
    path = ledger_of(parent, name)
    found = await reader.data(path)
    return None if found is None else status_of(name, path, found.data)
