from __future__ import annotations

import itertools

import pytest

from leader_async.election.candidacy import Candidacy
from leader_async.election.commands import Hold
from leader_async.election.keeper import Keeper, Round
from leader_async.election.standing import Settings
from leader_async.errors import BadVersion, NoNode
from leader_async.zookeeper import messages as m


def leader(name: str, lease: float = 3.0, until: float = 103.0) -> Candidacy:
    candidacy = Candidacy(Settings(f"/e/{name}", name, "", lease, 0.0), (f"u{n}" for n in itertools.count()), 0.5)
    candidacy.connected(7, 6.0, 100.0)
    candidacy.hold = Hold("me-n_1", 2, 1, 50, until)
    return candidacy


def refusal(index: int, code: int, count: int) -> m.Transacted:
    codes = [m.ROLLED_BACK] * index + [code] + [m.RUNTIME_INCONSISTENCY] * (count - index - 1)
    return m.Transacted(tuple(map(m.Failed, codes)))


def the_round(keeper: Keeper, candidacies: list[Candidacy], now: float) -> Round:
    found = keeper.round(candidacies, now)
    assert found is not None
    return found


def test_nothing_is_confirmed_where_nothing_is_led() -> None:
    keeper, candidacy = Keeper(), leader("a")
    candidacy.hold = None
    keeper.hurry()
    assert keeper.round([candidacy], 100.0) is None
    assert keeper.due([candidacy]) is None
    ended = leader("b")
    assert ended.hold is not None
    ended.hold.over = "resigned"
    assert keeper.round([ended], 100.0) is None


def test_all_terms_in_one_transaction_at_the_shortest_leases_pace() -> None:
    keeper, both = Keeper(), [leader("a", 3.0), leader("b", 10.0, 110.0)]
    assert keeper.due(both) == pytest.approx(100.6)
    assert keeper.round(both, 100.5) is None
    found = the_round(keeper, both, 100.6)
    assert found.request == m.Multi(
        (m.Check("/e/a/me-n_1"), m.Check("/e/a", 2), m.Check("/e/b/me-n_1"), m.Check("/e/b", 2))
    )
    assert found.within == pytest.approx(0.6)
    assert keeper.due(both) == pytest.approx(101.2), "one round at a time"


def test_a_round_counts_from_when_it_was_sent() -> None:
    keeper, candidacy = Keeper(), leader("a")
    found = the_round(keeper, [candidacy], 101.0)
    keeper.answered(found, m.Transacted((m.Checked(), m.Checked())), 101.0, 101.4)
    assert candidacy.hold is not None
    assert candidacy.hold.until == 104.0


def test_a_hurried_round_does_not_wait_for_its_period() -> None:
    keeper, candidacy = Keeper(), leader("a")
    keeper.hurry()
    assert keeper.due([candidacy]) == float("-inf")
    the_round(keeper, [candidacy], 100.0)
    assert keeper.round([candidacy], 100.0) is None


@pytest.mark.parametrize(("index", "code"), [(0, NoNode.code), (1, BadVersion.code)])
def test_a_failed_check_ends_its_own_term_only_and_the_others_are_confirmed_again(index: int, code: int) -> None:
    keeper, bad, good = Keeper(), leader("a"), leader("b")
    found = the_round(keeper, [bad, good], 101.0)
    (_, ended), _ = found.terms
    keeper.answered(found, refusal(index, code, 4), 101.0, 101.1)
    assert ended.over
    assert good.hold is not None
    assert not good.hold.over
    assert good.hold.until == 103.0, "for the others it counts for nothing"
    again = the_round(keeper, [bad, good], 101.1)
    assert [candidacy for candidacy, _ in again.terms] == [good]


def test_the_second_of_two_may_be_the_culprit() -> None:
    keeper, good, bad = Keeper(), leader("a"), leader("b")
    found = the_round(keeper, [good, bad], 101.0)
    _, (_, ended) = found.terms
    keeper.answered(found, refusal(3, BadVersion.code, 4), 101.0, 101.1)
    assert ended.over
    assert good.hold is not None
    assert not good.hold.over


@pytest.mark.parametrize("answer", [m.Lost(), m.Failed(-112)])
def test_a_lost_or_failed_round_says_nothing_of_any_term(answer: m.Answer) -> None:
    keeper, candidacy = Keeper(), leader("a")
    found = the_round(keeper, [candidacy], 101.0)
    keeper.answered(found, answer, 101.0, 101.1)
    assert candidacy.hold is not None
    assert not candidacy.hold.over
    assert candidacy.hold.until == 103.0


def test_a_round_of_an_earlier_term_does_not_renew_a_later_one() -> None:
    keeper, candidacy = Keeper(), leader("a")
    found = the_round(keeper, [candidacy], 101.0)
    candidacy.hold = Hold("me-n_2", 4, 2, 60, 101.5)
    keeper.answered(found, m.Transacted((m.Checked(), m.Checked())), 101.0, 101.1)
    assert candidacy.hold.until == 101.5
