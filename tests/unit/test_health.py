"""Whether to restart a replica, and whether it could lead."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leader_async import connect
from leader_async.health import GRACE, unready, unwell


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"alive": False}, "died of a bug"),
        ({"overdue": GRACE + 0.1}, "1.1 s past"),
        ({"overdue": 0.9}, None),
    ],
)
async def test_what_calls_for_a_restart(change: dict[str, object], problem: str | None) -> None:
    status = replace(connect("127.0.0.1:1").election("e").status(), **change)  # type: ignore[arg-type]
    found = unwell(status)
    assert found is None if problem is None else problem in str(found)


@pytest.mark.parametrize(
    ("connected", "in_queue", "problem"),
    [(True, True, None), (False, True, "no ZooKeeper server"), (True, False, r"not in the queue (idle)")],
)
async def test_who_could_lead(connected: bool, in_queue: bool, problem: str | None) -> None:
    status = replace(connect("127.0.0.1:1").election("e").status(), in_queue=in_queue)
    found = unready(status, connected)
    assert found is None if problem is None else problem in str(found)
    assert "died of a bug" in str(unready(replace(status, alive=False), connected=True))
