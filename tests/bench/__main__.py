"""`python -m tests.bench`: measure, and write build/bench.json, a report and pictures."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from ..support.reporting import say
from ..support.zookeeper import classpath
from .bench import Bench
from .cases.catalogue import CASES, TIMELESS
from .figures import Figure, compare
from .pictures import pictures
from .report import markdown, put_into_page
from .systems import LIMIT, OURS, ROOT, SYSTEMS, problem

CASE_LIMIT = 1200.0
"""Seconds that one case may take."""


def main() -> int:
    """The command; returns its exit code."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # a proxy writes to connections that it has just cut
    began = f"{time.strftime('%Y-%m-%d')}, with a load average of {os.getloadavg()[0]:.1f} before it began"
    if classpath() is None:
        sys.stderr.write("no bench: no ZooKeeper server here; install Debian's package zookeeper (with Java)\n")
        return 2
    systems, missing = [], {}
    for system in arguments.systems:
        why = problem(system)
        if why is None:
            systems.append(system)
        else:
            missing[system] = why
            say(f"LEFT OUT: {system}: {why}")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        figures = asyncio.run(measure(Bench(Path(folder), systems, arguments.quick, say), arguments.cases))
    command = "python -m tests.bench" + "".join(f" {word}" for word in sys.argv[1:])
    text = markdown(figures, command, began, missing)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps([one.as_json() for one in figures], indent=1) + "\n")
    arguments.report.parent.mkdir(parents=True, exist_ok=True)
    arguments.report.write_text(text)
    for name, svg in pictures(figures).items():
        (arguments.report.parent / name).write_text(svg)
    if arguments.page is not None:
        date = time.strftime("%Y-%m-%d") + (", a quick run: few measurements" if arguments.quick else "")
        put_into_page(arguments.page, figures, date)
    say()
    say(text)
    return 1 if any(one.failed and one.system in (OURS, LIMIT, "all") for one in figures) else 0


async def measure(bench: Bench, words: list[str]) -> list[Figure]:
    """Run the cases of these names, or that begin with one of these words; all if there are none."""
    chosen = [name for name in CASES if not words or any(_meant(word, name) for word in words)]
    together = [name for name in chosen if name in TIMELESS and bench.quick]
    figures: list[Figure] = []
    for name in chosen:
        group = together if name in together[:1] else [] if name in together else [name]
        for found in await asyncio.gather(*(_run(bench, one) for one in group)):
            figures += found
    return compare(figures)


def _meant(word: str, name: str) -> bool:
    return name == word or (word not in CASES and name.startswith(word))


async def _run(bench: Bench, name: str) -> list[Figure]:
    """One case; if it fails, that is what is told, and the others go on."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(CASE_LIMIT):
            figures = await CASES[name](bench)
    except Exception as error:  # whatever it is
        figures = [Figure(name, "all", failed=f"{type(error).__name__}: {error}")]
    bench.say(f"{name}: {time.monotonic() - began:.1f} s")
    for one in figures:
        if one.failed:
            bench.say(f"  FAILED: {one.case}, {one.system}: {one.failed}")
    return figures


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measure against peers and bare sockets."
    )
    parser.add_argument("--quick", action="store_true", help="in three minutes")
    parser.add_argument(
        "--cases", type=_words, default=[], help=f"names, or beginnings of names, of {', '.join(CASES)} (all)"
    )
    parser.add_argument("--systems", type=_words, default=list(SYSTEMS), help=f"of {','.join(SYSTEMS)} (all)")
    parser.add_argument("--out", type=Path, default=ROOT / "build/bench.json", help="the figures (build/bench.json)")
    parser.add_argument(
        "--report", type=Path, default=ROOT / "build/bench/report.md", help="the report, pictures beside it"
    )
    parser.add_argument("--page", type=Path, help="put the short table between this page's markers")
    arguments = parser.parse_args()
    unknown = set(arguments.systems) - set(SYSTEMS)
    if unknown:
        parser.error(f"there are the systems {', '.join(SYSTEMS)}, and no {', '.join(sorted(unknown))}")
    if arguments.cases and not any(name.startswith(word) for word in arguments.cases for name in CASES):
        parser.error(f"there are the cases {', '.join(CASES)}")
    return arguments


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


if __name__ == "__main__":
    sys.exit(main())
