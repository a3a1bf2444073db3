"""What every case needs: a folder, servers, the systems that are there, and how long it may take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from leader_async import connect
from leader_async.zookeeper import messages as m
from leader_async.zookeeper.client import Client

from ..support.zookeeper import Ensemble, Server, free_ports
from .candidates.bare import CREATE, GET_CHILDREN, Session, dial, names, text
from .figures import Figure
from .fleet import PATIENCE, Failure, Fleet

TICK = 2.0
"""Seconds of a server's tick, ZooKeeper's own example: sessions last at least two of them, and end on one."""
ATTEMPT = 60.0
"""Seconds that one thing may take that is asked of a system, before the system is given up."""
AT_A_TIME = 50
"""Rounds that warm a server up at a time."""
SETTINGS = (
    f"tickTime={TICK * 1000:.0f}", "initLimit=10", "syncLimit=5", "maxClientCnxns=0", "4lw.commands.whitelist=srvr",
)  # fmt: skip


@dataclass(slots=True)
class Bench:
    """One run.

    Attributes:
        folder: for everything that is written on the way.
        systems: those that are measured.
        quick: fewer repetitions, shorter waits.
        say: tells the person at the terminal.
    """

    folder: Path
    systems: Sequence[str]
    quick: bool
    say: Callable[[str], None]
    servers_made: int = 0

    def some(self, quick: int, full: int) -> int:
        """How often to measure."""
        return quick if self.quick else full

    @asynccontextmanager
    async def zookeeper(self, count: int = 1) -> AsyncIterator[ZooKeeper]:
        """Servers of the case's own: one, or an ensemble of three."""
        self.servers_made += 1
        folder = self.folder / f"zookeeper-{self.servers_made}"
        if count == 1:
            servers = [Server(folder, port=free_ports(1)[0], settings=SETTINGS)]
        else:
            servers = Ensemble(folder, SETTINGS).servers
        zookeeper = ZooKeeper(servers)
        try:
            for server in servers:
                server.start()
            await asyncio.gather(*(server.ready() for server in servers))
            await zookeeper.create("/bench")
            yield zookeeper
        finally:
            zookeeper.hang_up()
            for server in servers:
                server.kill()

    @asynccontextmanager
    async def fleets(self, made: Sequence[Fleet], zookeeper: ZooKeeper) -> AsyncIterator[Attempts]:
        """Start these fleets, one after the other; those that cannot are given up."""
        attempts = Attempts(list(made))
        async with AsyncExitStack() as stack:
            for fleet in made:
                stack.push_async_callback(fleet.kill)
                await zookeeper.create(fleet.root)
            for fleet in made:
                await attempts.attempt(fleet, fleet.start())
            yield attempts


class ZooKeeper:
    """The servers of a case, and a session of the bench's own with them."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self.servers = servers
        self._session: Session | None = None

    @property
    def address(self) -> str:
        """The connect string."""
        return ",".join(server.address for server in self.servers)

    async def leader(self) -> Server:
        """The ensemble's leader."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for server in self.servers:
                    if await server.mode() == "leader":
                        return server
                await asyncio.sleep(0.05)

    async def create(self, path: str) -> None:
        """Make a znode that stays."""
        session = await self._get()
        acl = b"\0\0\0\1\0\0\0\x1f" + text("world") + text("anyone")
        await session.ask(CREATE, text(path) + text("") + acl + bytes(4))

    async def warm_up(self, rounds: int) -> None:
        """Have every server answer so many rounds of what any system asks.

        Java compiles what it has seen often: before that, one transaction takes longer than a whole handover does
        after it, and servers that elect leaders have run for a while.
        """
        await self.create("/warm")
        async with AsyncExitStack() as stack:
            clients = []
            for server in self.servers:
                zk = await stack.enter_async_context(connect(server.address, timeout=20.0))
                await zk.wait_connected()
                clients.append(zk.client)
            for _ in range(rounds // AT_A_TIME):
                await asyncio.gather(*(_round(client) for client in clients for _ in range(AT_A_TIME)))

    async def candidates(self, fleet: Fleet, election: int = 0) -> int:
        """How many stand in a queue of that fleet."""
        session = await self._get()
        error, reply = await session.ask(GET_CHILDREN, text(f"{fleet.root}/e{election}") + b"\0")
        return 0 if error else sum(name[-10:].isdigit() for name in names(reply))  # the history is none

    async def joined(self, fleet: Fleet, count: int, election: int = 0) -> None:
        """Return when so many stand in a queue of that fleet.

        Raises:
            Failure: they do not in time.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                while await self.candidates(fleet, election) != count:
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise Failure(f"not all joined within {PATIENCE:g} s") from None

    def hang_up(self) -> None:
        """End the session of the bench's own."""
        if self._session is not None:
            self._session.abort()

    async def _get(self) -> Session:
        if self._session is None:
            self._session = await dial(self.servers[0].address, 40.0)
        return self._session


async def _round(client: Client) -> None:
    made = await client.request(m.Create("/warm/n-", bytes(60), ephemeral=True, sequential=True))
    assert isinstance(made, m.Created)
    await client.request(m.GetChildren("/warm", watch=True))
    await client.request(m.Exists(made.path, watch=True))
    await client.request(m.GetData(made.path, watch=True))
    write = m.SetData("/warm", bytes(200), m.ANY_VERSION)
    await client.request(m.Multi((m.Check(made.path), m.Check("/warm"))))
    await client.request(m.Multi((m.Check("/warm"), m.Delete(made.path), write, write)))
    made = await client.request(m.Create("/warm/n-", bytes(60), ephemeral=True, sequential=True))
    assert isinstance(made, m.Created)
    await client.request(m.Delete(made.path))
    await client.request(m.GetData("/warm"))


class Attempts:
    """The fleets of a case. One that fails is given up with its reason, and the others go on."""

    def __init__(self, fleets: list[Fleet]) -> None:
        self.fleets = fleets
        self.failed: dict[str, str] = {}

    @property
    def alive(self) -> list[Fleet]:
        """Those that have not failed."""
        return [fleet for fleet in self.fleets if fleet.system not in self.failed]

    async def attempt(self, fleet: Fleet, doing: Awaitable[object]) -> bool:
        """Whether it could be done."""
        try:
            async with asyncio.timeout(ATTEMPT):
                await doing
        except TimeoutError:
            self.failed[fleet.system] = f"not done within {ATTEMPT:g} s"
            return False
        except (Failure, OSError) as error:
            self.failed[fleet.system] = str(error) or repr(error)
            return False
        return True

    def figures(self, case: str) -> list[Figure]:
        """The failures, as figures."""
        return [Figure(case, system, failed=why) for system, why in self.failed.items()]
