"""Connections for code in threads."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from leader_async import blocking
from leader_async.testing import ZooKeeper, zookeeper

from .leading import LIMIT

__all__ = ["zookeeper"]


@pytest.fixture
def zk(zookeeper: ZooKeeper) -> Iterator[blocking.Connection]:
    with blocking.connect(zookeeper.address, timeout=1.0) as zk:
        zk.wait_connected(LIMIT)
        yield zk


@pytest.fixture
def other(zookeeper: ZooKeeper) -> Iterator[blocking.Connection]:
    """Another process, as far as ZooKeeper can tell."""
    with blocking.connect(zookeeper.address, timeout=1.0) as zk:
        yield zk


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as threads:
        yield threads
