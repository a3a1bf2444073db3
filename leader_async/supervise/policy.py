"""What to do after a command has ended; systemd calls this a restart policy. Pure.

Rules: a command that cannot be started is not tried again. A command that keeps ending is started less and less often.
"""

from __future__ import annotations

import enum
from typing import Literal, TypeAlias, get_args

from .supervision import StopReason

OnExit: TypeAlias = Literal["exit", "resign", "restart"]
OnLoss: TypeAlias = Literal["follow", "exit"]
ON_EXIT: tuple[OnExit, ...] = get_args(OnExit)
ON_LOSS: tuple[OnLoss, ...] = get_args(OnLoss)

NOT_RUN, NOT_FOUND = 126, 127
"""The status when the command cannot be run, or does not exist; shells use the same numbers."""

SUPERVISOR_DIED = 71
"""The status when the supervisor was killed, or cannot be started (EX_OSERR)."""

LOST = 75
"""The status when the lead was lost and `--on-loss` is `exit` (EX_TEMPFAIL)."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before this process starts a command again."""


class Next(enum.Enum):
    """What to do."""

    EXIT = "exit"
    RESIGN = "resign"
    RESTART = "restart"
    FOLLOW = "follow"
    LOST = "exit: the lead was lost"


def after(why: StopReason, on_exit: OnExit, on_loss: OnLoss, *, started: bool, stopping: bool) -> Next:
    """What follows when the command has ended for this reason, or was not `started`, or this process is `stopping`."""
    if stopping or not started:
        return Next.EXIT
    if why is StopReason.ENDED:
        return Next(on_exit)
    return Next.FOLLOW if on_loss == "follow" else Next.LOST


def pause(last: float, ran: float) -> float:
    """Seconds to wait before a command that ran for so long is started again, after a last pause or none (0.0)."""
    return FIRST_PAUSE if not last or ran >= LONGEST_PAUSE else min(2 * last, LONGEST_PAUSE)
