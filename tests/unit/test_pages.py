"""The pages tell what is there: links lead somewhere, examples run, tests and mutants that are named exist."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from leader_async.cli.main import cli
from leader_async.testing import ZooKeeper, zookeeper

from ..conftest import need
from ..mutants.rules import MUTANTS
from ..support.readme import PAGES, README, ROOT, SERVERS, anchors, example, examples, section
from ..support.waiting import until

__all__ = ["zookeeper"]
GUARANTEES, MIGRATING = ROOT / "deploy/GUARANTEES.md", ROOT / "deploy/MIGRATING.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


def test_the_tests_and_mutants_behind_the_promises_are_there() -> None:
    text = GUARANTEES.read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 20
    for path, test in named:
        assert re.search(rf"\bdef {test}\b" if test else "def test_", (ROOT / path).read_text()), (path, test)
    rows = [line for line in text.splitlines() if line.startswith("| ") and "tests/" in line]
    mutants = [mutant for row in rows for mutant in re.findall(r'"([^"]+)"', row.split("|")[3])]
    assert len(mutants) > 15
    assert set(mutants) <= set(MUTANTS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_example_is_python(page: Path) -> None:
    for code in examples(page.read_text(), "python"):
        compile(code, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_every_example_is_run_somewhere() -> None:
    """That of the first screen in deployment/test_first_screen.py, the others by the heading above them."""
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    _, *parts = README.read_text().split("\n## ")
    for heading, _, text in (part.partition("\n") for part in parts):
        found = examples(text, "python")
        assert not found or f'"{heading}"' in tests, heading
        assert len(found) <= (2 if heading == "In your tests" else 1), "tests take the first one"
    assert {page for page in PAGES if examples(page.read_text(), "python")} == {README, MIGRATING}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("heading", "line", "count"),
    [("In your service", r"term 1 token \d+\n", 1), ("Sharded work", r"partition \d+ token \d+\n", 256)],
)
async def test_an_example_runs(
    heading: str, line: str, count: int, zookeeper: ZooKeeper, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, runs = example(heading, servers=zookeeper.address).rpartition("asyncio.run(main())")
    assert runs == "\n"
    names: dict[str, Any] = {}
    exec(compile(code, README, "exec"), names)
    printed: list[str] = []

    def all_of_them() -> bool:
        printed.append(capsys.readouterr().out)
        return len(set(re.findall(line, "".join(printed)))) == count

    running = asyncio.create_task(names["main"]())
    await until(all_of_them)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert not zookeeper.sessions, "it has left"


@pytest.mark.timeout(60)
def test_the_example_of_a_test_runs(tmp_path: Path) -> None:
    conftest, test = examples(section(README, "In your tests"), "python")
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_example.py").write_text(test)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(tmp_path), str(tmp_path)]
    path = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=path, cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.timeout(60)
@pytest.mark.parametrize("code", examples(MIGRATING.read_text(), "python"))
def test_what_one_comes_from_is_shown_and_what_one_comes_to_runs(
    code: str, zookeeper: ZooKeeper, capsys: pytest.CaptureFixture[str]
) -> None:
    first, _, rest = code.partition("\n")
    if first == "# before":
        compile(rest, "before", "exec")
        return
    assert first == "# after"
    if "kazoo" in code:
        missing = None if importlib.util.find_spec("kazoo") else "there is no kazoo"
        need(missing, "the bridge from kazoo's elections", "install the extra `test`")
    exec(compile(code.replace(SERVERS, zookeeper.address), MIGRATING, "exec"), {"__name__": "__main__"})
    assert re.search(r" under \d+", capsys.readouterr().out)
    assert not zookeeper.sessions


def test_every_command_of_the_pages_is_one_of_ours() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    known = set(cli.commands)
    for page in PAGES:
        text = page.read_text()
        for target in re.findall(r"(?:^\$ |`)make ([\w-]+)", text, re.MULTILINE):
            assert target in targets, (page.name, target)
        for command in re.findall(r"(?:^\$ |`)leader-async ([a-z]\w*)", text, re.MULTILINE):
            assert command in known, (page.name, command)


def test_every_flag_of_the_pages_is_one_of_ours() -> None:
    help_of = {name: CliRunner().invoke(cli, [name, "--help"]).output for name in cli.commands}
    for page in PAGES:
        for command, rest in re.findall(r"(?:^\$ |`)leader-async ([a-z]\w*)([^`\n]*)", page.read_text(), re.MULTILINE):
            for flag in re.findall(r" (--[a-z][\w-]*)", rest.partition(" -- ")[0]):
                assert flag in help_of[command], (page.name, command, flag)
