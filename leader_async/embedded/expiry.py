"""When sessions that have gone silent end.

Rule (ZooKeeper's `ExpiryQueue`): a session touched at `now` ends on the first tick after `now` + its timeout, so it may
live up to a tick longer than its timeout, never shorter.
"""

from __future__ import annotations

import math


class Expiry:
    """The deadlines of all sessions.

    Args:
        tick: seconds between two looks.
    """

    def __init__(self, tick: float) -> None:
        self.tick = tick
        self._deadlines: dict[int, float] = {}

    def touch(self, session: int, timeout: float, now: float) -> None:
        """The session gave a sign of life, or has begun."""
        due = (math.floor((now + timeout) / self.tick) + 1) * self.tick
        self._deadlines[session] = max(due, self._deadlines.get(session, due))

    def forget(self, session: int) -> None:
        """The session is over."""
        self._deadlines.pop(session, None)

    def due(self, now: float) -> list[int]:
        """The sessions to end now, in a fixed order."""
        return sorted(session for session, deadline in self._deadlines.items() if deadline <= now)

    def deadline(self) -> float | None:
        """When `due` will next have one."""
        return min(self._deadlines.values(), default=None)
