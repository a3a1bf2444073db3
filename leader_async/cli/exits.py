"""How `leader-async` ends."""

from __future__ import annotations

import enum

from ..watchdog import EXIT_CODE


class Exit(enum.IntEnum):
    """The exit codes of `leader-async`; `NO` and `AWAY` are those of the commands that ask."""

    STOPPED = 0
    NO = 1
    USAGE = 2
    PORT = 3
    STOP_TIMEOUT = 4
    OVERDUE = EXIT_CODE
    AWAY = 6
    BUG = 70


class CannotListen(Exception):
    """A port cannot be bound; the message says which and why."""
