"""Reading what others can write: JSON in the data of znodes and on pipes, taken apart without trust. Pure.

Whoever may write a znode may write anything into it. So this is the one reader of all that this library stores, and
what it does not expect is one error, `Garbage`, which says what is wrong and no more.

Rules:
1. More than `limit` bytes are not looked at. Else the work is proportional to the bytes.
2. It is JSON in UTF-8, as the standard has it: no NaN, no Infinity, no key twice, nothing nested deeper than Python can
   follow.
3. A value has the type and lies in the bounds that its reader names. A boolean is no number, a number is no text.
4. Text that is shown to people is one line that can be printed: what cannot be is replaced, since some of it (an
   error's text, say) is nobody's ill will.

It does not promise that what is read is true.
"""

from __future__ import annotations

import json
from collections.abc import Container
from typing import Any, TypeAlias

from . import arguments
from .arguments import LINE

WHOLE = 2**53
"""Below this whole numbers are exact wherever JSON is read, in browsers too."""
LONG = 2**63 - 1
"""The largest number of ZooKeeper's: zxids are such."""
INT = 2**31 - 1
"""The largest version of a znode."""
EARLIEST, LATEST = -60_000_000_000.0, 250_000_000_000.0
"""Seconds since the epoch, in the years 68 and 9892: every time zone can show what lies between."""
LEASE = arguments.SHORTEST, arguments.LONGEST
"""Seconds of a lease: at least, and at most."""

Scalar: TypeAlias = str | int | float
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class Garbage(ValueError):
    """What was read is not what it should be; the message says why, in words for people."""


def _refuse_constant(name: str) -> object:
    raise Garbage(f"{name} is no number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Garbage("it has a key twice")
    return found


_decode = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant).decode


def parse(data: bytes, limit: int) -> Any:
    """The JSON that this is; raises Garbage if it is none, or has more than `limit` bytes."""
    if len(data) > limit:
        raise Garbage(f"it has {len(data)} bytes, of {limit} at most")
    try:
        return _decode(data.decode())
    except Garbage:
        raise
    except UnicodeDecodeError as error:
        raise Garbage("it is not UTF-8") from error
    except (ValueError, RecursionError) as error:  # also of numbers with thousands of digits
        raise Garbage("it is not JSON that this library writes") from error


def line(text: str) -> str:
    """The text as one line that can be printed."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _REPLACEMENT for character in text)


class Fields:
    """The fields of a JSON object, as `parse` gives it. Each method gives one, checked; a `default` makes it optional.

    Raises:
        Garbage: it is no object. The methods raise it for a field that is missing, or is not what is asked for.
    """

    def __init__(self, said: object) -> None:
        if not isinstance(said, dict):
            raise Garbage("it is no JSON object")
        self._said: dict[str, Any] = said

    def __contains__(self, name: str) -> bool:
        return self._said.get(name) is not None

    def value(self, name: str) -> Any:
        """Whatever it is."""
        try:
            return self._said[name]
        except KeyError:
            raise Garbage(f"it has no {name}") from None

    def text(self, name: str, default: str | None = None, *, most: int = LINE) -> str:
        """A line for people, of `most` characters at most."""
        return line(self.exact(name, default, most=most))

    def exact(self, name: str, default: str | None = None, *, most: int = LINE) -> str:
        """A text as it is, for programs."""
        value = self._get(name, default)
        if type(value) is not str or len(value) > most:
            raise Garbage(f"its {name} is no text of {most} characters at most")
        return value

    def whole(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number, from `low` to `high`."""
        value = self._get(name, default)
        if type(value) is not int or not low <= value <= high:
            raise Garbage(f"its {name} is no whole number from {low} to {high}")
        return value

    def number(self, name: str, low: float, high: float, default: float | None = None) -> float:
        """A number, from `low` to `high`."""
        value = self._get(name, default)
        if type(value) not in (int, float) or not low <= value <= high:
            raise Garbage(f"its {name} is no number from {low:g} to {high:g}")
        return float(value)

    def flag(self, name: str, default: bool | None = None) -> bool:
        """True or False."""
        value = self._get(name, default)
        if type(value) is not bool:
            raise Garbage(f"its {name} is neither true nor false")
        return value

    def rows(self, name: str, default: list[Any] | None = None) -> list[Any]:
        """A list of whatever it is."""
        value = self._get(name, default)
        if type(value) is not list:
            raise Garbage(f"its {name} is no list")
        return value

    def name(self, name: str, default: str | None = None) -> str:
        """The name of a znode; the default need not be one."""
        return as_name(self._get(name, default), name, default)

    def names(self, name: str, default: list[Any] | None = None) -> tuple[str, ...]:
        """Names of znodes."""
        return tuple(as_name(one, name) for one in self.rows(name, default))

    def _get(self, name: str, default: Any) -> Any:
        return self.value(name) if default is None else self._said.get(name, default)


def as_name(value: object, field: str, default: str | None = None) -> str:
    """This value, if it may be the name of a znode or is the default; else raises Garbage about this field."""
    if value == default and default is not None:
        return default
    if type(value) is not str or not 0 < len(value) <= LINE or "/" in value or not value.isprintable():
        raise Garbage(f"its {field} names no znode")
    return value


def scalars(row: object, names: Container[str]) -> dict[str, Scalar] | None:
    """Of a row that is kept for somebody else the fields of these names that can be kept, None if it is no row."""
    if not isinstance(row, dict):
        return None
    kept: dict[str, Scalar] = {}
    for name, value in row.items():  # a loop over what is there: this is on the way of every handover
        kind = type(value)
        if name not in names:
            continue
        if kind is str:
            if len(value) <= LINE:
                kept[name] = value if value.isprintable() else line(value)
        elif (kind is int or kind is float) and -LONG <= value <= LONG:
            kept[name] = value
    return kept
