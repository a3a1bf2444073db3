"""Candidates for one command, and what its copies wrote down."""

from __future__ import annotations

import itertools
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from ..guardian.processes import ROOT, Application, eventually

BEATING = str(ROOT / "tests/unit/supervise/beating.py")
PROGRAM = ("-m", "leader_async")
LEASE = 1.0
"""Seconds, as each candidate has it; the session timeout is the same."""


class Place:
    """Two candidates for one command, and what its copies wrote down."""

    def __init__(self, address: str, folder: Path, *, election: str = "beat") -> None:
        self.address, self.folder, self.beats = address, folder, folder / "beats"
        self._election = election
        self.beats.touch()
        self.started: list[Application] = []

    def start(
        self,
        *flags: str,
        command: Sequence[str] = (),
        under: Sequence[str] = (),
        program: Sequence[str] = PROGRAM,
    ) -> Application:
        own = command or (sys.executable, BEATING, str(self.beats))
        times = ["--session-timeout", f"{LEASE}", "--lease", f"{LEASE}"]
        arguments = ["--zookeeper", self.address, "--election", self._election, *times]
        run = [sys.executable, *program, "run", *arguments, *flags, "--", *own]
        one = Application([*under, *run], self.folder / f"log-{len(self.started)}")
        self.started.append(one)
        return one

    def copies(self) -> dict[int, dict[str, list[tuple[int, float]]]]:
        """By token and role: the ids and times of the beats."""
        found: dict[int, dict[str, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
        for line in self.beats.read_text().splitlines():
            token, role, pid, when = line.split()
            found[int(token)][role].append((int(pid), float(when)))
        return found

    def running(self, number: int) -> bool:
        """Whether this many copies have beaten, the last one with its daemon."""
        copies = self.copies()
        return len(copies) == number and "daemon" in copies[max(copies)]

    def waiting(self, *flags: str) -> Application:
        """One more, that has joined the queue."""
        one = self.start(*flags)
        eventually(lambda: "begun by" in one.log())
        return one

    def pids(self, role: str) -> int:
        copies = self.copies()
        return copies[max(copies)][role][-1][0]

    def end(self) -> None:
        """Leave nothing behind."""
        for one in self.started:
            one.end()

    def judge(self) -> None:
        """No copy began before the one before had ended, daemons included."""
        spans = []
        for token, roles in sorted(self.copies().items()):
            times = [when for beats in roles.values() for _, when in beats]
            spans.append((min(times), max(times), token))
        for (_, ended, _), (began, _, _) in itertools.pairwise(spans):
            assert ended < began, spans


def supervisor(one: Application) -> int:
    """Its supervisor: the child of `run` that has its command line."""
    run = one.process.pid
    children = Path(f"/proc/{run}/task/{run}/children").read_text().split()
    return next(int(pid) for pid in children if "leader_async" in Path(f"/proc/{pid}/cmdline").read_text())
