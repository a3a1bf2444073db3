"""Writes that happen only while a term stands, on a real ZooKeeper."""

from __future__ import annotations

import pytest

from leader_async import (
    BadVersion,
    Connection,
    ConnectionLost,
    NodeExists,
    NoNode,
    Term,
    TermEnded,
    UsageError,
    connect,
)
from leader_async.zookeeper import messages as m

from ..support.proxy import Proxy
from ..support.zookeeper import Server
from .playing import leads, running, until

pytestmark = pytest.mark.timeout(60)


async def test_all_of_it_happens_and_the_results_come_in_order(near: Connection, name: str) -> None:
    election = near.election(name)
    async with running(election):
        term = await leads(election)
        writes = term.transaction().create(f"/{name}", b"one").set_data(f"/{name}", b"two", version=0)
        results = await writes.create(f"/{name}/n-", sequential=True).check(f"/{name}", 1).commit()
        assert results == (f"/{name}", 1, f"/{name}/n-0000000000", None)
        assert await term.transaction().delete(f"/{name}/n-0000000000").delete(f"/{name}", 1).commit() == (None, None)


async def test_none_of_it_happens_if_one_part_is_refused(near: Connection, name: str) -> None:
    election = near.election(name)
    async with running(election):
        term = await leads(election)
        await term.transaction().create(f"/{name}").commit()
        with pytest.raises(BadVersion, match=f"SetData /{name}$"):
            await term.transaction().create(f"/{name}/a").set_data(f"/{name}", b"", version=7).commit()
        with pytest.raises(NodeExists):
            await term.transaction().create(f"/{name}/a").create(f"/{name}").commit()
        with pytest.raises(NoNode):
            await near.client.request(m.GetData(f"/{name}/a"))
        assert election.is_leader


async def test_a_term_that_is_over_writes_nothing(near: Connection, far: Connection, name: str) -> None:
    election, other = near.election(name, identity="one"), far.election(name, identity="two")
    async with running(election, other):
        term = await leads(election)
        writes = term.transaction().create(f"/{name}")
        await election.resign()
        await leads(other)
        with pytest.raises(TermEnded, match="over"):
            await writes.commit()
        with pytest.raises(NoNode):
            await near.client.request(m.GetData(f"/{name}"))


async def test_zookeeper_refuses_what_the_process_does_not_know_to_be_over(near: Connection, name: str) -> None:
    election = near.election(name)
    async with running(election):
        term = await leads(election)
        writes = term.transaction().create(f"/{name}")
        path = f"/ELECTION/{name}"
        data = await near.client.request(m.GetData(path))
        assert isinstance(data, m.Data)
        # Behind the process's back: the commit leaves in the same instant, before the answer can tell.
        twice = m.SetData(path, data.data, m.ANY_VERSION)
        near.client.send(m.Multi((twice, twice)), lambda answer: None)
        with pytest.raises(TermEnded, match="ZooKeeper refused"):
            await writes.commit()


async def test_a_lost_answer_leaves_it_open(proxy: Proxy, far: Connection, name: str) -> None:
    election = far.election(name)
    async with running(election):
        term = await leads(election)
        proxy.stall()
        with pytest.raises(ConnectionLost):
            await term.transaction().create(f"/{name}").commit()
        proxy.resume()
        await until(lambda: far.client.connected)


async def test_paths_are_below_the_chroot(standalone: Server, near: Connection, name: str) -> None:
    await near.wait_connected()
    await near.client.request(m.Create(f"/{name}"))
    async with connect(f"{standalone.address}/{name}", timeout=4.0) as zk:
        election = zk.election("inside")
        async with running(election):
            term: Term = await leads(election)
            assert await term.transaction().create("/a").commit() == ("/a",)
            await near.client.request(m.GetData(f"/{name}/a"))
            for wrong in ("a", "/a/", "/a//b", "/../a"):
                with pytest.raises(UsageError, match="path"):
                    term.transaction().create(wrong)
            assert await term.transaction().create("/a/", sequential=True).commit() == ("/a/0000000000",)
