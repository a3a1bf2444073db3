"""Those that must notice. Each says what it noticed, "" for nothing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import HypothesisException
from hypothesis.stateful import run_state_machine_as_test

from ..exhaustive.walk import FAULTS, Bounds, walk
from ..properties.test_election import Elections
from ..simulation.plan import of_seed
from ..simulation.run import run
from .rules import MUTANTS

EACH = dict.fromkeys(FAULTS, 1)
WALKS = (Bounds(2, EACH, 1, 2), Bounds(3, EACH, 1, 1), Bounds(2, EACH, 2, 1))


def simulation(seeds: range) -> str:
    """The first seed whose run breaks a promise."""
    for seed in seeds:
        try:
            if violation := run(of_seed(seed)).violation:
                return f"seed {seed}: {violation}"
        except Exception as error:
            return f"seed {seed}: {type(error).__name__}: {error}"
    return ""


def exhaustive(bounds: Bounds, seconds: float) -> str:
    """The shortest way to a broken invariant."""
    try:
        found = walk(bounds, seconds=seconds, settle_every=40)
    except Exception as error:  # at the very beginning
        return f"{type(error).__name__}: {error} while joining"
    return f"{found.violation} after {len(found.actions)} actions" if found.violation else ""


def properties(examples: int) -> str:
    """What Hypothesis' state machine finds."""
    chosen = settings(
        max_examples=examples,
        stateful_step_count=60,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    try:
        run_state_machine_as_test(Elections, settings=chosen)
    except HypothesisException:
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""


CATCHERS: dict[str, Callable[[], str]] = {
    "properties": lambda: properties(150),
    "walk": lambda: next((said for bounds in WALKS if (said := exhaustive(bounds, 8.0))), ""),
    "simulation": lambda: simulation(range(300)),
}


def catch(name: str) -> tuple[str, dict[str, str], float]:
    """Who noticed this mutant, what, and how many seconds all of them took."""
    began = time.monotonic()
    said = {}
    for catcher, look in CATCHERS.items():
        with MUTANTS[name]() if name in MUTANTS else contextlib.nullcontext():
            said[catcher] = look()
    return name, said, time.monotonic() - began
