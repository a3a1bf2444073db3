from __future__ import annotations

import time

from leader_async import clock


def test_the_clock_counts_a_machines_sleep_where_the_platform_can() -> None:
    first = clock.now()
    assert clock.now() >= first
    if hasattr(time, "CLOCK_BOOTTIME"):
        assert abs(clock.now() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 1
