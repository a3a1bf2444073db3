"""When sessions that have gone silent end. Pure.

Rules (ZooKeeper's `ExpiryQueue`):
1. A session touched at `now` ends on the first tick after `now` + its timeout, so it may live up to a tick longer than
   its timeout, never shorter.
2. Sessions that end on one tick are kept together. There are at most as many such ticks as a timeout has, so no step
   costs more among many sessions than among few.
"""

from __future__ import annotations

import math


class Expiry:
    """The deadlines of all sessions; `tick` is how many seconds pass from one check to the next."""

    def __init__(self, tick: float) -> None:
        self.tick = tick
        self._deadlines: dict[int, float] = {}
        self._ending: dict[float, set[int]] = {}  # by deadline; none of them is empty

    def touch(self, session: int, timeout: float, now: float) -> None:
        """The session has shown that it lives, or has begun."""
        due = (math.floor((now + timeout) / self.tick) + 1) * self.tick
        if due > self._deadlines.get(session, -math.inf):
            self.forget(session)
            self._deadlines[session] = due
            self._ending.setdefault(due, set()).add(session)

    def forget(self, session: int) -> None:
        """The session is over."""
        due = self._deadlines.pop(session, None)
        if due is not None:
            together = self._ending[due]
            together.remove(session)
            if not together:
                del self._ending[due]

    def due(self, now: float) -> list[int]:
        """The sessions to end now, in a fixed order."""
        return sorted(session for due, together in self._ending.items() if due <= now for session in together)

    def deadline(self) -> float | None:
        """When `due` will next return a session."""
        return min(self._ending, default=None)
