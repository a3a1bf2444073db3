"""Handing over by name, step by step: who names whom, and what each of them makes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leader_async.election.rules import ends
from leader_async.election.rules import record as r
from leader_async.election.rules.candidate_data import CandidateData
from leader_async.election.rules.effects import ConfirmNow, Left, Purpose, Send, StartWork
from leader_async.election.rules.state import Appointee, Role
from leader_async.errors import BadVersion, NoAuth
from leader_async.zookeeper import messages as m

from .stage import NO_NODE, PARENT, Stage

LEADER, SECOND, THIRD = "a-n_0000000001", "b-n_0000000006", "c-n_0000000007"
QUOTA_EXCEEDED = -125
DONE = m.Transacted((m.Checked(), m.Deleted(), m.DataSet(m.Stat()), m.DataSet(m.Stat())))


@pytest.fixture
def stage() -> Stage:
    return Stage()


def become_heir(stage: Stage) -> str:
    """Stand behind a leader that has named us."""
    znode = stage.enter(LEADER)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch, CandidateData("alice", term=4, version=8, heir=znode, by_name=True))
    assert stage.candidacy.lead.named
    return znode


NOTICE = "notice:u0-n_0000000005:10:5:51:3.0"
"""What tells `await_notice`'s heir that it leads."""


def await_notice(stage: Stage) -> Send:
    """Stand behind a leader that has named us, and has said all; returns the request by which notice is awaited."""
    znode = stage.enter(LEADER)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch, CandidateData("alice", term=4, version=8, token=50, lease=3.0, heir=znode, by_name=True))
    (asked,) = stage.sends(Purpose.NOTICE)
    assert asked.request == m.Exists(f"{PARENT}/{NOTICE}", watch=True)
    return asked


def be_warm(stage: Stage) -> float:
    """A confirm is answered; returns when it was sent."""
    stage.candidacy.confirmed(stage.stake(), stage.now, stage.now)
    stage.now += 0.5
    return stage.now - 0.5


def give_notice(stage: Stage, name: str = NOTICE) -> None:
    stage.candidacy.watched(m.Watched(m.EventType.CREATED, f"{PARENT}/{name}"), stage.now)


def lead_by_notice(stage: Stage) -> Send:
    """Lead, having had notice; returns the reading of the record."""
    stage.answer(await_notice(stage), NO_NODE)
    be_warm(stage)
    give_notice(stage)
    _, read = stage.take()
    assert isinstance(read, Send)
    return read


def by_name(znode: str, *behind: str, lease: float = 3.0) -> r.Record:
    return r.Record(5, znode, r.LeadState.HELD, lease, behind=behind)


def see_leader_go(stage: Stage) -> Send:
    """The leader's znode goes; returns the read of the record."""
    stage.candidacy.watched(m.Watched(m.EventType.DELETED, f"{PARENT}/{LEADER}"), stage.now)
    (read,) = stage.sends(Purpose.RECORD)
    return read


# -- the one that hands over -------------------------------------------------------------------------------------------


def test_a_leader_names_its_heir_with_a_confirm(stage: Stage) -> None:
    znode = stage.lead(SECOND, THIRD)
    stake = stage.stake()
    published, record = stake.operations
    assert isinstance(published, m.SetData)
    assert published.path == f"{PARENT}/{znode}"
    assert record == m.Check(PARENT, 2), "it proves as much as any other confirm"
    said = CandidateData.decode(published.data)
    assert (said.identity, said.term, said.version, said.heir) == ("me", 1, 2, SECOND)
    stage.candidacy.confirmed(stake, stage.now, stage.now)
    assert stage.stake().operations == (m.Check(f"{PARENT}/{znode}"), m.Check(PARENT, 2)), "once is enough"


