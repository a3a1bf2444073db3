"""What replicas write down, and how it is read.

One file a replica, one line an observation, on the machine's boot-time clock, in the order in which they were made:

    True BEFORE AFTER TOKEN    it asked itself whether it leads, between these instants, and the answer was yes
    Work UNIT TOKEN AT         it did this unit of work
    Refused UNIT TOKEN AT      a unit was refused, because of a higher token that had been there before

A token of 0 is none. A process that is killed in the middle of a line leaves half of one, which counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

CONTINUOUS = 0.06
"""Seconds between two answers of a replica that count as one stretch; it asks itself every 10 ms."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which a replica said again and again that it leads: certain from `begin` to `end`."""

    replica: str
    begin: float
    end: float
    token: int


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of work."""

    replica: str
    number: int
    token: int
    at: float
    refused: bool = False


@dataclass(slots=True)
class History:
    """All that was observed.

    Attributes:
        stretches: who led when.
        units: the work that was done.
        answered: when a write of the writers beside the replicas was answered, so that a quorum had committed it.
    """

    stretches: list[Stretch] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)


def read(replica: str, lines: Iterable[str], into: History) -> None:
    """Add what one replica wrote."""
    begin = end = 0.0
    token: int | None = None

    def close() -> None:
        if token is not None and end >= begin:
            into.stretches.append(Stretch(replica, begin, end, token))

    for line in lines:
        words = line.split()
        if not line.endswith("\n") or len(words) != 4:
            continue
        if words[0] == "True":
            before, after, own = float(words[1]), float(words[2]), int(words[3])
            if token != own or before - end > CONTINUOUS:
                close()
                begin, token = after, own
            end = before
        else:
            into.units.append(Unit(replica, int(words[1]), int(words[2]), float(words[3]), words[0] == "Refused"))
    close()
