"""`leader-async run`: at most one copy at any time, and nothing left, whoever is killed or frozen."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leader_async.testing import ZooKeeper

from ..guardian.processes import ROOT, Application, eventually

pytestmark = [pytest.mark.timeout(60), pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")]
BEATING = str(ROOT / "tests/unit/commands/beating.py")


class Place:
    """Two candidates for one command, and what its copies wrote down."""

    def __init__(self, address: str, folder: Path) -> None:
        self._address, self._folder, self._beats = address, folder, folder / "beats"
        self._beats.touch()
        self.started: list[Application] = []

    def start(self, *flags: str, command: tuple[str, ...] = ()) -> Application:
        own = command or (sys.executable, BEATING, str(self._beats))
        arguments = ["--zookeeper", self._address, "--election", "beat", "--session-timeout", "2", "--lease", "1"]
        one = Application(
            [sys.executable, "-m", "leader_async", "run", *arguments, *flags, "--", *own],
            self._folder / f"log-{len(self.started)}",
        )
        self.started.append(one)
        return one

    def copies(self) -> dict[int, dict[str, list[tuple[int, float]]]]:
        """By token and role: the ids and times of the beats."""
        found: dict[int, dict[str, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
        for line in self._beats.read_text().splitlines():
            token, role, pid, when = line.split()
            found[int(token)][role].append((int(pid), float(when)))
        return found

    def running(self, number: int) -> bool:
        """Whether this many copies have beaten, the last one with its daemon."""
        copies = self.copies()
        return len(copies) == number and "daemon" in copies[max(copies)]

    def pids(self, role: str) -> int:
        copies = self.copies()
        return copies[max(copies)][role][-1][0]

    def judge(self) -> None:
        """No copy began before the one before had ended, daemons included."""
        spans = []
        for token, roles in sorted(self.copies().items()):
            times = [when for beats in roles.values() for _, when in beats]
            spans.append((min(times), max(times), token))
        for (_, ended, _), (began, _, _) in itertools.pairwise(spans):
            assert ended < began, spans


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with ZooKeeper(tick=0.5) as server:
        place = Place(server.address, tmp_path)
        try:
            yield place
        finally:
            for one in place.started:
                one.end()


def supervisor(one: Application) -> int:
    """Its supervisor, the child of `run` itself."""
    return int(Path(f"/proc/{one.process.pid}/task/{one.process.pid}/children").read_text().split()[0])


def everything(place: Place, one: Application) -> list[int]:
    return [*one.relatives()]


VICTIMS: dict[str, Callable[[Place, Application], list[int]]] = {
    "run": lambda place, one: [one.process.pid],
    "supervisor": lambda place, one: [supervisor(one)],
    "command": lambda place, one: [place.pids("command")],
    "everything": everything,
}


@pytest.mark.parametrize("victim", VICTIMS)
def test_nothing_is_left_and_the_other_begins_afterwards(place: Place, victim: str) -> None:
    first = place.start("--stop-timeout", "0.2")
    eventually(lambda: place.running(1))
    place.start()
    eventually(lambda: "begun by" in place.started[1].log())
    for pid in VICTIMS[victim](place, first):
        os.kill(pid, signal.SIGKILL)
    first.process.wait(10)
    eventually(lambda: place.running(2))
    eventually(lambda: not first.relatives())
    place.judge()


def test_a_killed_daemon_is_the_commands_own_affair(place: Place) -> None:
    first = place.start()
    eventually(lambda: place.running(1))
    os.kill(place.pids("daemon"), signal.SIGKILL)
    eventually(lambda: len(first.relatives()) == 3)  # run, its supervisor, the command
    first.process.terminate()
    assert first.process.wait(10) == 128 + signal.SIGTERM
    eventually(lambda: not first.relatives())


def test_a_frozen_run_does_not_keep_the_command_past_its_lease(place: Place) -> None:
    first = place.start()
    eventually(lambda: place.running(1))
    place.start()
    os.kill(first.process.pid, signal.SIGSTOP)
    eventually(lambda: len(first.relatives()) == 2, 3.0)  # run and its supervisor
    eventually(lambda: place.running(2))
    os.kill(first.process.pid, signal.SIGCONT)
    place.judge()
    first.process.terminate()
    first.process.wait(10)
    eventually(lambda: not first.relatives())


@pytest.mark.parametrize(("script", "status"), [("exit 7", 7), ("kill -9 $$", 137), ("test -n $LEADER_TOKEN", 0)])
def test_it_ends_as_its_command_does(place: Place, script: str, status: int) -> None:
    assert place.start(command=("sh", "-c", script)).process.wait(10) == status


def test_a_command_that_does_not_exist(place: Place) -> None:
    assert place.start("--on-exit", "restart", command=("/nowhere",)).process.wait(10) == 127
    assert place.start(command=("/",)).process.wait(10) == 126


def test_a_second_signal_kills(place: Place) -> None:
    one = place.start(command=("sh", "-c", "trap 'echo told' TERM; echo ready; while :; do sleep 0.01; done"))
    one.line("ready")
    one.process.terminate()
    one.line("told")
    one.process.send_signal(signal.SIGINT)
    assert one.process.wait(5) == 137


def test_a_frozen_supervisor_is_replaced_by_run_itself(place: Place) -> None:
    one = place.start("--stop-timeout", "0.2")
    eventually(lambda: place.running(1))
    os.kill(supervisor(one), signal.SIGSTOP)
    one.process.terminate()
    assert one.process.wait(5) == 71
    eventually(lambda: not one.relatives())
