"""What a term proves when it is asked: with the server as it was after the question, not before.

What is sent on one session is executed in that order, and no answer is taken between two steps of one iteration of the
event loop. So what is done "behind the process's back" here is done at just the wrong moment each time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unittest import mock

import pytest

from leader_async import Connection, Election, NoNode, Term, TermEnded, clock, connect
from leader_async.testing import ZooKeeper, zookeeper
from leader_async.zookeeper import messages as m

__all__ = ["zookeeper"]


@asynccontextmanager
async def leading(zookeeper: ZooKeeper) -> AsyncIterator[tuple[Connection, Election, Term]]:
    """A connection, its election, and the term under which it leads."""
    terms: asyncio.Future[Term] = asyncio.get_running_loop().create_future()

    async def work(term: Term) -> None:
        if not terms.done():
            terms.set_result(term)
        await asyncio.get_running_loop().create_future()

    async with connect(zookeeper.address, timeout=1.0) as zk, asyncio.timeout(15):
        election = zk.election("x")
        running = asyncio.create_task(election.run(work))
        try:
            yield zk, election, await terms
        finally:
            running.cancel()
            await asyncio.wait([running])


def delete_place(zk: Connection, term: Term) -> None:
    """Ask for the deletion of the leader's znode, as a stranger might; the answer is not awaited."""
    zk.client.send(m.Delete(f"/ELECTION/x/{term._hold.holder}"), lambda answer: None)


async def test_a_confirm_that_was_sent_before_the_question_does_not_answer_it(zookeeper: ZooKeeper) -> None:
    await ask_behind_a_confirm(zookeeper, still=False)


async def test_nor_does_one_that_was_sent_at_the_same_reading_of_the_clock(zookeeper: ZooKeeper) -> None:
    await ask_behind_a_confirm(zookeeper, still=True)


async def ask_behind_a_confirm(zookeeper: ZooKeeper, *, still: bool) -> None:
    """Confirm, delete the znode, and ask; perhaps while the clock stands still."""
    async with leading(zookeeper) as (zk, election, term):
        while zk.confirms._rounds._hurried:
            await asyncio.sleep(0)  # the confirm must be one that leaves in the next iteration, not in this one
        reading = clock.now()
        with mock.patch.object(clock, "now", return_value=reading) if still else contextlib.nullcontext():
            zk.confirms.confirm_now(election.candidacy)
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # the confirm has left
            delete_place(zk, term)
            assert term.is_current
            with pytest.raises(TermEnded):
                await term.confirm()  # not in a task of its own: an answer might be taken before that begins


async def test_a_transaction_writes_nothing_once_the_place_is_gone(zookeeper: ZooKeeper) -> None:
    async with leading(zookeeper) as (zk, _, term):
        writes = term.transaction().create("/late")
        delete_place(zk, term)
        with pytest.raises(TermEnded):
            await writes.commit()
        with pytest.raises(NoNode):
            await zk.client.request(m.GetData("/late"))


async def test_a_transaction_writes_nothing_once_the_record_has_moved_on(zookeeper: ZooKeeper) -> None:
    async with leading(zookeeper) as (zk, _, term):
        writes = term.transaction().create("/late")
        data = await zk.client.request(m.GetData("/ELECTION/x"))
        assert isinstance(data, m.Data)
        # As another one's claim would; two writes, so that it says `held` as well.
        twice = m.SetData("/ELECTION/x", data.data, m.ANY_VERSION)
        zk.client.send(m.Multi((twice, twice)), lambda answer: None)
        with pytest.raises(TermEnded):
            await writes.commit()
        with pytest.raises(NoNode):
            await zk.client.request(m.GetData("/late"))
