"""A ZooKeeper for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from leader_async.testing import ZooKeeper


@pytest.fixture
def zookeeper() -> Iterator[ZooKeeper]:
    """One of this test's own, in memory."""
    with ZooKeeper() as server:
        yield server
