"""One fault at a time: nobody may lead for no longer than is promised of that kind of fault."""

from __future__ import annotations

import random

import pytest

from .judge import WITHOUT_LEADER
from .plan import KINDS, LEADER, Fault, Plan, program
from .run import run

RUNS = 3


def alone(kind: str, seed: int) -> Plan:
    """A plan in which nothing but this happens, to whoever leads, once everybody queues."""
    rng = random.Random(f"{kind} {seed}")
    timeout, lease = rng.choice((1.0, 2.0, 4.0)), rng.choice((0.5, 1.0, 2.0))
    fault = Fault(kind, 4.0, LEADER, rng.choice((1.0, 3.0, 8.0)))
    return Plan(seed, 3, timeout, lease, 1.0, (("steady",),) * 3, (fault,), 0.0, sides=seed % 2)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_leads_for_no_longer_than_is_promised(kind: str) -> None:
    for seed in range(RUNS):
        plan = alone(kind, seed)
        report = run(plan)
        bound = WITHOUT_LEADER[kind](plan, plan.faults[0].seconds)
        assert not report.violation, f"{report.violation}\nReplay it:\n\n{program(plan)}"
        late = f"nobody led for {report.longest:.2f} s, promised are {bound:.2f} s\nReplay it:\n\n{program(plan)}"
        assert report.longest <= bound, late


def test_the_bounds_are_none_that_anything_keeps() -> None:
    """A machine that is lost takes nearly all of the time that is promised, and a handover nearly none."""
    lost, handed_over = alone("kill", 0), alone("resign", 0)
    assert run(lost).longest > 0.7 * WITHOUT_LEADER["kill"](lost, 0.0)
    assert run(handed_over).longest < 0.1 * WITHOUT_LEADER["kill"](handed_over, 0.0)
