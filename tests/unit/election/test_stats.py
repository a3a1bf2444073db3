"""What is counted of terms and confirms, by whom, and what is not."""

from __future__ import annotations

import pytest

from leader_async.election.rules import ends
from leader_async.election.rules import record as r
from leader_async.election.rules.candidacy import Candidacy
from leader_async.election.rules.ends import Why
from leader_async.election.rules.history import Succession
from leader_async.election.rules.lease import Hold
from leader_async.election.rules.state import Settings
from leader_async.election.stats import ENDS, Changeover, ConfirmStats, ElectionStats, free_since
from leader_async.zookeeper import messages as m

from .stage import held, left

NEVER = r.Record()
DIED = r.Record(1, "old", r.LeadState.LEFT, 3.0, "somebody", end=ends.PROCESS_DIED)


def candidacy(
    before: r.Record | None, *, appointed: bool = False, predecessor: r.Record | None = None, **gone: float
) -> Candidacy:
    """One that has just got the lead."""
    own = Candidacy(Settings("/ELECTION/x", "me", "", 3.0, 0.0, history=False), iter("ab"), 0.5)
    own.own.join.gone.update(gone)
    how = Succession(0.0, 0.0, before, 0.0, 0, appointed, 0.0, predecessor)
    own.own.join.hold = hold = Hold("me", 2, 7, 50, 3.0, read=True)
    own.story._hold, own.story._how = hold, how
    return own


def since_when(own: Candidacy) -> tuple[Changeover, float] | None:
    assert own.hold is not None
    return free_since(own, own.hold)


@pytest.mark.parametrize(
    ("own", "found"),
    [
        (candidacy(NEVER), None),
        (candidacy(left("old")), None),
        (candidacy(left("old"), old=90.0), (Changeover.HANDOVER, 90.0)),
        (candidacy(held("old"), old=90.0), (Changeover.FAILOVER, 90.0)),
        (candidacy(DIED, old=90.0), (Changeover.FAILOVER, 90.0)),
        (candidacy(None), None),
        (candidacy(None, predecessor=held("old"), old=90.0), (Changeover.HANDOVER, 90.0)),
        (candidacy(held("me"), appointed=True, other=50.0, old=90.0), (Changeover.HANDOVER, 90.0)),
        (candidacy(held("me"), appointed=True), None),
    ],
)
def test_since_when_the_lead_was_free(own: Candidacy, found: tuple[Changeover, float] | None) -> None:
    assert since_when(own) == found


def test_who_is_appointed_out_of_turn_does_not_know_since_when() -> None:
    own = candidacy(held("me"), appointed=True, gone_long_ago=5.0)
    own.own.join.queue.listed(["a-n_0000000001", "b-n_0000000002"], "b-n_0000000002")
    assert since_when(own) is None


def test_who_got_notice_knows_since_when_before_it_has_read_the_record() -> None:
    own = candidacy(None, old=90.0)
    own.story._how = None
    assert since_when(own) == (Changeover.HANDOVER, 90.0)


def test_a_term_is_counted_once_at_each_end() -> None:
    stats, own = ElectionStats(), candidacy(left("old"), old=90.0)
    hold = own.hold
    assert hold is not None
    assert stats.began(own, hold, 90.5) == (Changeover.HANDOVER, 0.5)
    stats.ran_out()
    assert stats.began(own, hold, 95.0) is None, "it goes on"
    hold.end = ends.RESIGNED
    assert stats.over(hold, 100.0, 100.25) is Why.RESIGNED
    assert stats.over(hold, 100.0, 200.0) is None, "a place is given up more often than a lead"
    assert (stats.terms, stats.suspended, stats.ended) == (1, 1, {Why.RESIGNED: 1})
    assert (stats.handovers.total, stats.takeovers[Changeover.HANDOVER].total) == (0.25, 0.5)


def test_a_first_term_takes_nothing_over() -> None:
    stats = ElectionStats()
    assert stats.began(candidacy(NEVER), Hold("me", 2, 1, 50, 3.0), 1.0) is None
    assert stats.terms == 1


@pytest.mark.parametrize(("ran_out", "why"), [(True, Why.LEASE_RAN_OUT), (False, Why.SESSION_EXPIRED)])
def test_a_term_that_was_lost_hands_nothing_over(ran_out: bool, why: Why) -> None:
    stats, hold = ElectionStats(), Hold("me", 2, 7, 50, 3.0)
    stats.began(candidacy(NEVER), hold, 1.0)
    if ran_out:
        stats.ran_out()
    hold.end, hold.forfeited = ends.SESSION_EXPIRED, True
    assert stats.over(hold, 5.0, 6.0) is why
    assert sum(stats.handovers.counts) == 0


def test_ends_that_only_others_can_tell_are_no_label() -> None:
    assert {Why.PROCESS_DIED, Why.LEFT, Why.LOST}.isdisjoint(ENDS)
    assert len(ENDS) == len(Why) - 3


def test_confirms_by_what_became_of_them() -> None:
    stats = ConfirmStats()
    for answer in (m.Transacted(()), m.Transacted((m.Failed(-101),)), m.Failed(-4), m.Lost()):
        stats.answered(answer, 0.003, ok=isinstance(answer, m.Transacted) and answer.ok)
    assert (sum(stats.seconds.counts), stats.seconds.total, stats.refused, stats.lost) == (1, 0.003, 2, 1)
