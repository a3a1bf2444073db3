"""How `leader-async` ends."""

from __future__ import annotations

import enum

from ..watchdog import EXIT_CODE


class Exit(enum.IntEnum):
    """The exit codes of `leader-async serve`."""

    STOPPED = 0
    USAGE = 2
    PORT = 3
    STOP_TIMEOUT = 4
    OVERDUE = EXIT_CODE
    BUG = 70


class CannotListen(Exception):
    """A port cannot be bound; the message says which and why."""
