"""`python -m tests.campaigns --minutes 20`: faults against a real ensemble, judged. Needs root for its namespaces.

Writes build/chaos.json, a report and a picture of each kind of fault, and keeps the logs of servers and replicas if a
promise was broken. Exit code 1 if leader_async broke one, 2 if a campaign cannot be had here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

from ..support.reporting import say
from .campaign import campaign, keep_logs
from .field import SYSTEMS, problem
from .nemesis import Nemesis
from .report import as_json, markdown, picture


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns", description="Faults against a real ensemble.")
    parser.add_argument("--minutes", type=float, default=2.0, help="for each system (2)")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100000, help="what faults are drawn by (any)")
    parser.add_argument("--systems", default="leader_async", help=f"of {','.join(SYSTEMS)} (the first)")
    parser.add_argument("--faults", default="", help="only those that contain one of these words, separated by commas")
    parser.add_argument("--out", type=Path, default=Path("build/chaos"), help="folder for the report (build/chaos)")
    arguments = parser.parse_args()
    systems = [system for system in arguments.systems.split(",") if system]
    unknown = set(systems) - set(SYSTEMS)
    if unknown or not systems or arguments.minutes <= 0:
        parser.error(f"there are the systems {', '.join(SYSTEMS)}; minutes are above 0")
    for system in systems:
        if (why := problem(system)) is not None:
            sys.stderr.write(f"no campaign of {system}: {why}\n")
            return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    done = []
    for system in systems:
        say(f"{system}, {arguments.minutes:g} minutes, seed {arguments.seed}")
        with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
            words = [word for word in arguments.faults.split(",") if word]
            kinds = _chosen(words, arguments.minutes) if words else None
            done.append(asyncio.run(campaign(Path(folder), system, arguments.minutes, arguments.seed, say, kinds)))
            verdict = done[-1].verdict
            if not verdict.clean or done[-1].orphans:
                keep_logs(Path(folder), arguments.out / f"logs-{system}")
        say(f"two leaders {verdict.overlap:.3f} s, work done twice {verdict.doubled}, too late {len(verdict.late)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    command = f"python -m tests.campaigns --minutes {arguments.minutes:g} --seed {arguments.seed}"
    command += f" --systems {arguments.systems}"
    command += f" --faults '{arguments.faults}'" if arguments.faults else ""
    text = markdown(done, command, time.strftime("%Y-%m-%d"), os.cpu_count() or 1)
    (arguments.out / "report.md").write_text(text)
    Path(f"{arguments.out}.json").write_text(json.dumps(as_json(done), indent=1) + "\n")
    for kind in sorted({trouble.kind for one in done for trouble in one.troubles}):
        svg = picture(kind, done)
        if svg is not None:
            (arguments.out / f"{re.sub('[^a-z]+', '-', kind.lower()).strip('-')}.svg").write_text(svg)
    say()
    say(text)
    ours = [one for one in done if one.system == "leader_async"]
    return 1 if any(not one.verdict.clean or one.orphans for one in ours) else 0


def _chosen(words: list[str], minutes: float) -> list[str]:
    kinds = [kind for kind in Nemesis.KINDS if any(word in kind for word in words)]
    return kinds * int(minutes * 10 + 1)


if __name__ == "__main__":
    sys.exit(main())
