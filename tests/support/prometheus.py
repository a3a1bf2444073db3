"""Prometheus and its tool: from the machine, or unpacked from Debian's package below build/."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNPACKED = ROOT / "build" / "prometheus" / "usr" / "bin"
REMEDY = "in build/prometheus: apt-get download prometheus && dpkg -x prometheus_*.deb ."


def program(name: str) -> str | None:
    """Path of `prometheus` or `promtool`, None if there is none."""
    return shutil.which(name) or shutil.which(name, path=str(UNPACKED))
