"""What was measured, as numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from .systems import LIMIT


@dataclass(slots=True)
class Figure:
    """What one system took in one case.

    Attributes:
        case: its name; those that begin alike are shown together.
        system: whose.
        times: each measurement, in milliseconds; empty if the case has other units only.
        other: other units, by a name that says which.
        failed: why there is nothing, "" if there is.
        ratio: of the median to that of the bare sockets, None if they were not there.
    """

    case: str
    system: str
    times: Sequence[float] = ()
    other: dict[str, float] = field(default_factory=dict)
    failed: str = ""
    ratio: float | None = None

    @property
    def median(self) -> float | None:
        """In milliseconds."""
        return median(self.times) if self.times else None

    @property
    def p99(self) -> float | None:
        """In milliseconds; of less than a hundred measurements it is the longest."""
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] if ordered else None

    def as_json(self) -> dict[str, object]:
        """One line of build/bench.json."""
        line: dict[str, object] = {
            "case": self.case,
            "system": self.system,
            "n": len(self.times),
            "median_ms": _rounded(self.median),
            "p99_ms": _rounded(self.p99),
            "ratio_to_limit": _rounded(self.ratio),
        }
        line |= {name: _rounded(value) for name, value in self.other.items()}
        return line | ({"failed": self.failed} if self.failed else {})


def compare(figures: Iterable[Figure]) -> list[Figure]:
    """Fill in the ratios of those that have none and were measured against bare sockets."""
    done = list(figures)
    limits = {one.case: one.median for one in done if one.system == LIMIT}
    for one in done:
        limit = limits.get(one.case)
        if one.ratio is None and limit and one.median is not None:
            one.ratio = one.median / limit
    return done


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
