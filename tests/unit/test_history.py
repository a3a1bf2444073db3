"""The judge is judged on histories written by hand."""

from __future__ import annotations

import pytest

from ..support.history import Interval, intervals, overlaps


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ("", []),
        ("---", []),
        ("+++", [(0, 2)]),
        ("-+-", [(1, 1)]),
        ("++-++", [(0, 1), (3, 4)]),
    ],
)
def test_intervals(samples: str, expected: list[Interval]) -> None:
    assert intervals([(float(index), sign == "+") for index, sign in enumerate(samples)]) == expected


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([(0, 1)], [(2, 3)], []),
        ([(0, 2)], [(1, 3)], [1]),
        ([(0, 2)], [(2, 3)], [0]),
        ([(0, 9)], [(1, 2), (4, 6)], [1, 2]),
        ([], [(1, 2)], []),
    ],
)
def test_overlaps(a: list[Interval], b: list[Interval], expected: list[float]) -> None:
    assert [seconds for _, _, seconds in overlaps({"a": a, "b": b})] == expected
