"""What can be seen of jobs, read from their ledgers; one need not have the jobs' code for that.

Times are wall-clock seconds since the epoch.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ..election.names import JOBS
from ..errors import LedgerError, UsageError
from ..zookeeper.reader import Reader
from . import triggers
from .ledger import Ledger, Open, Past, decode


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a slot.

    Attributes:
        slot: the slot that it is for; of a manual one when it was asked for.
        attempt: counts the attempts at that slot, from 1.
        manual: somebody asked for it.
        token: the fencing token of the term that made it.
        identity: who made it.
        began: when it was claimed.
        ended: when it ended, None while it has not.
        outcome: `running` (or its leader died, and nobody leads yet), `waiting` to be made again, `done`, `failed`, or
            `unfinished`: its leader died or lost the lead.
        error: the first line of what it failed with, "" if it did not.
    """

    slot: float
    attempt: int
    manual: bool
    token: int
    identity: str
    began: float
    ended: float | None
    outcome: str
    error: str


@dataclass(frozen=True, slots=True)
class JobStatus:
    """What has become of a job's slots.

    Attributes:
        name: the job's name.
        trigger: when it is due, as text.
        slot: the last slot that was claimed or passed over; the job's beginning if none was.
        next_slot: the first slot after that, None if there is none. It may be in the past: then it was missed so far.
        current: the attempt that is being made, or to be made again; None if there is none.
        past: the last attempts that are over, oldest first.
        problem: why the ledger cannot be read, and what to do; all but the name is unknown then. "" if it can.
    """

    name: str
    trigger: str
    slot: float
    next_slot: float | None
    current: Attempt | None
    past: tuple[Attempt, ...]
    problem: str = ""


def folder(parent: str) -> str:
    """Where the ledgers of an election's jobs are."""
    return f"{parent}/{JOBS}"


def ledger_of(parent: str, name: str) -> str:
    """Where the ledger of one of them is."""
    return f"{folder(parent)}/{name}"


async def read_jobs(reader: Reader, parent: str) -> list[JobStatus]:
    """All jobs that this election ever ran, by name.

    Args:
        reader: through whom to read.
        parent: path of the election's znode.

    Raises:
        ZooKeeperError: ZooKeeper cannot be asked.
    """
    names = await reader.children(folder(parent)) or ()
    found = await asyncio.gather(*(read_job(reader, parent, name) for name in sorted(names)))
    return [job for job in found if job is not None]


async def read_job(reader: Reader, parent: str, name: str) -> JobStatus | None:
    """One job, None if there is none of this name.

    Raises:
        ZooKeeperError: ZooKeeper cannot be asked.
    """
    path = ledger_of(parent, name)
    if (found := await reader.data(path)) is None:
        return None
    try:
        return view(name, decode(found.data, path))
    except LedgerError as error:
        return JobStatus(name, "?", 0.0, None, None, (), str(error))


def view(name: str, ledger: Ledger) -> JobStatus:
    """What the ledger says."""
    try:
        following = triggers.parse(ledger.spec).next(ledger.slot)
    except UsageError:  # a newer version's kind of trigger
        following = None
    return JobStatus(
        name=name,
        trigger=ledger.spec,
        slot=ledger.slot / 1000,
        next_slot=None if following is None else following / 1000,
        current=None if ledger.open is None else _open(ledger.open),
        past=tuple(map(_past, ledger.past)),
    )


def _open(one: Open) -> Attempt:
    outcome = "running" if one.again_at is None else "waiting"
    return Attempt(
        one.slot / 1000, one.attempt, one.manual, one.token, one.identity, one.began / 1000, None, outcome, ""
    )  # fmt: skip


def _past(one: Past) -> Attempt:
    return Attempt(
        one.slot / 1000, one.attempt, one.manual, one.token, one.identity, one.began / 1000, one.ended / 1000,
        str(one.outcome), one.error,
    )  # fmt: skip
