"""`python -m tests.simulation --seeds 10000`: many plans, one for each seed, on all processors.

Prints steps, faults, and which fault hit which state how often, and writes the same to a JSON file. A plan that breaks
a promise is made smaller as long as it still does, and printed as a program that replays it. Exit code 1 if any did.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ..support.reporting import say
from .plan import KINDS, of_seed, program
from .run import Report, run, shrink


def of(seed: int) -> tuple[int, Report]:
    """The report of a seed's run."""
    return seed, run(of_seed(seed))


def table(faults: Counter[tuple[str, str]]) -> Iterable[str]:
    """Which fault hit which state how often."""
    states = sorted({state for _, state in faults})
    yield f"{'':20}" + "".join(f"{index:>6}" for index in range(len(states)))
    for kind in KINDS:
        yield f"{kind:20}" + "".join(f"{faults[kind, state] or '.':>6}" for state in states)
    for index, state in enumerate(states):
        yield f"{index:>6}  {state}"


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description="Simulated runs, one for each seed."
    )
    parser.add_argument("--seeds", type=int, default=1000, metavar="N", help="how many (1000)")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first one (0)")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (one a processor)"
    )
    parser.add_argument("--out", type=Path, default=Path("build/simulate.json"), metavar="FILE")
    arguments = parser.parse_args()
    if arguments.seeds < 1 or arguments.jobs < 1:
        parser.error("give at least one seed and one process")
    began, broken = time.monotonic(), {}
    steps = terms = 0
    faults: Counter[tuple[str, str]] = Counter()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    with multiprocessing.Pool(arguments.jobs) as pool:
        for seed, report in pool.imap_unordered(of, seeds, chunksize=8):
            steps, terms, faults = steps + report.steps, terms + report.terms, faults + report.faults
            if report.violation:
                broken[seed] = report.violation
                say(f"seed {seed}: {report.violation}")
    seconds = time.monotonic() - began
    for line in table(faults):
        say(line)
    say()
    for seed in sorted(broken)[:3]:
        say(f"# seed {seed}: {broken[seed]}")
        say(program(shrink(of_seed(seed))))
    say(
        f"{arguments.seeds} runs, {steps} steps, {terms} terms, {faults.total()} faults in {seconds:.0f} s; "
        f"{len(broken)} broke a promise"
    )
    by_state: dict[str, dict[str, int]] = {}
    for (kind, state), count in sorted(faults.items()):
        by_state.setdefault(kind, {})[state] = count
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    result = {
        "runs": arguments.seeds,
        "first_seed": arguments.first,
        "steps": steps,
        "terms": terms,
        "faults": by_state,
        "seconds": round(seconds, 1),
        "violations": [{"seed": seed, "violation": violation} for seed, violation in sorted(broken.items())],
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
