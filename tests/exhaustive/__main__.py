"""`python -m tests.exhaustive`: walk through every interleaving within the bounds below, and print how many there were.

Exit code 1 if an invariant does not hold somewhere; the shortest way there is printed as a program.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

from .explore import Found
from .ways import WAYS, go


def row(name: str, found: Found) -> str:
    """One line of the table."""
    what = found.violation or ("complete" if found.complete else f"stopped at depth {found.depth}")
    return (
        f"{name:46} {found.states:>9} {found.transitions:>11} {found.settled:>8} {found.depth:>6} "
        f"{found.seconds:>8.0f} s  {what}"
    )


def program(name: str, found: Found) -> str:
    """A program that goes the way to what was found again."""
    bounds = WAYS[name]
    return f"from {type(bounds).__module__} import Bounds, replay\n\nreplay({bounds!r}, {found.actions!r})\n"


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.exhaustive", description="Every interleaving, within bounds."
    )
    parser.add_argument("--budget", type=float, default=16.0, metavar="SECONDS", help="for each of them (16)")
    parser.add_argument("--out", type=Path, default=Path("build/exhaustive.json"), metavar="FILE")
    arguments = parser.parse_args()
    facts = []
    sys.stdout.write(f"{'':46} {'states':>9} {'transitions':>11} {'settled':>8} {'depth':>6} {'time':>10}\n")
    with multiprocessing.get_context("spawn").Pool(os.cpu_count() or 1, maxtasksperchild=1) as pool:
        for name, found in pool.imap_unordered(partial(go, seconds=arguments.budget), WAYS, chunksize=1):
            sys.stdout.write(row(name, found) + "\n")
            if found.violation:
                sys.stdout.write(f"\n{program(name, found)}\n")
            sys.stdout.flush()
            facts.append({"name": name, **asdict(WAYS[name]), **asdict(found)})
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(facts, indent=1) + "\n")
    return 1 if any(fact["violation"] for fact in facts) else 0


if __name__ == "__main__":
    sys.exit(main())
