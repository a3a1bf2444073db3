"""Jobs in simulated runs; `python -m tests.simulation.jobs` makes as many as wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from leader_async.schedule import job
from leader_async.schedule.decisions import Correction, Rewrite, Start, Step, claimed, decide
from leader_async.schedule.job_options import JobSettings
from leader_async.schedule.ledger import Ledger, Outcome, encode
from leader_async.schedule.triggers import Cron
from leader_async.zookeeper import messages as m

from .jobs import simulate
from .nights import NIGHTS

SEEDS = 60


@pytest.mark.timeout(120)
def test_no_plan_breaks_what_is_promised_of_slots() -> None:
    attempts = 0
    for seed in range(SEEDS):
        _, violation, _, made = simulate(seed)
        assert not violation, f"{violation}\nReplay it: python -m tests.simulation.jobs --first {seed} --seeds 1"
        attempts += made
    assert attempts > 10 * SEEDS


@pytest.mark.timeout(120)
def test_nights_in_which_clocks_are_changed_break_nothing() -> None:
    """In each of five zones: no attempt is made twice, and no slot is lost."""
    attempts = 0
    for seed in range(len(NIGHTS)):
        _, violation, _, made = simulate(seed, night=True)
        assert not violation, (
            f"{violation}\nReplay it: python -m tests.simulation.jobs --nights --first {seed} --seeds 1"
        )
        attempts += made
    assert attempts > 20 * len(NIGHTS)


def see_times_again(patch: pytest.MonkeyPatch) -> None:
    """A fixed time is due for the second time, and nobody notices that the ledger goes back."""

    def naive(self: Cron, after: int) -> int | None:
        reading = self._reading(after + self._clock.offset(after) + 1, 1)
        return None if reading is None else self._clock.reached(reading)

    def careless(ledger: Ledger, start: Start, token: int, identity: str, now: int) -> Ledger:
        return claimed(replace(ledger, slot=min(ledger.slot, start.slot - 1)), start, token, identity, now)

    patch.setattr(Cron, "_next_fixed", naive)
    patch.setattr(job, "claimed", careless)


def take_all_times_for_fixed(patch: pytest.MonkeyPatch) -> None:
    """In an hour that comes twice nothing is due for the second time."""
    patch.setattr(Cron, "_next_following", Cron._next_fixed)


@pytest.mark.parametrize("mutant", [see_times_again, take_all_times_for_fixed])
@pytest.mark.timeout(120)
def test_clocks_that_are_read_wrongly_are_noticed(
    monkeypatch: pytest.MonkeyPatch, mutant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    mutant(monkeypatch)
    assert any(simulate(seed, night=True)[1] for seed in range(2 * len(NIGHTS))), mutant.__doc__


def run_before_the_answer(patch: pytest.MonkeyPatch) -> None:
    """A slot is run although its claim may not have happened."""

    async def hasty(self: Any, term: Any, page: Any, ledger: Ledger) -> None:
        self._client.send(m.SetData(self._path, encode(ledger), page.version), lambda answer: None)
        page.ledger, page.version = ledger, page.version + 1

    patch.setattr(job.Job, "_write", hasty)


def forget_the_unfinished(patch: pytest.MonkeyPatch) -> None:
    """An attempt that nobody finished counts as done."""

    def careless(rules: JobSettings, ledger: Ledger, now: int) -> Step:
        step = decide(rules, ledger, now)
        if isinstance(step, Start) and step.attempt > 1 and ledger.open is not None and ledger.open.again_at is None:
            return Rewrite(ledger.close(Outcome.DONE, now), Correction.ABANDONED)
        return step

    patch.setattr(job, "decide", careless)


def begin_from_now(patch: pytest.MonkeyPatch) -> None:
    """Who takes over begins with the next slot."""

    def fresh(rules: JobSettings, ledger: Ledger, now: int) -> Step:
        step = decide(rules, ledger, now)
        return Start(now // 1000 * 1000) if isinstance(step, Start) and now - step.slot > 5000 else step

    patch.setattr(job, "decide", fresh)


@pytest.mark.parametrize("mutant", [run_before_the_answer, forget_the_unfinished, begin_from_now])
@pytest.mark.timeout(120)
def test_rules_that_are_broken_on_purpose_are_noticed(
    monkeypatch: pytest.MonkeyPatch, mutant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    mutant(monkeypatch)
    assert any(simulate(seed)[1] for seed in range(4 * SEEDS)), mutant.__doc__
