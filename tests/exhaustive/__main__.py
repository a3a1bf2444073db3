"""`python -m tests.exhaustive`: walk through every interleaving within the bounds below, and print how many there were.

Exit code 1 if an invariant does not hold somewhere; the shortest way there is printed as a program.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .explore import Found
from .walk import FAULTS, Bounds, walk

EACH = dict.fromkeys(FAULTS, 1)
CONFIGURATIONS = {
    "2 join, no faults": Bounds(2, {}, 0, 1, joined=False),
    "2 in the queue, any 1 fault, 3 steps of time": Bounds(2, EACH, 1, 3),
    "2 join, any 1 fault": Bounds(2, EACH, 1, 0, joined=False),
    "2 in the queue, any 2 faults": Bounds(2, EACH, 2, 1),
    "3 in the queue, any 1 fault": Bounds(3, EACH, 1, 1),
}


def row(name: str, found: Found) -> str:
    """One line of the table."""
    what = found.violation or ("complete" if found.complete else f"stopped at depth {found.depth}")
    return (
        f"{name:46} {found.states:>9} {found.transitions:>11} {found.settled:>8} {found.depth:>6} "
        f"{found.seconds:>8.0f} s  {what}"
    )


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.exhaustive", description="Every interleaving, within bounds."
    )
    parser.add_argument("--budget", type=float, default=240.0, metavar="SECONDS", help="for all of them (240)")
    parser.add_argument("--out", type=Path, default=Path("build/exhaustive.json"), metavar="FILE")
    arguments = parser.parse_args()
    facts, broken = [], False
    left = arguments.budget
    sys.stdout.write(f"{'':46} {'states':>9} {'transitions':>11} {'settled':>8} {'depth':>6} {'time':>10}\n")
    for index, (name, bounds) in enumerate(CONFIGURATIONS.items()):
        found = walk(bounds, seconds=left / (len(CONFIGURATIONS) - index))
        left -= found.seconds
        sys.stdout.write(row(name, found) + "\n")
        sys.stdout.flush()
        if found.violation:
            broken = True
            sys.stdout.write(
                f"\nfrom tests.exhaustive.walk import Bounds, replay\n\nreplay({bounds!r}, {found.actions!r})\n\n"
            )
        facts.append(
            {
                "name": name,
                "candidates": bounds.candidates,
                "faults": bounds.total,
                "steps_of_time": bounds.passes,
                "states": found.states,
                "transitions": found.transitions,
                "settled": found.settled,
                "depth": found.depth,
                "complete": found.complete,
                "seconds": round(found.seconds, 1),
                "violation": found.violation,
            }
        )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(facts, indent=1) + "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
