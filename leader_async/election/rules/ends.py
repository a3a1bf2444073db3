"""Why a term is over: values from where they arise to label, log, JSON and the record. Pure.

Rules: a decision, a label or a field goes by `Why` and `Detail`, never by a text. `words` makes sentences of them, and
`record` gives them the form in which they stand in ZooKeeper.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Why(enum.StrEnum):
    """Why a term ended: the word in the history, in JSON, in the log and on the metric."""

    RESIGNED = "resigned"
    TRANSFERRED = "transferred"
    STOPPED = "stopped"
    CONNECTION_CLOSED = "connection closed"
    WORK_DONE = "work done"
    WORK_FAILED = "work failed"
    WORK_CANCELLED = "work cancelled"
    PROCESS_DIED = "process died"
    LEASE_RAN_OUT = "lease ran out"
    SESSION_EXPIRED = "session expired"
    PLACE_LOST = "place lost"
    """our znode was deleted, or the record was at another version; the label stays, and `Detail` has which"""
    LEFT = "left"
    LOST = "session expired or machine lost"
    OTHER = "other"


class Detail(enum.Enum):
    """What exactly happened, where `Why` leaves that open."""

    WHILE_CLAIMING = enum.auto()
    ZNODE_GONE = enum.auto()
    RECORD_CHANGED = enum.auto()
    WRITE_REFUSED = enum.auto()
    DELETED = enum.auto()
    UNANSWERED = enum.auto()
    STOOD_STILL = enum.auto()
    NOT_CONFIRMED = enum.auto()
    NO_SERVER = enum.auto()
    APPOINTED_LATE = enum.auto()
    BUG = enum.auto()
    PUT_RIGHT = enum.auto()


@dataclass(frozen=True, slots=True)
class End:
    """Why one term is over.

    Attributes:
        why: the label.
        detail: what exactly happened, None if there is no more to it.
        text: what an exception, a server or another process says of it; it is passed on as it is.
        code: ZooKeeper's error code, 0 without one.
        seconds: how long that took which `detail` is about.
    """

    why: Why
    detail: Detail | None = None
    text: str = ""
    code: int = 0
    seconds: float = 0.0


RESIGNED = End(Why.RESIGNED)
"""Why most terms end: handing over for that reason is prepared, as long as no other is known."""
RESIGNED_WHILE_CLAIMING = End(Why.RESIGNED, Detail.WHILE_CLAIMING)
TRANSFERRED = End(Why.TRANSFERRED)
STOPPED = End(Why.STOPPED)
CONNECTION_CLOSED = End(Why.CONNECTION_CLOSED)
WORK_DONE = End(Why.WORK_DONE)
WORK_CANCELLED = End(Why.WORK_CANCELLED)
PROCESS_DIED = End(Why.PROCESS_DIED)
LEASE_RAN_OUT = End(Why.LEASE_RAN_OUT, Detail.UNANSWERED)
SESSION_EXPIRED = End(Why.SESSION_EXPIRED)
DELETED = End(Why.PLACE_LOST, Detail.DELETED)
WRITE_REFUSED = End(Why.PLACE_LOST, Detail.WRITE_REFUSED)
LEFT = End(Why.LEFT)
LOST = End(Why.LOST)
APPOINTED_LATE = End(Why.OTHER, Detail.APPOINTED_LATE)
BUG = End(Why.OTHER, Detail.BUG)
PUT_RIGHT = End(Why.OTHER, Detail.PUT_RIGHT)


def refused(part: int, code: int) -> End:
    """A confirm was refused.

    Args:
        part: which part of it: 0 is about the holder's znode, 1 about the record.
        code: the error code.
    """
    return End(Why.PLACE_LOST, Detail.ZNODE_GONE if part == 0 else Detail.RECORD_CHANGED, code=code)
