"""What a ledger says to those who see it."""

from __future__ import annotations

from dataclasses import replace

from leader_async.schedule import Attempt, JobStatus
from leader_async.schedule.ledger import Ledger, Open, Outcome, encode
from leader_async.schedule.status import Progress, status_of

PATH = "/e/jobs/job"
OPEN = Open(20_000, 2, 7, "a", 21_500)
LEDGER = Ledger("every 10 s", 20_000, OPEN).close(Outcome.FAILED, 22_000, "no\nmore")


def seen(ledger: Ledger) -> JobStatus:
    return status_of("job", PATH, encode(ledger))


def test_a_ledger_in_seconds() -> None:
    failed = Attempt(20.0, 2, False, 7, "a", 21.5, 22.0, Progress.FAILED, "no")
    assert seen(LEDGER) == JobStatus("job", "every 10 s", 20.0, 30.0, None, (failed,))


def test_an_attempt_runs_or_waits_to_be_made_again() -> None:
    assert seen(replace(LEDGER, open=OPEN)).current == Attempt(20.0, 2, False, 7, "a", 21.5, None, Progress.RUNNING, "")
    waits = seen(replace(LEDGER, open=replace(OPEN, again_at=25_000))).current
    assert waits is not None
    assert (waits.outcome, waits.ended) == ("waiting", None)


def test_a_newer_versions_trigger_has_no_next_slot() -> None:
    assert seen(replace(LEDGER, spec="moon full")).next_slot is None


def test_a_ledger_that_cannot_be_read_is_a_problem() -> None:
    found = status_of("job", PATH, b"?")
    assert (found.trigger, found.past) == ("?", ())
    assert found.problem.startswith(f"{PATH} is not a job's ledger: ")
    assert found.problem.endswith("`leader-async jobs NAME --reset` has begun it anew")
