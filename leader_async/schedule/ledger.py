"""The ledger: what has become of the slots of one job, in the data of its znode, `<election>/jobs/<job>`. Pure.

Rules:
- It is written against the version that was read, so of all who write it on one version one succeeds.
- `slot` only rises: a slot at or before it is claimed or passed over, and is never claimed again. There is one
  exception: a ledger that was written by a clock that was ahead, and is `reset`.
- At most one attempt is open. It is on the way, or it has failed and is to be made again.
- Of the past the last `KEPT` attempts are kept.

Instants are whole milliseconds since the epoch.
"""

from __future__ import annotations

import enum
import json
from dataclasses import asdict, dataclass, replace

from .. import stored
from ..election.names import JOBS
from ..errors import LedgerError
from ..stored import Garbage

AHEAD = 10_000
"""By how much a ledger may be ahead of now: clocks that are right differ by less."""
KEPT = 20
LIMIT = 256 * 1024
"""Bytes of the largest ledger that is read. The largest that is written has less, whatever it says."""
UNKNOWN = "unknown"
"""The specification in a ledger that was begun anew by who does not know the trigger: the leader puts it right."""
SPEC_LENGTH = 4096
"""Characters of a trigger's specification."""
ATTEMPTS = 1_000_000
"""The highest number of an attempt that is read: pauses double from one to the next."""
INSTANTS = round(1000 * stored.EARLIEST), round(1000 * stored.LATEST)
ERROR_LENGTH = 200
"""Characters of an error's first line that are kept."""


class Outcome(enum.StrEnum):
    """How an attempt ended."""

    DONE = "done"
    FAILED = "failed"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class Open:
    """An attempt that has been claimed and not been closed.

    Attributes:
        slot: the slot that it is for; of a manual one the instant at which it was asked for.
        attempt: counts the attempts at this slot, from 1.
        token: the fencing token of the term that claimed it.
        identity: who claimed it.
        began: when it was claimed.
        manual: somebody asked for it; it is no slot of the trigger's.
        again_at: it has failed, and is to be made again then; None while it is on the way.
    """

    slot: int
    attempt: int
    token: int
    identity: str
    began: int
    manual: bool = False
    again_at: int | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """An attempt that is over; the first six attributes are those of `Open`.

    Attributes:
        ended: when it ended, or was found to be unfinished.
        outcome: how.
        error: the error's first line, "" if there was none.
    """

    slot: int
    attempt: int
    token: int
    identity: str
    began: int
    manual: bool
    ended: int
    outcome: Outcome
    error: str = ""


@dataclass(frozen=True, slots=True)
class Ledger:
    """All that is known of a job's slots.

    Attributes:
        spec: the specification of the trigger that the slots are of.
        slot: the last one that was claimed or passed over.
        open: the attempt that is not closed, None if there is none.
        past: the last attempts that are over, oldest first.
        done: when an attempt last succeeded, whoever made it; None if none has.
    """

    spec: str
    slot: int
    open: Open | None = None
    past: tuple[Past, ...] = ()
    done: int | None = None

    def close(self, outcome: Outcome, now: int, error: str = "") -> Ledger:
        """The open attempt is over."""
        was = self.open
        assert was is not None
        first_line = stored.line(error.strip().partition("\n")[0][:ERROR_LENGTH])
        over = Past(
            was.slot, was.attempt, was.token, was.identity, was.began, was.manual, now, outcome, first_line
        )  # fmt: skip
        done = now if outcome is Outcome.DONE else self.done
        return replace(self, open=None, past=(*self.past, over)[-KEPT:], done=done)


def folder(parent: str) -> str:
    """The path of the ledgers of this election's jobs."""
    return f"{parent}/{JOBS}"


def ledger_of(parent: str, name: str) -> str:
    """The path of one job's ledger."""
    return f"{folder(parent)}/{name}"


def ahead(slot: int, now: int) -> int:
    """By how much a ledger that ends with this slot is in the future; 0 if that may be two clocks' difference.

    A slot is claimed when it is due, not before. So a clock was ahead, and the job does not run until all are there.
    """
    return slot - now if slot - now > AHEAD else 0


def reset(ledger: Ledger, now: int) -> Ledger:
    """The ledger that goes on with the first slot after now: what was missed is passed over.

    One that is in the future comes back, and only such a one: what has been run is not run again. An attempt that is
    under way stays open, whoever makes it; one that is to be made again is made at once.

    This is all of `leader-async jobs NAME --reset` and `Schedule.reset`, beside writing it against the version that was
    read. The leader finds it when it next looks: within `job.NAP` seconds, if its ledger is in the future.

    Args:
        ledger: as it was read.
        now: the time by ZooKeeper's clock.
    """
    slot = now if ahead(ledger.slot, now) else max(ledger.slot, now)
    open_one = ledger.open
    if open_one is not None and open_one.again_at is not None:
        open_one = replace(open_one, again_at=min(open_one.again_at, now))
    return replace(ledger, slot=slot, open=open_one)


def encode(ledger: Ledger) -> bytes:
    """The ledger as a znode's data."""
    return json.dumps(asdict(ledger), separators=(",", ":")).encode()


def decode(data: bytes, path: str) -> Ledger:
    """The ledger that a znode holds.

    Args:
        data: the znode's data.
        path: its path, for the error.

    Raises:
        LedgerError: this library did not write it.
    """
    try:
        said = stored.Fields(stored.parse(data, LIMIT))
        past = tuple(_past(stored.Fields(one)) for one in said.rows("past")[-KEPT:])
        # Who wrote it may be of a version that keeps the past only.
        done = max((one.ended for one in past if one.outcome is Outcome.DONE), default=None)
        return Ledger(
            spec=said.text("spec", most=SPEC_LENGTH),
            slot=said.whole("slot", *INSTANTS),
            open=_open(stored.Fields(said.value("open"))) if "open" in said else None,
            past=past,
            done=said.whole("done", *INSTANTS) if "done" in said else done,
        )
    except Garbage as error:
        raise LedgerError(path, str(error)) from error


def _open(said: stored.Fields) -> Open:
    again_at = said.whole("again_at", *INSTANTS) if "again_at" in said else None
    return Open(*_begun(said), again_at)


def _past(said: stored.Fields) -> Past:
    outcome = said.text("outcome")
    if outcome not in tuple(Outcome):
        raise Garbage("an attempt's outcome is unknown")
    return Past(*_begun(said), said.whole("ended", *INSTANTS), Outcome(outcome), said.text("error", ""))


def _begun(said: stored.Fields) -> tuple[int, int, int, str, int, bool]:
    return (
        said.whole("slot", *INSTANTS),
        said.whole("attempt", 1, ATTEMPTS),
        said.whole("token", 0, stored.LONG),
        said.text("identity"),
        said.whole("began", *INSTANTS),
        said.flag("manual", False),
    )
