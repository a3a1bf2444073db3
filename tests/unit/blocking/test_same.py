"""The blocking API is the async one: the same names, arguments and defaults. What differs stands here, with why."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import leader_async
from leader_async import blocking
from leader_async.blocking.facade import Facade

from .leading import LIMIT

ONLY_ASYNC = {
    "Connection": {
        "the package's own, for the elections of a connection": {
            "find", "helper", "own_process",
        },
    },
    "Election": {
        "the package's own, for the connection and the web": {
            "agree", "changes", "client", "parent",
        },
    },
    "Term": {
        "it cancels the work, and nothing can stop a thread from outside": {"stop"},
        "the package's own, for work that is a command": {"connection"},
    },
}  # fmt: skip
ONLY_BLOCKING = {
    "Connection": {
        "a function of a program without an event loop needs no `run` around it": {"leader"},
        "for blocking.metrics": {"measure"},
    },
    "Election": {
        "one wants the lead for a block of code, with a limit, or in the background": {
            "join", "lead", "leader_only", "leave"
        },
        "for the connection": {"bind", "refuse_inside"},
    },
    "Term": {
        "a thread is notified, not cancelled": {"check"},
        "Transaction.commit is to be awaited": {"commit"},
        "for the election": {"end", "enter", "is_mine", "leave"},
    },
}  # fmt: skip
DIFFERENT = {
    ("Connection", "close"): "nothing else could bound the wait, as asyncio.timeout does: one more timeout=",
    ("Connection", "wait_connected"): "one more timeout=",
    ("Election", "watch"): "one more timeout=",
}


MODELS: list[tuple[str, type, type]] = [
    ("Connection", leader_async.Connection, blocking.Connection),
    ("Election", leader_async.Election, blocking.Election),
    ("Term", leader_async.Term, blocking.Term),
]


def public(made: type) -> set[str]:
    """Its methods and properties, without what `Facade` adds to all."""
    return {name for name in dir(made) if not name.startswith("_")} - set(vars(Facade))


def named(groups: dict[str, set[str]]) -> set[str]:
    return set().union(*groups.values())


def shape(function: Callable[..., object]) -> list[tuple[str, object, object]]:
    """How it is called."""
    parameters = inspect.signature(function).parameters.values()
    return [(each.name, each.kind, each.default) for each in parameters if each.name != "self"]


@pytest.mark.parametrize(("name", "model", "made"), MODELS, ids=[name for name, _, _ in MODELS])
def test_names_arguments_and_defaults_are_the_same(name: str, model: type, made: type) -> None:
    its, ours = public(model), public(made)
    assert its - ours <= named(ONLY_ASYNC[name]), "the blocking API has drifted"  # the package may need fewer
    assert ours - its == named(ONLY_BLOCKING[name])
    for common in sorted(its & ours):
        one, other = getattr(model, common), getattr(made, common)
        assert isinstance(one, property) == isinstance(other, property), common
        if not isinstance(one, property):
            extra = [("timeout", inspect.Parameter.POSITIONAL_OR_KEYWORD, None)]
            assert shape(other) == shape(one) + (extra if (name, common) in DIFFERENT else []), common
            assert not inspect.iscoroutinefunction(other), common


def test_a_connection_is_made_with_the_same_arguments() -> None:
    assert shape(blocking.connect) == shape(leader_async.connect)


def test_what_is_derived_is_explained_without_await() -> None:
    assert blocking.Election.history.__doc__ == leader_async.Election.history.__doc__
    assert (blocking.connect.__doc__ or "").count("`with connect(...) as zk`") == 1
    assert blocking.Election.leader.__name__ == "leader"
    assert blocking.Connection.leader.__name__ == "leader"


def test_options_are_passed_on_and_others_refused(zk: blocking.Connection) -> None:
    election = zk.election("x", identity="me", address="here:1", lease=2, root="/ELSEWHERE", history=False)
    assert (election.name, election.identity, election.address, election.lease) == ("x", "me", "here:1", 2)
    assert election.overdue == 0.0
    with pytest.raises(leader_async.UsageError, match="history=False and not True"):
        zk.leader("x", root="/ELSEWHERE", history=True)
    unknown: Any = {"identty": "me"}
    with pytest.raises(TypeError, match="identty"):
        zk.election("y", **unknown)
    with election.lead(LIMIT) as term:
        assert (term.lease, term.over) == (2, False)
    assert term.over
    assert not zk.election("x").candidates(), "another election, at the usual place"
