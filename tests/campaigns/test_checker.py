"""The judge on hand-written histories: it must see what is wrong, and only that."""

from __future__ import annotations

import math

from .checker import Trouble, Verdict, gaps_between, judge, outages_between
from .history import History, Stretch, Unit, read

GOOD = History([Stretch("a", 0, 5, 7), Stretch("b", 5.2, 9, 9), Stretch("a", 9.3, 12, 12)])


def of(*stretches: Stretch, units: tuple[Unit, ...] = (), troubles: tuple[Trouble, ...] = ()) -> Verdict:
    return judge(History(list(stretches), list(units)), troubles)


def test_a_good_history_is_clean() -> None:
    verdict = judge(GOOD, [Trouble("kill", 4, 4, 2, 9)])
    assert verdict.clean
    assert [round(gap, 6) for gap in verdict.leaderless["kill"]] == [0.2]


def test_two_leaders_are_seen_with_the_seconds_they_share() -> None:
    verdict = of(Stretch("a", 0, 5, 7), Stretch("b", 3, 9, 9), Stretch("c", 8.5, 8.75, 11))
    assert [(one.replica, other.replica) for one, other, _ in verdict.overlaps] == [("a", "b"), ("b", "c")]
    assert verdict.overlap == 2.25
    assert not verdict.clean


def test_an_overlap_of_one_instant_counts() -> None:
    assert not of(Stretch("a", 0, 5, 7), Stretch("b", 5, 9, 9)).clean


def test_a_long_stretch_meets_all_that_begin_inside_it() -> None:
    assert len(of(Stretch("a", 0, 50, 7), Stretch("b", 3, 4, 9), Stretch("c", 10, 11, 12)).overlaps) == 2


def test_one_replica_does_not_overlap_itself() -> None:
    assert of(Stretch("a", 0, 5, 7), Stretch("a", 3, 9, 7)).clean


def test_a_token_that_falls_or_has_two_owners_is_seen() -> None:
    assert of(Stretch("a", 0, 5, 9), Stretch("b", 6, 9, 7)).disorder == 1
    assert of(Stretch("a", 0, 5, 9), Stretch("b", 6, 9, 9)).disorder == 1
    assert of(Stretch("a", 0, 5, 0), Stretch("b", 6, 9, 0)).disorder == 0, "no tokens, no order"


def test_work_done_twice_is_seen_and_refused_work_is_none() -> None:
    units = (Unit("a", 1, 7, 1.0), Unit("b", 2, 9, 2.0), Unit("a", 2, 7, 2.5), Unit("a", 3, 7, 2.6, refused=True))
    verdict = of(units=units)
    assert (verdict.doubled, verdict.refused) == (1, 1)


def test_nobody_leading_in_time_is_seen() -> None:
    verdict = of(Stretch("a", 0, 5, 7), Stretch("b", 15, 20, 9), troubles=(Trouble("kill", 5, 6, 5, 20),))
    assert [(trouble.kind, late) for trouble, late in verdict.late] == [("kill", 9)]
    assert verdict.leaderless == {"kill": [10]}


def test_nobody_need_lead_while_the_fault_lasts() -> None:
    assert of(Stretch("a", 0, 5, 7), Stretch("a", 31, 40, 7), troubles=(Trouble("all down", 5, 30, 5, 40),)).clean


def test_lateness_counts_from_when_a_quorum_answers() -> None:
    led = Stretch("a", 0, 5, 7), Stretch("b", 28, 40, 9)
    trouble = Trouble("hears nobody", 5, 17, 8, 40)
    writes = [tenth / 10 for tenth in range(200)] + [22 + tenth / 10 for tenth in range(181)]

    def late(answered: list[float]) -> list[float]:
        return [seconds for _, seconds in judge(History([*led], [], answered), [trouble]).late]

    assert late([]) == [11], "nobody was asked"
    assert late([tenth / 10 for tenth in range(400)]) == [11], "a quorum answered all the time"
    assert late(writes) == [], "none answered for 2.1 s, until 22: 6 s are in time"
    assert late([at for at in writes if at < 19.9]) == [], "none answers any more"
    verdict = judge(History([*led], [], writes), [trouble])
    assert [round(seconds, 6) for seconds in verdict.unanswered["hears nobody"]] == [2.1]


def test_an_outage_that_is_long_over_excuses_nobody() -> None:
    writes = [tenth / 10 for tenth in range(60)] + [9 + tenth / 10 for tenth in range(400)]
    trouble = Trouble("kill", 5, 6, 5, 40)
    verdict = judge(History([Stretch("a", 0, 5, 7), Stretch("b", 30, 40, 9)], [], writes), [trouble])
    assert [seconds for _, seconds in verdict.late] == [21]


def test_outages() -> None:
    assert outages_between([]) == []
    assert outages_between([3.0, 1.0, 2.0, 9.0]) == [(3.0, 9.0), (9.0, math.inf)]


def test_gaps() -> None:
    assert gaps_between([Stretch("a", 0, 5, 7), Stretch("b", 5.05, 7, 9)], 1, 9) == [(7, 9)]
    assert gaps_between([], 1, 9) == [(1, 9)]
    assert gaps_between([Stretch("a", 0, 50, 7)], 1, 9) == []


def test_reading() -> None:
    history = History()
    lines = ["True 1.00 1.01 7\n", "True 1.02 1.03 7\n", "True 1.04 1.05 7\n", "Work 3 7 1.05\n", "True 2.00 2.01 7\n"]
    lines += ["True 2.02 2.03 9\n", "True 2.04 2.05 9\n", "Refused 4 7 2.06\n", "True 2.06 2.0"]
    read("a", lines, history)
    assert history.stretches == [Stretch("a", 1.01, 1.04, 7), Stretch("a", 2.03, 2.04, 9)]
    assert history.units == [Unit("a", 3, 7, 1.05), Unit("a", 4, 7, 2.06, refused=True)]


def test_a_process_that_was_stopped_is_not_said_to_have_led_meanwhile() -> None:
    history = History()
    read("a", ["True 1.00 1.01 7\n", "True 1.02 1.03 7\n", "True 9.00 9.01 7\n", "True 9.02 9.03 7\n"], history)
    assert history.stretches == [Stretch("a", 1.01, 1.02, 7), Stretch("a", 9.01, 9.02, 7)]
