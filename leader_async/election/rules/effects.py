"""What a candidate wants done, as values; the driver carries them out, in order. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from ...errors import ServerError
from ...zookeeper.messages import Request
from .ends import End
from .lease import Hold


class Purpose(enum.StrEnum):
    """Why a request is sent, which says what its answer means."""

    PARENT = "make the election's znode"
    CREATE = "join the queue"
    SYNC = "catch up before looking"
    LIST = "read the queue"
    WATCH = "watch a znode"
    RECORD = "read the record"
    HOLDER = "read who holds the lead"
    CLAIM = "claim"
    LEAVE = "leave"
    APPOINT = "hand over by name"
    NOTICE = "await an appointment"
    WITHDRAW = "leave the queue"
    DELETE = "delete a znode"


class Listing(enum.StrEnum):
    """What a listing of the queue is for; "" for the whole queue, as who has joined reads it."""

    LOOK = "look"
    """to find what a lost reply left behind"""
    BEHIND = "behind"
    """to know who stands behind a holder"""
    ALONE = "alone"
    """the same with a watch for joins, while nobody stands there"""


@dataclass(frozen=True, slots=True)
class Send:
    """Send this request, and bring its answer back with it.

    Attributes:
        about: the znode's name or path that it is about, or what it is asked for: a `Role`, a `Listing`.
        within: seconds that the answer may take, None for the session's rule.
        pause: seconds that it is to wait before it leaves, as if the network were slow.
    """

    purpose: Purpose
    request: Request
    about: str = ""
    within: float | None = None
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class StartWork:
    """The work of this term may begin, or begin again after a suspension."""

    hold: Hold


@dataclass(frozen=True, slots=True)
class StopWork:
    """The work must end; the driver calls `Candidacy.work_ended` when it has."""

    end: End


@dataclass(frozen=True, slots=True)
class ConfirmNow:
    """Do not wait for the period's end with the next confirm."""


@dataclass(frozen=True, slots=True)
class Left:
    """The place in the queue has been given up, and nothing of it is left."""


@dataclass(frozen=True, slots=True)
class Denied:
    """ZooKeeper does not let us take part: the caller gets this error at once, and nothing is tried again for it."""

    error: ServerError


class Remark(enum.Enum):
    """What the rules have to say besides what they do."""

    PLACE_LOST = enum.auto()
    QUEUE_HEALED = enum.auto()
    RECORD_HEALED = enum.auto()
    RECORD_UNREADABLE = enum.auto()
    RECORD_READABLE = enum.auto()
    MADE_ANEW = enum.auto()
    REFUSED = enum.auto()


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the log; `about` are the values that its text has, see `reporting`."""

    remark: Remark
    about: tuple[object, ...] = ()


Command: TypeAlias = Send | StartWork | StopWork | ConfirmNow | Left | Denied | Note
