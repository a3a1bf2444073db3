"""What a client's session has been through. Pure.

Rule: a connection ends for one of few causes, whatever the words for it: they come from servers and operating systems,
and a metric's labels must not.
"""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass, field

from ..counting import MOMENTS, Histogram
from .session import CLOSED


class Cause(enum.StrEnum):
    """Why a connection ended, or did not come about."""

    NO_ANSWER = "no answer"
    END_OF_STREAM = "end of stream"
    REFUSED = "refused"
    PROTOCOL = "protocol broken"
    NETWORK = "network error"


_TEXTS = {
    "no answer": Cause.NO_ANSWER,
    "end of stream": Cause.END_OF_STREAM,
    "this server does not serve": Cause.REFUSED,
    "the session has expired": Cause.REFUSED,
    "the server refused": Cause.REFUSED,
    "the server does not accept": Cause.REFUSED,
    "the server serves only": Cause.REFUSED,
    "it refuses us": Cause.REFUSED,
    "the server speaks TLS": Cause.PROTOCOL,
    "the server broke the protocol": Cause.PROTOCOL,
}
"""How the reasons begin that `session` and `tls` give; whatever else there is comes from the operating system."""


def cause(reason: str) -> Cause:
    """The cause that stands behind these words."""
    return next((cause for begin, cause in _TEXTS.items() if reason.startswith(begin)), Cause.NETWORK)


@dataclass(slots=True)
class SessionTally:
    """What a client's session has been through.

    Attributes:
        begun: sessions that a server began for us.
        resumed: how often a server took a session of ours up again.
        expired: sessions that a server said were over.
        ended: connections that ended, by cause; those that we closed ourselves are not among them.
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

    def disconnected(self, reason: str) -> None:
        """The connection is gone, for this reason."""
        if reason != CLOSED:
            self.ended[cause(reason)] += 1
