"""The pages tell what is there: links lead somewhere, examples run, tests and mutants that are named exist."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from leader_async.cli.main import cli
from leader_async.testing import ZooKeeper, zookeeper

from ..conftest import need
from ..mutants.rules import MUTANTS
from ..support.readme import PAGES, README, ROOT, SERVERS, anchors, example, examples
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


@pytest.mark.timeout(60)
async def test_the_example_for_a_service_runs(zookeeper: ZooKeeper, capsys: pytest.CaptureFixture[str]) -> None:
    code = example("In your service", servers=zookeeper.address).replace("asyncio.run(main())", "")
    names: dict[str, Any] = {}
    exec(compile(code, README, "exec"), names)
    running = asyncio.create_task(names["main"]())
    await until(lambda: re.search(r"term 1 token \d+", capsys.readouterr().out))
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert not zookeeper.sessions, "it has left"


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
