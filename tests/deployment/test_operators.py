"""deploy/README.md explains all that is in its folder, and what it tells operators to type is there."""

from __future__ import annotations

import re
import shlex

from leader_async.cli.main import cli

from .launching import ROOT

TEXT = (ROOT / "deploy" / "README.md").read_text()
TYPED = [line[2:] for block in re.findall(r"```console\n(.*?)```", TEXT, re.S) for line in block.splitlines()]
CODE = {"__pycache__", "README.md", "evidence", "examples"}


def test_every_file_is_explained() -> None:
    named = set(re.findall(r"`([^`\s]+)`", TEXT)) | set(re.findall(r"\]\((\S+?)\)", TEXT))
    for path in [*(ROOT / "deploy").iterdir(), *(ROOT / "deploy" / "systemd").iterdir()]:
        if path.name not in CODE and path.suffix != ".py":
            names = {path.name, f"{path.name}/"}
            assert names & named or any(path.match(name) for name in named if "*" in name), path


def test_every_target_of_make_is_there() -> None:
    targets = set(re.findall(r"`make ([a-z-]+)`", TEXT))
    assert {"rolling-restart", "lock", "audit"} <= targets
    assert all(re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M) for target in targets)


def test_every_command_takes_these_flags() -> None:
    """What they answer is tested with them, in unit/cli."""
    asked = [shlex.split(line)[1:] for line in TYPED if line.startswith("leader-async ")]
    assert len(asked) == 5
    for name, *arguments in asked:
        cli.commands[name].make_context(name, arguments)
    installed = [line for line in TYPED if not line.startswith("leader-async ")]
    assert all("systemctl" in line or line.startswith("python3 -m venv /opt/leader-async ") for line in installed)