def test_a_leader_hands_over_by_name_and_passes_on_who_stands_behind(stage: Stage) -> None:
    znode = stage.lead(SECOND, THIRD)
    stage.candidacy.leave(stage.now)
    stage.take()
    stage.end_work()
    (asked,) = stage.sends(Purpose.APPOINT)
    assert isinstance(asked.request, m.Multi)
    check, create, uncreate, delete, write, again = asked.request.operations
    assert check == m.Check(f"{PARENT}/{SECOND}")
    notice = f"{PARENT}/notice:{SECOND}:4:2:51:3.0"
    assert (create, uncreate) == (m.Create(notice), m.Delete(notice)), "told, and never seen to be there"
    assert delete == m.Delete(f"{PARENT}/{znode}")
    assert isinstance(write, m.SetData)
    assert isinstance(again, m.SetData)
    assert (write.path, write.version, again.version) == (PARENT, 2, 3), "the record stays at an even version"
    record = r.decode(write.data, 4, "/e")
    assert (record.holder, record.term, record.behind, record.identity) == (SECOND, 2, (THIRD,), "")
    assert record.token == 51, "one more than ours"
    stage.answer(asked, DONE)
    assert stage.has_left()
    assert stage.candidacy.idle


def test_where_no_znode_may_be_created_the_lead_is_handed_over_without_notice(stage: Stage) -> None:
    stage.lead(SECOND)
    stage.candidacy.leave(stage.now)
    stage.take()
    stage.end_work()
    (asked,) = stage.sends(Purpose.APPOINT)
    stage.refused(asked, 1, QUOTA_EXCEEDED)
    (again,) = stage.sends(Purpose.APPOINT)
    assert isinstance(again.request, m.Multi)
    assert [type(operation) for operation in again.request.operations] == [m.Check, m.Delete, m.SetData, m.SetData]
    stage.answer(again, DONE)
    assert stage.has_left()


def test_an_heir_that_is_gone_is_followed_by_a_plain_leave(stage: Stage) -> None:
    stage.lead(SECOND)
    stage.candidacy.leave(stage.now)
    stage.take()
    stage.end_work()
    (asked,) = stage.sends(Purpose.APPOINT)
    stage.refused(asked, 0, NO_NODE.code)
    (leave,) = stage.sends(Purpose.LEAVE)
    assert isinstance(leave.request, m.Multi)
    write = leave.request.operations[-1]
    assert isinstance(write, m.SetData)
    assert write.version == 2


def test_an_appointment_refused_for_its_version_is_followed_by_a_plain_delete(stage: Stage) -> None:
    stage.lead(SECOND)
    stage.candidacy.leave(stage.now)
    stage.take()
    stage.end_work()
    (asked,) = stage.sends(Purpose.APPOINT)
    stage.refused(asked, 2, BadVersion.code)
    stage.sends(Purpose.DELETE)


@pytest.mark.parametrize("happened", [True, False])
def test_a_lost_appointment_is_resolved_by_looking(stage: Stage, happened: bool) -> None:
    znode = stage.lead(SECOND)
    stage.candidacy.leave(stage.now)
    stage.take()
    stage.end_work()
    (asked,) = stage.sends(Purpose.APPOINT)
    stage.candidacy.disconnected(stage.now)
    stage.answer(asked, m.Lost())
    stage.connect()
    sync, listing = stage.sends(Purpose.SYNC, Purpose.LIST)
    stage.answer(sync, m.Synced())
    stage.answer(listing, m.Children((SECOND,) if happened else (znode, SECOND)))
    if happened:
        assert stage.has_left(), "and nothing of the other's record is touched"
    else:
        (again,) = stage.sends(Purpose.APPOINT)
        assert again.request == asked.request


