"""Which slot a process was started for, and what has become of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from leader_async import UsageError
from leader_async.schedule.decisions import Start, Wait, claimed, decide, ended
from leader_async.schedule.job_options import JobSettings, Unfinished
from leader_async.schedule.ledger import Ledger, Outcome
from leader_async.schedule.slots import EARLY, Once, begun, due, given, opened, outcome
from leader_async.schedule.triggers import Cron, Every, Trigger


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


DAILY, NIGHTLY = Every(86400), Cron("0 3 * * *", "Europe/Berlin")
TODAY = at("2026-11-28")


@pytest.mark.parametrize(
    ("trigger", "now", "slot"),
    [
        (DAILY, at("2026-11-28T03:00:01"), TODAY),
        (DAILY, TODAY, TODAY),
        (DAILY, TODAY - EARLY, TODAY),
        (DAILY, TODAY - EARLY - 1, at("2026-11-27")),
        (NIGHTLY, at("2026-11-28T02:00:00"), at("2026-11-28T02:00:00")),
        (NIGHTLY, at("2026-11-28T01:59:55"), at("2026-11-28T02:00:00")),
        (NIGHTLY, at("2026-11-28T01:00:00"), at("2026-11-27T02:00:00")),
        (Cron("0 0 1 * *"), at("2026-11-28"), at("2026-11-01")),
        (Cron("0 0 29 2 *"), at("2026-11-28"), at("2024-02-29")),
        (Cron("0 0 29 2 *"), at("1972-03-01"), at("1972-02-29")),
    ],
)
def test_the_slot_is_the_last_one_that_is_due_or_about_to_be(trigger: Any, now: int, slot: int) -> None:
    found = due(trigger, now)
    assert (found.slot, found.spec, found.zone) == (slot, trigger.spec, trigger.zone)


def test_there_may_have_been_none() -> None:
    class Never(Trigger):
        spec, zone = "never", UTC

        def next(self, after: int) -> int | None:
            return None

        def latest(self, after: int, now: int) -> int | None:
            return None

    with pytest.raises(UsageError, match="no slot of 'never' has been due yet"):
        due(Never(), TODAY)


@pytest.mark.parametrize(
    ("text", "zone", "shown"),
    [
        ("2026-11-28", "UTC", "2026-11-28T00:00:00+00:00"),
        ("2026-11-28", "Europe/Berlin", "2026-11-28T00:00:00+01:00"),
        ("2026-11-28T03:00", "Europe/Berlin", "2026-11-28T03:00:00+01:00"),
        ("2026-11-28T03:00Z", "Europe/Berlin", "2026-11-28T04:00:00+01:00"),
    ],
)
def test_a_slot_may_be_given(text: str, zone: str, shown: str) -> None:
    assert str(given(text, zone)) == shown


@pytest.mark.parametrize(("text", "zone"), [("tonight", "UTC"), ("2026-11-28", "Berlin"), ("0001-01-01", "Asia/Tokyo")])
def test_what_is_no_slot_is_told(text: str, zone: str) -> None:
    with pytest.raises(UsageError, match=r"no slot: give a date|no time zone is called 'Berlin'"):
        given(text, zone)


def test_a_slot_in_the_future_is_told() -> None:
    once = Once(TODAY, DAILY.spec, UTC)
    assert begun(once, TODAY - EARLY) is once
    with pytest.raises(UsageError, match=r"the slot 2026-11-28T00:00:00\+00:00 is in the future"):
        begun(once, TODAY - EARLY - 1)


def test_it_is_run_when_it_is_due_and_then_never_again() -> None:
    once = Once(TODAY, DAILY.spec, UTC)
    rules = JobSettings("job", once)
    ledger = opened(once, None)
    assert once.means(ledger.spec)
    assert decide(rules, ledger, TODAY - 1) == Wait(TODAY)
    assert decide(rules, ledger, TODAY + 5) == Start(TODAY)
    ledger = claimed(ledger, Start(TODAY), 1, "a", TODAY)
    for error in (None, "no"):
        assert decide(rules, ended(rules, ledger, TODAY + 9, error), TODAY + 9) == Wait(None)


def test_the_ledger_of_another_trigger_is_taken_over_and_its_slots_stay_run() -> None:
    once = Once(TODAY, DAILY.spec, UTC)
    rules = JobSettings("job", once)
    assert decide(rules, opened(once, Ledger("cron", TODAY - 1)), TODAY) == Start(TODAY)
    for later in (TODAY, TODAY + 5):
        assert decide(rules, opened(once, Ledger("cron", later)), TODAY + 5) == Wait(None)


@pytest.mark.parametrize(("unfinished", "over"), [("leave", True), ("rerun", False)])
def test_what_has_become_of_it(unfinished: Unfinished, over: bool) -> None:
    once = Once(TODAY, DAILY.spec, UTC)
    rules = JobSettings("job", once, unfinished=unfinished)
    fresh = opened(once, None)
    for ledger in (None, fresh):
        found = outcome(once, rules, ledger)
        assert (found.over, found.claimed, found.words) == (False, False, "has not been run")
    runs = claimed(fresh, Start(TODAY), 1, "a", TODAY)
    found = outcome(once, rules, runs)
    assert (found.over, found.claimed, found.words) == (over, True, "is being run by a")
    for ledger, words in (
        (ended(rules, runs, TODAY, None), "was run by a"),
        (ended(rules, runs, TODAY, "exit 7"), "was run by a, and has failed: exit 7"),
        (runs.close(Outcome.UNFINISHED, TODAY), "was begun by a, and left unfinished"),
        (Ledger(DAILY.spec, TODAY + 1), "is not later than the last one that was run"),
    ):
        found = outcome(once, rules, ledger)
        assert (found.over, found.claimed, found.words) == (True, True, words)


def test_a_run_that_was_asked_for_is_not_the_slots() -> None:
    once = Once(TODAY, DAILY.spec, UTC)
    rules = JobSettings("job", once)
    asked = claimed(Ledger(DAILY.spec, TODAY), Start(TODAY, manual=True), 1, "a", TODAY)
    for ledger in (asked, ended(rules, asked, TODAY, None), replace(asked, slot=TODAY + 1)):
        assert outcome(once, rules, ledger).words == "is not later than the last one that was run"
