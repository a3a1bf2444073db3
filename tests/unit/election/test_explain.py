"""What is said of a move of the lead."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leader_async import TermEntry
from leader_async.election.rules import explain as moves
from leader_async.election.rules import record as r


def test_the_nearest_move_is_found_and_bounds_are_called_bounds() -> None:
    one = TermEntry(1, 10, "a", "", 100.0, 200.0, "work failed", "oops", "holder", 250)
    two = TermEntry(2, 20, "b", "", 200.25, 900.0, "session expired or machine lost", "", "successor", 300, True)
    three = TermEntry(3, 30, "c", "", 900.3)
    terms = [one, two, three]
    assert moves.nearest([], None) is None
    assert moves.nearest([three], 5.0) is None
    assert moves.nearest(terms, None) == (two, three)
    assert moves.nearest(terms, 300.0) == (one, two)
    assert moves.nearest(terms[:1], 300.0) == (one, None)
    say = "@{:g}".format
    assert moves.explained(one, two, 210.0, lambda at: say(at or 0)) == (
        "a, term 1, had stopped leading at @200: its work failed (oops). "
        "b leads from @200.25 on, term 2; nobody led for 250 ms."
    )
    told = moves.explained(two, three, 5000.0, lambda at: say(at or 0))
    assert told.startswith("Leadership did not move at @5000; the nearest move: b, term 2, had stopped leading by @900")
    assert told.endswith("nobody led for at least 300 ms.")
    assert moves.explained(one, None, None, str).endswith("Nobody has led since, as far as is written down.")
    assert moves.explained(TermEntry(1, ended=2.0, why="?"), three, None, str).endswith("is not known.")


def test_a_record_that_was_put_right_is_no_leader() -> None:
    one = TermEntry(1, 10, "a", "", 100.0, 200.0, "work failed", "", "holder", 100_000)
    right = TermEntry(2, 20, r.NOBODY, "", 300.0, detail=r.PUT_RIGHT)
    say = "@{:g}".format
    assert moves.explained(one, right, None, lambda at: say(at or 0)) == (
        "a, term 1, had stopped leading at @200: its work failed. Then the record could not be read. "
        "It was put right at @300, as term 2: nobody leads from then on until a lease is waited out."
    )
    over, after = replace(right, ended=303.0, why="other"), TermEntry(3, 30, "b", "", 303.3)
    assert moves.explained(over, after, None, lambda at: say(at or 0)) == (
        "The record could not be read. It was put right at @300, as term 2: nobody led, and a lease was waited out. "
        "b leads from @303.3 on, term 3; nobody led for at least 3.3 s."
    )


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 ms"), (0.004, "4 ms"), (0.9994, "999 ms"), (1, "1.0 s"), (9.94, "9.9 s"), (15.072, "15 s"), (89, "89 s"),
     (90, "2 min"), (5399, "90 min"), (5400, "2 h"), (129599, "36 h"), (259200, "3 days")],
)  # fmt: skip
def test_a_length_of_time(seconds: float, said: str) -> None:
    assert moves.span(seconds) == said
