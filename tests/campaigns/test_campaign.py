"""A short campaign in the suite: the faults that break others, on a real ensemble; `make chaos` has all of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ..conftest import need
from ..support.reporting import measured
from .campaign import campaign
from .field import problem
from .nemesis import Nemesis

FAULTS = [
    "leading replica killed",
    "leader's ZooKeeper server isolated",
    "leading replica stopped (SIGSTOP)",
    "all connections cut",
    "leading replica told to end (SIGTERM)",
    "ensemble restarted at once",
    "leading replica cut off",
]


@pytest.mark.campaign
@pytest.mark.timeout(400)
async def test_a_short_campaign(tmp_path: Path) -> None:
    need(problem("leader_async"), "campaigns of faults", "root, iproute2, iptables and Debian's zookeeper are needed")
    assert set(FAULTS) <= set(Nemesis.KINDS)
    told: list[str] = []
    done = await campaign(tmp_path / "field", "leader_async", 5.0, 1, told.append, FAULTS)
    sys.stdout.write("\n".join(told))
    assert [trouble.kind for trouble in done.troubles] == FAULTS
    assert done.verdict.overlaps == []
    assert done.verdict.doubled == 0
    assert done.verdict.disorder == 0
    assert done.verdict.late == []
    assert done.orphans == []
    assert len(done.history.units) > 100, "they worked"
    for kind, seconds in done.verdict.leaderless.items():
        measured(f"campaign, {kind}: nobody led", seconds[0])
