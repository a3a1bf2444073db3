"""How the blocking API is made from the async API.

Rule: what can be derived is derived, so that it cannot drift: signature, types and docstring of a method are those of
its model. What differs stands in tests/unit/blocking/test_same.py, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from .portal import Portal

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)
P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


class Facade(Generic[A_co]):
    """An object of the async API, for threads.

    Attributes:
        asynchronous: that object. Only the loop of the portal may touch it, once that runs.
    """

    def __init__(self, portal: Portal, asynchronous: A_co) -> None:
        self._portal, self.asynchronous = portal, asynchronous

    def begin(self, ending: str = "") -> None:
        """Return if this thread may wait for the loop, which runs from here on.

        `ending` names the call if it waits for the end of work, for the message.

        Raises:
            UsageError: it may not.
            SessionClosed: the connection was closed.
        """
        self._portal.check()


def through(
    model: Callable[Concatenate[A, P], Coroutine[Any, Any, T]], *, ends_work: bool = False
) -> Callable[Concatenate[Facade[A], P], T]:
    """Make the method that runs its model, one of the async API, in the loop and waits for the result.

    With `ends_work` it waits for the end of the election's work, so that work may not call it.
    """

    def method(self: Facade[A], /, *args: P.args, **kwargs: P.kwargs) -> T:
        self.begin(f"{model.__name__}()" if ends_work else "")
        return self._portal.call(model(self.asynchronous, *args, **kwargs))

    method.__name__ = method.__qualname__ = model.__name__
    return _dressed(method, model)


def like(
    model: Callable[Concatenate[Any, P], object],
) -> Callable[[Callable[Concatenate[S, ...], T]], Callable[Concatenate[S, P], T]]:
    """Decorate a method that takes what its model takes; without a docstring it gets that of the model."""
    return lambda method: _dressed(method, model)


def like_function(model: Callable[P, object]) -> Callable[[Callable[..., T]], Callable[P, T]]:
    """Decorate a function as `like` does a method."""
    return lambda function: _dressed(function, model)


def _dressed(method: Callable[..., T], model: Callable[..., object]) -> Callable[..., T]:
    """Have `help` and `inspect.signature` show the model's."""
    own = method.__doc__ or re.sub(r"\b(?:async|await) ", "", model.__doc__ or "")
    update_wrapper(method, model, assigned=(), updated=())
    method.__doc__ = own
    return method
