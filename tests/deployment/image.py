"""What the image is made of: the lock files, read."""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from .launching import ROOT

PIN = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>\S+)(?P<hashes>( \\\n +--hash=sha256:[0-9a-f]{64})+)\n", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of a lock file."""

    version: str
    hashes: int


def pins(name: str) -> dict[str, Pin]:
    """The packages of that file in deploy/."""
    text = (ROOT / "deploy" / name).read_text()
    return {
        canonicalize_name(one["name"]): Pin(one["version"], one["hashes"].count("sha256:"))
        for one in PIN.finditer(text)
    }