def test_who_is_alone_is_told_of_the_first_to_join(stage: Stage) -> None:
    znode = stage.lead()
    stake = stage.stake()
    stage.candidacy.confirmed(stake, stage.now, stage.now)
    stage.candidacy.watched(m.Watched(m.EventType.CHILDREN, PARENT), stage.now)
    (listing,) = stage.sends(Purpose.LIST)
    assert listing.request == m.GetChildren(PARENT)
    stage.answer(listing, m.Children((znode, SECOND)))
    assert isinstance(stage.the(ConfirmNow), ConfirmNow)
    published = stage.stake().operations[0]
    assert isinstance(published, m.SetData)
    assert CandidateData.decode(published.data).heir == SECOND


def test_what_happens_behind_the_heir_wakes_nobody_up(stage: Stage) -> None:
    stage.first()
    (claim,) = stage.sends(Purpose.CLAIM)
    stage.candidacy.watched(m.Watched(m.EventType.CHILDREN, PARENT), stage.now)
    assert stage.take() == [], "not ours to know before we hold"
    stage.claimed(claim)
    stage.take()


def test_a_term_under_an_inherited_lease_is_left_for_the_next_one_to_claim(stage: Stage) -> None:
    """Or a lease that was configured long ago would be handed on for ever."""
    znode = become_heir(stage)
    stage.read(see_leader_go(stage), by_name(znode, SECOND, lease=9.0), 10, mzxid=80)
    stage.take()
    assert stage.candidacy.hold is not None
    assert stage.candidacy.hold.lease == 9.0
    stage.candidacy.confirmed(stage.stake(), stage.now, stage.now)
    assert stage.candidacy.hold.until == stage.now + 9.0
    stage.take()
    stage.candidacy.resign(stage.now)
    stage.take()
    stage.end_work()
    stage.sends(Purpose.LEAVE)


# -- the one that gets notice ------------------------------------------------------------------------------------------


def test_notice_is_enough_to_lead(stage: Stage) -> None:
    stage.answer(await_notice(stage), NO_NODE)
    sent = be_warm(stage)
    give_notice(stage)
    start, read = stage.take()
    assert isinstance(start, StartWork), "before anything is asked"
    hold = stage.candidacy.hold
    assert hold is not None
    assert (hold.version, hold.number, hold.token, hold.lease, hold.until) == (10, 5, 51, 3.0, sent + 3.0)
    assert isinstance(read, Send)
    stage.candidacy.watched(m.Watched(m.EventType.DELETED, f"{PARENT}/{LEADER}"), stage.now)
    assert stage.take() == [], "it is told of that as well, and knows it"
    stage.read(read, replace(by_name("u0-n_0000000005", THIRD), token=51), 10, mzxid=70)
    stage.the(ConfirmNow)
    assert stage.candidacy.hold is hold
    assert hold.token == 51
    assert stage.candidacy.story.how(hold) is not None
    assert stage.candidacy.own.join.behind == (THIRD,)


def test_who_only_reads_the_record_gets_the_same_token(stage: Stage) -> None:
    await_notice(stage)  # and is appointed before that is answered
    be_warm(stage)
    stage.read(see_leader_go(stage), replace(by_name("u0-n_0000000005", THIRD), token=51), 10, mzxid=70)
    hold = stage.candidacy.hold
    assert hold is not None
    assert (hold.version, hold.number, hold.token) == (10, 5, 51)


def test_notice_without_a_warm_confirm_is_a_term_that_is_suspended(stage: Stage) -> None:
    stage.answer(await_notice(stage), NO_NODE)
    give_notice(stage)
    confirm, read = stage.take()
    assert isinstance(confirm, ConfirmNow)
    assert isinstance(read, Send)
    assert not stage.candidacy.is_leader(stage.now)
    assert not stage.candidacy.working


@pytest.mark.parametrize(
    "name",
    [
        NOTICE.replace("0005:10", "0006:10"),
        NOTICE.replace(":10:", ":12:"),
        NOTICE.replace(":51:", ":52:"),
        NOTICE.replace(":3.0", ":9.0"),
        "history",
    ],
)
def test_another_notice_is_none(stage: Stage, name: str) -> None:
    stage.answer(await_notice(stage), NO_NODE)
    be_warm(stage)
    give_notice(stage, name)
    assert stage.take() == []
    assert stage.candidacy.hold is None


