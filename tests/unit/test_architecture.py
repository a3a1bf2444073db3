"""The contracts of pyproject.toml are kept; each module says what it is, and the public names are explained."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from configparser import ConfigParser
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from grimp import build_graph
from importlinter.api import read_configuration

import leader_async

PACKAGE = Path(leader_async.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))

CONTRACTS = read_configuration(str(PACKAGE.parent / "pyproject.toml"))["contracts_options"]
# The list of pure modules stands once, as a contract; `.ci/run` has their coverage held to 100 % by it.
PURE = next(contract["source_modules"] for contract in CONTRACTS if contract.get("id") == "pure")


def is_pure(path: Path) -> bool:
    module = ".".join(("leader_async", *path.with_suffix("").parts))
    return any(fnmatchcase(module, expression) for expression in PURE)


def imports_of(path: Path) -> set[str]:
    """The first names of the modules that are not the package's own; "" stands for its own."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("" if node.level else (node.module or "").partition(".")[0])
    return found


def test_the_contracts_of_pyproject_are_kept() -> None:
    # In a process of its own: import-linter configures logging, and disables the loggers that there are.
    linter = [
        sys.executable,
        "-c",
        "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))",
    ]
    ended = subprocess.run(linter, cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_no_module_imports_the_folder_that_it_is_in() -> None:
    graph = build_graph("leader_async", exclude_type_checking_imports=False, cache_dir=None)
    for module in graph.modules:
        inside = graph.find_modules_directly_imported_by(module)
        assert not {other for other in inside if module.startswith(other + ".")}, module


def says_pure(path: Path) -> bool:
    said = ast.get_docstring(ast.parse((PACKAGE / path).read_text())) or ""
    return re.search(r"\bpure\b", said, re.IGNORECASE) is not None


@pytest.mark.parametrize("path", [path for path in MODULES if path.stem != "__init__"], ids=str)
def test_the_pure_modules_are_those_that_say_so_or_whose_folder_does(path: Path) -> None:
    folder = ".".join(("leader_async", *path.parent.parts, "*"))
    says = says_pure(path.parent / "__init__.py") if folder in PURE else says_pure(path)
    assert is_pure(path) == says


@pytest.mark.parametrize("path", [path for path in MODULES if is_pure(path)], ids=str)
def test_pure_modules_ask_no_calendar_what_time_it_is_and_open_no_file(path: Path) -> None:
    for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name("datetime" | "date"), attr="now" | "utcnow" | "today")):
                pytest.fail(f"{path}:{node.lineno} reads the clock")
            case ast.Call(func=ast.Name("open")):
                pytest.fail(f"{path}:{node.lineno} opens a file")


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_the_package_imports_itself_relatively(path: Path) -> None:
    assert "leader_async" not in imports_of(path)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_nothing_is_imported_that_is_not_declared(path: Path) -> None:
    setup = ConfigParser()
    setup.read(PACKAGE.parent / "setup.cfg")
    required = re.findall(r"^[\w-]+", setup["options"]["install_requires"], re.MULTILINE)
    extra = {"", "pytest"} if path.stem == "testing" else {""}
    assert imports_of(path) <= {name.replace("-", "_") for name in required} | sys.stdlib_module_names | extra


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_each_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse((PACKAGE / path).read_text())), f"{path} has no docstring"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_each_line_of_the_log_has_its_event(path: Path) -> None:
    levels = {"log", "info", "warning", "error", "critical", "exception"}
    for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name("log"), attr=level)) if level in levels:
                given = {keyword.arg for keyword in node.keywords}
                assert "extra" in given, f"{path}:{node.lineno}: extra={{'event': …}} is missing"


def test_every_public_name_is_there_once_and_explained() -> None:
    assert list(leader_async.__all__) == sorted(set(leader_async.__all__), key=leader_async.__all__.index)
    for name in leader_async.__all__:
        assert getattr(leader_async, name).__doc__, name
    public = {name for name in vars(leader_async) if not name.startswith("_")}
    modules = {path.stem for path in MODULES} | {path.parts[0] for path in MODULES}
    assert public - modules - {"TYPE_CHECKING"} == set(leader_async.__all__)
    assert set(leader_async.__all__) <= set(dir(leader_async))
    missing = "elect"
    with pytest.raises(AttributeError, match="no attribute 'elect'"):
        getattr(leader_async, missing)


@pytest.mark.timeout(120)
def test_type_checkers_know_each_public_name_and_no_other(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    names = ", ".join(leader_async.__all__)
    program.write_text(f"from leader_async import {names}\nfrom leader_async import Anything\n")
    command = [sys.executable, "-m", "mypy", "--strict", str(program)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PACKAGE.parent)
    assert result.returncode == 1
    (error, _) = result.stdout.splitlines()
    assert 'program.py:2: error: Module "leader_async" has no attribute "Anything"' in error


def test_importing_the_library_loads_neither_the_web_nor_the_command_line_nor_calendars() -> None:
    unwanted = {"aiohttp", "click", "zoneinfo", "leader_async.sharding", "prometheus_client"}
    script = f"import sys, leader_async; print(sorted({unwanted} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    assert result.stdout.strip() == "[]"
