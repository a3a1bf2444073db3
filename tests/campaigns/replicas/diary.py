"""Where a replica writes down what it observes, and does its work."""

from __future__ import annotations

import fcntl
import os
import time

PERIOD = 0.01
"""Seconds between two looks."""

UNIT = 0.02
"""Seconds that a unit of work takes."""


def now() -> float:
    """The machine's boot-time clock, the same for all processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Notebook:
    """Observations; each line has reached the kernel when the call returns, so a kill loses none."""

    def __init__(self, observations: str) -> None:
        self._observations = os.open(observations, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def leads(self, before: float, after: float, token: int) -> None:
        """It was asked whether it leads, between these instants, and the answer was yes."""
        self.note("True", f"{before:.6f}", f"{after:.6f}", token)

    def note(self, *words: object) -> None:
        """Write a line of these."""
        os.write(self._observations, (" ".join(map(str, words)) + "\n").encode())


class Diary(Notebook):
    """Observations and work.

    The work is a list of numbered units that all replicas share. Whoever leads reads the last number, works for a
    while, makes sure that it still leads, and writes the next one. Nothing but the election keeps two replicas from
    doing the same unit; a replica with a token is refused if a higher one has been there.
    """

    def __init__(self, observations: str, work: str) -> None:
        super().__init__(observations)
        self._work = os.open(work, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._begun: tuple[int, float] | None = None

    def begin_work(self) -> None:
        """Take the next unit up, if none is."""
        if self._begun is None:
            self._begun = self._last()[0] + 1, now()

    def end_work(self, token: int) -> None:
        """Write the unit down if it has been worked on for long enough; called when `is_leader` has just been True."""
        if self._begun is None or now() - self._begun[1] < UNIT:
            return
        number, self._begun = self._begun[0], None
        fcntl.flock(self._work, fcntl.LOCK_EX)
        try:
            highest = self._last()[1]
            if token and token < highest:
                self.note("Refused", number, token, f"{now():.6f}")
                return
            os.write(self._work, f"{number} {max(token, highest)}\n".rjust(40).encode())
        finally:
            fcntl.flock(self._work, fcntl.LOCK_UN)
        self.note("Work", number, token, f"{now():.6f}")

    def drop_work(self) -> None:
        """It leads no more."""
        self._begun = None

    def _last(self) -> tuple[int, int]:
        size = os.fstat(self._work).st_size
        words = os.pread(self._work, 40, size - 40).split() if size else [b"0", b"0"]
        return int(words[0]), int(words[1])
