"""What is walked through: `python -m tests.exhaustive` goes all of these ways, and so do those who look for mutants."""

from __future__ import annotations

from leader_async.election.commands import Purpose

from . import sessions, walk
from .explore import Action, Found

EACH = dict.fromkeys(walk.FAULTS, 1)


def prefix(*actions: Action, until: Purpose | None = None) -> tuple[Action, ...]:
    """What is done to two in the queue before a walk begins.

    Args:
        actions: these first.
        until: then the second one goes on by itself, until it has asked for this.
    """
    state = walk.begin(walk.Bounds(2, first=actions))
    state.passes = 99
    second = state.world.processes[1]
    while until and not any(purpose == until for purpose, _ in second.candidacy.pending):
        can = [action for action in state.possible() if action[1] == 1 and action[0] in ("serve", "receive")]
        action = can[0] if can else ("pass", 0)
        actions = (*actions, action)
        state = state.after(action)
        second = state.world.processes[1]
    return actions


CLAIMING = prefix(("expire", 0), until=Purpose.CLAIM)
"""The first one's session has ended, its lease has been waited out, and the second one's claim is on its way."""
APPOINTED = prefix(("pass", 0), ("serve", 1), ("receive", 1), ("resign", 0), ("serve", 0), ("serve", 0))
"""The first one has handed over by name to the second, whose confirm is warm, and nobody has heard of it."""

WAYS: dict[str, walk.Bounds | sessions.Bounds] = {
    "1 joins, any 3 faults": walk.Bounds(1, EACH, 3, 0, joined=False),
    "2 join, 1 step of time": walk.Bounds(2, {}, 0, 1, joined=False),
    "2 join, a session expires": walk.Bounds(2, {"expire": 1}, 1, 0, joined=False),
    "2 join, a reply is lost": walk.Bounds(2, {"lose": 1}, 1, 0, joined=False),
    "2 in the queue, any 1 fault, 3 steps of time": walk.Bounds(2, EACH, 1, 3),
    "2 in the queue, any 2 faults": walk.Bounds(2, EACH, 2, 0),
    "2, the second appointed, any 1 fault, 2 steps": walk.Bounds(2, EACH, 1, 2, first=APPOINTED),
    "2, the second claiming, a session expires, 3 steps": walk.Bounds(2, {"expire": 1}, 1, 3, first=CLAIMING),
    "2 in the queue, a session expires, 3 steps": walk.Bounds(2, {"expire": 1}, 1, 3),
    "1 joins, a reply lost, a server behind, resigns": walk.Bounds(
        1, {"lose": 1, "connect behind": 1, "resign": 1}, 3, 0, joined=False
    ),
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