def test_a_notice_that_is_not_awaited_yet_is_none(stage: Stage) -> None:
    await_notice(stage)
    be_warm(stage)
    give_notice(stage)
    assert stage.candidacy.hold is None


def test_a_notice_that_comes_to_one_who_is_leaving_is_none(stage: Stage) -> None:
    stage.answer(await_notice(stage), NO_NODE)
    be_warm(stage)
    stage.candidacy.leave(stage.now)
    stage.sends(Purpose.WITHDRAW)
    give_notice(stage)
    assert stage.candidacy.hold is None, "the withdrawal is refused, and then it reads the record"


def test_a_notice_of_an_earlier_connection_is_awaited_again(stage: Stage) -> None:
    stage.answer(await_notice(stage), NO_NODE)
    stage.candidacy.disconnected(stage.now)
    stage.connect()
    give_notice(stage)
    assert stage.candidacy.hold is None


def test_candidate_data_that_say_less_await_no_notice(stage: Stage) -> None:
    become_heir(stage)
    assert stage.sends() == []


def test_who_may_not_be_told_of_a_notice_waits_a_moment(stage: Stage) -> None:
    stage.answer(await_notice(stage), m.Failed(NoAuth.code))
    assert stage.candidacy.own.link.hold_off == stage.now + 1.0


def test_a_reading_that_was_on_its_way_when_notice_came_is_made_again(stage: Stage) -> None:
    stage.answer(await_notice(stage), NO_NODE)
    be_warm(stage)
    stage.candidacy.own.read_record(Role.FOLLOWER)
    (early,) = stage.sends(Purpose.RECORD)
    give_notice(stage)
    stage.the(StartWork)
    stage.read(early, replace(by_name(LEADER), term=4), 8)
    (read,) = stage.sends(Purpose.RECORD)
    stage.read(read, replace(by_name("u0-n_0000000005", THIRD), token=51), 10, mzxid=70)
    hold = stage.candidacy.hold
    assert hold is not None
    how = stage.candidacy.story.how(hold)
    assert how is not None
    assert how.appointed


def test_an_answer_about_a_notice_that_will_not_be_given_any_more_awaits_nothing(stage: Stage) -> None:
    asked = await_notice(stage)
    stage.candidacy.watched(m.Watched(m.EventType.DATA, f"{PARENT}/{LEADER}"), stage.now)
    stage.answer(asked, NO_NODE)
    assert stage.candidacy.own.sight.awaited == ""


def test_who_has_listed_those_behind_it_meanwhile_keeps_to_that(stage: Stage) -> None:
    read = lead_by_notice(stage)
    stage.candidacy.own.join.behind = (SECOND,)
    stage.read(read, replace(by_name("u0-n_0000000005", THIRD), token=51), 10)
    assert stage.candidacy.own.join.behind == (SECOND,)


def test_who_resigns_at_once_reads_first_what_it_is_to_pass_on(stage: Stage) -> None:
    read = lead_by_notice(stage)
    stage.candidacy.resign(stage.now)
    stage.stopped()
    stage.end_work()
    assert stage.take() == []
    stage.read(read, replace(by_name("u0-n_0000000005", THIRD), token=51), 10)
    (asked,) = stage.sends(Purpose.APPOINT)
    assert isinstance(asked.request, m.Multi)
    assert asked.request.operations[0] == m.Check(f"{PARENT}/{THIRD}")


def test_who_resigns_at_once_from_an_election_that_was_deleted_deletes_its_znode(stage: Stage) -> None:
    read = lead_by_notice(stage)
    stage.candidacy.resign(stage.now)
    stage.stopped()
    stage.end_work()
    stage.answer(read, NO_NODE)
    stage.sends(Purpose.DELETE)


