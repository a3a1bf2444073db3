"""The texts about an end, for people: they stand here only, and nothing is decided by them. Pure.

`explain` explains whole moves of the lead with them. They can be reworded: labels, JSON's `why` and what other versions
read in ZooKeeper do not change.
"""

from __future__ import annotations

from ...errors import server_error
from .ends import Detail, End, Why

DETAILS: dict[Detail, str] = {
    Detail.WHILE_CLAIMING: "while claiming",
    Detail.ZNODE_GONE: "our znode is gone ({error})",
    Detail.RECORD_CHANGED: "the record is at another version ({error})",
    Detail.WRITE_REFUSED: "ZooKeeper refused to write under it",
    Detail.DELETED: "by somebody else",
    Detail.UNANSWERED: "before a confirm was answered",
    Detail.STOOD_STILL: "before a confirm was answered: this process, or its event loop, stood still until "
    "{end.seconds:.1f} s after that",
    Detail.NOT_CONFIRMED: "before a confirm was answered: {end.text} did not confirm it in time",
    Detail.NO_SERVER: "before a confirm was answered: no server was connected for {end.seconds:.1f} s; {end.text}",
    Detail.APPOINTED_LATE: "appointed while it was leaving",
    Detail.BUG: "the candidacy has died of a bug",
    Detail.PUT_RIGHT: "the record could not be read, and was put right",
}
"""What a text has besides the word for why; `detail` of the history."""

OWN: dict[Why | Detail, str] = {
    Why.RESIGNED: "resigned",
    Why.TRANSFERRED: "handed over by name",
    Why.STOPPED: "left",
    Why.CONNECTION_CLOSED: "the connection was closed",
    Why.WORK_DONE: "the work is done",
    Why.WORK_FAILED: "the work failed: {detail}",
    Why.WORK_CANCELLED: "the work was cancelled",
    Why.PROCESS_DIED: "the process died",
    Why.LEASE_RAN_OUT: "the lease ran out {detail}",
    Why.SESSION_EXPIRED: "the session expired",
    Why.PLACE_LOST: "a confirm was refused: {detail}",
    Why.LEFT: "the lead was given up",
    Why.LOST: "the session expired, or the machine was lost",
    Why.OTHER: "{detail}",
    Detail.WHILE_CLAIMING: "resigned {detail}",
    Detail.DELETED: "our znode was deleted {detail}",
    Detail.WRITE_REFUSED: "{detail}",
}
"""Why a process's own term is over; the one of the detail, if there is one."""

OTHERS: dict[str, str] = {
    Why.RESIGNED: "it resigned",
    Why.TRANSFERRED: "it handed over by name",
    Why.STOPPED: "it stopped taking part",
    Why.CONNECTION_CLOSED: "it closed its connection",
    Why.WORK_DONE: "its work was done",
    Why.WORK_FAILED: "its work failed",
    Why.WORK_CANCELLED: "its work was cancelled",
    Why.PROCESS_DIED: "its process died, and its guardian saw that",
    Why.LEASE_RAN_OUT: "its lease ran out",
    Why.SESSION_EXPIRED: "its session expired",
    Why.PLACE_LOST: "its place in the queue was lost",
    Why.LEFT: "it gave the lead up, and did not say why",
    Why.LOST: "its session expired without a word: the process or the machine was lost, or cut off",
    Why.OTHER: "it ended",
}
"""Why another leader's term ended. A later version of this library may have other words in the history."""


def detail(end: End) -> str:
    """What the text of this end has besides the word for why, "" if nothing."""
    if end.detail is None:
        return end.text
    return DETAILS[end.detail].format(end=end, error=server_error(end.code))


def sentence(end: End) -> str:
    """Why a process's own term is over."""
    known = OWN.get(end.detail) if end.detail is not None else None
    return (known or OWN[end.why]).format(detail=detail(end))


def over(number: int, end: End) -> str:
    """The text of `TermEnded`."""
    return f"term {number} is over: {sentence(end)}"
