"""deploy/README.md, read; and what it tells operators to ask, asked."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

from .launching import ROOT, Launcher

TEXT = (ROOT / "deploy" / "README.md").read_text()
TYPED = [line[2:] for block in re.findall(r"```console\n(.*?)```", TEXT, re.S) for line in block.splitlines()]
ASKED = [line for line in TYPED if line.startswith("leader-async ")]


def answered(launcher: Launcher, line: str) -> bool:
    """Whether this command, on that cluster instead of the example's, says something and succeeds."""
    zookeeper = re.search(r'"zookeeper": "([^"]+)"', (launcher.state / "state.json").read_text())
    assert zookeeper is not None
    typed = line.replace("localhost:5001", f"127.0.0.1:{launcher.port}").replace(
        "zk1:2181,zk2:2181,zk3:2181", zookeeper[1]
    )
    assert typed != line
    command = [sys.executable, "-m", "leader_async", *shlex.split(typed)[1:]]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    return bool(told.stdout) and told.returncode == 0
