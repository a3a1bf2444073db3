"""deploy/README.md explains all that is in its folder. What it tells operators to type is run in `test_local`."""

from __future__ import annotations

import re

from .launching import ROOT
from .operators import ASKED, TEXT, TYPED

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


def test_no_command_is_left_out() -> None:
    assert len(ASKED) == 5
    installed = [line for line in TYPED if line not in ASKED]
    assert all("systemctl" in line or line.startswith("python3 -m venv /opt/leader-async ") for line in installed)
