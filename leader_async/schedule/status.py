"""What anybody may see of a job, made of its ledger: the job's code is not needed. Pure, as `triggers` are.

Times are wall-clock seconds since the epoch.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ..errors import LedgerError, UsageError
from . import triggers
from .ledger import Ledger, Open, Past, decode


class Progress(enum.StrEnum):
    """What has become of an attempt: an `Outcome`, or that it has none yet."""

    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a slot.

    Attributes:
        slot: its slot; of a manual one when it was requested.
        attempt: counts the attempts at that slot, from 1.
        manual: it was requested (`run_now`).
        token: the fencing token of its term.
        identity: the replica that made it.
        began: when it was claimed.
        ended: when it ended, None while it has not.
        outcome: `running` (or its leader died, and none leads yet), `waiting` for its repetition, `done`, `failed`, or
            `unfinished`: its leader died or lost the lead.
        error: the first line of its error, "" if it did not fail.
    """

    slot: float
    attempt: int
    manual: bool
    token: int
    identity: str
    began: float
    ended: float | None
    outcome: Progress
    error: str


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job's slots and their attempts, as its ledger has them.

    Attributes:
        name: the job's name.
        trigger: when it is due, as text.
        slot: the last slot that was claimed or skipped; the job's beginning if none was.
        next_slot: the first slot after that, None if there is none. It may be in the past: then it is missed so far.
        current: the attempt that runs or waits for its repetition, None if there is none.
        past: the last attempts that are over, oldest first.
        problem: why the ledger cannot be read, and what to do; all but the name is unknown then. "" if it can be read.
    """

    name: str
    trigger: str
    slot: float
    next_slot: float | None
    current: Attempt | None
    past: tuple[Attempt, ...]
    problem: str = ""


def status_of(name: str, path: str, data: bytes) -> JobStatus:
    """A job by the data of its ledger's znode, or why they cannot be read."""
    try:
        return view(name, decode(data, path))
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
        current=None if ledger.open is None else _attempt(ledger.open),
        past=tuple(map(_attempt, ledger.past)),
    )


def _attempt(one: Open | Past) -> Attempt:
    begun = one.slot / 1000, one.attempt, one.manual, one.token, one.identity, one.began / 1000
    if isinstance(one, Past):
        return Attempt(*begun, one.ended / 1000, Progress(one.outcome), one.error)
    return Attempt(*begun, None, Progress.RUNNING if one.again_at is None else Progress.WAITING, "")
