"""The layers, the public names and the imports are what they are said to be."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

import leader_async

PACKAGE = Path(leader_async.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))

# What each place may import of the package, besides itself; arrows point down only.
LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "arguments": {"errors"},
    "stored": {"arguments"},
    "clock": set(),
    "histogram": set(),
    "version": set(),
    "callables": {"errors"},
    "waking": {"clock", "histogram"},
    "zookeeper/messages": {"errors"},
    "zookeeper/hosts": {"errors"},
    "zookeeper/wire/frames": {"errors"},
    "zookeeper/wire/codecs": {"zookeeper/messages"},
    "zookeeper/wire/packed": {"errors", "zookeeper/messages", "zookeeper/wire/frames", "zookeeper/wire/codecs"},
    "zookeeper/wire/client": {"errors", "zookeeper/messages", "zookeeper/wire"},
    "zookeeper/foreign": {"zookeeper/messages"},
    "zookeeper/wire/asked": {"errors", "zookeeper/messages", "zookeeper/foreign", "zookeeper/wire"},
    "zookeeper/wire/server": {"errors", "zookeeper/foreign", "zookeeper/messages", "zookeeper/wire"},
    "zookeeper/wire": {"zookeeper/wire"},
    "zookeeper/identity": {"errors", "zookeeper/messages"},
    "zookeeper/tls": {"errors", "zookeeper/messages"},
    "zookeeper/session": {"errors", "zookeeper/messages", "zookeeper/identity", "zookeeper/wire"},
    "zookeeper/dialling": {"zookeeper/hosts"},
    "zookeeper/link": {"zookeeper/hosts"},
    "zookeeper/status": set(),
    "zookeeper/stats": {"histogram", "zookeeper/messages"},
    "zookeeper/client": {
        "errors",
        "clock",
        "waking",
        "zookeeper/messages",
        "zookeeper/hosts",
        "zookeeper/identity",
        "zookeeper/tls",
        "zookeeper/dialling",
        "zookeeper/link",
        "zookeeper/session",
        "zookeeper/status",
        "zookeeper/stats",
    },
    "election/rules/queue": {"errors"},
    "election/rules/record": {"errors", "stored", "zookeeper/messages", "election/rules/queue"},
    "election/rules/effects": {"errors", "zookeeper/messages", "election/rules/history"},
    "election/rules/candidate_data": {"stored"},
    "election/rules/history": {"stored", "election/rules/record"},
    "election/rules/explain": {"election/rules/history"},
    "election/rules/state": {
        "errors",
        "zookeeper/messages",
        "election/rules/queue",
        "election/rules/record",
        "election/rules/candidate_data",
        "election/rules/effects",
        "election/rules/history",
    },
}
PURE_EMBEDDED = {"errors", "zookeeper/messages", "zookeeper/foreign", "embedded/access", "embedded/tree"}
LAYERS |= {
    "embedded/access": {"zookeeper/messages"},
    "embedded/tree": {"errors", "zookeeper/messages", "zookeeper/foreign", "embedded/access"},
    "embedded/watches": {"zookeeper/messages", "zookeeper/foreign", "embedded/tree"},
    "embedded/expiry": set(),
    "embedded/reading": PURE_EMBEDDED | {"embedded/watches"},
    "embedded/host": PURE_EMBEDDED | {"zookeeper/wire", "embedded/watches", "embedded/reading"},
    "embedded/alone": {"embedded/expiry", "embedded/host", "embedded/tree"},
}
LAYERS["election/names"] = {
    "errors",
    "zookeeper/hosts",
    "election/rules/history",
    "election/rules/queue",
    "election/rules/record",
}
LAYERS["election/rules/lead"] = LAYERS["election/rules/state"] | {"election/rules/state"}
PURE_ELECTION = LAYERS["election/rules/lead"] | {"election/rules/lead"}
LAYERS["election/rules/place"] = PURE_ELECTION
LAYERS["election/status"] = {"election/rules/state"}
LAYERS["election/stats"] = PURE_ELECTION | {"histogram"}
LAYERS["election/rules/candidacy"] = PURE_ELECTION | {"election/rules/place"}
LAYERS["election/rules/confirm_rounds"] = PURE_ELECTION | {"election/rules/candidacy"}
LAYERS |= {
    "sharding/assignment": {"errors", "stored"},
    "sharding/member_data": {"stored", "sharding/assignment"},
    "sharding/decisions": {"sharding/assignment"},
    "sharding/membership": {
        "errors",
        "waking",
        "zookeeper/messages",
        "zookeeper/client",
        "election/rules/queue",
        "sharding/assignment",
        "sharding/member_data",
    },
}
PURE = {
    place
    for place in LAYERS
    if place
    not in (
        "clock",
        "version",
        "waking",
        "zookeeper/wire",
        "zookeeper/dialling",
        "zookeeper/tls",
        "zookeeper/link",
        "zookeeper/client",
        "sharding/membership",
    )
}
LAYERS["election"] = PURE_ELECTION | {
    "callables",
    "election/rules/candidacy",
    "election/rules/confirm_rounds",
    "zookeeper/hosts",
    "zookeeper/client",
    "zookeeper/identity",
    "zookeeper/tls",
    "clock",
    "waking",
    "election",
}
LAYERS |= {
    "watchdog": set(),
    "logs": set(),
    "reaping": set(),
    "signals": set(),
    # The application's end knows nothing of elections; the other end writes their records, and that is all it knows.
    "guardian": set(),
    "guardian/protocol": {"stored", "zookeeper/identity", "zookeeper/session", "zookeeper/tls"},
    "guardian/finding": {"logs"},
    "guardian/client": {
        "zookeeper/messages",
        "zookeeper/client",
        "zookeeper/tls",
        "guardian/protocol",
        "guardian/finding",
    },
    "guardian/ending": {
        "errors",
        "zookeeper",
        "election/rules/record",
        "election/rules/candidate_data",
        "election/rules/history",
        "guardian/protocol",
    },
    "guardian/helpers": set(),
    "guardian/watch": {"guardian/protocol", "guardian/ending", "guardian/helpers"},
    "guardian/container": {"reaping", "signals", "guardian/ending", "guardian/finding", "guardian/watch"},
    "guardian/__main__": {"logs", "guardian/ending", "guardian/watch"},
}
LAYERS |= {
    "schedule/expression": {"errors"},
    "schedule/wall_clock": set(),
    "schedule/triggers": {"errors", "schedule/expression", "schedule/wall_clock"},
    "schedule/ledger": {"errors", "stored"},
    "schedule/stats": {"histogram", "schedule/ledger"},
    "schedule/slots": {"errors", "schedule/decisions", "schedule/ledger", "schedule/triggers"},
    "schedule/decisions": {"errors", "schedule/ledger", "schedule/triggers"},
    "supervise/supervision": set(),
    "supervise/policy": {"supervise/supervision"},
    "supervise/patience": {"supervise/supervision"},
    "supervise/linux": {"reaping"},
    "supervise/talk": set(),
    "fence/statements": {"errors"},
    "fence/header": {"errors", "fence/statements"},
    "fence/gate": {"errors"},
    "fence": {"errors", "fence"},  # no driver, no ZooKeeper: a token is a number
    "supervise": {
        "errors",
        "logs",
        "clock",
        "waking",
        "election",
        "reaping",
        "signals",
        "guardian/finding",
        "guardian/watch",
        "supervise",
    },
}
PURE |= {"guardian/protocol", "supervise/supervision", "supervise/policy", "supervise/patience"}
PURE |= {"schedule/expression", "schedule/ledger", "schedule/stats", "schedule/decisions"}
LAYERS["web/mailbox"] = set()
LAYERS["web/missing"] = {"election/rules/history"}
PURE |= {"web/mailbox", "web/missing"}
PURE |= {"fence/statements", "fence/header", "fence/gate"}
LAYERS["connection"] = LAYERS["election"] | {"arguments", "stored", "guardian/client", "watchdog"}
LAYERS["election"] |= {"arguments", "stored"}
LAYERS["sharding"] = {
    "arguments", "errors", "clock", "callables", "election", "zookeeper/messages", "zookeeper/client", "sharding",
}  # fmt: skip
LAYERS["schedule"] = {
    "supervise", "errors", "clock", "waking", "callables",
    "election", "zookeeper/hosts", "zookeeper/messages", "zookeeper/client", "schedule",
}  # fmt: skip
LAYERS["embedded"] = {"errors", "clock", "waking", "embedded"}
LAYERS["testing"] = {"embedded", "errors"}
LAYERS["health"] = set()
PURE |= {"health", "arguments", "stored"}
LAYERS["metrics"] = {
    "errors", "version", "histogram", "zookeeper/messages", "zookeeper/stats", "connection", "election",
    "guardian/client", "schedule",
}  # fmt: skip
LAYERS["web"] = {
    "metrics", "version", "health",
    "election", "schedule", "zookeeper/client", "zookeeper/messages", "zookeeper/status", "clock", "errors", "waking",
    "fence", "web", "",
}  # fmt: skip
LAYERS["blocking"] = {
    "election", "errors", "callables", "watchdog", "metrics", "zookeeper/identity", "zookeeper/tls", "blocking",
}  # fmt: skip
LAYERS["cli"] = LAYERS["web"] | {
    "arguments",
    "supervise/policy",
    "zookeeper",
    "embedded",
    "cli",
    "logs",
    "signals",
    "watchdog",
}
LAYERS["cli/run"] = LAYERS["cli"] | {"supervise"}
LAYERS["cli/main"] = LAYERS["cli"] | {"guardian/container"}
LAYERS[""] = {"connection", "election", "schedule", "sharding", "errors", "zookeeper", "cli"}
for place in ("election", "sharding", "web", "blocking", "supervise", "cli", "cli/run", "cli/main"):
    LAYERS[place] |= {"connection"}
IMPURE = {"asyncio", "socket", "time", "random", "threading", "datetime", "uuid", "selectors", "os"}


AIOZK = {f"zookeeper/wire/{module}.py" for module in ("codecs", "packed", "client", "server")}


def place_of(path: Path) -> str:
    """The entry of LAYERS that a module falls under: its own, or that of its folder."""
    own = path.with_suffix("").as_posix().removesuffix("__init__").strip("/")
    return own if own in LAYERS else path.parent.as_posix().strip(".")


def imports_of(path: Path) -> tuple[set[str], set[str]]:
    """The modules of the package, and the others, that a module imports (not those it needs for types only)."""
    inner: set[str] = set()
    outer: set[str] = set()
    tree = ast.parse((PACKAGE / path).read_text())
    typing_only = {
        id(inside)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inside in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            outer |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1] / Path(*(node.module or "").split("."))
            for alias in node.names:
                module = base / alias.name
                found = (
                    module if (PACKAGE / module).with_suffix(".py").exists() or (PACKAGE / module).is_dir() else base
                )
                inner.add(found.as_posix().strip("."))
        elif isinstance(node, ast.ImportFrom):
            outer.add((node.module or "").partition(".")[0])
    return inner, outer


def within(module: str, allowed: set[str]) -> bool:
    return any(module == place or (place and module.startswith(place + "/")) for place in allowed)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_arrows_point_down_only(path: Path) -> None:
    place = place_of(path)
    inner, outer = imports_of(path)
    assert not outer & {"leader_async"}, "relative imports only"
    strangers = {module for module in inner if not within(module, LAYERS[place])}
    assert not strangers, f"{path} is {place or 'the package'} and may not import {strangers}"


@pytest.mark.parametrize("place", sorted(PURE))
def test_pure_modules_have_no_io_clock_or_chance(place: str) -> None:
    _, outer = imports_of(Path(place + ".py"))
    assert not outer & IMPURE


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_aiozk_is_known_to_one_package_only(path: Path) -> None:
    _, outer = imports_of(path)
    assert ("aiozk" in outer) == (path.as_posix() in AIOZK)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_nothing_is_imported_that_is_not_declared(path: Path) -> None:
    setup = ConfigParser()
    setup.read(PACKAGE.parent / "setup.cfg")
    required = re.findall(r"^[\w-]+", setup["options"]["install_requires"], re.MULTILINE)
    _, outer = imports_of(path)
    extra = {"pytest"} if path.stem == "testing" else set()
    assert outer <= {name.replace("-", "_") for name in required} | sys.stdlib_module_names | extra


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
