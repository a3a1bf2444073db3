"""A place for one command, on the embedded ZooKeeper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from leader_async.testing import ZooKeeper

from .place import Place


@pytest.fixture
def server() -> Iterator[ZooKeeper]:
    with ZooKeeper(tick=0.25) as server:
        yield server


@pytest.fixture
def place(server: ZooKeeper, tmp_path: Path) -> Iterator[Place]:
    place = Place(server.address, tmp_path)
    try:
        yield place
    finally:
        place.end()
