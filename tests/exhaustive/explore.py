"""Breadth first through every state that can be reached, each once. What a state is, `walk` and `sessions` say."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

Action = tuple[str, int]
"""What is done, and to whom."""


@dataclass(eq=False, kw_only=True)
class State(ABC):
    """Where everything stands, and how it got there."""

    before: State | None = None
    action: Action | None = None
    depth: int = 0

    @abstractmethod
    def possible(self) -> Iterator[Action]:
        """What can happen here."""

    @abstractmethod
    def after(self, action: Action) -> State:
        """The state that the action leads to. Raises AssertionError if an invariant does not hold there."""

    @abstractmethod
    def key(self) -> Hashable:
        """What tells this state from others."""

    @abstractmethod
    def settle(self) -> None:
        """Heal everything, in a copy. Raises AssertionError if all is not well then."""


@dataclass(slots=True)
class Found:
    """What was seen.

    Attributes:
        states: how many different ones.
        transitions: how many actions were tried.
        settled: in how many states it was made sure that all is well after healing.
        depth: the longest shortest way.
        complete: whether there was nothing left to try.
        seconds: that it took.
        violation: the broken invariant, "" if none.
        actions: the shortest way to it.
    """

    states: int = 0
    transitions: int = 0
    settled: int = 0
    depth: int = 0
    complete: bool = True
    seconds: float = 0.0
    violation: str = ""
    actions: tuple[Action, ...] = ()


def explore(start: State, *, seconds: float = 1e9, settle_every: int = 200) -> Found:
    """Go everywhere.

    Args:
        start: where to begin.
        seconds: after which to stop, and say so.
        settle_every: in one of so many states, see that all is well after healing.
    """
    found, began = Found(), time.monotonic()
    seen = {start.key()}
    ahead = deque([start])
    while ahead and not found.violation:
        if time.monotonic() - began > seconds:
            found.complete = False
            break
        state = ahead.popleft()
        found.depth = max(found.depth, state.depth)
        for action in state.possible():
            found.transitions += 1
            try:
                reached = state.after(action)
                own = reached.key()
                if own in seen:
                    continue
                seen.add(own)
                ahead.append(reached)
                if len(seen) % settle_every == 0:
                    reached.settle()
                    found.settled += 1
            except Exception as error:  # an assertion of the world's, or of the rules themselves
                found.violation = f"{type(error).__name__}: {error}"
                found.actions = (*_way(state), action)
                break
    found.states, found.seconds = len(seen), time.monotonic() - began
    return found


def _way(state: State | None) -> tuple[Action, ...]:
    actions: list[Action] = []
    while state is not None and state.action is not None:
        actions.append(state.action)
        state = state.before
    return tuple(reversed(actions))
