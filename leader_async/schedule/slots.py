"""Which slot a process was started for (`leader-async run --every`, `--cron`, `--slot`), and its outcome.

Pure, as `triggers` are. Instants are whole milliseconds since the epoch. Rules:

- The slot is the last one that is due, or one that is due within `EARLY`: of processes that start at one time on
  several hosts some are a little early. It is decided once, so that it does not matter how long a process waits.
- The ledger of another trigger is continued: a slot that is not later than its last one is not run.
- A ledger that is created for a slot begins right before that slot.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from ..errors import UsageError
from .job_options import JobSettings
from .ledger import Ledger, Outcome
from .triggers import Trigger

EARLY = 10_000
DAY = 86_400_000
LOOK_BACK = (DAY, 32 * DAY, 9 * 366 * DAY)
"""A 29th of February may be eight years ago."""
GIVEN = "given"
"""The specification of slots that are given one by one."""


class Once(Trigger):
    """A trigger with one slot, which is one of another trigger: that one's specification and zone are its own."""

    def __init__(self, slot: int, spec: str, zone: tzinfo) -> None:
        self.slot, self.spec, self.zone = slot, spec, zone

    def next(self, after: int) -> int | None:
        return self.slot if self.slot > after else None

    def latest(self, after: int, now: int) -> int | None:
        return self.slot if after < self.slot <= now else None

    def __str__(self) -> str:
        return datetime.fromtimestamp(self.slot / 1000, self.zone).isoformat()


def due(trigger: Trigger, now: int) -> Once:
    """The slot of a process that starts now.

    Raises:
        UsageError: no slot has been due yet.
    """
    soon = trigger.next(now)
    if soon is not None and soon - now <= EARLY:
        return Once(soon, trigger.spec, trigger.zone)
    for span in LOOK_BACK:
        slot = trigger.latest(now - span, now)
        if slot is not None:
            return Once(slot, trigger.spec, trigger.zone)
    raise UsageError(f"no slot of {trigger.spec!r} has been due yet")


def given(text: str, zone: str) -> Once:
    """The slot in a text: a date, or a date and time, as ISO 8601 has them; in this zone, unless the text names one.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        here: tzinfo = UTC if zone == "UTC" else ZoneInfo(zone)
        instant = datetime.fromisoformat(text)
        instant = instant.replace(tzinfo=here) if instant.tzinfo is None else instant
        once = Once(round(instant.timestamp() * 1000), GIVEN, here)
        if once.slot <= 0:
            raise ValueError("before the epoch")
        return once
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is no slot: give a date like 2026-11-24, or 2026-11-24T03:00") from error
    except (KeyError, OSError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise UsageError(f"no time zone is called {zone!r}; give one like Europe/Berlin, or UTC") from error


def begun(once: Once, now: int) -> Once:
    """The slot, if its time has come.

    Raises:
        UsageError: it is in the future.
    """
    if once.slot - now > EARLY:
        raise UsageError(f"the slot {once} is in the future; start this when it is due")
    return once


def opened(once: Once, ledger: Ledger | None) -> Ledger:
    """The ledger to begin with for this slot, of the one that was read, None if there was none."""
    return Ledger(once.spec, once.slot - 1) if ledger is None else replace(ledger, spec=once.spec)


@dataclass(frozen=True, slots=True)
class SlotStatus:
    """The outcome of a slot.

    Attributes:
        over: nothing is left to do about it.
        claimed: a process has begun it.
        words: the same for people, after "slot … ".
        running: no end of the run is written: it is under way, or the process that ran it has died.
    """

    over: bool
    claimed: bool
    words: str
    running: bool = False


def outcome(once: Once, settings: JobSettings, ledger: Ledger | None) -> SlotStatus:
    """The outcome of this slot, by the ledger that was read, None if there was none."""
    if ledger is None or ledger.slot < once.slot:
        return SlotStatus(False, False, "has not been run")
    open_one = ledger.open
    if open_one is not None and open_one.slot == once.slot and not open_one.manual:
        return SlotStatus(settings.unfinished == "leave", True, f"is being run by {open_one.identity}", running=True)
    for past in reversed(ledger.past):
        if past.slot == once.slot and not past.manual:
            how = {
                Outcome.DONE: f"was run by {past.identity}",
                Outcome.FAILED: f"was run by {past.identity}, and has failed: {past.error}",
                Outcome.UNFINISHED: f"was begun by {past.identity}, and left unfinished",
            }
            return SlotStatus(True, True, how[past.outcome])
    return SlotStatus(True, True, "is not later than the last one that was run")
