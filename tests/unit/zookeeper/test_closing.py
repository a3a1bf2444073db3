"""The end of a connection whose server has granted a long session and says nothing more."""

from __future__ import annotations

import asyncio

from leader_async import Term, connect
from leader_async.testing import ZooKeeper

from ...support.proxy import Proxy
from ...support.waiting import until


async def idle(term: Term) -> None:
    await asyncio.get_running_loop().create_future()


async def test_a_stop_waits_as_long_as_was_asked_for_and_not_for_what_was_granted() -> None:
    with ZooKeeper(tick=60) as zookeeper:
        host, _, port = zookeeper.address.rpartition(":")
        async with Proxy(host, int(port)) as proxy:
            zk = connect(proxy.address, timeout=0.3)
            async with zk:
                election = zk.election("x", identity="me", lease=30.0)
                running = asyncio.create_task(election.run(idle))
                await until(lambda: election.is_leader)
                assert zk.client.timeout >= 120
                proxy.stall()
                running.cancel()
                async with asyncio.timeout(15):  # 120 s and more, if the server had its way
                    await asyncio.wait([running])
                    await zk.client.close()
                proxy.resume()
