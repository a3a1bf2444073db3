"""`leader-async run` among other processes: children of others, the first process of a container, forbidden ones."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from leader_async.testing import ZooKeeper

from ...conftest import need
from ..guardian.processes import eventually
from .place import Place, supervisor
from .test_ends import state

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("on_linux")]

UNABLE = (
    "import ctypes, os, sys; assert not ctypes.CDLL(None).prctl(24, 5, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
"""A program that gives CAP_KILL up (PR_CAPBSET_DROP) and becomes another one."""


def last_word(pid: str) -> str:
    """Of its command line; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").rpartition("\0")[2]
    except FileNotFoundError:
        return ""


def test_background_jobs_of_the_shell_before_live_on(place: Place) -> None:
    go = place.beats.with_name("go")
    jobs = f'(sleep 301 & while [ ! -e {go} ]; do sleep 0.01; done) & sleep 302 & sleep 0.01 & exec "$@"'
    one = place.start("--stop-timeout", "0.2", under=["sh", "-c", jobs, "sh"])
    eventually(lambda: place.running(1))
    go.touch()  # and the first sleep is an orphan
    children = Path(f"/proc/{one.process.pid}/task/{one.process.pid}/children")
    lives = {"302", "301", "beats"}  # and nothing that has ended
    eventually(lambda: {Path(last_word(pid)).name for pid in children.read_text().split()} == lives)
    os.kill(supervisor(one), signal.SIGKILL)
    assert one.process.wait(10) == 71
    assert sorted(command.split()[-1] for command in one.relatives().values()) == ["301", "302"]


def test_the_first_process_of_a_container(place: Place) -> None:
    need("not root" if os.geteuid() else None, "run as the first process of a PID namespace", "run as root")
    under = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    orphan = "(sh -c 'sleep 0.01 & sleep 0.02 &' &); trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done"
    one = place.start(command=["sh", "-c", orphan], under=under)
    one.line("ready")
    first = next(pid for pid, command in one.relatives().items() if command.startswith(sys.executable))
    os.kill(first, signal.SIGTERM)
    assert one.process.wait(10) == 5
    eventually(lambda: not one.relatives())


def test_a_process_that_may_not_be_signalled_keeps_the_place_and_is_named(place: Place, server: ZooKeeper) -> None:
    need("not root" if os.geteuid() else None, "run with a command that becomes another user", "run as root")
    other = "import os, time; os.setuid(65534); print('ready', os.getpid(), flush=True); time.sleep(300)"
    one = place.start(
        "--stop-timeout", "0.1", command=[sys.executable, "-c", other], under=[sys.executable, "-c", UNABLE]
    )
    pid = int(one.line("ready")[0])
    one.process.terminate()
    eventually(lambda: f"process {pid} runs as another user and may not be signalled" in one.log())
    assert one.process.poll() is None
    assert len(server.sessions) == 1
    assert state(pid) != "Z"
    os.kill(pid, signal.SIGKILL)
    assert one.process.wait(10) == 137
    assert one.log().count("may not be signalled") == 1
