"""The Makefile: what it offers, and how it refuses."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ..conftest import need
from .launching import ROOT

TARGETS = (
    "up down ps logs poll restart-leader rolling-restart kill-leader "
    "test simulate exhaustive mutants chaos chaos-jobs bench lint types format lock audit deps clean"
).split()


@pytest.fixture(autouse=True)
def _make() -> None:
    need(None if shutil.which("make") else "no make here", "tests of the Makefile", "install make")


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # As from a shell, also where `make test` is what runs this.
    shell = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return subprocess.run(["make", *arguments], cwd=folder, env=shell, capture_output=True, text=True, check=False)


def test_alone_it_says_what_there_is() -> None:
    lines = make(ROOT).stdout.splitlines()
    assert [line.split()[1] for line in lines] == TARGETS
    assert all(len(line.split()) > 4 for line in lines)


@pytest.mark.parametrize("target", TARGETS)
def test_targets_are_a_line_each(target: str) -> None:
    text = (ROOT / "Makefile").read_text()
    rule = re.search(rf"^{target}:.*\n((?:\t.*\n)*)", text, re.MULTILINE)
    assert rule is not None
    assert rule[1].count("\n") <= 1
    assert re.search(rf"^\.PHONY:.* {target}\b", text, re.MULTILINE)


def test_what_runs_is_installed_without_what_tests_need(tmp_path: Path) -> None:
    for name in ("Makefile", "setup.cfg"):
        shutil.copy(ROOT / name, tmp_path)
    for target, extra in (("up", False), ("ps", False), ("test", True), ("deps", True)):
        told = make(tmp_path, "--dry-run", target).stdout
        assert "-m venv .venv" in told
        assert "--editable . &&" in told
        assert ("--editable '.[test]'" in told) is extra, target


@pytest.mark.parametrize("python", ["false", "there-is-no-such-python"])
def test_a_python_that_cannot_be_used_is_told(tmp_path: Path, python: str) -> None:
    for name in ("Makefile", "setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    result = make(tmp_path, "deps", f"PYTHON={python}")
    assert result.returncode != 0
    assert f"Python 3.11 or newer, and {python} is none" in result.stderr
    assert not (tmp_path / ".venv").exists()
