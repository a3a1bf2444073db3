"""The programs in `deploy/examples`, on two hosts: one runs, and when its `run` is killed the other one does."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path

import pytest

from leader_async.testing import ZooKeeper

from ..guardian.processes import ROOT, Application, eventually

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("on_linux")]
EXAMPLES = ROOT / "deploy/examples"
COMMANDS = {
    "cron": ["sh", str(EXAMPLES / "cron.sh")],
    "celery": [
        sys.executable, "-m", "celery", "--workdir", str(EXAMPLES), "-A", "celery_beat", "beat", "-l", "INFO",
        "--pidfile=", "-s", "SCHEDULE",
    ],
    "apscheduler": [sys.executable, str(EXAMPLES / "apscheduler_jobs.py")],
}  # fmt: skip


def has_begun(log: Path) -> bool:
    return "begun by" in log.read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_an_example_runs_in_one_place(name: str, tmp_path: Path) -> None:
    with ZooKeeper(tick=0.5) as server:
        hosts: list[Application] = []
        try:
            for host in ("a", "b"):
                command = [str(tmp_path / host) if word == "SCHEDULE" else word for word in COMMANDS[name]]
                run = [sys.executable, "-m", "leader_async", "run", "--zookeeper", server.address]
                log = tmp_path / f"{host}.log"
                hosts.append(Application([*run, "--election", name, "--identity", host, "--", *command], log))
                eventually(partial(has_begun, log))
            first, second = hosts
            eventually(lambda: len(first.relatives()) >= 3)
            assert len(second.relatives()) == 2  # run and its supervisor
            os.kill(first.process.pid, signal.SIGKILL)
            eventually(lambda: not first.relatives())
            eventually(lambda: len(second.relatives()) >= 3)
            if name != "celery":  # it tells its log
                second.line("tick")
            else:
                eventually(lambda: "Sending due task" in second.log())
        finally:
            for one in hosts:
                one.end()
