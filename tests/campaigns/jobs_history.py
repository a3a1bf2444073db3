"""What replicas that run jobs write down, beside what `history` has; and what their ledgers and PostgreSQL tell. Pure.

One line a step of an attempt; the attempt by its job, slot, number and token:

    Began JOB SLOT NUMBER TOKEN AT      its work has begun
    Done JOB SLOT NUMBER TOKEN AT       its work has ended well, and was committed
    Cut JOB SLOT NUMBER TOKEN AT        its work was ended by its cancellation, or by an error
    Refused JOB SLOT NUMBER TOKEN AT    its work was refused by the fence

Slots are milliseconds since the epoch, instants are seconds of the boot-time clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from .history import Stretch


@dataclass(frozen=True, slots=True)
class Job:
    """A job of the campaign; all have missed="all".

    Attributes:
        seconds: its interval.
        takes: how long its work takes.
    """

    name: str
    seconds: int
    unfinished: Literal["leave", "rerun"]
    takes: float


JOBS = (Job("second", 1, "rerun", 0.25), Job("seven", 7, "leave", 1.5))
"""Work is long enough to be hit now and then, and short enough to catch up with the slots of an outage."""
AHEAD = "r2"
"""The replica whose clock is an hour ahead."""


class Attempt(NamedTuple):
    """An attempt, and who made it."""

    job: str
    slot: int
    number: int
    token: int
    replica: str


@dataclass(slots=True)
class Run:
    """What a replica wrote down of an attempt.

    Attributes:
        ended: None if it was killed.
        how: `Done`, `Cut` or `Refused`; "" if it was killed.
    """

    attempt: Attempt
    began: float
    ended: float | None = None
    how: str = ""


@dataclass(slots=True)
class JobsHistory:
    """All that was observed.

    Attributes:
        runs: by the replicas.
        entries: by the ledgers: attempts with their outcomes, `open` while they had none.
        positions: by the ledgers: the job, the version of its ledger, the last slot that was claimed.
        rows: by the table in PostgreSQL, in the order of their serial ids.
        stretches: in which replicas led.
        wall: seconds since the epoch, less the boot-time clock.
        until: seconds since the epoch up to which slots had to be claimed.
    """

    runs: list[Run] = field(default_factory=list)
    entries: set[tuple[Attempt, str]] = field(default_factory=set)
    positions: set[tuple[str, int, int]] = field(default_factory=set)
    rows: list[Attempt] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)
    wall: float = 0.0
    until: float = 0.0


def read(replica: str, lines: Iterable[str], into: JobsHistory) -> None:
    """Add what one replica wrote of its attempts."""
    open_ones: dict[Attempt, Run] = {}
    for line in lines:
        words = line.split()
        if not line.endswith("\n") or len(words) != 6:
            continue
        attempt = Attempt(words[1], int(words[2]), int(words[3]), int(words[4]), replica)
        if words[0] == "Began":
            open_ones[attempt] = Run(attempt, float(words[5]))
            into.runs.append(open_ones[attempt])
        else:
            run = open_ones.pop(attempt)
            run.ended, run.how = float(words[5]), words[0]
