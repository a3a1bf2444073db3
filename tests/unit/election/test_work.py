"""What may be the work of a term, and how it ends; on the embedded ZooKeeper."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from leader_async import Connection, Term, UsageError, connect, partitions
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
