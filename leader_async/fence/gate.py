"""Admits requests to one resource in the order of their tokens. Pure: the caller does the waiting.

Rules:
- `seen` never falls, and rises at the first request with a higher token, before that request is admitted.
- Requests of two tokens are never inside together: a request with a higher token waits until those with lower ones have
  left. So the writes of a lower token precede those of a higher one.

It remembers nothing beyond this object's life.
"""

from __future__ import annotations

from ..errors import StaleToken


class Gate:
    """See the module's docstring; the resource's name is for messages."""

    def __init__(self, resource: str) -> None:
        self.resource = resource
        self.seen = 0
        self._inside = 0  # the token of those inside
        self._count = 0

    def enter(self, token: int) -> bool:
        """Admit a request with this token; after True the caller calls `leave` when the request has ended.

        After False it waits until another one has left, and enters again. Raises StaleToken if a higher one was here.
        """
        if token < self.seen:
            raise StaleToken(self.resource, token, self.seen)
        self.seen = token
        if self._count and self._inside < token:
            return False
        self._inside = token
        self._count += 1
        return True

    def leave(self) -> bool:
        """A request inside has ended; True if it was the last one."""
        self._count -= 1
        return self._count == 0
