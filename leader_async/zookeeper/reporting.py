"""What a client logs and counts of its session, and what it remembers for its status.

Rules:
- The same trouble is logged once: an outage of an hour is one line, not thousands.
- `since` is the time at which a server began or ceased to serve the session. Handshakes that fail do not change it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TypeAlias

from . import messages as m
from .stats import SessionStats

log = logging.getLogger("leader_async.zookeeper")

Failure: TypeAlias = tuple[str, m.Cause]
"""Why a connection ended or did not come about: for people, and for programs."""


class SessionReporter:
    """See the module's docstring; `timeout_asked` is the session timeout that was asked for, in seconds."""

    def __init__(self, timeout_asked: float) -> None:
        self.stats = SessionStats()
        self.since = time.time()
        self.granted: float | None = None
        self.last_error = ""
        self._asked = timeout_asked
        self._served = False

    def connected(self, event: m.Connected, server: str) -> None:
        """A server serves the session."""
        self._served, self.since = True, time.time()
        self.stats.connected(resumed=event.resumed)
        if event.timeout not in (self.granted, self._asked):
            log.warning(
                "the server granted a session timeout of %g s, not the %g s asked for (its limits are "
                "minSessionTimeout and maxSessionTimeout, by default 2 and 20 ticks)",
                event.timeout, self._asked, extra={"event": "session_timeout", "seconds": event.timeout},
            )  # fmt: skip
        self.granted = event.timeout
        how = "resumed" if event.resumed else "begun"
        fields = {"event": f"session_{how}", "session": f"0x{event.session_id:x}", "server": server}
        log.info("session 0x%x %s by %s", event.session_id, how, server, extra=fields)

    def disconnected(self, event: m.Disconnected, server: str | None, *, closing: bool) -> None:
        """The connection to this server (None for none) is gone; `closing`: the client is being closed."""
        again = not self._served and event.reason == self.last_error
        if self._served:
            self._served, self.since = False, time.time()
        self.stats.disconnected(event.cause)
        self.last_error = event.reason
        if server is not None:
            fields = {"event": "connection_ended", "server": server, "cause": event.cause.value}
            log.log(
                logging.DEBUG if closing or again or event.cause is m.Cause.CLOSED else logging.WARNING,
                "connection to %s ended: %s", server, event.reason, extra={**fields, "reason": event.reason},
            )  # fmt: skip

    def expired(self, event: m.Expired) -> None:
        """The session has expired, by a server's answer."""
        self.stats.expired += 1
        fields = {"event": "session_expired", "session": f"0x{event.session_id:x}"}
        log.warning("session 0x%x expired", event.session_id, extra=fields)

    def refused(self, refused: object) -> None:
        """The servers do not serve us, as we are."""
        log.error("%s; no connection will be made again", refused, extra={"event": "denied"})

    def failed(self, failures: Sequence[Failure]) -> None:
        """A round of dialling had these failures."""
        for _, cause in failures:
            self.stats.disconnected(cause)
        text = "; ".join(sorted(text for text, _ in failures))
        if text and text != self.last_error:
            log.warning("%s; trying again", text, extra={"event": "zookeeper_away", "reason": text})
        self.last_error = text or self.last_error

    def died(self, error: BaseException) -> None:
        """A bug has ended the dialling."""
        log.critical(
            "dialling has died of a bug: no connection will be made again", exc_info=error, extra={"event": "bug"}
        )
