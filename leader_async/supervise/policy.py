"""What next, when a command has ended. Pure.

Rules: what cannot be started is not tried again. A command that keeps ending is started less and less often.
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
"""The status when the command cannot be run, or does not exist; as shells have it."""

SUPERVISOR_DIED = 71
"""The status when the supervisor was killed, or cannot be had (EX_OSERR)."""

LOST = 75
"""The status when the lead was lost and nothing else is to be tried (EX_TEMPFAIL)."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a command that has ended is started again here."""


class Next(enum.Enum):
    """What to do."""

    EXIT = "exit"
    RESIGN = "resign"
    RESTART = "restart"
    FOLLOW = "follow"
    LOST = "exit: the lead was lost"


def after(why: StopReason, on_exit: OnExit, on_loss: OnLoss, *, started: bool, stopping: bool) -> Next:
    """What to do after the command has ended for this reason.

    Args:
        why: as the supervisor tells it.
        on_exit: what is to be done when it has ended by itself.
        on_loss: what is to be done when the lead was lost.
        started: False if it could not be started.
        stopping: we were told to stop.
    """
    if stopping or not started:
        return Next.EXIT
    if why is StopReason.ENDED:
        return {"exit": Next.EXIT, "resign": Next.RESIGN, "restart": Next.RESTART}[on_exit]
    return Next.FOLLOW if on_loss == "follow" else Next.LOST


def pause(last: float, ran: float) -> float:
    """Seconds to wait before it is started again.

    Args:
        last: the pause before, 0.0 if there was none.
        ran: seconds that it has run.
    """
    return FIRST_PAUSE if not last or ran >= LONGEST_PAUSE else min(2 * last, LONGEST_PAUSE)
