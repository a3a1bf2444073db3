"""`help(leader_async)` tells all: every public name has a docstring, and that names the arguments there are."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

MODULES = ("leader_async", "leader_async.blocking", "leader_async.fence", "leader_async.web", "leader_async.testing")


def public(module: str) -> Iterator[tuple[str, Any]]:
    """All that a user of a module may call, with the methods of its classes."""
    found = importlib.import_module(module)
    for name in getattr(found, "__all__", ()):
        thing = getattr(found, name)
        if inspect.isclass(thing):
            yield name, thing
            for inner, member in vars(thing).items():
                member = getattr(member, "fget", None) or getattr(member, "__func__", member)
                if inspect.isfunction(member) and not inner.startswith("_"):
                    yield f"{name}.{inner}", member
        elif inspect.isroutine(thing):
            yield name, thing


def documented(text: str) -> set[str]:
    """The names below `Args:` or `Attributes:`; several may share a line."""
    section = re.search(r"^(?:Args|Attributes):\n(.*?)(?=^\S|\Z)", text, re.S | re.M)
    lines = re.findall(r"^ {4}([*\w]+(?:, [*\w]+)*):", section[1], re.M) if section else []
    return {name.strip(" *") for line in lines for name in line.split(",")}


def taken(thing: Callable[..., Any]) -> set[str]:
    """The names of its arguments."""
    try:
        parameters = inspect.signature(thing).parameters
    except ValueError:
        return set()
    return {name for name in parameters if name not in ("self", "cls") and not name.startswith("_")}


@pytest.mark.parametrize(("name", "thing"), [each for module in MODULES for each in public(module)])
def test_every_public_name_is_explained(name: str, thing: Any) -> None:
    text = inspect.getdoc(thing) or ""
    assert text, f"{name} has no docstring"
    if not callable(thing):
        return
    if inspect.isclass(thing) and not dataclasses.is_dataclass(thing):
        return  # most are made by another one's method, which explains their arguments; for the others see below
    there, told = taken(thing), documented(text)
    if not re.search(r"\b[Ss]ee `", text):
        assert there <= told, f"{name} does not say what {there - told} are"
    if not inspect.isclass(thing):
        assert told <= there, f"{name} explains {told - there}, which it does not take"


def test_classes_that_users_make_explain_their_arguments() -> None:
    from leader_async import Schedule
    from leader_async.testing import ZooKeeper

    for made in (Schedule, ZooKeeper):
        assert taken(made) == documented(inspect.getdoc(made) or ""), made


def test_what_is_explained_is_found() -> None:
    assert documented("Do.\n\nArgs:\n    a, *b: two.\n        more: of them.\n    c: one.\n\nRaises:\n    d: no.") == {
        *"abc"
    }
    assert documented("Do.") == set()
