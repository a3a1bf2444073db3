"""What a step does at once, and what it puts off until work has begun."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

from leader_async import Connection, Term, connect
from leader_async.election.inflight import Inflight
from leader_async.election.work import LoopWork
from leader_async.testing import ZooKeeper, zookeeper
from leader_async.zookeeper import messages as m

from ...support.waiting import until

__all__ = ["zookeeper"]
LEASE = 0.5


class Noting(logging.Handler):
    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__()
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        if vars(record)["identity"] == "heir":
            self._note(vars(record)["event"])


@contextmanager
def noted(zk: Connection) -> Iterator[list[str]]:
    """The requests that this connection's elections send, and the lines that the heir logs, in order."""
    happened: list[str] = []
    real = Inflight.send

    def send(own: Inflight, request: m.Request, *rest: object) -> None:
        if own is zk._shared.inflight:
            happened.append(type(request).__name__)
        real(own, request, *rest)  # type: ignore[arg-type]

    handler, log = Noting(happened.append), logging.getLogger("leader_async.election")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        with mock.patch.object(Inflight, "send", send):
            yield happened
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


async def test_work_begins_then_requests_leave_then_the_log_is_written(zookeeper: ZooKeeper) -> None:
    async with connect(zookeeper.address, timeout=1.0) as one, connect(zookeeper.address, timeout=1.0) as other:
        leader, heir = one.election("x", lease=LEASE), other.election("x", identity="heir", lease=LEASE)

        async def idle(term: Term) -> None:
            await asyncio.get_running_loop().create_future()

        leading = asyncio.create_task(leader.run(idle))
        await until(lambda: leader.is_leader)
        with noted(other) as happened:

            async def work(term: Term) -> None:
                happened.append("work")
                await until(lambda: "term_began" in happened)

            running = asyncio.create_task(heir.run(work))
            await until(lambda: heir.candidacy.own.join.warm > 0)  # so that it leads as soon as it has notice
            happened.clear()
            await leader.resign()
            await running
        began, logged = happened.index("work"), happened.index("term_began")
        assert set(happened[:began]) <= {"GetData", "Exists"}, "what it watches; nothing of the new term"
        assert "GetData" in happened[began:logged], "the record, behind the start of work and before the log"
        leading.cancel()
        await asyncio.wait([leading])


async def test_a_term_that_ends_before_the_loop_takes_it_is_given_up_at_once(zookeeper: ZooKeeper) -> None:
    """The body of `terms` is the work: while the loop has not taken the term, there is nothing to wait for."""
    async with connect(zookeeper.address, timeout=1.0) as zk:
        election = zk.election("x", lease=LEASE)
        real, begun = LoopWork.start, []

        def start(own: LoopWork, term: Term) -> None:
            begun.append(term)
            if len(begun) == 1:  # in front of the loop, which wakes up in the next iteration, too
                asyncio.get_running_loop().call_soon(election.driver.feed, election.candidacy.resign)
            real(own, term)

        with mock.patch.object(LoopWork, "start", start):
            terms = election.terms()
            async with asyncio.timeout(15):
                assert (await anext(terms)).number == 2
        first, second = begun
        assert first.over
        assert second.is_current
        await terms.aclose()
        assert await election.candidates() == []
