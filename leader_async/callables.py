"""The functions that people give us to call: what is refused, what is awaited, and how a failure reads. Pure.

Rules:
- What could never run as work is refused where it is given, not once this process leads.
- What a call returns is awaited if it can be. So a lambda, a `partial` or a decorator around an `async def`, and an
  object with an `async def __call__`, are as good as the `async def` itself.
- What a call raises can be put into a future. `StopIteration` cannot: it becomes a `RuntimeError`, as it does when it
  leaves a generator (PEP 479).

Not promised: a plain function that returns an awaitable looks like one that blocks, as long as it is not called.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from types import FunctionType, MethodType
from typing import TypeVar

from .errors import UsageError

T = TypeVar("T")


def check(work: object, what: str, *arguments: str) -> None:
    """Refuse what cannot be called with arguments of these names to any effect; `what` is what the work is to be.

    Raises:
        UsageError: it cannot.
    """
    if inspect.isawaitable(work):
        if inspect.iscoroutine(work):
            work.close()
        raise UsageError(f"{what} is a function; this is what a call of one returned. Give `work`, not `work(…)`")
    if not callable(work):
        raise UsageError(f"{what} is a function, not {work!r}")
    function = _function(work)
    if inspect.isasyncgenfunction(function) or (inspect.isgeneratorfunction(function) and not is_async(work)):
        raise UsageError(f"{what} must not `yield`: a call of {_name(work)} would run nothing of it")
    try:
        # Of a decorated function it is the decorator's that is called.
        inspect.signature(work, follow_wrapped=False).bind(*arguments)
    except TypeError as error:
        raise UsageError(f"{what} is called as {_name(work)}({', '.join(arguments)}): {error}") from error
    except ValueError:
        pass  # one that is written in C has none


def check_async(work: object, what: str, *arguments: str) -> None:
    """Raise a UsageError for what `check` refuses, and for plain functions, which would hold up the event loop."""
    check(work, what, *arguments)
    function = _function(work)
    if not isinstance(function, FunctionType) or function.__name__ == "<lambda>":
        return  # what it returns will show it
    if not is_async(inspect.unwrap(function)):
        raise UsageError(
            f"{what} is an `async def`, and {_name(work)} is not: it would hold up the event loop, and the lease with "
            "it. Use leader_async.blocking, or `await asyncio.to_thread(…)` in an `async def`. If it returns an "
            "awaitable, wrap it in a lambda"
        )


def is_async(work: object) -> bool:
    """Whether a call of this runs nothing yet, and gives what is to be awaited."""
    function = _function(work)
    code = getattr(function, "__code__", None)
    return inspect.iscoroutinefunction(function) or bool(code and code.co_flags & inspect.CO_ITERABLE_COROUTINE)


async def awaited(work: Callable[..., Awaitable[T]], *arguments: object) -> T:
    """Call the work and await what it returns; raise a TypeError if that cannot be awaited."""
    returned = work(*arguments)
    if not inspect.isawaitable(returned):
        raise TypeError(f"{_name(work)} returned {returned!r}, which cannot be awaited; give an `async def`")
    return await returned


async def finished(returned: Awaitable[object], work: object) -> None:
    """Await what a call of a job's function has returned.

    `sys.exit()` in it fails the job by a RuntimeError, as in a function for a thread. In a task it would end the event
    loop, and with it the lead and every other job.
    """
    try:
        await returned
    except SystemExit as error:
        raise RuntimeError(f"{_name(work)} raised {described(error)}") from error


def refuse_unrun(returned: object, work: object) -> None:
    """Raise a TypeError if what the work returned is a coroutine or a generator, of which nothing has run."""
    if inspect.iscoroutine(returned):
        returned.close()
    if inspect.isgenerator(returned) or inspect.isasyncgen(returned) or inspect.isawaitable(returned):
        raise TypeError(f"{_name(work)} returned {type(returned).__name__}, of which nothing has run")


def called(function: Callable[..., T], *arguments: object) -> T:
    """Call the function; what it raises can be put into a future, and into a task without ending its event loop."""
    try:
        return function(*arguments)
    except (StopIteration, SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"{_name(function)} raised {described(error)}") from error


def described(error: BaseException) -> str:
    """The error's kind and text in one, whatever its own methods do."""
    try:
        text = str(error)
    except Exception as broken:
        text = f"its text cannot be had ({type(broken).__name__})"
    return f"{type(error).__name__}: {text}"


def _function(work: object) -> object:
    """What is called in the end."""
    while isinstance(work, functools.partial):
        work = work.func
    if isinstance(work, MethodType):
        return work.__func__
    return work if inspect.isroutine(work) or inspect.isclass(work) else type(work).__call__


def _name(work: object) -> str:
    name = getattr(work, "__name__", None)
    return name if isinstance(name, str) else type(work).__name__
