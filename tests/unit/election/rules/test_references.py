"""The numbered rules of an election name what breaks them, and that exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from leader_async.election import rules
from tests.mutants.rules import MUTANTS

TESTS = Path(__file__).parents[3]
DOCSTRINGS = {
    path.stem: ast.get_docstring(ast.parse(path.read_text())) or "" for path in Path(rules.__path__[0]).glob("*.py")
}
NUMBERED = re.compile(r"^ ?(\d)\. (.*?)(?=^ ?\d\. |^\S|\Z)", re.MULTILINE | re.DOTALL)
CITED = re.compile(r'Broken by:((?:\s+"[^"]+"[,.])+)')


def cited(text: str) -> list[str]:
    """The names of mutants and tests that a text says break a rule."""
    found = [name for names in CITED.findall(text) for name in re.findall(r'"([^"]+)"', names)]
    return [" ".join(name.split()) for name in found]


def home(number: str) -> str:
    """The docstring in which the rule of this number stands, as the list in `candidacy` has it."""
    listed = dict(NUMBERED.findall(DOCSTRINGS["candidacy"]))[number]
    named = re.search(r"\(`(\w+)`", listed)
    return DOCSTRINGS.get(named[1] if named else "", DOCSTRINGS["candidacy"])


@pytest.mark.parametrize("number", "12345678")
def test_each_rule_stands_in_the_module_that_the_list_names_with_who_breaks_it(number: str) -> None:
    text = dict(NUMBERED.findall(home(number)))[number]
    assert cited(text)


@pytest.mark.parametrize("module", sorted(name for name, text in DOCSTRINGS.items() if "Broken by" in text))
def test_what_breaks_a_rule_exists(module: str) -> None:
    names = cited(DOCSTRINGS[module])
    assert DOCSTRINGS[module].count("Broken by:") <= len(names), "a reference is written as no other is"
    tests = " ".join(path.read_text() for path in TESTS.rglob("test_*.py"))
    assert [name for name in names if name not in MUTANTS and f"def {name}(" not in tests] == []
