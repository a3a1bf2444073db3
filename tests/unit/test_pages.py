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
from ..support.readme import (
    DOCS,
    INDEX,
    PAGES,
    README,
    ROOT,
    SERVERS,
    anchors,
    example,
    examples,
    name,
    section,
    sections,
)
from ..support.waiting import until

__all__ = ["zookeeper"]
GUARANTEES, MIGRATING = ROOT / "deploy/GUARANTEES.md", ROOT / "deploy/MIGRATING.md"


REPORTS = (ROOT / "tests/README.md", *sorted(ROOT.glob("deploy/evidence/*.md")))
"""What is written for those who read the pages, and is none of them."""


def links(page: Path) -> list[tuple[Path, str]]:
    """The files that a page links to, and what in them: an anchor, or ""."""
    found = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    parts = [link.partition("#") for link in found if not link.startswith(("http://", "https://"))]
    return [((page.parent / path).resolve() if path else page, anchor) for path, _, anchor in parts]


@pytest.mark.parametrize("page", [*PAGES, *REPORTS], ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), target
        assert not anchor or anchor in anchors(target.read_text()), (target, anchor)


def test_every_page_is_one_step_from_the_readme_and_from_the_index() -> None:
    for beginning in (README, INDEX):
        assert {*PAGES} - {beginning, *(target for target, _ in links(beginning))} == set()


@pytest.mark.parametrize("page", [page for page in PAGES if page != INDEX], ids=name)
def test_every_page_leads_back_to_the_index(page: Path) -> None:
    assert INDEX in {target for target, _ in links(page)}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_has_one_title_and_what_a_newcomer_reads_first(page: Path) -> None:
    titles = [words for depth, words, _ in sections(page.read_text()) if depth == 1]
    assert len(titles) == 1
    first = page.read_text().split("\n\n")[1]
    assert re.match(r"\w", first), "neither a table nor a list nor a heading"


def test_the_readme_is_read_standing() -> None:
    assert len(README.read_text().splitlines()) <= 150


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_readme_promises_what_the_guarantees_promise_in_the_same_words() -> None:
    """It may say less, but nothing else."""
    short, whole = (
        [words(one) for one in re.findall(r"^\d\. (.*(?:\n   .*)*)", section(heading), re.MULTILINE)]
        for heading in ("What it promises", "The promises")
    )
    assert len(short) == len(whole) == 4
    for one, other in zip(short, whole, strict=True):
        assert other.startswith(one)


def test_the_readme_compares_as_the_page_does() -> None:
    short, whole = (
        [line for line in section(heading).splitlines() if line.startswith("|")]
        for heading in ("How it compares", "Comparison")
    )
    assert len(short) > 5
    assert short == [line for line in whole if line in short]


def test_a_section_is_what_stands_below_its_heading_on_whichever_page() -> None:
    """Examples have lines that look like headings."""
    text = "# A\n\nof A\n\n```python\n# not a heading\n```\n\n## B\n\nof B\n"
    assert sections(text) == [(1, "A", "\nof A\n\n```python\n# not a heading\n```\n\n"), (2, "B", "\nof B\n")]
    conftest = section("Tests")
    assert "# conftest.py" in conftest
    assert "## Exit codes" in section("The status service"), "what is below deeper headings belongs to it"
    assert "## " not in section("A command in one place at a time")
    with pytest.raises(AssertionError, match="0 sections are called"):
        section("No page has this")
    with pytest.raises(AssertionError, match="2 sections are called"):
        section("Contributing")


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


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_example_is_python(page: Path) -> None:
    for code in examples(page.read_text(), "python"):
        compile(code, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_every_example_is_run_somewhere() -> None:
    """That of the first screen in deployment/test_first_screen.py, the others by the heading above them."""
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    first, *readme = sections(README.read_text())
    assert len(examples(first[2], "python")) == 1
    for heading in (*readme, *(heading for page in DOCS for heading in sections(page.read_text()))):
        found = examples(heading[2], "python")
        assert not found or f'"{heading[1]}"' in tests, heading[1]
        assert len(found) <= (2 if heading[1] == "Tests" else 1), "tests take the first one"
    assert {page for page in PAGES if examples(page.read_text(), "python")} - {*DOCS} == {README, MIGRATING}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("heading", "line", "count"),
    [("Elections", r"term 1 token \d+\n", 1), ("Partitions", r"partition \d+ token \d+\n", 256)],
)
async def test_an_example_runs(
    heading: str, line: str, count: int, zookeeper: ZooKeeper, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, runs = example(heading, servers=zookeeper.address).rpartition("asyncio.run(main())")
    assert runs == "\n"
    names: dict[str, Any] = {}
    exec(compile(code, heading, "exec"), names)
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
    conftest, test = examples(section("Tests"), "python")
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
            assert target in targets, (name(page), target)
        for command in re.findall(r"(?:^\$ |`)leader-async ([a-z]\w*)", text, re.MULTILINE):
            assert command in known, (name(page), command)


def test_every_flag_of_the_pages_is_one_of_ours() -> None:
    help_of = {name: CliRunner().invoke(cli, [name, "--help"]).output for name in cli.commands}
    for page in PAGES:
        for command, rest in re.findall(r"(?:^\$ |`)leader-async ([a-z]\w*)([^`\n]*)", page.read_text(), re.MULTILINE):
            for flag in re.findall(r" (--[a-z][\w-]*)", rest.partition(" -- ")[0]):
                assert flag in help_of[command], (name(page), command, flag)
