"""Those that must notice. Each says what it noticed, "" for nothing. To be still busy after `LIMIT` is noticed, too."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType

from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import HypothesisException
from hypothesis.stateful import run_state_machine_as_test

from ..exhaustive import sessions
from ..exhaustive.walk import FAULTS, Bounds, walk
from ..properties.test_election import Elections
from ..simulation.plan import of_seed
from ..simulation.run import run
from .rules import MUTANTS

EACH = dict.fromkeys(FAULTS, 1)
WALKS = (
    Bounds(2, EACH, 1, 2),
    Bounds(3, EACH, 1, 1),
    Bounds(2, EACH, 2, 1),
    Bounds(2, {"expire": 1}, 1, 0, joined=False),
)
SESSIONS = (sessions.Bounds(1, 2, 1), sessions.Bounds(0, 3, 2))
LIMIT = 120
"""Seconds that a catcher may take; some mutants go round in circles."""


class _Hangs(BaseException):
    """Not to be caught by what is under test."""


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise `_Hangs` after so many seconds."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Hangs

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again, should somebody swallow it
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


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


def session() -> str:
    """The shortest way to a broken promise of the session's."""
    for bounds in SESSIONS:
        found = sessions.walk(bounds, settle_every=10)
        if found.violation:
            return f"{found.violation} after {len(found.actions)} actions"
    return ""


CATCHERS: dict[str, Callable[[], str]] = {
    "properties": lambda: properties(150),
    "walk": lambda: next((said for bounds in WALKS if (said := exhaustive(bounds, 8.0))), ""),
    "walk of the session": session,
    "simulation": lambda: simulation(range(300)),
}


def catch(name: str, seed: int | None = None) -> tuple[str, dict[str, str], float]:
    """Who noticed this mutant, what, and how many seconds all of them took; `seed` is one more for the simulation."""
    began = time.monotonic()
    said = {}
    with MUTANTS[name]() if name in MUTANTS else contextlib.nullcontext():
        for catcher, look in CATCHERS.items():
            try:
                with limited(LIMIT):
                    said[catcher] = look()
            except _Hangs:
                said[catcher] = f"still busy after {LIMIT} s"
        if seed is not None and not said["simulation"]:
            said["simulation"] = simulation(range(seed, seed + 1))
    return name, said, time.monotonic() - began
