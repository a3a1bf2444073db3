"""The systems that are compared: which there are, and how to get one that is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from ..campaigns.field import CURATOR_JARS, JAVA

OURS, LIMIT = "leader_async", "bare sockets"
SYSTEMS = (OURS, "aiozk", "kazoo", "curator", LIMIT)
ROOT = Path(__file__).resolve().parents[2]
CANDIDATES = Path(__file__).with_name("candidates")
MODULES = {OURS: "ours", "aiozk": "aiozk", "kazoo": "kazoo", LIMIT: "bare"}


def problem(system: str) -> str | None:
    """Why this one cannot be measured here, and how to change that; None if it can."""
    if system == "kazoo" and version("kazoo") is None:
        return "no kazoo here; pip install kazoo"
    if system == "curator" and (not CURATOR_JARS[0].exists() or shutil.which("javac") is None):
        return "no Curator or no javac here; apt install libcurator-recipes-java default-jdk-headless"
    return None


def version(package: str) -> str | None:
    """What is installed of a Python package, None if nothing is."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def versions() -> str:
    """Of everything that is measured, in a line."""
    found = [f"{name} {number}" for name in ("aiozk", "kazoo", "aiohttp") if (number := version(name))]
    for name, jar in (("Curator", "curator-recipes"), ("ZooKeeper", "zookeeper")):
        numbered = sorted(JAVA.glob(f"{jar}-[0-9]*.jar"))
        found += [f"{name} {numbered[-1].stem.removeprefix(f'{jar}-')}"] if numbered else []
    return ", ".join([f"Python {sys.version.split()[0]}", *found])


def machine() -> str:
    """Its size."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{os.cpu_count()} cores (shared with whatever else ran there), {pages / 2**30:.0f} GiB"


def compile_java(folder: Path) -> None:
    """Put Curator's candidates into this folder, once.

    Raises:
        CalledProcessError: they do not compile.
    """
    if not (folder / "Latches.class").exists():
        javac = ["javac", "-cp", _jars(), "-d", str(folder), str(CANDIDATES / "Latches.java")]
        subprocess.run(javac, check=True, capture_output=True)


def command(system: str, folder: Path, arguments: Sequence[str]) -> list[str]:
    """Of a process with candidates of this system; see `candidates`."""
    if system == "curator":
        return [
            "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{_jars()}:{folder}", "Latches",
            *arguments,
        ]  # fmt: skip
    return [sys.executable, "-m", f"tests.bench.candidates.{MODULES[system]}", *arguments]


def _jars() -> str:
    return ":".join(str(jar) for jar in CURATOR_JARS if jar.exists())
