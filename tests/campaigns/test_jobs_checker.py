"""The judge of jobs on hand-written histories: each rule has some that break it, and a good one breaks none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .history import Stretch
from .jobs_checker import BEHIND, RULES, JobsVerdict, judge
from .jobs_history import AHEAD, Attempt, Job, JobsHistory, Run, read

JOBS = (Job("a", 1, "rerun", 0.1), Job("b", 2, "leave", 0.1))


def made(attempt: Attempt, began: float, history: JobsHistory) -> None:
    """It was claimed, made, written to the database and written down."""
    history.runs.append(Run(attempt, began, began + 0.1, "Done"))
    history.rows.append(attempt)
    history.entries |= {(attempt, "open"), (attempt, "done")}


def good() -> JobsHistory:
    """`x` leads, is cut short at 2 s in both jobs, and `y` goes on; its clock is said to be ahead."""
    history = JobsHistory(stretches=[Stretch("x", 0.5, 2.05, 7), Stretch(AHEAD, 2.5, 9, 8)], until=5 + BEHIND)
    made(Attempt("a", 1000, 1, 7, "x"), 1.0, history)
    for job in ("a", "b"):
        cut = Attempt(job, 2000, 1, 7, "x")
        history.runs.append(Run(cut, 2.0))
        history.entries |= {(cut, "open"), (cut, "unfinished")}
    made(Attempt("a", 2000, 2, 8, AHEAD), 2.6, history)
    for second in (3, 4):
        made(Attempt("a", second * 1000, 1, 8, AHEAD), float(second), history)
    made(Attempt("b", 4000, 1, 8, AHEAD), 4.0, history)
    history.positions = {("a", 1, 1000), ("a", 3, 2000), ("a", 9, 4000), ("b", 1, 2000), ("b", 2, 4000)}
    return history


def verdict_after(change: Callable[[JobsHistory], None]) -> JobsVerdict:
    history = good()
    change(history)
    return judge(history, JOBS)


def test_a_good_history_is_clean_and_counted() -> None:
    verdict = judge(good(), JOBS)
    assert verdict.clean, verdict.broken
    assert verdict.slots == {"a": 4, "b": 2}
    assert (verdict.attempts, verdict.reruns, verdict.unfinished, verdict.ahead) == (7, 1, 2, 4)
    assert (verdict.repeated, verdict.refused, verdict.outlived) == (0, 0, 0)
    assert sorted(verdict.delays) == [0.0] * 6


def claimed_by_two(history: JobsHistory) -> None:
    history.entries.add((Attempt("a", 3000, 1, 7, "x"), "open"))


def made_twice(history: JobsHistory) -> None:
    history.runs.append(Run(Attempt("a", 3000, 1, 8, AHEAD), 3.2, 3.3, "Done"))


def a_slot_is_missing(history: JobsHistory) -> None:
    history.runs = [run for run in history.runs if run.attempt[:2] != ("a", 3000)]
    history.rows = [row for row in history.rows if row[:2] != ("a", 3000)]
    history.entries = {entry for entry in history.entries if entry[0][:2] != ("a", 3000)}


def the_last_slots_are_missing(history: JobsHistory) -> None:
    history.until += 2.0


def all_slots_are_missing(history: JobsHistory) -> None:
    history.runs.clear()
    history.rows.clear()
    history.entries.clear()


def unfinished_and_not_made_again(history: JobsHistory) -> None:
    again = Attempt("a", 2000, 2, 8, AHEAD)
    history.runs = [run for run in history.runs if run.attempt != again]
    history.rows.remove(again)
    history.entries -= {(again, "open"), (again, "done")}


def done_and_made_again(history: JobsHistory) -> None:
    made(Attempt("a", 3000, 2, 8, AHEAD), 3.5, history)


def made_again_though_it_was_to_be_left(history: JobsHistory) -> None:
    made(Attempt("b", 2000, 2, 8, AHEAD), 2.7, history)


def an_attempt_is_skipped(history: JobsHistory) -> None:
    history.entries.add((Attempt("a", 3000, 3, 8, AHEAD), "done"))


def written_down_as_failed(history: JobsHistory) -> None:
    failed = Attempt("a", 3000, 1, 8, AHEAD)
    history.entries.remove((failed, "done"))
    history.entries.add((failed, "failed"))


def never_closed(history: JobsHistory) -> None:
    history.entries.remove((Attempt("a", 3000, 1, 8, AHEAD), "done"))


def closed_in_two_ways(history: JobsHistory) -> None:
    history.entries.add((Attempt("a", 3000, 1, 8, AHEAD), "unfinished"))


def eleven_attempts(history: JobsHistory) -> None:
    for number in range(3, 12):
        history.entries |= {(Attempt("a", 2000, number - 1, 8, AHEAD), "unfinished")}
        history.entries -= {(Attempt("a", 2000, number - 1, 8, AHEAD), "done")}
        made(Attempt("a", 2000, number, 8, AHEAD), 2.6 + number / 100, history)
    for run in history.runs:
        if run.attempt.slot == 2000 and run.attempt.replica == AHEAD:
            run.ended = run.began + 0.01


def an_older_slot_after_a_newer_one(history: JobsHistory) -> None:
    made(Attempt("a", 0, 1, 8, AHEAD), 4.5, history)


def a_lower_token_makes_a_later_attempt(history: JobsHistory) -> None:
    made(Attempt("a", 5000, 1, 6, "z"), 5.0, history)


def the_ledger_falls(history: JobsHistory) -> None:
    history.positions.add(("a", 4, 1000))


def two_attempts_while_both_lead(history: JobsHistory) -> None:
    history.stretches[0] = Stretch("x", 0.5, 2.7, 7)


def one_replica_makes_two_at_once(history: JobsHistory) -> None:
    run = next(run for run in history.runs if run.attempt.slot == 3000)
    run.ended = 4.05


def an_hour_early(history: JobsHistory) -> None:
    made(Attempt("a", 3605000, 1, 8, AHEAD), 5.0, history)


def a_late_write(history: JobsHistory) -> None:
    history.rows.append(history.rows.pop(0))


def said_to_be_done_and_cut(history: JobsHistory) -> None:
    next(run for run in history.runs if run.attempt.slot == 3000).how = "Cut"


def done_and_not_written(history: JobsHistory) -> None:
    history.rows.pop()


def written_and_never_begun(history: JobsHistory) -> None:
    history.runs.pop()


def written_twice(history: JobsHistory) -> None:
    history.rows.append(history.rows[-1])


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("once", claimed_by_two), ("once", made_twice),
        ("lost", a_slot_is_missing), ("lost", the_last_slots_are_missing), ("lost", all_slots_are_missing),
        ("reruns", unfinished_and_not_made_again), ("reruns", done_and_made_again),
        ("reruns", made_again_though_it_was_to_be_left), ("reruns", an_attempt_is_skipped),
        ("reruns", written_down_as_failed), ("reruns", never_closed), ("reruns", closed_in_two_ways),
        ("reruns", eleven_attempts),
        ("back", an_older_slot_after_a_newer_one), ("back", a_lower_token_makes_a_later_attempt),
        ("back", the_ledger_falls),
        ("overlap", two_attempts_while_both_lead), ("overlap", one_replica_makes_two_at_once),
        ("early", an_hour_early),
        ("fence", a_late_write),
        ("truth", said_to_be_done_and_cut), ("truth", done_and_not_written), ("truth", written_and_never_begun),
        ("truth", written_twice),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_seen(rule: str, change: Callable[[JobsHistory], None]) -> None:
    verdict = verdict_after(change)
    assert verdict.broken[rule]
    assert not verdict.clean
    assert set(verdict.broken) == set(RULES)


def ten_attempts(history: JobsHistory) -> None:
    eleven_attempts(history)
    last = Attempt("a", 2000, 11, 8, AHEAD)
    history.runs = [run for run in history.runs if run.attempt != last]
    history.rows.remove(last)
    history.entries = {entry for entry in history.entries if entry[0] != last}


def the_last_one_is_cut_by_the_campaign_s_end(history: JobsHistory) -> None:
    last = Attempt("a", 5000, 1, 8, AHEAD)
    history.runs.append(Run(last, 5.0, 5.1, "Cut"))
    history.entries.add((last, "open"))


def a_frozen_one_ends_late_and_is_refused(history: JobsHistory) -> None:
    run = next(run for run in history.runs if run.attempt == Attempt("a", 2000, 1, 7, "x"))
    run.ended, run.how = 3.5, "Refused"


@pytest.mark.parametrize(
    "change", [ten_attempts, the_last_one_is_cut_by_the_campaign_s_end, a_frozen_one_ends_late_and_is_refused]
)
def test_what_is_allowed_breaks_none(change: Callable[[JobsHistory], None]) -> None:
    verdict = verdict_after(change)
    assert verdict.clean, verdict.broken


def test_late_ends_and_refused_writes_are_counted() -> None:
    verdict = verdict_after(a_frozen_one_ends_late_and_is_refused)
    assert (verdict.refused, verdict.outlived) == (1, 1)


def test_work_that_was_committed_and_could_not_be_written_down_is_counted() -> None:
    verdict = verdict_after(lambda history: history.rows.insert(1, Attempt("a", 2000, 1, 7, "x")))
    assert verdict.clean, verdict.broken
    assert verdict.repeated == 1


def test_reading() -> None:
    history = JobsHistory()
    lines = ["True 1.00 1.01 7\n", "Began a 1000 1 7 1.25\n", "Began b 2000 1 7 1.30\n", "Done a 1000 1 7 1.35\n"]
    lines += ["Began a 2000 1 9 2.50\n", "Refused a 2000 1 9 2.60\n", "Began a 3000 1 9 2.9"]
    read("x", lines, history)
    assert history.runs == [
        Run(Attempt("a", 1000, 1, 7, "x"), 1.25, 1.35, "Done"),
        Run(Attempt("b", 2000, 1, 7, "x"), 1.3),
        Run(Attempt("a", 2000, 1, 9, "x"), 2.5, 2.6, "Refused"),
    ]
