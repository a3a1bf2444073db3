"""Copies of worlds, quickly: a walk makes one for each action.

What never changes is shared by all copies: frozen dataclasses, but for those that hold something that does, and enum
members. `pickle` goes through the rest much faster than `copy.deepcopy`.
"""

from __future__ import annotations

import enum
import io
import pickle
from types import ModuleType
from typing import Any, TypeVar

T = TypeVar("T")
_shared: set[type] = set()


def share(*modules: ModuleType, but: tuple[str, ...] = ()) -> None:
    """Let copies share the values of these modules' frozen dataclasses and enums.

    Args:
        modules: where they are defined.
        but: the names of those that hold what does change.
    """
    for module in modules:
        for name, kind in vars(module).items():
            parameters = getattr(kind, "__dataclass_params__", None)
            frozen = parameters is not None and parameters.frozen
            if isinstance(kind, type) and name not in but and (frozen or issubclass(kind, enum.Enum)):
                _shared.add(kind)


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, kept: list[Any]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.kept = kept

    def persistent_id(self, thing: Any) -> int | None:
        if type(thing) not in _shared:
            return None
        self.kept.append(thing)
        return len(self.kept) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, kept: list[Any]) -> None:
        super().__init__(file)
        self.kept = kept

    def persistent_load(self, number: int) -> Any:
        return self.kept[number]


def copied(value: T) -> T:
    """A copy that shares nothing with the original but what never changes."""
    kept: list[Any] = []
    file = io.BytesIO()
    _Pickler(file, kept).dump(value)
    file.seek(0)
    copy: T = _Unpickler(file, kept).load()
    return copy
