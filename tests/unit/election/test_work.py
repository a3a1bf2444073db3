"""What may be the work of a term, and how it ends; on the embedded ZooKeeper."""

from __future__ import annotations

import asyncio
import functools
import types
from collections.abc import AsyncIterator, Coroutine, Generator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from leader_async import Connection, Term, UsageError, connect, partitions
from leader_async.election.rules import ends
from leader_async.election.rules.ends import End
from leader_async.election.work import FunctionWork
from leader_async.testing import ZooKeeper, zookeeper

__all__ = ["zookeeper"]


@asynccontextmanager
async def connected(zookeeper: ZooKeeper) -> AsyncIterator[Connection]:
    async with connect(zookeeper.address, timeout=1.0) as zk:
        yield zk


class Silent(Exception):
    def __repr__(self) -> str:
        raise KeyError("no text")

    __str__ = __repr__


@pytest.mark.parametrize(
    ("error", "raised", "match"),
    [
        (StopIteration(3), RuntimeError, "coroutine raised StopIteration"),
        (StopAsyncIteration(3), StopAsyncIteration, "3"),
        (Silent(), Silent, None),
    ],
)
async def test_whatever_the_work_raises_ends_run(
    zookeeper: ZooKeeper, error: Exception, raised: type[Exception], match: str | None
) -> None:
    def fail(term: Term) -> Any:
        raise error

    async with connected(zookeeper) as zk:
        election = zk.election("x", lease=0.6)
        with pytest.raises(raised) as found:
            await election.run(lambda term: fail(term))
        assert match is None or match in str(found.value)
        assert not election.is_leader
        assert await election.candidates() == []


async def test_what_can_be_awaited_is_work(zookeeper: ZooKeeper) -> None:
    class Object:
        async def __call__(self, term: Term) -> int:
            return term.number

    async def two(term: Term, other: int) -> int:
        return term.number

    async with connected(zookeeper) as zk:
        election = zk.election("x", lease=0.6)
        works: list[Any] = [Object(), functools.partial(two, other=1), lambda term: two(term, 1)]
        assert [await election.run(work) for work in works] == [1, 2, 3]


async def test_what_cannot_be_is_refused_before_anybody_leads(zookeeper: ZooKeeper) -> None:
    called: list[Term] = []

    def plain(term: Term) -> None:
        called.append(term)

    async def two(term: Term, other: int) -> None: ...

    async def share(partition: int, term: Term) -> None: ...

    async with connected(zookeeper) as zk:
        election, parts = zk.election("x", lease=0.6), partitions(zk, "parts", count=1)
        unused: Any = None
        wrong: list[tuple[Any, str]] = [
            (plain, "the work of an election is an `async def`, and plain is not"),
            (two, "missing a required argument: 'other'"),
            (two(unused, 1), "Give `work`, not `work"),
            (3, "not 3"),
        ]
        for work, match in wrong:
            with pytest.raises(UsageError, match=match):
                await election.run(work)
        wrong = [(plain, "too many positional"), (share(1, unused), "Give `work`")]
        for work, match in wrong:
            with pytest.raises(UsageError, match=match):
                await parts.run(work)
        assert election.status().state == "idle"
    assert called == []


async def test_what_turns_out_not_to_be_awaitable_is_told(zookeeper: ZooKeeper) -> None:
    async with connected(zookeeper) as zk:
        election, parts = zk.election("x", lease=0.6), partitions(zk, "parts", count=1, lease=0.6)
        unrun: Any = lambda *given: 3  # noqa: E731
        with pytest.raises(TypeError, match="<lambda> returned 3, which cannot be awaited"):
            await election.run(unrun)
        async with asyncio.timeout(10):
            with pytest.raises(TypeError, match="<lambda> returned 3, which cannot be awaited"):
                await parts.run(unrun)


def eager(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any) -> Any:
    """A task factory that runs the first step at once, as `asyncio.eager_task_factory` does from Python 3.12 on."""
    if hasattr(asyncio, "eager_task_factory"):
        return asyncio.eager_task_factory(loop, coroutine, **options)

    @types.coroutine
    def rest(first: Any) -> Generator[Any, Any, Any]:
        yield first
        return (yield from coroutine)

    async def done(value: Any) -> Any:
        return value

    try:
        first = coroutine.send(None)
    except StopIteration as end:
        return asyncio.Task(done(end.value), loop=loop, **options)
    return asyncio.Task(rest(first), loop=loop, **options)


async def test_work_that_an_eager_task_finishes_at_once_ends_once_and_behind_its_start() -> None:
    async def work(term: Term) -> int:
        return term.number

    found: list[End | None] = []
    called = FunctionWork(work, lambda work, end: found.append(end))
    loop = asyncio.get_running_loop()
    loop.set_task_factory(cast(Any, eager))
    try:
        called.start(cast(Term, types.SimpleNamespace(number=7)))
    finally:
        loop.set_task_factory(None)
    assert found == [], "the driver is amid the step that starts it"
    assert await called.result == 7
    for _ in range(3):  # a callback of the task would come now
        await asyncio.sleep(0)
    assert found == [ends.WORK_DONE]
