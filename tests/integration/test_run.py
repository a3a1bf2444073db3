"""`leader-async run` on a real ZooKeeper: two candidates, and `run` is killed again and again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.zookeeper import Server
from ..unit.guardian.processes import Application, eventually
from ..unit.supervise.place import Place

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("on_linux")]
TIMES = 3


@pytest.fixture
def place(standalone: Server, tmp_path: Path, name: str) -> Iterator[Place]:
    place = Place(standalone.address, tmp_path, election=name)
    try:
        yield place
    finally:
        place.end()


def succeeded(place: Place, leading: Application, copy: int) -> Application:
    """Kill this one; who waited runs that copy, and nothing is left of the one before."""
    waiting = place.waiting()
    os.kill(leading.process.pid, signal.SIGKILL)
    eventually(lambda: place.running(copy))
    eventually(lambda: not leading.relatives())
    return waiting


def test_kill_9_of_run_lets_the_other_begin_when_nothing_is_left(place: Place) -> None:
    leading = place.start()
    eventually(lambda: place.running(1))
    for number in range(TIMES):
        leading = succeeded(place, leading, number + 2)
    leading.process.terminate()
    assert leading.process.wait(10) == 128 + signal.SIGTERM
    eventually(lambda: not leading.relatives())
    place.judge()
