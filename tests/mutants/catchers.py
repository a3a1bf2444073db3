"""Those that must notice. Each says what it noticed, "" for nothing. To be still busy after `LIMIT` is noticed, too."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import HypothesisException
from hypothesis.stateful import run_state_machine_as_test

from leader_async.testing import ZooKeeper

from ..exhaustive import sessions, test_traps
from ..exhaustive.walk import Bounds, walk
from ..exhaustive.ways import WAYS
from ..properties.test_election import Elections
from ..simulation.plan import of_seed
from ..simulation.run import run
from ..unit.election import test_term
from .rules import MUTANTS

DIRECTED = (
    "1 joins, a reply lost, a server behind, resigns",
    "2, the first confirmed and expired, 2 steps",
    "2, the first leads, the second joins, one expires",
    "2 of different leases, any 1 fault, 1 step of time",
    "3, the second claimed without a znode, 2 steps",
    "3, the second claimed and expired, 2 steps",
    "3, the second appointed and expired, 2 steps",
)
"""Walks that begin shortly before rare orders of events."""
WALKS = (
    *DIRECTED,
    "2 join, a session expires",
    "2, the second appointed, any 1 fault, 2 steps",
    "2, the second claiming, a session expires, 3 steps",
    "2 in the queue, a session expires, 3 steps",
    "2 in the queue, any 1 fault, 3 steps of time",
    "3 in the queue, any 1 fault, 1 step of time",
)
SESSIONS = (sessions.Bounds(1, 2, 1), sessions.Bounds(0, 3, 2))
LIMIT = 300
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


def traps() -> str:
    """The first of the schedules that once broke a draft, or a real system, which does so again."""
    for name, trap in vars(test_traps).items():
        if name.startswith("test_"):
            try:
                trap()
            except Exception as error:
                return f"{name}: {type(error).__name__} {error}".rstrip()
    return ""


def terms() -> str:
    """The first test of what a term proves that fails; on the embedded server."""
    for name, test in vars(test_term).items():
        if name.startswith("test_"):
            try:
                with ZooKeeper() as zookeeper:
                    asyncio.run(test(zookeeper))
            except (Exception, pytest.fail.Exception) as error:
                return f"{name}: {type(error).__name__} {error}".rstrip()
    return ""


def session() -> str:
    """The shortest way to a broken promise of the session's."""
    for bounds in SESSIONS:
        found = sessions.walk(bounds, settle_every=10)
        if found.violation:
            return f"{found.violation} after {len(found.actions)} actions"
    return ""


def walks(seconds: float, names: tuple[str, ...] = WALKS) -> str:
    """What one of the walks finds, each of which has so much time."""
    for name in names:
        bounds = WAYS[name]
        assert isinstance(bounds, Bounds)
        if said := exhaustive(bounds, seconds):
            return f"{name}: {said}"
    return ""


CATCHERS: dict[str, Callable[[], str]] = {
    "traps": traps,
    "terms": terms,
    "simulation": lambda: simulation(range(300)),
    "properties": lambda: properties(150),
    "walk of the session": session,
    "walk": lambda: walks(25.0),
}
"""The quickest first."""


def catch(name: str, *, everybody: bool = False) -> tuple[str, dict[str, tuple[str, float]]]:
    """Who noticed this mutant: what was said, and after how many seconds.

    Args:
        name: of the mutant, or of none.
        everybody: ask all of them, not only until one has noticed it.
    """
    said = {}
    with MUTANTS[name]() if name in MUTANTS else contextlib.nullcontext():
        for catcher, look in CATCHERS.items():
            began = time.monotonic()
            try:
                with limited(LIMIT):
                    what = look()
            except _Hangs:
                what = f"still busy after {LIMIT} s"
            said[catcher] = what, time.monotonic() - began
            if what and not everybody:
                break
    return name, said


def _walk(name: str) -> Callable[[], str]:
    return lambda: walks(20.0, (name,))


def _runs(first: int, last: int) -> Callable[[], str]:
    return lambda: simulation(range(first, last))


def _some_examples() -> str:
    return properties(40)


FIRST: dict[str, Callable[[], str]] = {
    "a claim does not check the own znode": _walk("3, the second claimed without a znode, 2 steps"),
    "a claim whose reply was lost is taken up under another term's number": _runs(0, 40),
    "a lost claim is taken up as soon as the record names anybody's term at that version": _runs(0, 40),
    "a confirm that was sent before the question answers it": terms,
    "a transaction does not check the own znode": terms,
    "a transaction does not check the record": terms,
    "a claim's lease counts from the answer's instant": _walk("3, the second claimed and expired, 2 steps"),
    "a refused confirm does not end the term": _runs(0, 40),  # traps go round in circles
    "a server that has lost its data is asked for the old session for ever (aiozk#28)": session,
    "a server that says that the session has moved is kept (ZOOKEEPER-710)": session,
    "a watch for existence, which stays behind on a znode that is gone": _some_examples,
    "the heir claims on v, not on v + 1": _walk("2 of different leases, any 1 fault, 1 step of time"),
    "the lease counts from the answer's instant": _walk("2, the first confirmed and expired, 2 steps"),
    "what a lost reply left behind is looked for without a sync": _walk(DIRECTED[0]),
    "who was appointed leads from when it reads so, or gets notice, without a confirm": _walk(
        "3, the second appointed and expired, 2 steps"
    ),
}
"""Who has noticed it soonest of late, if not the traps: that one is asked first."""


def soon(name: str) -> str:
    """What the quickest one to notice this mutant says; "" if none of the quick ones does."""
    quick = (traps, _runs(0, 40), session, _some_examples, _runs(40, 120), lambda: walks(6.0, DIRECTED))
    with MUTANTS[name]():
        for look in (FIRST.get(name, quick[0]), *quick):
            try:
                with limited(60):
                    said = look()
            except _Hangs:
                said = "still busy after a minute"
            if said:
                return said
    return ""
