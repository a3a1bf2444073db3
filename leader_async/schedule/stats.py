"""Counters of a job. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..histogram import RUNS, Histogram
from .ledger import Outcome


@dataclass(slots=True)
class JobStats:
    """How the attempts of a job in this process ended.

    Attributes:
        runs: number of attempts that ended, by outcome.
        lateness: seconds from the instant at which a slot was due until its first attempt began.
        seconds: how long attempts took.
    """

    runs: Counter[Outcome] = field(default_factory=Counter)
    lateness: Histogram = field(default_factory=lambda: Histogram(RUNS))
    seconds: Histogram = field(default_factory=lambda: Histogram(RUNS))

    def ended(self, outcome: Outcome, seconds: float) -> None:
        """Count an attempt that ended."""
        self.runs[outcome] += 1
        self.seconds.observe(seconds)
