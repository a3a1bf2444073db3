"""Any requests of three clients: the embedded server and the real one say the same."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leader_async.embedded import EmbeddedServer
from leader_async.zookeeper import messages as m

from .scenarios import Stage
from .test_conformance import TICK, perform, standalone

__all__ = ["standalone"]

NAMES = st.sampled_from(("a", "b", "a/x", "b/x", "a/x/y"))
VERSIONS = st.sampled_from((-1, 0, 1, 2))
DATA = st.sampled_from((b"", b"1", b"two"))
CREATES = st.builds(m.Create, NAMES, DATA, ephemeral=st.booleans(), sequential=st.booleans())
OPERATIONS = st.one_of(
    CREATES, st.builds(m.Delete, NAMES, VERSIONS), st.builds(m.SetData, NAMES, DATA, VERSIONS),
    st.builds(m.Check, NAMES, VERSIONS),
)  # fmt: skip
REQUESTS = st.one_of(
    CREATES, st.builds(m.Delete, NAMES, VERSIONS), st.builds(m.SetData, NAMES, DATA, VERSIONS),
    st.builds(m.Multi, st.lists(OPERATIONS, min_size=1, max_size=4).map(tuple)),
    st.builds(m.GetData, NAMES, st.booleans()), st.builds(m.GetChildren, NAMES, st.booleans(), st.booleans()),
    st.builds(m.Exists, NAMES, st.booleans()), st.just(m.Close()),
)  # fmt: skip


def below(base: str, request: m.Request) -> m.Request:
    """The same request below a base."""
    match request:
        case m.Create(path, data, ephemeral, sequential):
            return m.Create(f"{base}/{path}", data, ephemeral, sequential)
        case m.Delete(path, version):
            return m.Delete(f"{base}/{path}", version)
        case m.SetData(path, data, version):
            return m.SetData(f"{base}/{path}", data, version)
        case m.Check(path, version):
            return m.Check(f"{base}/{path}", version)
        case m.GetData(path, watch):
            return m.GetData(f"{base}/{path}", watch)
        case m.GetChildren(path, watch, stat):
            return m.GetChildren(f"{base}/{path}", watch, stat)
        case m.Exists(path, watch):
            return m.Exists(f"{base}/{path}", watch)
        case m.Multi(operations):
            inside = [below(base, operation) for operation in operations]
            return m.Multi(tuple(one for one in inside if isinstance(one, m.Create | m.Delete | m.SetData | m.Check)))
        case _:
            return request


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(asked=st.lists(st.tuples(st.integers(0, 2), REQUESTS), min_size=1, max_size=25))
def test_any_requests_get_the_same_answers(asked: Sequence[tuple[int, m.Request]], standalone: str) -> None:
    async def scenario(stage: Stage) -> None:
        talkers = [await stage.talker() for _ in range(3)]
        left: set[int] = set()
        for number, request in asked:
            if number in left:
                continue
            if isinstance(request, m.Close):
                left.add(number)
                await talkers[number].leave()
            else:
                await talkers[number].ask(below(stage.base, request))
            # Everybody hears now what this has caused.
            for other, talker in enumerate(talkers):
                if other not in left:
                    await talker.ask(m.Sync("/"))

    async def both() -> None:
        async with EmbeddedServer(tick=TICK) as server:
            embedded = await perform(scenario, server.address, exact=True)
        real = await perform(scenario, standalone, exact=True)
        assert embedded == real

    asyncio.run(both())
