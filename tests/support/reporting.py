"""What a run measured, and what it could not run: both are printed at its end."""

from __future__ import annotations

import os
import sys
from statistics import median

MEASURED: list[tuple[str, list[float]]] = []
NOT_RUN: dict[str, str] = {}

IN_CI = os.environ.get("CI", "").lower() in ("true", "1")


def measured(name: str, *seconds: float) -> None:
    """Report what something took; nothing is judged by it."""
    MEASURED.append((name, list(seconds)))


def lines() -> list[str]:
    """The table of what was measured, in milliseconds."""
    table = []
    for name, seconds in MEASURED:
        if len(seconds) == 1:
            table.append(f"{name:<72} {seconds[0] * 1000:9.1f} ms")
        else:
            ordered = sorted(seconds)
            p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
            table.append(
                f"{name:<72} median {median(ordered) * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, n = {len(ordered)}"
            )
    return table


def say(line: str = "") -> None:
    """Tell the person at the terminal, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
