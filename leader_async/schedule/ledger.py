"""The ledger: the outcomes of one job's slots, in the data of its znode, `<election>/jobs/<job>`. Pure.

Rules:
- It is written against the version that was read, so one of several writers on one version succeeds.
- `slot` only rises: a slot at or before it was claimed or skipped, and is never claimed again. There is one exception:
  a ledger that a clock which was ahead has written, and that is `reset`.
- At most one attempt is open. It is under way, or it has failed and will be repeated.
- Of the past attempts the last `KEPT` are kept.

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
"""Milliseconds that a ledger may be ahead of now: correct clocks differ by less."""
KEPT = 20
LIMIT = 256 * 1024
"""Bytes of the largest ledger that is read. The largest that is written has less, whatever it says."""
UNKNOWN = "unknown"
"""The trigger in a ledger that was reset without knowledge of the trigger; the leader corrects it."""
SPEC_LENGTH = 4096
"""Characters of a trigger's specification."""
ATTEMPTS = 1_000_000
"""The highest number of an attempt that is read: the pause doubles from one to the next."""
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
    """An attempt that is claimed and not closed.

    Attributes:
        slot: its slot; of a manual one the instant of the request.
        attempt: counts the attempts at this slot, from 1.
        token: the fencing token of the term that claimed it.
        identity: the replica that claimed it.
        began: when it was claimed.
        manual: it was requested; it is no slot of the trigger's.
        again_at: it has failed, and is repeated then; None while it is under way.
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
    """What is known of a job's slots.

    Attributes:
        spec: the specification of the slots' trigger.
        slot: the last one that was claimed or skipped.
        open: the attempt that is not closed, None if there is none.
        past: the last attempts that are over, oldest first.
        done: when an attempt last succeeded on any replica; None if none has.
    """

    spec: str
    slot: int
    open: Open | None = None
    past: tuple[Past, ...] = ()
    done: int | None = None

    def close(self, outcome: Outcome, now: int, error: str = "") -> Ledger:
        """The ledger after the open attempt is over."""
        was = self.open
        assert was is not None
        first_line = stored.line(error.strip().partition("\n")[0][:ERROR_LENGTH])
        over = Past(was.slot, was.attempt, was.token, was.identity, was.began, was.manual, now, outcome, first_line)
        done = now if outcome is Outcome.DONE else self.done
        return replace(self, open=None, past=(*self.past, over)[-KEPT:], done=done)


def folder(parent: str) -> str:
    """The path of the ledgers of this election's jobs."""
    return f"{parent}/{JOBS}"


def ledger_of(parent: str, name: str) -> str:
    """The path of one job's ledger."""
    return f"{folder(parent)}/{name}"


def ahead(slot: int, now: int) -> int:
    """By how much a ledger with this last slot is in the future; 0 if that may be the difference of two clocks.

    A slot is claimed when it is due, not before. So the writer's clock was ahead, and the job waits until then.
    """
    return slot - now if slot - now > AHEAD else 0


def reset(ledger: Ledger, now: int) -> Ledger:
    """The ledger that continues with the first slot after now: missed slots are skipped.

    Only a ledger in the future goes back: slots that were run are not run again. An attempt that is under way stays
    open; one that waits for its repetition is repeated at once.

    `leader-async jobs NAME --reset` and `Schedule.reset` write this ledger against the version that was read. The
    leader reads it within `job.NAP` seconds, if its own ledger is in the future. `now` is by ZooKeeper's clock.
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

    Raises:
        LedgerError: this library did not write it.
    """
    try:
        said = stored.Fields(stored.parse(data, LIMIT))
        past = tuple(_past(stored.Fields(one)) for one in said.rows("past")[-KEPT:])
        # A version of this library that writes no `done` may have written it.
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