def test_a_record_that_is_another_ones_by_then_is_read_once(stage: Stage) -> None:
    read = lead_by_notice(stage)
    stage.read(read, by_name(THIRD), 12)
    assert stage.take() == [], "the next confirm will be refused"
    assert stage.candidacy.hold is not None
    assert stage.candidacy.story.how(stage.candidacy.hold) is not None


# -- the one that is appointed -----------------------------------------------------------------------------------------


def test_a_warm_heir_leads_as_soon_as_it_has_read_the_record(stage: Stage) -> None:
    znode = become_heir(stage)
    stage.candidacy.confirmed(stage.stake(), stage.now - 0.5, stage.now)
    read = see_leader_go(stage)
    stage.read(read, by_name(znode, SECOND, THIRD), 10, mzxid=61)
    confirm, start = stage.take()
    assert isinstance(confirm, ConfirmNow)
    assert isinstance(start, StartWork)
    assert (start.hold.number, start.hold.token, start.hold.version) == (5, 61, 10)
    assert start.hold.until == stage.now - 0.5 + 3.0, "from when its last confirm was sent"
    published = stage.stake().operations[0]
    assert isinstance(published, m.SetData)
    assert CandidateData.decode(published.data).heir == SECOND, "it need not list the queue"


def test_a_confirm_of_an_earlier_join_warms_nobody(stage: Stage) -> None:
    become_heir(stage)
    stake = stage.stake()
    stage.candidacy.resign(stage.now)
    (asked,) = stage.sends(Purpose.WITHDRAW)
    stage.answer(asked, m.Transacted((m.Checked(), m.Deleted())))
    stage.candidacy.confirmed(stake, stage.now, stage.now)
    assert stage.candidacy.own.join.warm == float("-inf")


def test_candidate_data_that_name_another_queue_than_ours_change_nothing(stage: Stage) -> None:
    """The watch was asked for when that one was still ahead of us."""
    znode = stage.enter("z-n_0000000000", LEADER)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.candidacy.watched(m.Watched(m.EventType.DELETED, f"{PARENT}/{LEADER}"), stage.now)
    stage.arm(watch, CandidateData("alice", term=4, version=8, heir=znode, by_name=True))
    assert stage.candidacy.own.join.queue.ahead == ("z-n_0000000000",)


def test_a_cold_heir_leads_after_its_first_confirm(stage: Stage) -> None:
    znode = become_heir(stage)
    stage.read(see_leader_go(stage), by_name(znode), 10, mzxid=61)
    assert not stage.candidacy.is_leader(stage.now)
    assert stage.candidacy.state(stage.now) == "suspended"
    stage.take()
    stage.candidacy.confirmed(stage.stake(), stage.now, stage.now)
    assert isinstance(stage.the(StartWork), StartWork)


def test_an_heir_that_was_not_appointed_after_all_claims(stage: Stage) -> None:
    become_heir(stage)
    read = see_leader_go(stage)
    assert read.request == m.GetData(PARENT, watch=True)
    stage.read(read, r.Record(4, LEADER, r.LeadState.LEFT, 3.0, "alice"), 9)
    (claim,) = stage.sends(Purpose.CLAIM)
    assert isinstance(claim.request, m.Multi)
    check, write = claim.request.operations
    assert check == m.Check(f"{PARENT}/{stage.candidacy.znode}")
    assert isinstance(write, m.SetData)
    assert (write.version, r.decode(write.data, 10, "/e").term) == (9, 5)


def test_an_heir_that_withdraws_makes_sure_that_it_was_not_appointed(stage: Stage) -> None:
    znode = become_heir(stage)
    stage.candidacy.leave(stage.now)
    (asked,) = stage.sends(Purpose.WITHDRAW)
    assert asked.request == m.Multi((m.Check(PARENT, 8), m.Delete(f"{PARENT}/{znode}")))
    stage.answer(asked, m.Transacted((m.Checked(), m.Deleted())))
    assert stage.has_left()


