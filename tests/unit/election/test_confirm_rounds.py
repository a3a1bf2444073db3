from __future__ import annotations

import itertools

import pytest

from leader_async.election.rules import ends
from leader_async.election.rules.candidacy import Candidacy
from leader_async.election.rules.candidate_data import CandidateData
from leader_async.election.rules.confirm_rounds import LARGEST, PUBLISHED, ConfirmRounds, Round
from leader_async.election.rules.lease import Hold, Stake
from leader_async.election.rules.state import Settings
from leader_async.errors import BadVersion, NoNode
from leader_async.zookeeper import messages as m


def candidate(name: str, lease: float = 3.0) -> Candidacy:
    settings = Settings(f"/e/{name}", name, "", lease, 0.0, history=False)
    candidacy = Candidacy(settings, (f"u{n}" for n in itertools.count()), 0.5)
    candidacy.connected(7, 6.0, 100.0)
    return candidacy


def leader(name: str, lease: float = 3.0, until: float = 103.0) -> Candidacy:
    candidacy = candidate(name, lease)
    candidacy.own.join.hold = Hold("me-n_1", 2, 1, 50, lease, until)
    return candidacy


def heir(name: str) -> Candidacy:
    candidacy = candidate(name)
    candidacy.own.join.znode = "me-n_2"
    candidacy.own.join.queue.listed(["a-n_1", "me-n_2"], "me-n_2")
    sight = candidacy.own.sight
    sight.armed, sight.before = "a-n_1", CandidateData("alice", term=1, version=2, heir="me-n_2", by_name=True)
    return candidacy


def keeping(*candidacies: Candidacy) -> ConfirmRounds:
    keeper = ConfirmRounds()
    for candidacy in candidacies:
        keeper.note(candidacy)
    return keeper


def refusal(index: int, code: int, count: int) -> m.Transacted:
    codes = [m.ROLLED_BACK] * index + [code] + [m.RUNTIME_INCONSISTENCY] * (count - index - 1)
    return m.Transacted(tuple(map(m.Failed, codes)))


def the_round(keeper: ConfirmRounds, now: float) -> Round:
    (found,) = keeper.rounds(now)
    return found


def hold_of(stake: Stake) -> Hold:
    assert stake.hold is not None
    return stake.hold


def test_who_is_noted_again_has_one_stake_all_the_same() -> None:
    one = leader("a")
    assert [each for each, _ in the_round(keeping(one, one), 103.0).stakes] == [one]


def test_nothing_is_confirmed_where_nothing_is_led() -> None:
    keeper = keeping(candidate("a"))
    keeper.hurry()
    assert keeper.rounds(100.0) == []
    assert keeper.due() is None
    ended = leader("b")
    keeper.note(ended)
    assert keeper.due() is not None
    ended.own.end_join(ends.RESIGNED)
    keeper.note(ended)
    assert keeper.due() is None
    assert keeper.rounds(200.0) == []


def test_all_terms_in_one_transaction_at_the_shortest_leases_pace() -> None:
    keeper = keeping(leader("a", 3.0), leader("b", 10.0, 110.0))
    assert keeper.due() == pytest.approx(100.6)
    assert keeper.rounds(100.5) == []
    found = the_round(keeper, 100.6)
    assert found.request == m.Multi(
        (m.Check("/e/a/me-n_1"), m.Check("/e/a", 2), m.Check("/e/b/me-n_1"), m.Check("/e/b", 2))
    )
    assert found.within == pytest.approx(0.6)
    assert keeper.due() == pytest.approx(101.2), "one round at a time"


def test_a_late_one_joins_the_others_round() -> None:
    first, second = leader("a"), leader("b", until=103.3)
    keeper = keeping(first)
    the_round(keeper, 100.6)
    keeper.note(second)
    assert keeper.due() == pytest.approx(100.9), "the second lease was renewed at 100.3"
    assert len(the_round(keeper, 100.9).stakes) == 2
    assert keeper.due() == pytest.approx(101.5)


def test_more_than_one_frame_holds_are_several_transactions() -> None:
    name = "a-name-as-long-as-those-that-people-give"
    candidacies = [leader(f"{name}-{number}") for number in range(3000)]
    rounds = keeping(*candidacies).rounds(101.0)
    assert [candidacy for each in rounds for candidacy, _ in each.stakes] == candidacies
    sizes = [sum(17 + len(part.path) for part in each.request.operations) for each in rounds]
    assert len(rounds) == 2
    assert LARGEST * 0.9 < sizes[0] <= LARGEST


def test_candidates_data_are_published_a_few_at_a_time() -> None:
    candidacies = [leader(str(number)) for number in range(PUBLISHED + 50)]
    for candidacy in candidacies:
        candidacy.own.join.behind = ()
    keeper = keeping(*candidacies)
    published = []
    for now in (101.0, 102.0, 103.0):
        (sent,) = keeper.rounds(now)
        published.append(sum(isinstance(part, m.SetData) for part in sent.request.operations))
        done = m.Transacted((m.Checked(),) * len(sent.request.operations))
        keeper.answered(sent, done, now, now)
    assert published == [PUBLISHED, 50, 0]


def test_a_round_counts_from_when_it_was_sent() -> None:
    candidacy = leader("a")
    keeper = keeping(candidacy)
    found = the_round(keeper, 101.0)
    assert keeper.answered(found, m.Transacted((m.Checked(), m.Checked())), 101.0, 101.4)
    assert candidacy.hold is not None
    assert candidacy.hold.until == 104.0


