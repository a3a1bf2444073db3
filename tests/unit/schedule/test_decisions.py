"""What a leader does next about one job."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from leader_async import LedgerError, UsageError
from leader_async.errors import SlotTaken
from leader_async.schedule.decisions import (
    LONGEST_BACKOFF,
    Correction,
    Rewrite,
    Start,
    Wait,
    claimed,
    decide,
    due,
    ended,
    first,
)
from leader_async.schedule.job import CORRECTIONS
from leader_async.schedule.job_options import ATTEMPTS, JobOptions, JobSettings
from leader_async.schedule.ledger import AHEAD, ERROR_LENGTH, KEPT, Ledger, Open, Outcome, ahead, decode, encode, reset
from leader_async.schedule.triggers import Every

TEN = Every(10)


def rules(**given: Any) -> JobSettings:
    given.setdefault("overlap", "queue")
    return JobSettings("job", TEN, **given)


def s(seconds: float) -> int:
    return round(seconds * 1000)


def ledger(slot: float = 0, **rest: Any) -> Ledger:
    return Ledger(TEN.spec, s(slot), **rest)


def began(start: Start, at: float, slot: float = 0, token: int = 7) -> Ledger:
    return claimed(ledger(slot), start, token, "a", s(at))


def test_a_new_job_begins_with_the_next_slot() -> None:
    assert decide(rules(), first(rules(), s(12)), s(12)) == Wait(s(20))
    assert decide(rules(), first(rules(), s(12)), s(20)) == Start(s(20))


@pytest.mark.parametrize(
    ("missed", "window", "now", "step"),
    [
        ("latest", None, 47, Start(s(40))),
        ("all", None, 47, Start(s(10))),
        ("skip", None, 47, Wait(s(50))),
        ("skip", None, 44, Start(s(40))),
        ("skip", 8, 47, Start(s(40))),
        ("latest", 5, 47, Wait(s(50))),
        ("latest", 8, 47, Start(s(40))),
        ("all", 20, 47, Start(s(30))),
        ("all", 5, 47, Wait(s(50))),
        ("latest", None, 5, Wait(s(10))),
    ],
)
def test_what_was_missed(missed: str, window: float | None, now: float, step: object) -> None:
    assert decide(rules(missed=missed, window=window), ledger(), s(now)) == step


def test_slots_never_go_back_with_the_clock() -> None:
    """A leader whose clock is behind waits; it does not run again what was run."""
    for missed in ("latest", "all", "skip"):
        assert decide(rules(missed=missed), ledger(3600), s(20)) == Wait(s(3610), s(3580))


def test_jitter_puts_off_by_the_same_for_everybody() -> None:
    jittery = rules(jitter=4)
    dues = [jittery.due(s(10 * place)) - s(10 * place) for place in range(200)]
    assert min(dues) >= 0
    assert max(dues) < s(4)
    assert max(dues) - min(dues) > s(3)
    assert dues == [rules(jitter=4).due(s(10 * place)) - s(10 * place) for place in range(200)]
    due = jittery.due(s(10))
    assert decide(jittery, ledger(), due - 1) == Wait(due)
    assert decide(jittery, ledger(), due) == Start(s(10))


def test_a_slot_is_late_from_when_its_jitter_has_it_due() -> None:
    jittery = rules(jitter=8, window=1)
    due = jittery.due(s(10))
    assert s(11) < due < s(17), "the case that is meant"
    assert decide(jittery, ledger(), due + s(1)) == Start(s(10))
    assert decide(jittery, ledger(), due + s(1) + 1) == Wait(jittery.due(s(20)))
    everyone = rules(jitter=8, window=1, missed="all")
    assert decide(everyone, ledger(), due + s(1) + 1) == Wait(jittery.due(s(20)))


def test_a_jitter_longer_than_the_interval_starves_nobody() -> None:
    jittery, book, now, ran = rules(jitter=25), ledger(), 0, []
    while now < s(300):
        match decide(jittery, book, now):
            case Start(slot) as start:
                ran.append(slot)
                book = ended(jittery, claimed(book, start, 1, "a", now), now, None)
            case Wait(until):
                assert until is not None
                assert until > now
                now = until
            case other:
                raise AssertionError(other)
    assert len(ran) > 8


def test_an_unfinished_attempt_is_left_or_made_again() -> None:
    dead = began(Start(s(10)), at=10)
    step = decide(rules(), dead, s(15))
    assert isinstance(step, Rewrite)
    assert step.ledger.open is None
    assert [(past.slot, past.outcome) for past in step.ledger.past] == [(s(10), Outcome.UNFINISHED)]
    assert decide(rules(), step.ledger, s(15)) == Wait(s(20))

    again = decide(rules(unfinished="rerun"), dead, s(15))
    assert again == Start(s(10), attempt=2)
    book = claimed(dead, again, 9, "b", s(15))
    assert book.open is not None
    assert (book.open.attempt, book.open.token, book.open.identity, book.slot) == (2, 9, "b", s(10))
    assert [(past.attempt, past.token, past.outcome) for past in book.past] == [(1, 7, Outcome.UNFINISHED)]


def test_work_that_kills_every_leader_is_given_up() -> None:
    rerun = rules(unfinished="rerun")
    book = ledger()
    for attempt in range(1, ATTEMPTS + 1):
        step = decide(rerun, book, s(15))
        assert step == Start(s(10), attempt)
        book = claimed(book, step, attempt, "a", s(15))
    step = decide(rerun, book, s(15))
    assert isinstance(step, Rewrite)
    assert step.why is Correction.ABANDONED


def test_each_correction_has_its_text() -> None:
    dead = began(Start(s(10)), at=10)
    said = {text.format(before=dead, now=replace(dead, spec="every 3 s")) for text in CORRECTIONS.values()}
    assert {*CORRECTIONS} == {*Correction}
    assert f"{dead.open and dead.open.identity} left it unfinished; it is not run again" in said
    assert len(said) == len(Correction)


def test_a_failure_is_tried_again_with_growing_pauses() -> None:
    patient = rules(retries=2, backoff=3, overlap="skip")
    book = ended(patient, began(Start(s(10)), at=10), s(11), "Boom: no\nsecond line")
    assert book.past[-1].error == "Boom: no"
    assert decide(patient, book, s(13.9)) == Wait(s(14))
    assert decide(patient, book, s(14)) == Start(s(10), 2)
    book = ended(patient, claimed(book, Start(s(10), 2), 8, "b", s(14)), s(15), "again")
    assert decide(patient, book, s(20)) == Wait(s(21))
    book = ended(patient, claimed(book, Start(s(10), 3), 8, "b", s(21)), s(22), "at last")
    assert book.open is None
    assert [past.outcome for past in book.past] == [Outcome.FAILED] * 3
    assert decide(patient, book, s(22)) == Wait(s(30)), "20 came due meanwhile, and is passed over"


def test_the_pause_has_a_limit() -> None:
    book = began(Start(s(10), 9), at=10)
    book = ended(rules(retries=9, backoff=86400), book, s(11), "no")
    assert book.open is not None
    assert book.open.again_at == s(11) + LONGEST_BACKOFF


@pytest.mark.parametrize(("overlap", "then"), [("skip", Wait(s(40))), ("queue", Start(s(30)))])
def test_slots_that_come_due_during_a_run(overlap: str, then: object) -> None:
    overlapping = rules(overlap=overlap)
    book = ended(overlapping, began(Start(s(10)), at=10, slot=0), s(35), None)
    assert decide(overlapping, book, s(35)) == then


def test_slots_that_have_not_come_due_by_their_jitter_are_not_passed_over() -> None:
    jittery = rules(jitter=8, overlap="skip")
    due = jittery.due(s(20))
    assert s(21) < due < s(28), "the case that is meant"
    asked = began(Start(s(20) + 1, manual=True), at=20, slot=10)
    book = ended(jittery, asked, due - 1, None)
    assert decide(jittery, book, due - 1) == Wait(due)
    assert decide(jittery, book, due) == Start(s(20))
    assert ended(jittery, asked, due, None).slot == s(20), "it came due during the run"


def test_each_of_a_thousand_slots_with_jitter_runs() -> None:
    hourly = JobSettings("job", Every(3600), jitter=1800)
    book, now, ran = Ledger(hourly.trigger.spec, 0), 0, []
    while now < s(1000 * 3600):
        match decide(hourly, book, now):
            case Start(slot) as start:
                ran.append(slot)
                book = ended(hourly, claimed(book, start, 1, "a", now), now + s(900), None)
            case Wait(until):
                assert until is not None
                now = until
    assert ran == [s(3600 * place) for place in range(1, len(ran) + 1)]
    assert len(ran) >= 999


def test_a_jitter_over_many_slots_is_looked_at_in_part() -> None:
    jittery = JobSettings("job", Every(0.1), jitter=86400)
    book = ended(jittery, began(Start(0, manual=True), at=0), s(10**6), None)
    assert s(10**6 - 86400) <= book.slot < s(10**6 - 86400 + 500), "5,000 of 864,000"
    assert jittery.due(book.slot + 100) > s(10**6)


def test_a_short_run_passes_nothing_over() -> None:
    book = ended(rules(overlap="skip"), began(Start(s(10)), at=10), s(12), None)
    assert (book.slot, book.open, book.past[-1].outcome) == (s(10), None, Outcome.DONE)


def test_a_run_that_was_asked_for_is_no_slot() -> None:
    book = began(Start(s(12), manual=True), at=12)
    assert book.slot == 0
    assert book.open is not None
    assert book.open.manual
    assert decide(rules(unfinished="rerun"), book, s(13)) == Start(s(12), 2, manual=True)
    book = ended(rules(), book, s(13), None)
    assert decide(rules(), book, s(13)) == Start(s(10))


def test_another_trigger_starts_from_now() -> None:
    changed = JobSettings("job", Every(3), missed="all", overlap="queue")
    step = decide(changed, ledger(10), s(100))
    assert isinstance(step, Rewrite)
    assert (step.ledger.spec, step.ledger.slot, step.why) == ("every 3 s", s(100), Correction.RETRIGGERED)
    assert decide(changed, step.ledger, s(100)) == Wait(s(102))
    # Not back in time, if the clock is a little behind.
    behind = decide(changed, ledger(105), s(100))
    assert isinstance(behind, Rewrite)
    assert behind.ledger.slot == s(105)


def test_a_ledger_in_the_future_is_told_of_and_comes_back() -> None:
    """Whoever wrote it had a clock that was an hour ahead. Nothing is run until then, unless somebody decides so."""
    now, book = s(20), ended(rules(), began(Start(s(3620)), at=3620), s(3621), None)
    assert decide(rules(), book, now) == Wait(s(3630), ahead=s(3600))
    back = reset(book, now)
    assert decide(rules(), back, now) == Wait(s(30))
    assert back.past == book.past
    changed = decide(JobSettings("job", Every(3)), book, now)
    assert isinstance(changed, Rewrite)
    assert changed.ledger == replace(back, spec="every 3 s")


def test_an_attempt_in_the_future_comes_back_with_its_ledger() -> None:
    patient = rules(retries=1)
    book = ended(patient, began(Start(s(3620)), at=3620), s(3621), "no")
    assert decide(patient, book, s(20)) == Wait(s(3622), ahead=s(3600))
    again = decide(patient, reset(book, s(20)), s(20))
    assert again == Start(s(3620), 2)
    assert claimed(reset(book, s(20)), again, 8, "b", s(20)).slot == s(20), "it does not take the ledger with it"
    under_way = began(Start(s(3620)), at=3620)
    assert reset(under_way, s(20)).open == under_way.open


def test_two_clocks_that_are_right_are_no_future() -> None:
    assert (ahead(s(20) + AHEAD, s(20)), ahead(s(21) + AHEAD, s(20))) == (0, AHEAD + s(1))
    assert reset(ledger(25), s(20)).slot == s(25), "what may have been run is not run again"
    assert reset(ledger(0), s(20)).slot == s(20), "what was missed is passed over"


def test_another_way_to_write_a_trigger_is_no_other_trigger() -> None:
    """Ledgers of old have six digits of the interval."""
    long = JobSettings("job", Every(1234567))
    step = decide(long, Ledger("every 1.23457e+06 s", s(1234567)), s(3 * 1234567 + 1))
    assert isinstance(step, Rewrite)
    assert (step.ledger, step.why) == (Ledger("every 1234567 s", s(1234567)), Correction.RESPELLED)
    assert decide(long, step.ledger, s(3 * 1234567 + 1)) == Start(s(3 * 1234567)), "what was missed is made up for"


@pytest.mark.parametrize("slot", [10, 0, -10])
def test_a_slot_that_is_not_later_than_the_ledgers_is_not_claimed(slot: int) -> None:
    with pytest.raises(SlotTaken, match="not later than 10000"):
        claimed(ledger(10), Start(s(slot)), 1, "a", s(20))
    with pytest.raises(SlotTaken):
        claimed(began(Start(s(10)), at=10), Start(s(10), 3), 1, "a", s(20))
    assert claimed(ledger(10), Start(s(slot), manual=True), 1, "a", s(20)).slot == s(10)


def test_a_trigger_that_goes_back_runs_nothing_twice() -> None:
    """As a cron expression once did, in the night in which an hour comes twice."""

    class Back(Every):
        def latest(self, after: int, now: int) -> int | None:
            return s(10)

    back = JobSettings("job", Back(10))
    step = decide(back, ledger(10), s(30))
    assert step == Start(s(10))
    with pytest.raises(SlotTaken):
        claimed(ledger(10), step, 1, "a", s(30))


def test_what_a_decision_costs_does_not_depend_on_what_was_missed() -> None:
    class Counting(Every):
        asked = 0

        def next(self, after: int) -> int | None:
            self.asked += 1
            return super().next(after)

        def latest(self, after: int, now: int) -> int | None:
            self.asked += 1
            return super().latest(after, now)

    million = 10**6
    for missed, slot in (("latest", million), ("all", 1), ("skip", million)):
        every = Counting(10)
        how = JobSettings("job", every, missed=missed, overlap="queue")  # type: ignore[arg-type]
        book = ledger()
        step = decide(how, book, s(10 * million))
        assert step == Start(s(10 * slot))
        assert every.asked == 1
        after = claimed(book, step, 1, "a", s(10 * million))
        assert len(encode(after)) < 300, "and so does the ledger"


def test_a_trigger_that_is_never_due_again_is_waited_for() -> None:
    class Once(Every):
        def next(self, after: int) -> int | None:
            return None

        def latest(self, after: int, now: int) -> int | None:
            return None

    once = JobSettings("job", Once(10))
    assert decide(once, ledger(), s(100)) == Wait(None)
    assert due(once, ledger(), s(100)) is None


def test_the_past_is_bounded() -> None:
    book = ledger()
    for place in range(KEPT + 5):
        book = ended(rules(), claimed(book, Start(s(10 * place + 10)), place, "a", 0), 0, "x" * 1000)
    assert len(book.past) == KEPT
    assert book.past[-1].token == KEPT + 4
    assert {len(past.error) for past in book.past} == {ERROR_LENGTH}
    assert len(encode(book)) < 16_000


def test_the_ledger_survives_its_znode() -> None:
    book = ended(rules(retries=1), began(Start(s(10)), at=10), s(11), "no")
    assert decode(encode(book), "/e/jobs/x") == book
    assert decode(encode(ledger()), "/e/jobs/x") == ledger()


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"null", b'{"spec":"x"}', b'{"spec":"x","slot":"y","open":null,"past":[]}',
     b'{"spec":"x","slot":1,"open":{"new":1},"past":[]}', b'{"spec":"x","slot":1,"open":null,"past":[{}]}', b"\xff"],
)  # fmt: skip
def test_a_strangers_ledger_is_refused(data: bytes) -> None:
    with pytest.raises(LedgerError, match=r"^/e/jobs/x is not a job's ledger: "):
        decode(data, "/e/jobs/x")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"missed": "some"}, "missed='some' cannot be used; give one of 'latest', 'all', 'skip'"),
        ({"unfinished": "x"}, "unfinished"),
        ({"overlap": "x"}, "overlap"),
        ({"missed": "all", "overlap": "skip"}, "overlap='queue'"),
        ({"window": 0}, "window=0"),
        ({"timeout": -1}, "timeout=-1"),
        ({"jitter": -1}, "jitter"),
        ({"backoff": float("nan")}, "backoff"),
        ({"retries": ATTEMPTS}, "retries"),
        ({"retries": -1}, "retries"),
    ],
)
def test_rules_that_cannot_be_used(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        rules(**given)


def test_an_option_is_the_same_for_who_gives_it_and_for_who_goes_by_it() -> None:
    """Types, defaults and docstring stand in one file; this holds them together."""
    fields = dict(list(inspect.signature(JobSettings).parameters.items())[2:])
    assert {name: field.annotation for name, field in fields.items()} == {
        name: written.__forward_arg__ for name, written in JobOptions.__annotations__.items()
    }
    explained = re.findall(r"^ {4}(\w+): .*?Default: (\S+)\.$", inspect.getdoc(JobOptions) or "", re.S | re.M)
    assert explained == [(name, repr(field.default)) for name, field in fields.items()]


def test_what_had_failed_is_recorded_once() -> None:
    book = ended(rules(retries=1), began(Start(s(10)), at=10), s(11), "no")
    book = claimed(book, Start(s(10), 2), 8, "b", s(12))
    assert [past.outcome for past in book.past] == [Outcome.FAILED]
    assert replace(book, open=None).past == book.past


def test_when_the_next_attempt_is_due() -> None:
    waiting = replace(began(Start(s(20)), 21), open=Open(s(20), 1, 7, "a", s(21), again_at=s(25)))
    assert due(rules(), ledger(10), s(12)) == s(20), "not yet"
    assert due(rules(missed="all"), ledger(10), s(47)) == s(20), "since then"
    assert due(rules(), waiting, s(22)) == s(25), "once more"
    assert due(rules(), waiting, s(26)) == s(26)
    assert due(rules(), replace(ledger(10), spec="every 3 s"), s(12)) == s(12), "it is written first"


def test_a_ledger_knows_when_an_attempt_last_succeeded() -> None:
    book = began(Start(s(20)), 21).close(Outcome.DONE, s(22))
    assert (book.done, decode(encode(book), "/j").done) == (s(22), s(22))
    for slot in range(30, 30 + 10 * (KEPT + 1), 10):
        book = claimed(book, Start(s(slot)), 7, "a", s(slot)).close(Outcome.FAILED, s(slot + 1), "no")
    assert decode(encode(book), "/j").done == s(22), "however long ago"
    older = json.loads(encode(began(Start(s(20)), 21).close(Outcome.DONE, s(22))))
    del older["done"]
    assert decode(json.dumps(older).encode(), "/j").done == s(22), "a version that keeps the past only"
