"""When the processes of one command get which signal, and when the supervisor is late with it. Pure.

Times are readings of `clock.now`. Rules:
- SIGTERM as soon as a stop is requested, or when a tenth of the lease is left; SIGKILL at the lease's end, or
  `stop_timeout` after the SIGTERM, whichever comes first. A SIGTERM is final: a renewed lease only gives the command
  more time to end.
- A supervisor is late with its SIGKILL `LATE` of the lease after the lease's end, and `PATIENCE` after any other.
- The process that judges may have been frozen with the whole machine. Then the supervisor has only just woken up as
  well. So if the first look comes when the supervisor would be late already, it gets as long again as the look was
  late, `PATIENCE` at most, and only once. (If this process was frozen alone, the supervisor has killed long since.)

It does not promise that a process dies of its SIGKILL at once. `Patience` does not know what the supervisor has sent:
that is read before each look.
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

LATE = 0.02
"""Share of the lease: how long after its end the supervisor may begin to kill."""

PATIENCE = 0.5
"""Seconds that it may be late if it is not the lease that ends, or if this process looked late."""


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


@dataclass(slots=True)
class Patience:
    """How long to wait for the supervisor of one run.

    Attributes:
        run: what was sent to it.
        looked: when this process first looked after SIGKILL was due, None while it is not due.
    """

    run: Supervision
    looked: float | None = None

    def wait(self, now: float) -> float:
        """Judge a supervisor that has not sent "killing".

        Returns:
            Seconds until the next look; 0 or less if the supervisor is late.
        """
        run = self.run
        run.tick(now)
        if now < run.kill_at:
            self.looked = None
            return min(run.kill_at - now, run.lease)
        if self.looked is None:
            self.looked = now
        late = min(run.until + LATE * run.lease, run.kill_at + PATIENCE)
        if self.looked >= late:
            late = self.looked + min(self.looked - run.kill_at, PATIENCE)
        return late - now
