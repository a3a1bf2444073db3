"""What is walked through: `python -m tests.exhaustive` goes all of these ways, and so do those who look for mutants."""

from __future__ import annotations

from ..properties.world import FAST, SLOW
from . import sessions, walk
from .explore import Action, Found

EACH = dict.fromkeys(walk.FAULTS, 1)


def prefix(
    candidates: int, *actions: Action, joined: bool = True, leases: tuple[float, ...] = ()
) -> tuple[Action, ...]:
    """What is done to so many before a walk begins; `drain` lets all that concerns one of them arrive."""
    state = walk.begin(walk.Bounds(candidates, joined=joined, leases=leases))
    state.left, state.total, state.passes = dict.fromkeys(walk.FAULTS, 9), 9, 9
    done: list[Action] = []
    for what, number in actions:
        if what != "drain":
            done.append((what, number))
            state = state.after(done[-1])
        while what == "drain":
            can = [each for each in state.possible() if each in (("serve", number), ("receive", number))]
            if not can:
                break
            done.append(can[0])
            state = state.after(can[0])
    return tuple(done)


CLAIMING = prefix(2, ("expire", 0), ("drain", 1), ("pass", 0), ("pass", 0))
"""The first one's session has ended, its lease has been waited out, and the second one's claim is on its way."""
ROBBED = prefix(
    3, ("expire", 0), ("drain", 1), ("drain", 2), ("pass", 0), ("delete", 1), ("drain", 2), ("pass", 0), ("serve", 1)
)
"""As `CLAIMING`, but a stranger has deleted the second one's znode meanwhile, which only the third one knows; the claim
has reached the server."""
LATE = prefix(
    3, ("expire", 0), ("drain", 1), ("drain", 2), ("pass", 0), ("pass", 0), ("serve", 1), ("expire", 1), ("drain", 2)
)
"""The second one's claim has succeeded and its session has ended, which the third one knows; no news has reached it."""
CONFIRMED = prefix(2, ("pass", 0), ("serve", 0), ("expire", 0), ("drain", 1))
"""The first one's confirm has succeeded and its session has ended, which the second one knows."""
ALONE = prefix(2, ("drain", 0), joined=False)
"""The first one leads, and nobody else has joined yet."""
GONE = prefix(
    3,
    ("pass", 0), ("drain", 0), ("drain", 1), ("drain", 2), ("resign", 0), ("serve", 0), ("expire", 1), ("drain", 2),
)  # fmt: skip
"""The first one has appointed the second, whose session has ended while the notice was on its way; the third one knows
of both."""
APPOINTED = prefix(2, ("pass", 0), ("drain", 1), ("resign", 0), ("serve", 0), ("serve", 0))
"""The first one has handed over by name to the second, whose confirm is warm, and nobody has heard of it."""

LENT = prefix(
    2,
    ("pass", 0), ("drain", 0), ("drain", 1), ("resign", 0), ("drain", 0), ("drain", 1), ("drain", 0), ("drain", 1),
    leases=(3.0, 2.0),
)  # fmt: skip
"""The first one has appointed the second, which leads under a lease that is not its own, and stands behind it now: it
will not be appointed."""

WAYS: dict[str, walk.Bounds | sessions.Bounds] = {
    "1 joins, any 3 faults": walk.Bounds(1, EACH, 3, 0, joined=False),
    "2 join, 1 step of time": walk.Bounds(2, {}, 0, 1, joined=False),
    "2 join, a session expires": walk.Bounds(2, {"expire": 1}, 1, 0, joined=False),
    "2 join, a reply is lost": walk.Bounds(2, {"lose": 1}, 1, 0, joined=False),
    "2 in the queue, any 1 fault, 3 steps of time": walk.Bounds(2, EACH, 1, 3),
    "2 in the queue, any 2 faults": walk.Bounds(2, EACH, 2, 0),
    "2 of different leases, any 1 fault, 1 step of time": walk.Bounds(2, EACH, 1, 1, first=LENT, leases=(3.0, 2.0)),
    "2, the second appointed, any 1 fault, 2 steps": walk.Bounds(2, EACH, 1, 2, first=APPOINTED),
    "2, the second claiming, a session expires, 3 steps": walk.Bounds(2, {"expire": 1}, 1, 3, first=CLAIMING),
    "3, the second claimed without a znode, 2 steps": walk.Bounds(3, {}, 0, 2, first=ROBBED),
    "3, the second claimed and expired, 2 steps": walk.Bounds(3, {}, 0, 2, first=LATE),
    "3, the second appointed and expired, 2 steps": walk.Bounds(3, {}, 0, 2, first=GONE),
    "2, the first confirmed and expired, 2 steps": walk.Bounds(2, {}, 0, 2, first=CONFIRMED),
    "2, the first leads, the second joins, one expires": walk.Bounds(2, {"expire": 1}, 1, 0, joined=False, first=ALONE),
    "2 in the queue, a session expires, 3 steps": walk.Bounds(2, {"expire": 1}, 1, 3),
    "1 joins, a reply lost, a server behind, resigns": walk.Bounds(
        1, {"lose": 1, "connect behind": 1, "resign": 1}, 3, 0, joined=False
    ),
    "2 in the queue, the election deleted, 3 steps": walk.Bounds(2, {walk.ANEW: 1}, 1, 3),
    "2 in the queue, the election deleted, a fault": walk.Bounds(2, {**EACH, walk.ANEW: 1}, 2, 0),
    "2 in 2 elections each, any 1 fault": walk.Bounds(2, EACH, 1, 0, elections=2),
    "2 in the queue, a session expires, 2 steps, the first clock slow": walk.Bounds(
        2, {"expire": 1}, 1, 2, rates=(SLOW, FAST)
    ),
    "2 in the queue, a session expires, 2 steps, the first clock fast": walk.Bounds(
        2, {"expire": 1}, 1, 2, rates=(FAST, SLOW)
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