def test_an_heir_that_was_appointed_while_it_withdrew_leaves_as_a_holder_does(stage: Stage) -> None:
    """Or everybody would have to wait its lease out."""
    znode = become_heir(stage)
    stage.candidacy.leave(stage.now)
    (asked,) = stage.sends(Purpose.WITHDRAW)
    stage.refused(asked, 0, BadVersion.code)
    (read,) = stage.sends(Purpose.RECORD)
    stage.read(read, by_name(znode, SECOND), 10, mzxid=61)
    assert not stage.candidacy.is_leader(stage.now)
    (leave,) = stage.sends(Purpose.LEAVE)
    assert isinstance(leave.request, m.Multi)
    assert leave.request.operations[0] == m.Delete(f"{PARENT}/{znode}")
    stage.answer(leave, m.Transacted((m.Deleted(), m.DataSet(m.Stat()))))
    assert stage.has_left()


def test_who_holds_before_its_turn_hands_over_to_nobody_behind_it(stage: Stage) -> None:
    """Somebody ahead of it waits, and would be passed over."""
    znode = stage.enter(LEADER)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch, CandidateData("alice", appointed=znode))
    (read,) = stage.sends(Purpose.RECORD)
    stage.read(read, by_name(znode, SECOND), 10)
    stage.candidacy.confirmed(stage.stake(), stage.now, stage.now)
    stage.take()
    stage.candidacy.resign(stage.now)
    stage.take()
    stage.end_work()
    stage.sends(Purpose.LEAVE)


def test_the_end_of_a_holder_before_its_turn_makes_us_read_the_record(stage: Stage) -> None:
    """It may have handed over to us, behind others."""
    znode = stage.enter("z-n_0000000000", LEADER)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch, CandidateData("alice", term=4, version=8))
    stage.candidacy.watched(m.Watched(m.EventType.DELETED, f"{PARENT}/{LEADER}"), stage.now)
    read, _ = stage.sends(Purpose.RECORD, Purpose.WATCH)
    stage.read(read, by_name(znode), 10)
    assert stage.candidacy.hold is not None


def test_an_heir_that_withdraws_from_a_record_that_went_on_without_it_deletes_its_znode(stage: Stage) -> None:
    become_heir(stage)
    stage.candidacy.leave(stage.now)
    (asked,) = stage.sends(Purpose.WITHDRAW)
    stage.refused(asked, 0, BadVersion.code)
    (read,) = stage.sends(Purpose.RECORD)
    stage.read(read, by_name(THIRD), 10)
    (delete,) = stage.sends(Purpose.DELETE)
    stage.answer(delete, m.Deleted())
    assert stage.has_left()


@pytest.mark.parametrize(
    ("index", "code", "gone"), [(1, NO_NODE.code, True), (1, NoAuth.code, False)], ids=["gone", "refused"]
)
def test_a_withdrawal_may_fail(stage: Stage, index: int, code: int, gone: bool) -> None:
    become_heir(stage)
    stage.candidacy.leave(stage.now)
    (asked,) = stage.sends(Purpose.WITHDRAW)
    stage.refused(asked, index, code)
    if gone:
        assert stage.has_left()
    else:
        stage.sends(Purpose.RECORD)


# -- to somebody further back ------------------------------------------------------------------------------------------


def test_a_transfer_changes_the_data_that_the_appointed_one_watches(stage: Stage) -> None:
    znode = stage.lead(SECOND, THIRD)
    stage.candidacy.transfer(Appointee(THIRD, SECOND, CandidateData("bob")), stage.now)
    assert stage.stopped() is ends.TRANSFERRED
    stage.end_work()
    (asked,) = stage.sends(Purpose.APPOINT)
    assert isinstance(asked.request, m.Multi)
    check, wake, delete, write, _ = asked.request.operations
    assert check == m.Check(f"{PARENT}/{THIRD}")
    assert isinstance(wake, m.SetData)
    assert wake.path == f"{PARENT}/{SECOND}"
    assert CandidateData.decode(wake.data) == CandidateData("bob", appointed=THIRD)
    assert delete == m.Delete(f"{PARENT}/{znode}")
    assert isinstance(write, m.SetData)
    assert r.decode(write.data, 4, "/e").holder == THIRD
    stage.answer(asked, DONE)
    over, create = stage.take()
    assert isinstance(over, Left)
    assert isinstance(create, Send)


