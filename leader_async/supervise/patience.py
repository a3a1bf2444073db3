"""When a supervisor is late with its SIGKILL. Pure; times are readings of `clock.now`.

Rules:
- It is late `LATE` of the lease after the lease's end, and `PATIENCE` after any other SIGKILL.
- The process that judges may have been frozen: alone, and then the supervisor has killed long since; or with the whole
  machine, and then the supervisor wakes at this moment as well. So if the first look comes when the supervisor would be
  late already, it gets as long again as the look was late, `PATIENCE` at most, and only once.

It does not know what the supervisor has sent: that is read before each look.
"""

from __future__ import annotations

from dataclasses import dataclass

from .supervision import Supervision

LATE = 0.02
"""Share of the lease: how long after its end the supervisor may begin to kill."""

PATIENCE = 0.5
"""Seconds that it may be late if it is not the lease that ends, or if this process looked late."""


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
