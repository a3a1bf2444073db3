"""The library and its own ZooKeeper on uvloop, which uvicorn takes without being asked; see also the tests' README."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvloop

from leader_async import Term, connect
from leader_async.embedded import EmbeddedServer


def test_two_elect_on_uvloop_and_a_session_expires() -> None:
    async def main() -> None:
        began: asyncio.Queue[str] = asyncio.Queue()

        @asynccontextmanager
        async def candidate(identity: str) -> AsyncIterator[int]:
            async def work(term: Term) -> None:
                began.put_nowait(identity)
                await asyncio.get_running_loop().create_future()

            async with connect(server.address, timeout=1.0) as zk:
                election = zk.election("x", identity=identity, lease=0.5)
                running = asyncio.create_task(election.run(work))
                while not election.status().in_queue:
                    await asyncio.sleep(0.002)
                yield zk.client.session_id
                running.cancel()
                await asyncio.wait([running])

        async with EmbeddedServer() as server, candidate("one") as session:
            assert await began.get() == "one"
            async with candidate("two"):
                server.expire(session)
                assert await began.get() == "two"
            assert await began.get() == "one"

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
