"""deploy/README.md explains all that is in its folder; what it tells operators to type is run in test_commands."""

from __future__ import annotations

import re

from .launching import ROOT

TEXT = (ROOT / "deploy" / "README.md").read_text()
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
