"""Who stood in the queue and does so no more."""

from __future__ import annotations

from leader_async import TermEntry
from leader_async.web.missing import FORGET, MOST, Missed, Missing

A, B, C = ("a", "http://a"), ("b", ""), ("c", "http://c")


def test_who_goes_is_missing_until_it_is_back() -> None:
    missing = Missing()
    missing.stands([A, B, C], 100.0)
    assert missing.now(100.0) == []
    missing.stands([A, C], 150.0)
    missing.stands([A], 160.0)
    assert missing.now(160.0) == [Missed("b", "", 150.0), Missed("c", "http://c", 160.0)]
    missing.stands([A, B], 170.0)
    assert missing.now(170.0) == [Missed("c", "http://c", 160.0)]
    missing.stands([], 180.0)
    assert [one.identity for one in missing.now(180.0)] == ["c", "a", "b"]


def test_who_went_while_nobody_looked_was_last_seen_before() -> None:
    missing = Missing()
    missing.stands([A, B], 100.0)
    missing.unknown(110.0)
    missing.unknown(120.0)
    missing.stands([A], 500.0)
    assert missing.now(500.0) == [Missed("b", "", 110.0)]
    missing.stands([], 510.0)
    assert missing.now(510.0)[-1] == Missed("a", "http://a", 510.0), "it is followed again"


def test_a_leader_that_died_is_missing_though_nobody_followed() -> None:
    missing = Missing()
    terms = [
        TermEntry(1, 10, "a", "http://a", 50.0, 60.0, "process died"),
        TermEntry(2, 20, "b", "", 60.0, 70.0, "resigned"),
        TermEntry(3, 30, "c", "http://c", 70.0, 80.0, "session expired or machine lost"),
        TermEntry(4, 40, "", "", 80.0, 90.0, "session expired"),
        TermEntry(5, 50, "d", "", 90.0),
    ]
    missing.read(terms)
    missing.stands([C, ("d", "")], 100.0)
    assert missing.now(100.0) == [Missed("a", "http://a", 60.0)]
    missing.read(terms)
    assert missing.now(100.0) == [Missed("a", "http://a", 60.0)], "c is back"


def test_they_are_forgotten_after_some_time_and_not_too_many_are_kept() -> None:
    missing = Missing()
    missing.stands([A], 0.0)
    missing.stands([], 10.0)
    assert missing.now(9.9 + FORGET)
    assert missing.now(10.0 + FORGET) == []
    missing.stands([(str(number), "") for number in range(2 * MOST)], 20.0)
    for number in range(2 * MOST):
        missing.stands([(str(left), "") for left in range(number + 1, 2 * MOST)], 30.0 + number)
    assert [one.identity for one in missing.now(99.0)] == [str(number) for number in range(MOST, 2 * MOST)]