def test_who_does_not_lead_transfers_nothing(stage: Stage) -> None:
    become_heir(stage)
    stage.candidacy.transfer(Appointee(LEADER), stage.now)
    assert stage.take() == []


def test_who_is_appointed_behind_others_is_told_by_its_predecessors_data(stage: Stage) -> None:
    znode = stage.enter(LEADER, "b-n_0000000002")
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch)
    stage.candidacy.watched(m.Watched(m.EventType.DATA, f"{PARENT}/b-n_0000000002"), stage.now)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch, CandidateData("bob", appointed=znode))
    (read,) = stage.sends(Purpose.RECORD)
    stage.read(read, by_name(znode), 10, mzxid=61)
    assert stage.candidacy.hold is not None
    assert not stage.candidacy.is_leader(stage.now), "it has no confirm yet"
    stage.candidacy.confirmed(stage.stake(), stage.now, stage.now)
    assert stage.candidacy.is_leader(stage.now)


# -- for people --------------------------------------------------------------------------------------------------------


def test_who_holds_by_appointment_is_looked_up(stage: Stage) -> None:
    stage.enter(LEADER, "b-n_0000000002", record=by_name(LEADER), version=10)
    holder, watch = stage.sends(Purpose.HOLDER, Purpose.WATCH)
    assert holder.request == m.GetData(f"{PARENT}/{LEADER}")
    stage.answer(holder, m.Data(b'{"identity":"alice","address":"http://alice"}', m.Stat()))
    assert stage.candidacy.story.seen is not None
    assert stage.candidacy.story.seen[0].identity == "alice"
    stage.answer(Send(Purpose.HOLDER, holder.request, "z-n_9"), m.Data(b'{"identity":"zoe"}', m.Stat()))
    assert stage.candidacy.story.seen[0].identity == "alice", "that was about another one"
    stage.answer(holder, NO_NODE)
    assert stage.candidacy.story.seen[0].identity == "alice", "it has gone since"
    stage.arm(watch)


def test_who_is_favoured_gets_the_lead_when_the_place_is_given_up(stage: Stage) -> None:
    stage.lead(SECOND, THIRD)
    stage.candidacy.favour(Appointee(THIRD, SECOND, CandidateData("bob")), stage.now)
    assert stage.take() == [], "nothing happens before that"
    stage.candidacy.leave(stage.now)
    assert stage.stopped() is ends.STOPPED
    stage.end_work()
    (asked,) = stage.sends(Purpose.APPOINT)
    assert isinstance(asked.request, m.Multi)
    assert asked.request.operations[0] == m.Check(f"{PARENT}/{THIRD}")
    stage.answer(asked, DONE)
    assert stage.has_left()


def test_who_was_favoured_and_is_gone_is_not_waited_for(stage: Stage) -> None:
    stage.lead(SECOND, THIRD)
    stage.candidacy.favour(Appointee(THIRD, SECOND, CandidateData("bob")), stage.now)
    stage.candidacy.leave(stage.now)
    stage.take()
    stage.end_work()
    (asked,) = stage.sends(Purpose.APPOINT)
    stage.refused(asked, 0, NO_NODE.code)
    stage.sends(Purpose.LEAVE)


def test_who_does_not_lead_favours_nobody(stage: Stage) -> None:
    become_heir(stage)
    stage.candidacy.favour(Appointee(LEADER), stage.now)
    assert stage.candidacy.own.join.appointee is None
