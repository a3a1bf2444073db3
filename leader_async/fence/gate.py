"""Lets requests to one resource through in the order of their tokens. Pure: who waits, and how, is the caller's matter.

Rules:
- `seen` never falls, and rises with the first sight of a token, before its request is let through.
- At no time are requests of two tokens inside: a higher one waits until the lower ones that were let in have ended. So
  what a lower one writes is written before the higher one begins.

It remembers nothing beyond this object's life.
"""

from __future__ import annotations

from ..errors import StaleToken


class Gate:
    """See the module's docstring.

    Args:
        resource: its name, for messages.
    """

    def __init__(self, resource: str) -> None:
        self.resource = resource
        self.seen = 0
        self._inside = 0  # the token of those inside
        self._count = 0

    def enter(self, token: int) -> bool:
        """Ask to be let in; who was let in calls `leave` when it has ended.

        Returns:
            False to wait until somebody has left, and ask again.

        Raises:
            StaleToken: a higher one was here.
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
        """One of those inside has ended; True if it was the last."""
        self._count -= 1
        return self._count == 0
