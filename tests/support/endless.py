"""An endless iterator that can be copied in the middle: those of itertools cannot, from Python 3.14 on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Endless(Iterator[T]):
    """`make(0)`, `make(1)`, and so on.

    Args:
        make: what comes at a place; a function of a module, or pickle does not find it.
    """

    def __init__(self, make: Callable[[int], T]) -> None:
        self._make, self._place = make, 0

    def __next__(self) -> T:
        self._place += 1
        return self._make(self._place - 1)
