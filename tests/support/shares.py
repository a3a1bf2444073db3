"""Replicas of partitions in one process, and what is watched while they come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from leader_async import Connection, Partitions, Term, clock, connect, partitions


class Field:
    """Replicas that share partitions; whenever work begins or ends, everything is compared with everything.

    Args:
        servers: where ZooKeeper is.
        count: partitions.
        timeout, lease: seconds.
        name: what the partitions are called.
    """

    def __init__(self, servers: str, count: int, *, timeout: float, lease: float, name: str = "jobs") -> None:
        self.servers, self.count, self.timeout, self.lease, self.name = servers, count, timeout, lease, name
        self.replicas: list[Replica] = []
        self.holder: dict[int, str] = {}
        self.tokens: dict[int, int] = {}
        self.ended: dict[int, float] = {}
        self.moves: list[tuple[int, str, str]] = []
        self.gaps: list[float] = []
        self.lasts: dict[int, str] = {}
        self.harm: Callable[[Replica], None] = lambda replica: None  # called when work begins, and when it ends

    @asynccontextmanager
    async def replica(self, name: str, servers: str | None = None) -> AsyncIterator[Replica]:
        """One replica with a session of its own, running; `servers` if it has its own way to them."""
        async with connect(servers or self.servers, timeout=self.timeout) as zk:
            replica = Replica(self, name, zk)
            self.replicas.append(replica)
            try:
                yield replica
            finally:
                await replica.stop()
                self.replicas.remove(replica)

    async def work(self, name: str, partition: int, term: Term) -> None:
        """Work as long as the partition is held."""
        holders = [replica.name for replica in self.replicas if partition in replica.parts.held]
        assert holders in ([name], []), f"{partition} is held by {holders}, and {name} begins"
        assert partition not in self.holder, f"{partition} is worked on by {self.holder[partition]} and {name}"
        assert term.token > self.tokens.get(partition, 0) or self.lasts.get(partition) == name, "tokens rise"
        self.holder[partition], self.tokens[partition] = name, term.token
        if self.lasts.get(partition, name) != name:
            self.moves.append((partition, self.lasts[partition], name))
            self.gaps.append(clock.now() - self.ended[partition])
        self.lasts[partition] = name
        (replica,) = [replica for replica in self.replicas if replica.name == name]
        try:
            self.harm(replica)
            await asyncio.get_running_loop().create_future()
        finally:
            del self.holder[partition]
            self.ended[partition] = clock.now()
            self.harm(replica)

    async def balanced(self, limit: float = 15.0) -> None:
        """Return as soon as each partition is worked on, in shares that differ by one at most, and nothing moves."""
        async with asyncio.timeout(limit):
            while not self.at_rest:
                await asyncio.sleep(0.002)

    @property
    def at_rest(self) -> bool:
        """See `balanced`."""
        there = [replica.parts for replica in self.replicas if not replica.task.done()]
        held = [part for parts in there for part in parts.held]
        sizes = [len(parts.held) for parts in there]
        return (
            sorted(held) == sorted(self.holder) == list(range(self.count))
            and max(sizes) - min(sizes) <= 1
            and all(parts.status().assigned == parts.held for parts in there)
        )


class Replica:
    """One replica; `task` is its `run`."""

    def __init__(self, field: Field, name: str, zk: Connection) -> None:
        self.name, self.zk = name, zk
        self.parts: Partitions = partitions(zk, field.name, count=field.count, identity=name, lease=field.lease)
        self.task = asyncio.create_task(self.parts.run(lambda part, term: field.work(name, part, term)))

    async def stop(self) -> None:
        """As SIGTERM does."""
        self.task.cancel()
        await asyncio.wait([self.task])
        if not self.task.cancelled():
            self.task.result()
