"""What a leader does next about one job: a function of the ledger, the job's settings and the time. Pure.

Instants are whole milliseconds since the epoch. Rules:

- An open attempt comes first. If it failed, it is repeated when its pause is over. If it is under way and this process
  does not run it, it is unfinished: its leader died or lost the lead. By `unfinished` it is left (the slot is run at
  most once) or repeated (at least once, `ATTEMPTS` times at most).
- Then come the slots after the ledger's: with `missed="all"` the first of them, else the last one that is due. Slots
  that are more than `window` late are skipped.
- A trigger other than the ledger's starts from now: none of its slots was missed.
- A slot that is not later than the ledger's is never claimed, whatever a trigger says. The one exception is another
  attempt at the open slot.
- A ledger can be in the future, if its writer's clock was ahead. Then the job waits, so that each slot is claimed at
  most once whatever clocks do. `Wait` reports it; `reset`, or another trigger, ends it.

It does not promise that a slot is run at its instant: it is run when a process leads, and not before. The cost of a
decision does not depend on the number of missed slots: with `missed="all"` each claim takes one of them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TypeAlias

from ..errors import SlotTaken
from .job_options import ATTEMPTS, JobSettings
from .ledger import Ledger, Open, Outcome, ahead, reset

LONGEST_BACKOFF = 3_600_000


@dataclass(frozen=True, slots=True)
class Start:
    """Claim this, then run it."""

    slot: int
    attempt: int = 1
    manual: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is due yet.

    Attributes:
        until: when the next attempt is due; None for never.
        ahead: by how much the ledger is in the future, 0 if it is not.
    """

    until: int | None
    ahead: int = 0


class Correction(enum.Enum):
    """Why a ledger is written although no attempt begins or ends."""

    RESPELLED = enum.auto()
    RETRIGGERED = enum.auto()
    ABANDONED = enum.auto()


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Write this ledger, and decide again."""

    ledger: Ledger
    why: Correction


Step: TypeAlias = Start | Wait | Rewrite


def first(settings: JobSettings, now: int) -> Ledger:
    """The first ledger of a job: it begins with the next slot."""
    return Ledger(settings.trigger.spec, now)


def decide(settings: JobSettings, ledger: Ledger, now: int) -> Step:
    """What to do next, if this process runs no attempt."""
    spec = settings.trigger.spec
    if ledger.spec != spec:
        if settings.trigger.means(ledger.spec):
            return Rewrite(replace(ledger, spec=spec), Correction.RESPELLED)
        return Rewrite(replace(reset(ledger, now), spec=spec), Correction.RETRIGGERED)
    open_one = ledger.open
    if open_one is not None:
        again = Start(open_one.slot, open_one.attempt + 1, open_one.manual)
        if open_one.again_at is not None:
            if open_one.again_at <= now:
                return again
            return Wait(open_one.again_at, ahead(open_one.began, now))
        if settings.unfinished == "rerun" and open_one.attempt < ATTEMPTS:
            return again
        return Rewrite(ledger.close(Outcome.UNFINISHED, now), Correction.ABANDONED)
    slot = _slot(settings, ledger.slot, now)
    due = None if slot is None else settings.due(slot)
    if slot is None or due is None or due > now:
        return Wait(due, ahead(ledger.slot, now))
    return Start(slot)


def due(settings: JobSettings, ledger: Ledger, now: int) -> int | None:
    """When the next attempt is due, or became due, if this process runs none; None if none ever is."""
    match decide(settings, ledger, now):
        case Wait(until):
            return until
        case Start(slot, attempt=1):
            return settings.due(slot)
        case _:
            return now


def _slot(settings: JobSettings, after: int, now: int) -> int | None:
    late = settings.lateness
    if late is not None:
        after = max(after, now - late - settings.longest - 1)
    slot = None
    if settings.missed != "all":
        # Not a later one: if the jitter is longer than the interval, the slot that is waited for would always be
        # replaced by the next.
        slot = settings.trigger.latest(after, now - settings.longest)
    if slot is None:
        slot = settings.trigger.next(after)
    while slot is not None and late is not None and settings.due(slot) + late < now:
        slot = settings.following(slot)  # of n slots that are younger than the jitter, about √n times
    return slot


def claimed(ledger: Ledger, start: Start, token: int, identity: str, now: int) -> Ledger:
    """The ledger that claims the start for the leader of this token and identity.

    Raises:
        SlotTaken: the ledger says that the slot was claimed or skipped.
    """
    again = ledger.open is not None and (start.slot, start.attempt) == (ledger.open.slot, ledger.open.attempt + 1)
    if not (start.manual or again or start.slot > ledger.slot):
        raise SlotTaken(f"slot {start.slot} is not later than {ledger.slot}: it was claimed or skipped before")
    if ledger.open is not None:
        # An attempt that failed is in `past` already.
        ledger = ledger.close(Outcome.UNFINISHED, now) if ledger.open.again_at is None else replace(ledger, open=None)
    slot = ledger.slot if start.manual or again else start.slot
    return replace(ledger, slot=slot, open=Open(start.slot, start.attempt, token, identity, now, start.manual))


def ended(settings: JobSettings, ledger: Ledger, now: int, error: str | None) -> Ledger:
    """The ledger after the open attempt has ended; `error` is None if it succeeded."""
    was = ledger.open
    assert was is not None
    after = ledger.close(Outcome.DONE if error is None else Outcome.FAILED, now, error or "")
    if error is not None and was.attempt <= settings.retries:
        pause = min(round(settings.backoff * 1000) * 2 ** (was.attempt - 1), LONGEST_BACKOFF)
        return replace(after, open=replace(was, again_at=now + pause))
    if not settings.queues:
        return replace(after, slot=_come_due(settings, after.slot, now))
    return after


def _come_due(settings: JobSettings, after: int, now: int) -> int:
    """The last slot before the first one that is not due yet; `after` if that is the next.

    Of n slots that are younger than the jitter it looks at about √n.
    """
    last = settings.trigger.latest(after, now - settings.longest) or after
    while (slot := settings.following(last)) is not None and settings.due(slot) <= now:
        last = slot
    return last
