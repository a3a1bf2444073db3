"""A session with records, whose process dies without having to be one."""

from __future__ import annotations

from leader_async.election.rules import record as r
from leader_async.guardian.protocol import Begun
from leader_async.zookeeper import hosts
from leader_async.zookeeper import messages as m
from leader_async.zookeeper.client import Client


class Dying:
    """A client that stops in the middle of things.

    Args:
        address: of its ZooKeeper.
        timeout: the session timeout to ask for.
    """

    def __init__(self, address: str, timeout: float = 1.0) -> None:
        self.address = address
        self.client = Client(hosts.parse(address), timeout)

    async def begin(self) -> None:
        self.client.start()
        await self.client.wait_connected()

    async def hold(self, parent: str, holder: str = "u-n_0000000000", version: int = 2) -> None:
        """Have an election whose record says `held` at this version by a znode of this session."""
        await self.client.request(m.Create(parent))
        await self.client.request(m.Create(f"{parent}/{holder}", ephemeral=True))
        data = r.encode(r.Record(3, holder, r.LeadState.HELD, 1.0, "me", "here"))
        for at in range(version):
            await self.client.request(m.SetData(parent, data, at))

    @property
    def told(self) -> Begun:
        """What its guardian knows."""
        credentials = self.client.credentials
        assert credentials is not None
        return Begun(self.address, credentials)

    def die(self) -> None:
        """Say nothing any more, and close nothing: the server sees its connection end."""
        assert self.client._task is not None
        self.client._task.cancel()
        self.client._session.drop("died", m.Cause.NETWORK)
        self.client._pump()


class Witness:
    """Somebody else, who reads."""

    def __init__(self, address: str) -> None:
        self._client = Client(hosts.parse(address), 1.0)

    async def __aenter__(self) -> Witness:
        self._client.start()
        await self._client.wait_connected()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    @property
    def session(self) -> int:
        return self._client.session_id

    async def record(self, parent: str) -> tuple[r.Record, int]:
        """The record and its version."""
        data = await self._client.request(m.GetData(parent))
        assert isinstance(data, m.Data)
        return r.decode(data.data, data.stat.version, "/e"), data.stat.version

    async def children(self, parent: str) -> tuple[str, ...]:
        found = await self._client.request(m.GetChildren(parent))
        assert isinstance(found, m.Children)
        return found.names

    async def do(self, request: m.Request) -> m.Reply:
        return await self._client.request(request)
