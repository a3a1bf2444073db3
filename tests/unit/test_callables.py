"""What is refused as work, what is awaited, and how a failure reads."""

from __future__ import annotations

import functools
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any

import pytest

from leader_async import UsageError
from leader_async.callables import awaited, called, check, check_async, described, finished, is_async, refuse_unrun


async def coroutine(run: object) -> str:
    return "ran"


def plain(run: object) -> str:
    return "ran"


async def yielding(run: object) -> AsyncIterator[int]:
    yield 1


def generating(run: object) -> Iterator[int]:
    yield 1


@types.coroutine
def old(run: object) -> Generator[None, None, str]:
    yield from ()
    return "ran"


async def of_two(run: object, other: object) -> str:
    return "ran"


def of_none() -> None: ...


@functools.wraps(coroutine)
def hiding() -> None: ...


def decorated(function: Callable[[object], Awaitable[str]]) -> Callable[[object], Awaitable[str]]:
    def inner(run: object) -> Awaitable[str]:
        return function(run)

    return inner


class Works:
    async def __call__(self, run: object) -> str:
        return "ran"

    async def method(self, run: object) -> str:
        return "ran"


class Yields:
    async def __call__(self, run: object) -> AsyncIterator[int]:
        yield 1


class Blocks:
    def __call__(self, run: object) -> str:
        return "ran"


ASYNC: dict[str, Any] = {
    "async def": coroutine,
    "types.coroutine": old,
    "method": Works().method,
    "object": Works(),
    "partial": functools.partial(of_two, other=1),
    "partial of an object": functools.partial(Works()),
}
AWAITABLE: dict[str, Any] = ASYNC | {
    "lambda": lambda run: coroutine(run),
    "decorator": functools.wraps(coroutine)(decorated(coroutine)),
}


@pytest.mark.parametrize("work", AWAITABLE.values(), ids=AWAITABLE)
async def test_what_can_be_awaited_is(work: Any) -> None:
    check(work, "a job", "run")
    check_async(work, "a job", "run")
    assert await awaited(work, "run") == "ran"


@pytest.mark.parametrize("work", ASYNC.values(), ids=ASYNC)
def test_what_runs_in_the_loop_is_known(work: Any) -> None:
    assert is_async(work)


@pytest.mark.parametrize("work", [plain, Blocks(), print, decorated(coroutine), dict, Blocks])
def test_what_runs_in_a_thread_is_known(work: Any) -> None:
    assert not is_async(work)


@pytest.mark.parametrize("work", [plain, print, decorated(coroutine), functools.partial(plain), int.from_bytes, max])
def test_functions_for_threads_are_work(work: Any) -> None:
    check(work, "a job", "run")


REFUSED: list[tuple[Any, str]] = [
    (3, "a job is a function, not 3"),
    (yielding, r"a job must not `yield`: a call of yielding would run nothing of it"),
    (generating, "must not `yield`"),
    (Yields(), "must not `yield`"),
    (functools.partial(yielding), "must not `yield`"),
    (of_none, r"a job is called as of_none\(run\): too many positional arguments"),
    (hiding, r"coroutine\(run\): too many positional arguments"),
    (of_two, "missing a required argument: 'other'"),
    (Works.method, "missing a required argument: 'run'"),
]


@pytest.mark.parametrize(("work", "match"), REFUSED, ids=[match for _, match in REFUSED])
def test_what_could_never_run_is_refused(work: Any, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        check(work, "a job", "run")


async def test_a_coroutine_in_place_of_its_function_is_refused_and_needs_no_await() -> None:
    with pytest.raises(UsageError, match="Give `work`, not `work"):
        check_async(coroutine("run"), "the work", "term")
    with pytest.raises(UsageError, match="Give `work`, not `work"):
        check_async(AlwaysReady(), "the work", "term")


@pytest.mark.parametrize("work", [plain, functools.partial(plain), Blocks(), decorated(coroutine)])
def test_a_plain_function_is_refused_where_the_event_loop_would_call_it(work: Any) -> None:
    with pytest.raises(UsageError, match=r"the work is an `async def`, and .* is not"):
        check_async(work, "the work", "term")


async def test_what_cannot_be_awaited_after_all_is_told() -> None:
    not_really: Any = lambda run: 3  # noqa: E731
    check_async(not_really, "the work", "term")
    with pytest.raises(TypeError, match="<lambda> returned 3, which cannot be awaited"):
        await awaited(not_really, "run")


class AlwaysReady:
    def __await__(self) -> Generator[None, None, None]:
        yield from ()


async def test_what_was_returned_and_has_not_run_is_told() -> None:
    for unrun, kind in (
        (generating(1), "generator"),
        (yielding(1), "async_generator"),
        (coroutine(1), "coroutine"),
        (AlwaysReady(), "AlwaysReady"),
    ):
        with pytest.raises(TypeError, match=f"plain returned {kind}, of which nothing has run"):
            refuse_unrun(unrun, plain)
    refuse_unrun([1], plain)


async def test_what_is_raised_can_be_put_into_a_future() -> None:
    def stopping(run: object) -> Any:
        raise StopIteration(3)

    with pytest.raises(RuntimeError, match="stopping raised StopIteration: 3") as raised:
        called(stopping, 1)
    assert isinstance(raised.value.__cause__, StopIteration)
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        await awaited(stopping, 1)
    assert called(plain, 1) == "ran"


def test_a_failure_reads_whatever_its_own_methods_do() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise KeyError("no text")

    assert described(ValueError("so")) == "ValueError: so"
    assert described(Silent()) == "Silent: its text cannot be had (KeyError)"


async def test_a_job_that_exits_ends_no_event_loop() -> None:
    async def leaves() -> None:
        raise SystemExit(4)

    with pytest.raises(RuntimeError, match="leaves raised SystemExit: 4"):
        await finished(leaves(), leaves)
