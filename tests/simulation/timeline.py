"""The time that all share, and what is to happen when. Nothing else makes time pass."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class Timeline:
    """Things to happen, in the order of their instants; those of one instant in the order in which they were asked."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self.after_each: Callable[[], None] = lambda: None
        self.steps = 0

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Do this at that instant, or now if that has passed."""
        heapq.heappush(self._heap, (max(when, self.now), next(self._count), do))

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        """Do this so many seconds from now."""
        self.at(self.now + seconds, do)

    def run_until(self, end: float) -> None:
        """Let everything happen up to that instant."""
        while self._heap and self._heap[0][0] <= end:
            self.now, _, do = heapq.heappop(self._heap)
            self.steps += 1
            do()
            self.after_each()
        self.now = max(self.now, end)
