"""What is asked of arguments in more than one place, each rule once. Pure.

Rule: an argument that cannot be used is refused with its name, its value and what to give instead, whatever its type:
values come from settings files and variables, where a number is easily a text.
"""

from __future__ import annotations

import math

from .errors import UsageError

SHORTEST, LONGEST = 0.1, 86400
"""Seconds that a session timeout or a lease may have."""
LINE = 256
"""Characters that an identity or an address may have: it is stored where everybody reads it."""


def seconds(what: str, value: object, hint: str = "", *, least: float = SHORTEST, most: float = LONGEST) -> float:
    """A duration in seconds, from `least` to `most`; `what` begins the message (`lease=`), `hint` says what is usual.

    Raises:
        UsageError: it is no number, or out of bounds.
    """
    usual = f" ({hint})" if hint else ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{what}{value!r} is not a number: give {least:g} to {most:g} seconds{usual}")
    if not (least <= value <= most and math.isfinite(value)):
        raise UsageError(f"{what}{value!r} cannot be used: give {least:g} to {most:g} seconds{usual}")
    return float(value)


def name(what: str, value: object, hint: str = "use root= for the path above it") -> str:
    """A name that is one part of a znode's path; `what` says of what, `hint` what to do instead.

    Raises:
        UsageError: it is no text, empty, or has a slash.
    """
    if not isinstance(value, str) or not value or "/" in value:
        raise UsageError(f"{what} is one part of a path, not {value!r}; {hint}")
    return value


def line(what: str, value: object, *, empty: bool = False) -> str:
    """A text that people are shown in one line; `what` begins the message, as in `seconds`.

    Raises:
        UsageError: it is no text, is empty, too long, or has characters that no line can show.
    """
    if not isinstance(value, str):
        raise UsageError(f"{what}{value!r} is not a text")
    if not value and not empty:
        raise UsageError(f"{what}'' is empty: give a name that people know this process by, or leave it out")
    if len(value) > LINE:
        raise UsageError(f"{what}{value[:LINE]!r}… has {len(value)} characters: give {LINE} at most")
    if not value.isprintable():
        raise UsageError(f"{what}{value!r} has characters that cannot be shown in one line")
    return value
