"""This library's version, read from its installation."""

from __future__ import annotations

from functools import cache
from importlib import metadata


@cache
def version() -> str:
    """This library's version; "unknown" in a checkout that was never installed."""
    try:
        return metadata.version("leader_async")
    except metadata.PackageNotFoundError:
        return "unknown"
