"""The judge: holds a history against what an election promises. Pure; knows replicas, tokens and times only.

Nobody can lead while ZooKeeper has no quorum. When it had one the writers beside the replicas have seen, so lateness
counts from the end of the last outage that they saw, if that was later than the end of the fault.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from .history import History, Stretch

QUIET = 2.0
"""Seconds without any answer that are an outage: three writers ask ten times a second each, and give a server one."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault as it was inflicted.

    Attributes:
        kind: which.
        begin: when it was inflicted.
        healed: when it was undone.
        bound: seconds in which somebody must lead, from when `healed`, or from when a quorum answered again.
        end: when the next one began.
    """

    kind: str
    begin: float
    healed: float
    bound: float
    end: float


@dataclass(slots=True)
class Verdict:
    """What the history shows.

    Attributes:
        overlap: seconds in which two replicas led at the same time.
        overlaps: each pair of stretches of two replicas that share an instant, with the seconds shared.
        doubled: units of work that were done twice.
        disorder: how often a leader's token was lower than one that had led before.
        refused: how many units the token kept from being done late: not a fault, what tokens are for.
        leaderless: for each kind of fault, the seconds without a leader in each of its cases.
        unanswered: for each kind of fault, the seconds in each of its cases in which no quorum answered.
        late: faults after which nobody led in time, and the seconds that it took.
    """

    overlap: float = 0.0
    overlaps: list[tuple[Stretch, Stretch, float]] = field(default_factory=list)
    doubled: int = 0
    disorder: int = 0
    refused: int = 0
    leaderless: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    unanswered: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    late: list[tuple[Trouble, float]] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing was broken."""
        return not (self.overlaps or self.doubled or self.disorder or self.late)


def judge(history: History, troubles: Sequence[Trouble]) -> Verdict:
    """The verdict on a history."""
    verdict = Verdict()
    _overlaps(history.stretches, verdict)
    _tokens(history.stretches, verdict)
    done: set[int] = set()
    for unit in sorted(history.units, key=lambda unit: unit.at):
        if unit.refused:
            verdict.refused += 1
        elif unit.number in done:
            verdict.doubled += 1
        done |= set() if unit.refused else {unit.number}
    outages = outages_between(history.answered)
    for trouble in troubles:
        gaps = gaps_between(history.stretches, trouble.begin, trouble.end)
        verdict.leaderless[trouble.kind].append(sum(end - begin for begin, end in gaps))
        unanswered = [(max(begin, trouble.begin), min(end, trouble.end)) for begin, end in outages]
        verdict.unanswered[trouble.kind].append(sum(max(0.0, end - begin) for begin, end in unanswered))
        # Nobody need lead while the fault lasts, or no quorum answers; afterwards somebody must, and stay.
        after = []
        for _, until in gaps:
            since = max([trouble.healed, *(min(end, until) for begin, end in outages if begin < until)])
            if until - since > trouble.bound:
                after.append(until - since)
        if after:
            verdict.late.append((trouble, max(after)))
    return verdict


def outages_between(answered: Sequence[float]) -> list[tuple[float, float]]:
    """The times in which no quorum answered; the last one may not have ended."""
    instants = sorted(answered)
    if not instants:
        return []
    return [(one, other) for one, other in itertools.pairwise([*instants, math.inf]) if other - one > QUIET]


def _overlaps(stretches: Sequence[Stretch], verdict: Verdict) -> None:
    open_ones: list[Stretch] = []
    for stretch in sorted(stretches, key=lambda stretch: stretch.begin):
        open_ones = [one for one in open_ones if one.end >= stretch.begin]
        for one in open_ones:
            if one.replica != stretch.replica:
                shared = min(one.end, stretch.end) - stretch.begin
                verdict.overlaps.append((one, stretch, shared))
                verdict.overlap += shared
        open_ones.append(stretch)


def _tokens(stretches: Sequence[Stretch], verdict: Verdict) -> None:
    known = [stretch for stretch in sorted(stretches, key=lambda stretch: stretch.begin) if stretch.token]
    highest = 0
    for stretch in known:
        if stretch.token < highest:
            verdict.disorder += 1
        highest = max(highest, stretch.token)
    owners: dict[int, set[str]] = defaultdict(set)
    for stretch in known:
        owners[stretch.token].add(stretch.replica)
    verdict.disorder += sum(len(replicas) - 1 for replicas in owners.values())


def gaps_between(stretches: Sequence[Stretch], begin: float, end: float) -> list[tuple[float, float]]:
    """The times between these instants in which nobody led."""
    inside = sorted(
        (max(one.begin, begin), min(one.end, end)) for one in stretches if one.end > begin and one.begin < end
    )
    gaps, reached = [], begin
    for one_begin, one_end in itertools.chain(inside, [(end, end)]):
        if one_begin - reached > 0.1:  # sampling, and handovers that are no fault's doing
            gaps.append((reached, one_begin))
        reached = max(reached, one_end)
    return gaps