def test_an_heir_keeps_its_znode_confirmed_and_leads_by_it_no_sooner() -> None:
    candidacy = heir("a")
    keeper = keeping(candidacy)
    assert keeper.due() == float("-inf"), "at once"
    found = the_round(keeper, 101.0)
    assert found.request == m.Multi((m.Check("/e/a/me-n_2"),))
    keeper.answered(found, m.Transacted((m.Checked(),)), 101.0, 101.4)
    assert candidacy.own.join.warm == 101.0
    assert not candidacy.is_leader(101.4)
    assert keeper.due() == pytest.approx(101.6)
    keeper.answered(the_round(keeper, 101.6), refusal(0, NoNode.code, 1), 101.6, 101.7)
    assert keeper.due() is None, "it lists, and is no heir before it has read its data again"


def test_a_hurried_round_does_not_wait_for_its_period() -> None:
    keeper = keeping(leader("a"))
    keeper.hurry()
    assert keeper.due() == float("-inf")
    the_round(keeper, 100.0)
    assert keeper.rounds(100.0) == []


def test_who_is_hurried_alone_renews_nobody_else_and_delays_nobody() -> None:
    first, second = leader("a"), leader("b")
    keeper = keeping(first, second)
    keeper.hurry(second)
    assert keeper.due() == float("-inf")
    found = the_round(keeper, 100.2)
    assert [candidacy for candidacy, _ in found.stakes] == [second]
    assert keeper.due() == pytest.approx(100.6), "the period of all"
    assert len(the_round(keeper, 100.6).stakes) == 2


def test_who_is_hurried_and_has_no_stake_any_more_is_not_confirmed() -> None:
    ended = leader("a")
    keeper = keeping(ended, leader("b"))
    keeper.hurry(ended)
    ended.own.end_join(ends.RESIGNED)
    keeper.note(ended)
    assert keeper.rounds(100.2) == []
    assert keeper.due() == pytest.approx(100.6)


@pytest.mark.parametrize(("index", "code"), [(0, NoNode.code), (1, BadVersion.code)])
def test_a_failed_check_ends_its_own_term_only_and_the_others_are_confirmed_again(index: int, code: int) -> None:
    bad, good = leader("a"), leader("b")
    keeper = keeping(bad, good)
    found = the_round(keeper, 101.0)
    ended = hold_of(found.stakes[0][1])
    assert not keeper.answered(found, refusal(index, code, 4), 101.0, 101.1)
    assert ended.over
    assert good.hold is not None
    assert not good.hold.over
    assert good.hold.until == 103.0, "for the others it counts for nothing"
    again = the_round(keeper, 101.1)
    assert [candidacy for candidacy, _ in again.stakes] == [good]


def test_the_second_of_two_may_be_the_culprit() -> None:
    good, bad = leader("a"), leader("b")
    keeper = keeping(good, bad)
    found = the_round(keeper, 101.0)
    ended = hold_of(found.stakes[1][1])
    keeper.answered(found, refusal(3, BadVersion.code, 4), 101.0, 101.1)
    assert ended.over
    assert good.hold is not None
    assert not good.hold.over
    with pytest.raises(IndexError):
        found.stake_of(4)


@pytest.mark.parametrize("answer", [m.Lost(), m.Failed(-112)])
def test_a_lost_or_failed_round_says_nothing_of_any_term(answer: m.Answer) -> None:
    candidacy = leader("a")
    keeper = keeping(candidacy)
    found = the_round(keeper, 101.0)
    assert not keeper.answered(found, answer, 101.0, 101.1)
    assert candidacy.hold is not None
    assert not candidacy.hold.over
    assert candidacy.hold.until == 103.0


def test_a_round_of_an_earlier_term_does_not_renew_a_later_one() -> None:
    candidacy = leader("a")
    keeper = keeping(candidacy)
    found = the_round(keeper, 101.0)
    candidacy.own.join.hold = hold = Hold("me-n_2", 4, 2, 60, 3.0, 101.5)
    keeper.answered(found, m.Transacted((m.Checked(), m.Checked())), 101.0, 101.1)
    assert hold.until == 101.5


def test_who_has_a_bug_costs_nobody_else_a_round_or_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    sound, broken = leader("a"), leader("b")
    bugs: list[Candidacy] = []

    def die(candidacy: Candidacy, error: Exception) -> None:
        bugs.append(candidacy)
        candidacy.die(working=False)
        keeper.note(candidacy)

    keeper = ConfirmRounds(die)
    for candidacy in (broken, sound):
        keeper.note(candidacy)
    both = the_round(keeper, 103.0)

    def bug(*arguments: object, **named: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(broken, "confirmed", bug)
    keeper.answered(both, m.Transacted((m.Checked(),) * 4), 103.0, 103.5)
    assert sound.is_leader(105.9)
    assert bugs == [broken]
    assert not broken.is_leader(103.5)
    assert [each for each, _ in the_round(keeper, 104.0).stakes] == [sound]
    monkeypatch.setattr(sound.lead, "stake", bug)
    assert keeper.rounds(105.0) == []
    assert bugs == [broken, sound]
    assert keeper.due() is None


def test_who_has_a_bug_in_what_a_refusal_means_costs_nobody_else_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    sound, broken = leader("a"), leader("b")
    keeper = ConfirmRounds(lambda candidacy, error: candidacy.die(working=False))
    for candidacy in (broken, sound):
        keeper.note(candidacy)
    both = the_round(keeper, 103.0)

    def bug(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(broken, "refused", bug)
    keeper.answered(both, refusal(0, NoNode.code, 4), 103.0, 103.5)
    assert [each for each, _ in the_round(keeper, 103.5).stakes] == [sound]


def test_a_bug_that_nobody_asks_for_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = leader("a")
    keeper = keeping(broken)

    def bug(**named: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(broken.lead, "stake", bug)
    with pytest.raises(ZeroDivisionError):
        keeper.rounds(103.0)
