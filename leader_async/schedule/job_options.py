"""How a job is run: the options that `Schedule.cron` and `Schedule.every` take, their defaults and their limits. Pure.

Rule: an option is declared here and nowhere else: its type and its meaning in `JobOptions`, its default and its limits
in `JobSettings`. `Schedule` passes on what it gets. Options act in `decisions`, but `timeout` in `job`; `jitter` and
`window` are computed here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypedDict, get_args

from ..errors import UsageError
from .triggers import Trigger

Missed: TypeAlias = Literal["latest", "all", "skip"]
Unfinished: TypeAlias = Literal["leave", "rerun"]
Overlap: TypeAlias = Literal["skip", "queue"]

SKIP_WINDOW = 5.0
"""Seconds that a slot may be late with `missed="skip"`: a handover does not miss it, an outage does."""
ATTEMPTS = 10
"""Attempts at one slot whose leaders may die over it: work that kills its process must not kill them all for ever."""
DAY = 86400


class JobOptions(TypedDict, total=False):
    """The options of a job; all durations are in seconds.

    Attributes:
        missed: which slots to run of those that came due while no replica led: the `latest`, `all` of them one after
            another, or none (`skip`; a slot that is less than 5 s late, or than `window`, is run all the same).
            Default: 'latest'.
        window: how late a slot may be run, None for any time. Default: None.
        unfinished: what to do with an attempt whose leader died or lost the lead: `leave` it, so that a slot is run at
            most once, or `rerun` it, so that a slot is run at least once, by 10 attempts at most. Default: 'leave'.
        overlap: what to do with slots that come due during a run: `skip` them or `queue` them. None means `queue` with
            `missed="all"`, and `skip` without. Default: None.
        jitter: how long to delay each slot at most. Every leader delays a slot by the same time. Default: 0.0.
        timeout: how long an attempt may take, None for any time. After it the attempt is cancelled and has failed.
            Default: None.
        retries: how often to repeat an attempt that failed. Default: 0.
        backoff: the pause before the first repetition; each further one is twice as long, an hour at most.
            Default: 1.0.
    """

    missed: Missed
    window: float | None
    unfinished: Unfinished
    overlap: Overlap | None
    jitter: float
    timeout: float | None
    retries: int
    backoff: float


@dataclass(frozen=True, slots=True)
class JobSettings:
    """A job's name, its trigger and its options, see `JobOptions`.

    Raises:
        UsageError: a value cannot be used.
    """

    name: str
    trigger: Trigger
    missed: Missed = "latest"
    window: float | None = None
    unfinished: Unfinished = "leave"
    overlap: Overlap | None = None
    jitter: float = 0.0
    timeout: float | None = None
    retries: int = 0
    backoff: float = 1.0

    def __post_init__(self) -> None:
        for option, value, known in (
            ("missed", self.missed, get_args(Missed)),
            ("unfinished", self.unfinished, get_args(Unfinished)),
            ("overlap", self.overlap, (None, *get_args(Overlap))),
        ):
            if value not in known:
                raise self._refused(option, value, f"give one of {', '.join(map(repr, known))}")
        if self.missed == "all" and self.overlap == "skip":
            raise self._refused("overlap", "skip", "missed='all' runs every slot; give overlap='queue'")
        for option, seconds in (("window", self.window), ("timeout", self.timeout)):
            if seconds is not None and not seconds > 0:
                raise self._refused(option, seconds, "give more than 0 seconds, or None")
        for option, seconds in (("jitter", self.jitter), ("backoff", self.backoff)):
            if not 0 <= seconds <= DAY:
                raise self._refused(option, seconds, "give 0 seconds to a day")
        if not 0 <= self.retries < ATTEMPTS:
            raise self._refused("retries", self.retries, f"give 0 to {ATTEMPTS - 1}")

    def _refused(self, option: str, value: object, advice: str) -> UsageError:
        return UsageError(f"job {self.name!r}: {option}={value!r} cannot be used; {advice}")

    @property
    def queues(self) -> bool:
        """Slots that come due during a run are run after it."""
        return self.overlap == "queue" or self.missed == "all"

    def due(self, slot: int) -> int:
        """When that slot is to be run."""
        if not self.jitter:
            return slot
        draw = hashlib.blake2b(f"{self.name} {slot}".encode(), digest_size=6).digest()
        return slot + int.from_bytes(draw) * self.longest // 2**48

    @property
    def lateness(self) -> int | None:
        """Milliseconds after it is due that a slot may be run; None for any."""
        window = SKIP_WINDOW if self.missed == "skip" and self.window is None else self.window
        return None if window is None else round(window * 1000)

    @property
    def longest(self) -> int:
        """Milliseconds that a slot is delayed at most."""
        return round(self.jitter * 1000)

    def following(self, slot: int) -> int | None:
        """The slot after that one; None if there is none, or if the trigger goes back, which would never end."""
        following = self.trigger.next(slot)
        return following if following is not None and following > slot else None
