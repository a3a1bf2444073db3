"""The judge of jobs: holds what was observed against what a schedule promises. Pure.

The work of these jobs never fails by itself, so no attempt may be written down as failed. Who is frozen may end its
work late, and the fence must refuse what it writes: so attempts may overlap, but not while both lead.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from leader_async.schedule.clocks import TRUSTED
from leader_async.schedule.job_options import ATTEMPTS

from .jobs_history import AHEAD, Attempt, Job, JobsHistory, Run

BEHIND = 3.0
"""Seconds that the last slot may be late beside its interval."""

RULES = {
    "once": "an attempt at a slot is claimed once, and made once",
    "lost": "no slot is lost",
    "reruns": "unfinished attempts are made again where they are to be, and no others",
    "back": "slots never go back, nor do the tokens of their attempts",
    "overlap": "no two attempts of a job at the same time while leading",
    "early": "no slot is run before its time, whatever its replica's clock says",
    "fence": "no write of a lower token after one of a higher token",
    "truth": "what the ledger says to be done was done, and is in the database",
}


@dataclass(slots=True)
class JobsVerdict:
    """What the history shows.

    Attributes:
        broken: of each rule that was broken, in which ways.
        slots: claimed slots of each job.
        attempts: how many were claimed.
        reruns: how many of them were not the first at their slot.
        unfinished: how many nobody finished.
        repeated: slots whose work was committed more than once, by reruns.
        refused: writes that the fence kept from being late.
        outlived: attempts whose work ended after the next one had begun; only who is frozen may do so.
        ahead: attempts of the replica whose clock is ahead.
        delays: seconds from each slot to its first attempt.
    """

    broken: dict[str, list[str]] = field(default_factory=lambda: {rule: [] for rule in RULES})
    slots: dict[str, int] = field(default_factory=dict)
    attempts: int = 0
    reruns: int = 0
    unfinished: int = 0
    repeated: int = 0
    refused: int = 0
    outlived: int = 0
    ahead: int = 0
    delays: list[float] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing was broken."""
        return not any(self.broken.values())


def judge(history: JobsHistory, jobs: Sequence[Job]) -> JobsVerdict:
    """The verdict on a history."""
    verdict = JobsVerdict()
    seen = {run.attempt for run in history.runs} | {attempt for attempt, _ in history.entries} | set(history.rows)
    _once(history, seen, verdict)
    _truth(history, verdict)
    _fence(history.rows, verdict)
    for job in jobs:
        runs = sorted((run for run in history.runs if run.attempt.job == job.name), key=lambda run: run.began)
        slots = {attempt.slot for attempt in seen if attempt.job == job.name}
        verdict.slots[job.name] = len(slots)
        _lost(job, slots, history.until, verdict)
        _reruns(job, history, seen, verdict)
        _back(job, runs, history, verdict)
        _overlap(runs, history, verdict)
        _early(runs, history.wall, verdict)
        verdict.outlived += sum(one.ended is not None and one.ended > two.began for one, two in pairwise(runs))
    verdict.attempts = len(seen)
    verdict.reruns = sum(attempt.number > 1 for attempt in seen)
    verdict.ahead = sum(attempt.replica == AHEAD for attempt in seen)
    verdict.unfinished = sum(outcome == "unfinished" for _, outcome in history.entries)
    verdict.refused = sum(run.how == "Refused" for run in history.runs)
    verdict.repeated = sum(count > 1 for count in Counter((row.job, row.slot) for row in history.rows).values())
    return verdict


def _once(history: JobsHistory, seen: set[Attempt], verdict: JobsVerdict) -> None:
    claims: dict[tuple[str, int, int], list[Attempt]] = defaultdict(list)
    for attempt in seen:
        claims[attempt[:3]].append(attempt)
    for attempts in claims.values():
        if len(attempts) > 1:
            verdict.broken["once"].append(f"claimed by more than one: {attempts}")
    for attempt, count in Counter(run.attempt for run in history.runs).items():
        if count > 1:
            verdict.broken["once"].append(f"made {count} times: {attempt}")


def _lost(job: Job, slots: set[int], until: float, verdict: JobsVerdict) -> None:
    if not slots:
        verdict.broken["lost"].append(f"{job.name}: all of them")
        return
    last = max(max(slots), round((until - job.seconds - BEHIND) * 1000))
    missing = [slot for slot in range(min(slots), last + 1, job.seconds * 1000) if slot not in slots]
    verdict.broken["lost"] += [f"{job.name}: {slot}" for slot in missing]


