"""Reading znodes, over the embedded ZooKeeper."""

from __future__ import annotations

import pytest

from leader_async import connect
from leader_async.testing import ZooKeeper, zookeeper
from leader_async.zookeeper import messages as m
from leader_async.zookeeper.reader import Reader, SyncedReader

__all__ = ["zookeeper"]


@pytest.mark.parametrize("kind", [Reader, SyncedReader])
async def test_a_znode_that_does_not_exist_is_an_answer(zookeeper: ZooKeeper, kind: type[Reader]) -> None:
    async with connect(zookeeper.address) as zk:
        reader = kind(zk.client)
        assert await reader.data("/a") is None
        assert await reader.children("/a") is None
        await zk.client.request(m.Create("/a", b"x"))
        await zk.client.request(m.Create("/a/b"))
        found = await reader.data("/a")
        assert found is not None
        assert found.data == b"x"
        assert await reader.children("/a") == ("b",)


async def test_what_is_read_behind_a_sync_is_asked_for_behind_it(
    zookeeper: ZooKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect(zookeeper.address) as zk:
        await zk.wait_connected()
        send, sent = zk.client.send, list[m.Request]()

        def sending(request: m.Request, *more: object) -> float:
            sent.append(request)
            return send(request, *more)  # type: ignore[arg-type]

        monkeypatch.setattr(zk.client, "send", sending)
        await SyncedReader(zk.client).data("/a")
        await SyncedReader(zk.client).children("/a")
        assert sent == [m.Sync("/a"), m.GetData("/a"), m.Sync("/a"), m.GetChildren("/a")]
