"""When the processes of one command get which signal. Pure; times are readings of `clock.now`.

Rules: SIGTERM as soon as a stop is requested, or when a tenth of the lease is left; SIGKILL at the lease's end, or
`stop_timeout` after the SIGTERM, whichever comes first. A SIGTERM is final: a renewed lease only gives the command more
time to end.

It does not promise that a process dies of its SIGKILL at once.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

MARGIN = 0.1
"""Share of the lease that is left when a command gets SIGTERM."""

LEAST = 0.5
"""Share of the lease that must be left for a command to be started."""

LEAST_LEASE = 1.0
"""Seconds of a lease; the command must end within a tenth of it."""


class Signal(enum.IntEnum):
    """The signal that every living process of the command should have got."""

    NONE = 0
    TERM = 1
    KILL = 2


class StopReason(enum.StrEnum):
    """Why a command's processes are ended."""

    RUNS = "runs"
    ENDED = "ended"
    STOPPED = "stopped"
    LEASE = "lease"


@dataclass(slots=True)
class Supervision:
    """One run of the command.

    Attributes:
        until: when the lease ends.
        lease: L in seconds.
        stop_timeout: seconds between SIGTERM and SIGKILL, if the lease lasts as long.
        why: why it is ended, `RUNS` while it is not.
        since: when its end was requested.
    """

    until: float
    lease: float
    stop_timeout: float
    why: StopReason = StopReason.RUNS
    since: float = float("inf")

    def renew(self, until: float) -> None:
        """Set the lease's end, if it is later than before."""
        self.until = max(self.until, until)

    def stop(self, now: float, why: StopReason) -> None:
        """Request the end of all its processes."""
        if self.why is StopReason.RUNS:
            self.why, self.since = why, now

    def kill(self, now: float) -> None:
        """Request their end at once."""
        self.stop(now, StopReason.STOPPED)
        self.since = min(self.since, now - self.stop_timeout)

    def tick(self, now: float) -> Signal:
        """The signal that every living process should have got by now."""
        if now >= self.until - MARGIN * self.lease:
            self.stop(now, StopReason.LEASE)
        if now >= self.kill_at:
            return Signal.KILL
        return Signal.NONE if self.why is StopReason.RUNS else Signal.TERM

    @property
    def kill_at(self) -> float:
        """When SIGKILL is due."""
        return min(self.until, self.since + self.stop_timeout)

    @property
    def deadline(self) -> float:
        """When `tick` must be called."""
        return self.until - MARGIN * self.lease if self.why is StopReason.RUNS else self.kill_at