def _reruns(job: Job, history: JobsHistory, seen: set[Attempt], verdict: JobsVerdict) -> None:
    broken = verdict.broken["reruns"]
    outcomes: dict[tuple[int, int], set[str]] = defaultdict(set)
    for attempt, outcome in history.entries:
        if attempt.job == job.name and outcome != "open":
            outcomes[attempt.slot, attempt.number].add(outcome)
    numbers: dict[int, set[int]] = defaultdict(set)
    for attempt in seen:
        if attempt.job == job.name:
            numbers[attempt.slot].add(attempt.number)
    for slot, made in numbers.items():
        last = max(made)
        if made != set(range(1, last + 1)):
            broken.append(f"{job.name} at {slot}: the attempts {sorted(made)}")
        for number in range(1, last):
            if outcomes[slot, number] != {"unfinished"}:
                broken.append(f"{job.name} at {slot}: attempt {number} again, was {outcomes[slot, number] or 'open'}")
        left = job.unfinished == "leave" or last == ATTEMPTS
        endings = [{"done"}, {"unfinished"}] if left else [{"done"}]
        # The last slot of all may be cut short by the end of the campaign.
        if outcomes[slot, last] not in endings and slot != max(numbers):
            broken.append(f"{job.name} at {slot}: attempt {last} is the last, {outcomes[slot, last] or 'open'}")
        if last > (1 if job.unfinished == "leave" else ATTEMPTS):
            broken.append(f"{job.name} at {slot}: {last} attempts")


def _back(job: Job, runs: Sequence[Run], history: JobsHistory, verdict: JobsVerdict) -> None:
    broken = verdict.broken["back"]
    for one, two in pairwise(run.attempt for run in runs):
        if (two.slot, two.number) < (one.slot, one.number) or two.token < one.token:
            broken.append(f"{two} after {one}")
    positions = sorted((version, slot) for name, version, slot in history.positions if name == job.name)
    broken += [f"{job.name}: the ledger at {two} after {one}" for one, two in pairwise(positions) if two[1] < one[1]]


def _overlap(runs: Sequence[Run], history: JobsHistory, verdict: JobsVerdict) -> None:
    """Of runs in the order of their begins, those that are made at the same time while both lead."""
    pieces: list[tuple[float, float, int]] = []
    for number, run in enumerate(runs):
        for stretch in history.stretches:
            if (stretch.replica, stretch.token) == (run.attempt.replica, run.attempt.token):
                begin = max(run.began, stretch.begin)
                end = stretch.end if run.ended is None else min(run.ended, stretch.end)
                pieces += [(begin, end, number)] if begin <= end else []
    reached, who = float("-inf"), -1
    for begin, end, number in sorted(pieces):
        if begin < reached and number != who:
            both = f"{runs[who].attempt} and {runs[number].attempt}"
            verdict.broken["overlap"].append(f"{both}, {min(reached, end) - begin:.3f} s")
        if end > reached:
            reached, who = end, number


def _early(runs: Sequence[Run], wall: float, verdict: JobsVerdict) -> None:
    for run in runs:
        delay = run.began + wall - run.attempt.slot / 1000
        if delay < -TRUSTED:
            verdict.broken["early"].append(f"{run.attempt}: {-delay:.3f} s")
        if run.attempt.number == 1:
            verdict.delays.append(delay)


def _fence(rows: Sequence[Attempt], verdict: JobsVerdict) -> None:
    verdict.broken["fence"] += [f"{two} after {one}" for one, two in pairwise(rows) if two.token < one.token]


def _truth(history: JobsHistory, verdict: JobsVerdict) -> None:
    broken, rows = verdict.broken["truth"], Counter(history.rows)
    done = {run.attempt for run in history.runs if run.how == "Done"}
    begun = {run.attempt for run in history.runs}
    broken += [f"said to be done, and was not: {attempt}" for attempt, outcome in history.entries
               if outcome == "done" and attempt not in done]  # fmt: skip
    broken += [f"done, and not in the database: {attempt}" for attempt in sorted(done) if not rows[attempt]]
    broken += [f"in the database, and never begun: {row}" for row in rows if row not in begun]
    broken += [f"{count} times in the database: {row}" for row, count in rows.items() if count > 1]
