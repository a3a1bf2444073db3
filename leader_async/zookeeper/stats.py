"""Counts of the events of a client's session, for metrics. Pure.

Rule: a connection ends, or cannot be made, for one of few causes. The words for it come from servers and operating
systems; they are no label of a metric.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..histogram import MOMENTS, Histogram
from .messages import Cause


@dataclass(slots=True)
class SessionStats:
    """What a client's session has been through.

    Attributes:
        begun: sessions that a server began for us.
        resumed: how often a server took a session of ours up again.
        expired: sessions that a server said were over.
        ended: connections that ended or did not come about, by cause; a round of dialling in which no server takes one
            counts once. Those that we closed ourselves are not among them.
        lag: how late the event loop rang the session's alarms.
    """

    begun: int = 0
    resumed: int = 0
    expired: int = 0
    ended: Counter[Cause] = field(default_factory=Counter)
    lag: Histogram = field(default_factory=lambda: Histogram(MOMENTS))

    def connected(self, *, resumed: bool) -> None:
        """A server serves the session."""
        self.resumed += resumed
        self.begun += not resumed

    def disconnected(self, cause: Cause) -> None:
        """The connection is gone, or did not come about."""
        if cause is not Cause.CLOSED:
            self.ended[cause] += 1
