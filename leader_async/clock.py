"""The clock that leases are counted on.

Rule: `CLOCK_BOOTTIME` where the platform has it, because `CLOCK_MONOTONIC` stands still while a machine sleeps and a
lease must not; elsewhere the monotonic clock. Readings of two machines are never compared; only the *rates* of their
clocks are assumed to agree, within a factor of 1.05.

It does not promise a time for people: that is `time.time()`, and no decision depends on it.
"""

from __future__ import annotations

import time

if hasattr(time, "CLOCK_BOOTTIME"):

    def now() -> float:
        """Seconds since the machine started, sleep included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

else:  # pragma: no cover - platforms without CLOCK_BOOTTIME

    def now() -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()
