"""How often, and how long: plain counts in memory, which `metrics` exports. Pure.

Rule: the code that makes an event happen counts it at once, with or without a collector. So all collectors export the
same, and none has to exist from the beginning.

It does not promise that a reading from another thread is of one instant.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

MOMENTS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Bounds for what should take milliseconds, in seconds."""

CHANGEOVERS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Bounds for how long the lead takes to pass on, in seconds."""

RUNS = (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""Bounds for what jobs take, in seconds."""


class Histogram:
    """How many durations there were, by their length.

    Attributes:
        bounds: seconds, ascending; a duration is counted at the first bound that it does not exceed.
        counts: the number of durations for each bound, and last those beyond the last bound.
        total: the sum of all durations, in seconds.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count a duration."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds
