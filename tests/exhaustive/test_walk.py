"""A smaller walk for the suite; `python -m tests.exhaustive` goes further."""

from __future__ import annotations

import pytest

from ..properties.world import FAST, SLOW
from ..support.reporting import measured
from .walk import ANEW, FAULTS, Bounds, replay, walk

EACH = dict.fromkeys(FAULTS, 1)
FEW = {"lose": 1, "expire": 1, "resign": 1}
pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize(
    "bounds",
    [
        Bounds(2, {}, 0, 0, joined=False),
        Bounds(2, EACH, 1, 0),
        Bounds(2, {"expire": 1}, 1, 1, rates=(SLOW, FAST)),
        Bounds(2, {ANEW: 1}, 1, 0),
        Bounds(2, {"expire": 1, "resign": 1}, 1, 0, elections=2),
        Bounds(3, FEW, 1, 0),
    ],
    ids=["2 join", "2 and a fault", "2, expiry, time", "2, the election deleted", "2 in 2 elections", "3 and a fault"],
)
def test_every_interleaving_keeps_the_promises(bounds: Bounds) -> None:
    found = walk(bounds)
    assert not found.violation, f"{found.violation}\nreplay({bounds!r}, {found.actions!r})"
    assert found.complete
    what = f"{bounds.candidates} candidates, {bounds.total} faults, {bounds.passes} steps of time"
    measured(f"walk: {what}, {found.states} states", found.seconds)


def test_a_way_can_be_walked_again() -> None:
    bounds = Bounds(2, EACH, 1, 1)
    world = replay(bounds, (("resign", 1), ("serve", 1), ("receive", 1), ("pass", 0)))
    assert [process.leads for process in world.processes] == [True, False]
    assert world.processes[1].candidacy.state(world.processes[1].now) == "joining"
