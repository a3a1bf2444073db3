"""What `leader-async jobs` says of a job."""

from __future__ import annotations

import time

from leader_async.cli.ask_jobs import _summary


def test_a_ledger_in_the_future_is_shown() -> None:
    job = {"name": "job", "trigger": "every 60 s", "slot": time.time(), "next_slot": None, "current": None, "past": []}
    assert "future" not in _summary(job)
    shown = _summary({**job, "slot": time.time() + 3600})
    assert "its ledger is 3600 s in the future" in shown
    assert "`leader-async jobs job --reset`" in shown
