"""Real servers for the tests of this folder."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from leader_async import Connection, connect

from ..conftest import need
from ..support.proxy import Proxy
from ..support.zookeeper import Ensemble, Lab, Server, classpath, free_ports, lab_problem, speaks_tls
from .securing import Secured, Terminator, secured_server

_names = itertools.count(1)
QUICK = ["tickTime=500", "initLimit=20", "syncLimit=10", "4lw.commands.whitelist=srvr", "maxClientCnxns=0"]


def need_zookeeper() -> None:
    need(
        None if classpath() else "no ZooKeeper server here",
        "tests on a real ZooKeeper",
        "install Debian's package zookeeper (with Java), or set ZOOKEEPER_HOME",
    )


@pytest.fixture(scope="session")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that do not harm it."""
    need_zookeeper()
    server = Server(tmp_path_factory.mktemp("zk") / "one", port=free_ports(1)[0], settings=QUICK)
    try:
        asyncio.run(server.start_ready())
        yield server
    finally:
        server.kill()


@pytest.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[Server]:
    """A server to be harmed; not started yet."""
    need_zookeeper()
    server = Server(tmp_path / "one", port=free_ports(1)[0], settings=QUICK)
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
async def ensemble(tmp_path: Path) -> AsyncIterator[Ensemble]:
    """Three servers to be harmed."""
    need_zookeeper()
    ensemble = Ensemble(tmp_path / "near", QUICK)
    try:
        await ensemble.start_ready()
        yield ensemble
    finally:
        ensemble.kill()


@pytest.fixture
async def apart(tmp_path: Path) -> AsyncIterator[Ensemble]:
    """Three servers in namespaces of their own, with a tick of 1 s and a syncLimit of 10."""
    need_zookeeper()
    need(
        lab_problem(), "tests that cut servers off from each other", "run as root with iproute2 and iptables installed"
    )
    lab = Lab()
    lab.open()
    settings = ["tickTime=1000", "initLimit=20", "syncLimit=10", "4lw.commands.whitelist=srvr", "maxClientCnxns=0"]
    ensemble = Ensemble(tmp_path / "apart", settings, lab)
    try:
        await ensemble.start_ready()
        yield ensemble
    finally:
        ensemble.kill()
        lab.close()


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """One server that speaks TLS."""
    need(
        None if speaks_tls() else "no ZooKeeper server that speaks TLS here",
        "tests of TLS with a real ZooKeeper",
        "install Debian's packages zookeeper (with Java) and libnetty-java, or set ZOOKEEPER_HOME",
    )
    with secured_server(tmp_path_factory.mktemp("secured"), QUICK) as made:
        yield made


@pytest.fixture
async def terminator(secured: Secured) -> AsyncIterator[Terminator]:
    async with Terminator(secured) as made:
        yield made


@pytest.fixture
async def proxy(standalone: Server) -> AsyncIterator[Proxy]:
    """A way to the standalone server that can be harmed."""
    async with Proxy(standalone.host, standalone.port) as proxy:
        yield proxy


@pytest.fixture
def name() -> str:
    """An election of the test's own."""
    return f"election-{next(_names)}"


@pytest.fixture
async def near(standalone: Server) -> AsyncIterator[Connection]:
    """A connection to the standalone server without a proxy."""
    async with connect(standalone.address, timeout=4.0) as connection:
        yield connection


@pytest.fixture
async def far(proxy: Proxy) -> AsyncIterator[Connection]:
    """A connection to the standalone server through the proxy."""
    async with connect(proxy.address, timeout=4.0) as connection:
        yield connection
        proxy.resume()
        proxy.refuse(False)
