"""A short campaign of jobs in the suite; `make chaos-jobs` has more minutes, and all faults."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ..conftest import need
from ..support.reporting import measured
from .jobs import campaign, problem_with_jobs

FAULTS = ["leading replica killed", "leading replica stopped (SIGSTOP)"]


@pytest.mark.timeout(120)
async def test_a_short_campaign_of_jobs(tmp_path: Path) -> None:
    remedy = "root, iproute2, iptables and Debian's zookeeper and postgresql are needed"
    need(problem_with_jobs(), "campaigns of jobs", remedy)
    told: list[str] = []
    done = await campaign(tmp_path / "field", 2.0, 1, told.append, FAULTS)
    sys.stdout.write("\n".join(told))
    assert [trouble.kind for trouble in done.troubles] == FAULTS
    assert done.jobs.clean, done.jobs.broken
    assert done.leaders.clean
    assert done.orphans == []
    assert done.jobs.slots["second"] >= 4, "they worked while somebody led"
    measured("campaign of jobs: the latest run of a slot", max(done.jobs.delays))
