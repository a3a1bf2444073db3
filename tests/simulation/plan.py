"""What happens in a run: a few numbers and a list of faults. It prints as the Python that makes it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .process import WORK

LEADER = -1
"""As a fault's target: whoever leads at that instant."""
HEIR = -2
"""As a fault's target: who stands behind the first in the queue."""

# To a process, or to its connection, session or znode:
BRIEF = ("cut", "expire session", "delete znode", "resign", "transfer", "cancel")
"""Faults that are over at once."""
LASTING = ("stop", "kill", "terminate", "blackhole", "deaf", "mute")
"""Faults of a process that last: SIGSTOP; SIGKILL or SIGTERM, and a new one afterwards; nothing gets to or from it."""
REQUESTS = ("Create", "Delete", "Multi", "GetChildren", "GetData", "Exists", "Sync", "Close")
ARMED = tuple(f"{what} at {request}" for what in ("cut", "expire") for request in REQUESTS)
"""Faults that wait until the process sends such a request, and hit it on its way, or its answer."""
SERVERS = ("server lags", "server cut off", "server frozen", "server down", "server denies")
"""Faults of the server that the process is connected to. One that denies says that living sessions have expired:
so does a ZooKeeper leader that was frozen, is woken, and has not noticed that its quorum went on without it."""
WORLD = ("no quorum", "wall clock jumps")

KINDS = (*BRIEF, *LASTING, *ARMED, *SERVERS, *WORLD)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        kind: one of `KINDS`.
        at: seconds after the begin.
        target: the number of a process, `LEADER` or `HEIR`.
        seconds: how long it lasts, if it does.
    """

    kind: str
    at: float
    target: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """One run.

    Attributes:
        seed: all chance that is left: latencies, clocks' rates, who comes first.
        processes: how many.
        timeout: the session timeout, in seconds.
        lease: the lease, in seconds.
        shorter: what the lease of every other process is multiplied by: a new one is being configured.
        works: for each process the kinds of work of its terms, the last for all further ones.
        faults: what goes wrong, in the order of time.
        latency: seconds that answers take at most until everything heals, in leases.
        night: the name of the night that the run crosses, see `nights`; "" for none.
        sides: how many elections each process takes part in besides, under the same session.
        parts: how many partitions each takes a share of, under the same session.
    """

    seed: int
    processes: int
    timeout: float
    lease: float
    shorter: float
    works: tuple[tuple[str, ...], ...]
    faults: tuple[Fault, ...]
    latency: float = 0.0
    night: str = ""
    sides: int = 0
    parts: int = 0


def draw(integer: Callable[[int, int], int], choice: Callable[[Sequence[Any]], Any], seed: int) -> Plan:
    """A plan, of whoever draws numbers and choices: `random`, or Hypothesis.

    Half of the plans know a few kinds of faults and of work only: rare combinations need many of the same kind, and do
    not come about among thirty others (Groce et al., "Swarm Testing", ISSTA 2012).
    """
    kinds, kinds_of_work = KINDS, WORK
    if integer(0, 1):
        kinds = tuple(choice(KINDS) for _ in range(integer(2, 4)))
        kinds_of_work = tuple(choice(WORK) for _ in range(integer(1, 2)))
    processes = integer(2, 5)
    timeout = choice((1.0, 2.0, 4.0))
    lease, shorter = choice((0.5, 1.0, 2.0)), choice((1.0, 1.0, 1.0, 0.6))
    works = tuple(tuple(choice(kinds_of_work) for _ in range(integer(1, 3))) for _ in range(processes))
    faults = []
    at = 0.0
    for _ in range(integer(1, 14)):
        at += integer(0, choice((0, 10, 300))) / 100  # troubles seldom come alone
        kind = choice(kinds)
        target = choice((LEADER, LEADER, HEIR, *range(processes)))
        faults.append(Fault(kind, round(at, 2), target, integer(1, 60) / 10))
    latency = choice((0.0, 0.0, 0.1, 0.18))
    sides, parts = choice((0, 0, 1, 2)), choice((0, 0, 0, 3))
    return Plan(seed, processes, timeout, lease, shorter, works, tuple(faults), latency, sides=sides, parts=parts)


def of_seed(seed: int) -> Plan:
    """The plan that this seed makes."""
    rng = random.Random(seed)
    return draw(rng.randint, rng.choice, seed)


def program(plan: Plan) -> str:
    """A program that runs it again."""
    faults = "".join(f"            {fault!r},\n" for fault in plan.faults)
    return (
        "from tests.simulation.plan import Fault, Plan\n"
        "from tests.simulation.run import replay\n\n"
        "replay(\n    Plan(\n"
        f"        seed={plan.seed},\n        processes={plan.processes},\n        timeout={plan.timeout},\n"
        f"        lease={plan.lease},\n        shorter={plan.shorter},\n        works={plan.works!r},\n"
        f"        faults=(\n{faults}        ),\n"
        f"        latency={plan.latency},\n        night={plan.night!r},\n"
        f"        sides={plan.sides},\n        parts={plan.parts},\n    )\n)\n"
    )
