"""What is walked through: `python -m tests.exhaustive` goes all of these ways, and so do those who look for mutants."""

from __future__ import annotations

from . import sessions, walk
from .explore import Found

EACH = dict.fromkeys(walk.FAULTS, 1)

HANDOVER = (
    ("resign", 0), ("serve", 0), ("receive", 1), ("serve", 1), ("receive", 0), ("serve", 0), ("receive", 0),
    ("serve", 0), ("receive", 0), ("serve", 0), ("serve", 0), ("receive", 0), ("receive", 0),
)  # fmt: skip
"""The first of two has left and stands behind the second, whose claim has been taken; its answer is on its way."""

WAYS: dict[str, walk.Bounds | sessions.Bounds] = {
    "1 joins, any 3 faults": walk.Bounds(1, EACH, 3, 0, joined=False),
    "2 join, 1 step of time": walk.Bounds(2, {}, 0, 1, joined=False),
    "2 join, a session expires": walk.Bounds(2, {"expire": 1}, 1, 0, joined=False),
    "2 join, a reply is lost": walk.Bounds(2, {"lose": 1}, 1, 0, joined=False),
    "2 in the queue, any 1 fault, 3 steps of time": walk.Bounds(2, EACH, 1, 3),
    "2 in the queue, any 2 faults": walk.Bounds(2, EACH, 2, 0),
    "2 in a handover, any 1 fault, 2 steps of time": walk.Bounds(2, EACH, 1, 2, first=HANDOVER),
    "3 in the queue, any 1 fault, 1 step of time": walk.Bounds(3, EACH, 1, 1),
    "3 in the queue, any 2 faults": walk.Bounds(3, EACH, 2, 0),
    "4 in the queue, any 1 fault": walk.Bounds(4, EACH, 1, 0),
    "a session, 2 requests, any 2 faults": sessions.Bounds(2, 3, 2),
    "a session, any 2 faults, 2 steps of time": sessions.Bounds(0, 3, 2, 2, 1),
}
"""By name. Steps of time are as long as `walk.STEP` and `sessions.STEP` say."""


def go(name: str, seconds: float) -> tuple[str, Found]:
    """Go one of them, for so many seconds at most. (Not in `__main__`: processes that are spawned do not have that.)"""
    bounds = WAYS[name]
    if isinstance(bounds, walk.Bounds):
        return name, walk.walk(bounds, seconds=seconds)
    return name, sessions.walk(bounds, seconds=seconds)
