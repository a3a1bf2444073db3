"""The texts about ends: each end has its own, and nothing but people reads them."""

from __future__ import annotations

import logging

import pytest

from leader_async.election.reporting import REMARKS, Reporter
from leader_async.election.rules import ends, words
from leader_async.election.rules import history as h
from leader_async.election.rules import record as r
from leader_async.election.rules.effects import Remark
from leader_async.election.rules.ends import Detail, End, Why
from leader_async.election.rules.history import Teller, TermEntry

from .stage import Stage

GONE = "NoNode (ZooKeeper error -101)"
NO_SERVER = End(Why.LEASE_RAN_OUT, Detail.NO_SERVER, "refused", seconds=7.25)


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        (ends.RESIGNED, "resigned"),
        (ends.RESIGNED_WHILE_CLAIMING, "resigned while claiming"),
        (ends.TRANSFERRED, "handed over by name"),
        (End(Why.WORK_FAILED, text="OSError: {no} space"), "the work failed: OSError: {no} space"),
        (ends.refused(0, -101), f"a confirm was refused: our znode is gone ({GONE})"),
        (ends.refused(1, -101), f"a confirm was refused: the record is at another version ({GONE})"),
        (ends.DELETED, "our znode was deleted by somebody else"),
        (ends.LEASE_RAN_OUT, "the lease ran out before a confirm was answered"),
        (NO_SERVER, "the lease ran out before a confirm was answered: no server was connected for 7.2 s; refused"),
        (ends.BUG, "the candidacy has died of a bug"),
    ],
)
def test_why_an_own_term_is_over(end: End, sentence: str) -> None:
    assert words.sentence(end) == sentence
    assert words.over(7, end) == f"term 7 is over: {sentence}"


def test_every_end_has_its_texts() -> None:
    said = [words.sentence(End(why)) for why in Why] + [words.sentence(End(Why.OTHER, one)) for one in Detail]
    assert len({*said}) == len(said)
    assert {*words.OTHERS} == {*Why}


@pytest.mark.parametrize("end", [*(End(why) for why in Why), *(End(Why.OTHER, detail) for detail in Detail), NO_SERVER])
def test_no_label_and_no_decision_depends_on_a_text(
    end: End, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> tuple[object, ...]:
        entry = h.ended(TermEntry(7), end, 5.0, Teller.HOLDER)
        record = r.decode(r.encode(r.Record(7, "u-n_1", r.LeadState.LEFT, 3.0, end=end)), 1, "/e")
        (of_record,) = h.in_record(record, 7, 5.0)
        caplog.clear()
        Reporter("x", Stage().candidacy).stopped(None, end, ran_out=False)
        (line,) = caplog.records
        label = [getattr(line, name) for name in ("event", "why")]
        entries = [(one.why, one.told_by, one.put_right) for one in (entry, of_record)]
        return record.end and record.end.why, record.put_right, label, entries

    caplog.set_level(logging.INFO, "leader_async.election")
    before = told()
    for table in ("DETAILS", "OWN", "OTHERS"):
        monkeypatch.setattr(words, table, dict.fromkeys(vars(words)[table], "resigned"))
    assert told() == before


def test_every_remark_of_the_rules_has_its_line() -> None:
    assert {*REMARKS} == {*Remark}
    assert {event for _, event, _ in REMARKS.values()} == {
        "place_lost", "healed", "record_unreadable", "record_readable", "made_anew", "refused",
    }  # fmt: skip
