"""Applications in processes of their own, and how to find their guardians."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[3]
MARK = "LEADER_ASYNC_TEST_MARK"
PYTHON = [sys.executable, "-m", "tests.unit.guardian.application"]


def eventually(condition: Callable[[], object], limit: float = 10.0) -> None:
    """Return as soon as this holds."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


class Application:
    """A process, and what it says.

    Args:
        command: what to run.
        log: where its stderr goes, and that of its guardian.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._mark = uuid.uuid4().hex
        self._log = log
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LEADER_ASYNC_")}
        with log.open("ab") as stderr:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=ROOT,
                env={**inherited, "PYTHONPATH": str(ROOT), MARK: self._mark}, start_new_session=True,
            )  # fmt: skip

    def line(self, what: str) -> list[str]:
        """The rest of its next line that begins with this word."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            words = line.split()
            if words[0] == what:
                return words[1:]
        raise AssertionError(f"it ended without {what!r}: {self.log()}")

    def go_on(self) -> None:
        """Send it a line."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def log(self) -> str:
        return self._log.read_text()

    def relatives(self) -> dict[int, str]:
        """The living processes that have its environment, and their command lines."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                marked = f"{MARK}={self._mark}".encode() in (folder / "environ").read_bytes()
                if marked and "Z" not in (folder / "stat").read_text().rpartition(")")[2].split()[0]:
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().decode().replace("\0", " ")
        return found

    def guardians(self) -> list[int]:
        """The guardians that it has started, and for a moment whoever forks one."""
        return [pid for pid, command in self.relatives().items() if "-m leader_async.guardian" in command]

    def guardian(self) -> int:
        """The one guardian, once whoever has forked it is gone."""
        eventually(lambda: len(self.guardians()) == 1)
        return self.guardians()[0]

    def end(self) -> None:
        """Leave nothing behind."""
        self.process.kill()
        while relatives := self.relatives():  # one may be starting another
            for pid in relatives:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 9)
        self.process.communicate()


@contextlib.contextmanager
def application(log: Path, *arguments: str, under: Sequence[str] = ()) -> Iterator[Application]:
    """`application` with these arguments, and perhaps under another command."""
    one = Application([*under, *PYTHON, *arguments], log)
    try:
        yield one
    finally:
        one.end()
