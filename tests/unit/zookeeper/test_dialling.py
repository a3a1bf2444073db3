from __future__ import annotations

import asyncio
import socket

import pytest

from leader_async.zookeeper import dialling
from leader_async.zookeeper.hosts import Server


@pytest.mark.parametrize(("away", "bound"), [(0.0, 0.05), (0.4, 0.05), (4.0, 0.5), (16.0, 2.0), (3600.0, 2.0)])
def test_pauses_are_jittered_below_a_bound_that_grows_with_the_outage(away: float, bound: float) -> None:
    pauses = [dialling.backoff(away) for _ in range(300)]
    assert 0 <= min(pauses) < bound / 4
    assert bound * 3 / 4 < max(pauses) <= bound


async def test_the_server_that_failed_last_is_dialled_last() -> None:
    resolver = dialling.Resolver([Server("127.0.0.1", port) for port in (1, 2, 3)])
    for last in (1, 2, 3):
        found, problems = await resolver.resolve(("127.0.0.1", last))
        assert [info[4][1] for info in found][-1] == last
        assert problems == []


async def test_a_name_that_does_not_resolve_costs_the_others_nothing_and_keeps_its_last_addresses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 2181))]
    answers: list[object] = [known, socket.gaierror(-2, "Name or service not known")]

    async def look_up(*arguments: object, **options: object) -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    resolver = dialling.Resolver([Server("zk1", 2181), Server("127.0.0.1", 2182)])
    first, problems = await resolver.resolve(None)
    assert sorted(info[4][1] for info in first) == [2181, 2182]
    assert problems == []
    second, problems = await resolver.resolve(None)
    assert sorted(map(repr, second)) == sorted(map(repr, first))
    assert problems == ["zk1:2181: [Errno -2] Name or service not known"]


async def test_a_name_service_that_hangs_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*arguments: object, **options: object) -> object:
        return await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", hang)
    monkeypatch.setattr(dialling, "LOOK_UP_LIMIT", 0.01)
    found, problems = await dialling.Resolver([Server("zk1", 2181), Server("127.0.0.1", 2182)]).resolve(None)
    assert [info[4][1] for info in found] == [2182]
    assert problems == ["zk1:2181: the name service did not answer in 0.01 s"]
