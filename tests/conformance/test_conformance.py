"""The embedded server and real ones, alone and as an ensemble, say the same to the same requests.

It follows 3.9. What is another way in 3.8 is `SINCE_3_9`, and held to 3.9 alone.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator

import pytest

from leader_async.embedded import EmbeddedServer
from leader_async.zookeeper import messages as m

from ..conftest import need
from ..support import reporting
from ..support.zookeeper import NEWER, Ensemble, Server, classpath, free_ports, version
from .raw import EVERYWHERE, SINCE_3_9, unreadable
from .scenarios import SCENARIOS, Stage
from .talking import Clock, Talker

TICK = 0.5
SETTINGS = [f"tickTime={TICK * 1000:.0f}", "initLimit=20", "syncLimit=10", "4lw.commands.whitelist=srvr,ruok",
            "maxClientCnxns=0"]  # fmt: skip
_numbers = itertools.count(1)
Scenario = Callable[[Stage], Awaitable[None]]
ALL = (*SCENARIOS, *EVERYWHERE, *SINCE_3_9)
HERE = ALL if version() >= (3, 9) else (*SCENARIOS, *EVERYWHERE)
pytestmark = pytest.mark.timeout(90)


def need_zookeeper() -> None:
    need(
        None if classpath() else "no ZooKeeper server here",
        "the conformance of the embedded server with real ones",
        "install Debian's package zookeeper (with Java), or set ZOOKEEPER_HOME",
    )


@pytest.fixture(scope="module")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    need_zookeeper()
    server = Server(tmp_path_factory.mktemp("zk") / "one", port=free_ports(1)[0], settings=SETTINGS)
    try:
        asyncio.run(server.start_ready())
        yield server.address
    finally:
        server.kill()


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if classpath(NEWER) is None:
        what = "the conformance of the embedded server with ZooKeeper 3.9"
        reporting.NOT_RUN[what] = f"no ZooKeeper in {NEWER}; run tests/support/newer.sh"
        pytest.skip(what)  # also in CI: not every mirror of Debian's has it
    server = Server(tmp_path_factory.mktemp("zk") / "newer", port=free_ports(1)[0], settings=SETTINGS, home=NEWER)
    try:
        asyncio.run(server.start_ready())
        yield server.address
    finally:
        server.kill()


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    need_zookeeper()
    servers = Ensemble(tmp_path_factory.mktemp("zk"), SETTINGS)
    try:
        asyncio.run(servers.start_ready())
        yield servers.address
    finally:
        servers.kill()


async def perform(scenario: Scenario, servers: str, *, exact: bool) -> tuple[list[list[object]], list[object]]:
    """What the talkers of this scenario hear from these servers, and what it notes."""
    addresses = servers.split(",")
    base = f"/conformance-{next(_numbers):06}"
    clock = Clock(exact)
    talkers: list[Talker] = []

    async def open_talker(*, other: bool = False) -> Talker:
        talker = Talker(clock, base)
        await talker.dial(addresses[-1 if other else 0])
        talkers.append(talker)
        return talker

    maker = Talker(clock, base)
    await maker.dial(addresses[0])
    await maker.greet()
    await maker.ask(m.Create(base))
    stage = Stage(base, open_talker, TICK)
    try:
        await scenario(stage)
    finally:
        for talker in (maker, *talkers):
            talker.close()
    return [talker.heard for talker in talkers], stage.notes


@pytest.mark.parametrize("scenario", HERE, ids=lambda scenario: scenario.__name__)
async def test_a_standalone_server_says_the_same(scenario: Scenario, standalone: str) -> None:
    async with EmbeddedServer(tick=TICK) as server:
        embedded = await perform(scenario, server.address, exact=True)
    # Counted in zxids as well: each change, each refused change and each session takes one.
    real = await perform(scenario, standalone, exact=True)
    assert embedded == real


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.__name__)
async def test_a_server_of_3_9_says_the_same(scenario: Scenario, newer: str) -> None:
    async with EmbeddedServer(tick=TICK) as server:
        embedded = await perform(scenario, server.address, exact=True)
    assert embedded == await perform(scenario, newer, exact=True)


# An ensemble of 3.9 answers nobody any more after a write that cannot be read.
@pytest.mark.parametrize("scenario", [one for one in HERE if one is not unreadable], ids=lambda each: each.__name__)
async def test_an_ensemble_says_the_same(scenario: Scenario, ensemble: str) -> None:
    async with EmbeddedServer(tick=TICK) as server:
        embedded = await perform(scenario, server.address, exact=False)
    assert embedded == await perform(scenario, ensemble, exact=False)
