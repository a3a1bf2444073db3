"""What waits for one listener of the event stream. Pure.

Rules:
1. Each event is the whole of its part, so of two with one name the newer one is enough.
2. There is room for `ROOM` events. Beyond it the oldest one that has a newer one of its name behind it is dropped: a
   slow listener misses what came in between, and never the latest of any name.
"""

from __future__ import annotations

from typing import NamedTuple

ROOM = 16
"""Events; more than there are names, so one that may be dropped is always found."""


class Event(NamedTuple):
    """One event, encoded once for all listeners: of what it is the whole, and its bytes on the wire."""

    name: str
    frame: bytes


class Mailbox:
    """See the module's docstring."""

    def __init__(self) -> None:
        self.dropped = 0
        self._waiting: list[Event] = []

    def put(self, event: Event) -> None:
        """One more event."""
        self._waiting.append(event)
        if len(self._waiting) > ROOM:
            names = [one.name for one in self._waiting]
            del self._waiting[next(at for at, name in enumerate(names) if name in names[at + 1 :])]
            self.dropped += 1

    def take(self) -> bytes:
        """All that waits, oldest first; nothing waits any more."""
        frames = b"".join(event.frame for event in self._waiting)
        self._waiting.clear()
        return frames
