"""What a leader does next about one job: a function of the ledger, the job's rules and the time. Pure.

Instants are whole milliseconds since the epoch. Rules:

- An open attempt comes first. One that has failed is made again when its time has come. One that is on the way, though
  nobody here makes it, is unfinished: its leader died or lost the lead. By `unfinished` it is left (the slot is run at
  most once) or made again (at least once, `ATTEMPTS` times at most).
- Then the slots after the ledger's: with `missed="all"` the first of them, else the last one that is due. Those that
  are more than `window` late are passed over.
- A trigger other than the ledger's starts from now: nothing of it was missed.
- A slot that is not later than the ledger's is not claimed, whatever a trigger says, but for another attempt at the one
  that is open.
- A ledger that is in the future, because the clock of whoever wrote it was ahead, is left alone: each slot is claimed
  at most once, whatever clocks do. `Wait` tells of it; `reset`, or another trigger, brings it back.

Nothing here promises that a slot is run at its instant: it is run when somebody leads, and not before. What a decision
costs does not depend on how many slots were missed: with `missed="all"` each claim takes one of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from ..errors import SlotTaken
from .job_options import ATTEMPTS, Rules
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
    """Nothing is due before that instant; None: nothing ever.

    Attributes:
        until: that instant.
        ahead: by how much the ledger is in the future, 0 if it is not.
    """

    until: int | None
    ahead: int = 0


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Write this ledger, and decide anew."""

    ledger: Ledger
    why: str


Step: TypeAlias = Start | Wait | Rewrite


def first(rules: Rules, now: int) -> Ledger:
    """The ledger of a job that was never seen before: it begins with the next slot."""
    return Ledger(rules.trigger.spec, now)


def decide(rules: Rules, ledger: Ledger, now: int) -> Step:
    """What to do next, if no attempt is being made here."""
    spec = rules.trigger.spec
    if ledger.spec != spec:
        if rules.trigger.means(ledger.spec):
            return Rewrite(replace(ledger, spec=spec), f"is due by {spec!r}, which was written {ledger.spec!r} before")
        changed = replace(reset(ledger, now), spec=spec)
        return Rewrite(changed, f"is due by {spec!r} from now on, before by {ledger.spec!r}")
    open_one = ledger.open
    if open_one is not None:
        again = Start(open_one.slot, open_one.attempt + 1, open_one.manual)
        if open_one.again_at is not None:
            if open_one.again_at <= now:
                return again
            return Wait(open_one.again_at, ahead(open_one.began, now))
        if rules.unfinished == "rerun" and open_one.attempt < ATTEMPTS:
            return again
        return Rewrite(
            ledger.close(Outcome.UNFINISHED, now), f"was left unfinished by {open_one.identity}, and is not run again"
        )
    slot = _slot(rules, ledger.slot, now)
    due = None if slot is None else rules.due(slot)
    if slot is None or due is None or due > now:
        return Wait(due, ahead(ledger.slot, now))
    return Start(slot)


def due(rules: Rules, ledger: Ledger, now: int) -> int | None:
    """When the next attempt is due, or since when it has been; None if none ever is. If no attempt is being made."""
    match decide(rules, ledger, now):
        case Wait(until):
            return until
        case Start(slot, attempt=1):
            return rules.due(slot)
        case _:
            return now


def _slot(rules: Rules, after: int, now: int) -> int | None:
    late = rules.lateness
    if late is not None:
        after = max(after, now - late - rules.longest - 1)
    slot = None
    if rules.missed != "all":
        # Not later than that, or with a jitter longer than the interval a slot could be waited for that is always
        # replaced by the next one.
        slot = rules.trigger.latest(after, now - rules.longest)
    if slot is None:
        slot = rules.trigger.next(after)
    while slot is not None and late is not None and rules.due(slot) + late < now:
        slot = rules.following(slot)  # of those that a jitter is longer than, about the square root of their number
    return slot


def claimed(ledger: Ledger, start: Start, token: int, identity: str, now: int) -> Ledger:
    """The ledger that claims it, for a leader of this token and identity.

    Raises:
        SlotTaken: it is claimed or passed over already, as its ledger says.
    """
    again = ledger.open is not None and (start.slot, start.attempt) == (ledger.open.slot, ledger.open.attempt + 1)
    if not (start.manual or again or start.slot > ledger.slot):
        raise SlotTaken(f"slot {start.slot} is not later than {ledger.slot}, up to which all is claimed or passed over")
    if ledger.open is not None:
        # What had failed stands among the past already.
        ledger = ledger.close(Outcome.UNFINISHED, now) if ledger.open.again_at is None else replace(ledger, open=None)
    slot = ledger.slot if start.manual or again else start.slot
    return replace(ledger, slot=slot, open=Open(start.slot, start.attempt, token, identity, now, start.manual))


def ended(rules: Rules, ledger: Ledger, now: int, error: str | None) -> Ledger:
    """The ledger after the open attempt has ended; `error` is None if it succeeded."""
    was = ledger.open
    assert was is not None
    after = ledger.close(Outcome.DONE if error is None else Outcome.FAILED, now, error or "")
    if error is not None and was.attempt <= rules.retries:
        pause = min(round(rules.backoff * 1000) * 2 ** (was.attempt - 1), LONGEST_BACKOFF)
        return replace(after, open=replace(was, again_at=now + pause))
    if not rules.queues:
        return replace(after, slot=_come_due(rules, after.slot, now))
    return after


def _come_due(rules: Rules, after: int, now: int) -> int:
    """The last slot before the first one that is not due yet; `after` if that is the next.

    Of the slots younger than the jitter about the square root of their number are looked at.
    """
    last = rules.trigger.latest(after, now - rules.longest) or after
    while (slot := rules.following(last)) is not None and rules.due(slot) <= now:
        last = slot
    return last
