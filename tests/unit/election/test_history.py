"""What goes into the history, and what several who tell of one term make of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leader_async.election.rules import ends
from leader_async.election.rules import history as h
from leader_async.election.rules import record as r
from leader_async.election.rules.ends import Detail, End, Why
from leader_async.election.rules.history import Succession, Teller, TermEntry

LEFT = r.Record(7, "u-n_1", r.LeadState.LEFT, 3.0, "alice", "http://alice", end=ends.RESIGNED)
HELD = r.Record(7, "u-n_1", r.LeadState.HELD, 3.0, "alice", "http://alice")
PLAIN = Succession(
    began=1000.0,
    known_at=50.0,
    before=LEFT,
    before_at=999.98,
    before_token=70,
    appointed=False,
    waited=0.0,
    predecessor=None,
)

reasons = st.builds(End, st.sampled_from(Why), st.sampled_from([None, *Detail]), st.text(max_size=8))
instants = st.floats(1e9, 2e9)


@st.composite
def entries(draw: st.DrawFn) -> TermEntry:
    """What somebody tells of a term; a term has one token, and one holder."""
    term = draw(st.integers(1, 6))
    known = draw(st.booleans())
    entry = TermEntry(term, term * 10 if known else 0, f"r{term}" if known else "", "", term * 100.0 if known else 0.0)
    if draw(st.booleans()):
        teller = draw(st.sampled_from([teller for teller in Teller if teller is not Teller.NOBODY]))
        entry = h.ended(entry, draw(reasons), draw(instants), teller)
    return entry


@pytest.mark.parametrize(
    ("end", "why", "detail"),
    [
        (ends.RESIGNED, "resigned", ""),
        (ends.TRANSFERRED, "transferred", ""),
        (ends.STOPPED, "stopped", ""),
        (ends.CONNECTION_CLOSED, "connection closed", ""),
        (End(Why.WORK_FAILED, text="OSError: no space\nTraceback"), "work failed", "OSError: no space"),
        (ends.WORK_DONE, "work done", ""),
        (ends.PROCESS_DIED, "process died", ""),
        (ends.SESSION_EXPIRED, "session expired", ""),
        (ends.DELETED, "place lost", "by somebody else"),
        (ends.RESIGNED_WHILE_CLAIMING, "resigned", "while claiming"),
        (ends.LEASE_RAN_OUT, "lease ran out", "before a confirm was answered"),
        (ends.BUG, "other", "the candidacy has died of a bug"),
    ],
)
def test_an_end_is_kept_as_a_word_and_a_detail(end: End, why: str, detail: str) -> None:
    entry = h.ended(TermEntry(1), end, 1.0, Teller.HOLDER)
    assert (entry.why, entry.detail) == (why, detail)


def test_a_long_detail_is_cut() -> None:
    entry = h.ended(TermEntry(1), End(Why.WORK_FAILED, text="x" * 5000), 1.0, Teller.HOLDER)
    assert len(entry.detail) == r.WHY_LIMIT


def test_who_left_says_why_in_the_record() -> None:
    entry = h.predecessor(8, PLAIN)
    assert entry == TermEntry(7, 0, "alice", "http://alice", 0.0, 999.98, "resigned", "", "holder")


def test_an_appointment_says_why_and_when_in_one() -> None:
    to_us = r.Record(8, "u-n_2", r.LeadState.HELD, 3.0, end=End(Why.WORK_FAILED, text="oops"))
    entry = h.predecessor(8, replace(PLAIN, before=to_us, before_at=1000.0, appointed=True, predecessor=HELD))
    assert entry == TermEntry(7, 0, "alice", "http://alice", 0.0, 1000.0, "work failed", "oops", "holder")


def test_a_guardian_tells_for_a_process_that_died() -> None:
    entry = h.predecessor(8, replace(PLAIN, before=replace(LEFT, end=ends.PROCESS_DIED)))
    assert entry is not None
    assert (entry.why, entry.told_by) == ("process died", "guardian")


def test_who_only_found_a_znode_gone_knows_the_latest_instant() -> None:
    entry = h.predecessor(8, replace(PLAIN, before=HELD, waited=3.4))
    assert entry is not None
    assert (entry.ended, entry.told_by) == (999.6, "successor"), "0.4 s less than nobody can have led"
    assert entry.why == "session expired or machine lost"


def test_a_record_that_was_put_right_says_so() -> None:
    right = replace(HELD, identity=r.NOBODY, end=ends.PUT_RIGHT)
    entry = h.predecessor(8, replace(PLAIN, before=right, waited=3.3))
    assert entry is not None
    assert (entry.identity, entry.why, entry.detail, entry.told_by) == ("nobody", "other", r.PUT_RIGHT, "successor")
    (stands,) = h.in_record(right, 70, 1000.0)
    assert (stands.ended, stands.why, stands.put_right, entry.put_right) == (None, "", True, True)
    assert h.decode(h.encode([stands])) == [stands]
    assert not h.in_record(replace(right, end=None), 70, 1000.0)[0].put_right, "a candidate of that name"


def test_what_was_not_read_is_not_known() -> None:
    entry = h.predecessor(8, replace(PLAIN, before=None, predecessor=HELD))
    assert entry == TermEntry(7, 0, "alice", "http://alice", 0.0, 1000.0, "left", "", "successor")
    silent = h.predecessor(8, replace(PLAIN, before=replace(LEFT, end=None, identity="")))
    assert silent == TermEntry(7, 0, "", "", 0.0, 999.98, "left", "", "holder"), "an older version left"
    other = h.predecessor(8, replace(PLAIN, before=None, predecessor=replace(HELD, term=5)))
    assert other is not None
    assert other.identity == ""


def test_the_first_term_has_none_before_it() -> None:
    assert h.predecessor(1, replace(PLAIN, before=r.Record())) is None
    assert h.predecessor(9, replace(PLAIN, before=r.Record())) is None


def test_the_time_without_a_leader_is_from_an_end_to_the_next_beginning() -> None:
    first = h.ended(TermEntry(1, 10, "a", "", 100.0), ends.RESIGNED, 110.0, Teller.HOLDER)
    second = h.ended(TermEntry(2, 20, "b", "", 110.25), ends.LOST, 120.0, Teller.SUCCESSOR)
    third = h.ended(TermEntry(3, 30, "c", "", 119.9), ends.RESIGNED, 130.0, Teller.HOLDER)
    fifth = TermEntry(5, 50, "d", "", 131.0)
    got = h.complete(h.decode(h.encode([first, second])), [third, fifth])
    assert [entry.leaderless_ms for entry in got] == [250, 0, None, None]
    assert [entry.at_least for entry in got] == [False, True, False, False]


# -- what the record tells ---------------------------------------------------------------------------------------------

SIXTH, SEVENTH = TermEntry(6, 60, "zoe", "", 900.0), TermEntry(7, 70, "alice", "", 950.0)


def stored(record: r.Record) -> r.Record:
    """The record as it is read again."""
    return r.decode(r.encode(record), 1 if record.state is r.LeadState.LEFT else 2, "/e")


def test_an_appointment_tells_of_the_term_that_it_ends_and_of_the_one_that_it_begins() -> None:
    record = r.Record(8, "u-n_2", r.LeadState.HELD, 3.0, end=ends.RESIGNED, token=71, past=h.rows([SIXTH, SEVENTH]))
    told = h.in_record(stored(record), 71, 1000.0, "bob", "http://bob")
    assert told == [
        SIXTH,
        h.ended(SEVENTH, ends.RESIGNED, 1000.0, Teller.HOLDER),
        TermEntry(8, 71, "bob", "http://bob", 1000.0),
    ]


def test_a_leave_tells_of_the_term_that_it_ends() -> None:
    told = h.in_record(stored(replace(LEFT, past=h.rows([SEVENTH]))), 0, 1000.0)
    assert told == [h.ended(SEVENTH, ends.RESIGNED, 1000.0, Teller.HOLDER)]
    assert h.in_record(LEFT, 0, 1000.0) == [TermEntry(7, ended=1000.0, why="resigned", told_by="holder")]


def test_a_guardian_s_leave_tells_that_it_was_one() -> None:
    (entry,) = h.in_record(replace(LEFT, end=ends.PROCESS_DIED, past=h.rows([SEVENTH])), 0, 1000.0)
    assert (entry.identity, entry.why, entry.told_by) == ("alice", "process died", "guardian")


def test_a_claim_on_one_that_said_nothing_shows_that_it_had_ended_until_somebody_knows_better() -> None:
    record = replace(HELD, term=8, identity="bob", past=h.rows([SEVENTH]))
    lost, own = h.in_record(stored(record), 80, 1000.0)
    assert own == TermEntry(8, 80, "bob", "http://alice", 1000.0)
    assert (lost.ended, lost.why, lost.told_by) == (1000.0, "session expired or machine lost", "")
    known = h.ended(SEVENTH, ends.LOST, 999.6, Teller.SUCCESSOR)
    first, _ = h.complete([known], [lost, own])
    assert (first.ended, first.leaderless_ms, first.at_least) == (999.6, 400, True)
    first, _ = h.complete([lost, own])
    assert (first.leaderless_ms, first.at_least) == (0, True)


def test_a_claim_on_a_leave_adds_only_its_own_term() -> None:
    seventh = h.ended(SEVENTH, ends.RESIGNED, 999.0, Teller.HOLDER)
    record = replace(HELD, term=8, identity="bob", past=h.rows([seventh]))
    assert h.in_record(record, 80, 1000.0) == [seventh, TermEntry(8, 80, "bob", "http://alice", 1000.0)]


def test_nothing_is_told_before_the_first_claim_nor_by_rows_that_are_none() -> None:
    assert h.in_record(r.Record(), 0, 1000.0) == []
    bad: tuple[r.Row, ...] = ({}, {"term": 0}, {"term": "x"}, {"term": 3, "began": float("nan")})
    assert [entry.term for entry in h.in_record(replace(HELD, past=bad), 70, 1000.0)] == [7]
    assert r.decode(r.encode(HELD)[:-1] + b',"past":[1,"x",{"term":3}]}', 2, "/e").past == ({"term": 3},)


def test_a_holder_knows_what_it_was_told_how_that_ended_and_its_own_term() -> None:
    before = replace(LEFT, past=h.rows([SIXTH, SEVENTH]))
    told = h.of_term(8, 80, "bob", "", replace(PLAIN, before=before))
    sixth, seventh, own = told
    assert (sixth, own) == (SIXTH, TermEntry(8, 80, "bob", "", 1000.0))
    assert (seventh.token, seventh.began, seventh.ended, seventh.why) == (70, 950.0, 999.98, "resigned")
    assert [entry.term for entry in h.of_term(8, 80, "bob", "", replace(PLAIN, before=None))] == [7, 8]
    assert [entry.term for entry in h.of_term(1, 80, "bob", "", replace(PLAIN, before=r.Record()))] == [1]


def test_whether_the_next_one_will_find_it_in_the_record() -> None:
    assert h.known_by_record(PLAIN)
    assert h.known_by_record(replace(PLAIN, before=r.Record()))
    assert h.known_by_record(replace(PLAIN, before=HELD, appointed=True))
    assert not h.known_by_record(replace(PLAIN, before=HELD, waited=3.4))
    assert not h.known_by_record(replace(PLAIN, before=None))


def test_the_record_passes_on_the_latest_terms_only() -> None:
    rows = h.rows([TermEntry(number) for number in range(1, 40)])
    assert len(rows) == r.ROWS
    assert rows[-1] == {"term": 39}


def test_of_two_ends_the_better_witness_counts() -> None:
    guess = h.ended(TermEntry(1), ends.LOST, 110.0, Teller.SUCCESSOR)
    own = h.ended(TermEntry(1, 10, "a"), ends.LEASE_RAN_OUT, 105.0, Teller.HOLDER)
    for told in ([guess, own], [own, guess]):
        (entry,) = h.merged(told, ())
        assert (entry.ended, entry.why, entry.identity) == (105.0, "lease ran out", "a")


def test_terms_that_are_counted_anew_replace_the_old_ones() -> None:
    old, new = TermEntry(1, 10, "old"), TermEntry(1, 99, "new")
    assert h.merged([old], [new]) == h.merged([new], [old]) == [new]


@given(st.lists(entries(), max_size=6), st.lists(entries(), max_size=6), st.lists(entries(), max_size=6))
def test_the_order_in_which_it_is_told_does_not_matter(
    one: list[TermEntry], two: list[TermEntry], three: list[TermEntry]
) -> None:
    assert h.merged(one, two) == h.merged(two, one)
    assert h.merged(h.merged(one, two), three) == h.merged(one, h.merged(two, three))
    assert h.merged(h.merged(one, two), two) == h.merged(one, two)


@given(st.lists(entries(), max_size=20))
def test_what_is_written_is_read(told: list[TermEntry]) -> None:
    known = h.merged(told, ())
    assert h.merged(h.decode(h.encode(known)), ()) == known


@given(st.integers(0, 300), st.text(max_size=500))
def test_it_is_bounded_and_the_latest_terms_are_kept(count: int, identity: str) -> None:
    known = [TermEntry(number, number, identity, "x" * 300) for number in range(1, count + 1)]
    data = h.encode(h.merged(known, ()))
    assert len(data) <= h.LARGEST
    kept = h.decode(data)
    assert kept == known[count - len(kept) :]
    assert len(kept) <= h.TERMS


def test_one_term_that_is_too_large_is_not_kept() -> None:
    assert h.encode([TermEntry(1, identity="x" * h.LARGEST)]) == b"[]"


@given(st.binary(max_size=50))
def test_no_bytes_break_it(data: bytes) -> None:
    h.decode(data)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8), st.lists))
def test_no_json_breaks_it(value: object) -> None:
    row = dict.fromkeys(("term", "token", "identity", "address", "began", "ended", "why", "detail", "told_by"), value)
    for data in (value, [value], [row], [{**row, "term": 1}], [{"term": 1, "told_by": value, "began": 1.0}]):
        for entry in h.decode(json.dumps(data).encode()):
            assert h.decode(h.encode([entry]))


def test_what_makes_no_sense_is_left_out() -> None:
    for row in ('{"term": 0}', '{"term": 1, "began": NaN}', '{"term": 1, "ended": Infinity}', '{"term": "x"}', "7"):
        assert h.decode(f"[{row}]".encode()) == []
