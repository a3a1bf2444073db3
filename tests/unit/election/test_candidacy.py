"""A candidacy, step by step. What holds for any order of events is in tests/properties."""

from __future__ import annotations

import logging

import pytest

from leader_async.election.reporting import REMARKS
from leader_async.election.rules import ends
from leader_async.election.rules import record as r
from leader_async.election.rules.candidacy import Candidacy
from leader_async.election.rules.candidate_data import CandidateData
from leader_async.election.rules.effects import ConfirmNow, Denied, Left, Note, Purpose, Send, StartWork, StopWork
from leader_async.election.rules.ends import Detail
from leader_async.election.rules.state import HOLD_OFF, Role
from leader_async.errors import BadVersion, NoAuth, NodeExists
from leader_async.zookeeper import messages as m

from .stage import NO_NODE, PARENT, SESSION, Stage, held, left

DENIED = m.Failed(NoAuth.code)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def notes(own: Candidacy, level: int) -> list[str]:
    """What the log will say at this level."""
    said = [command for command in own.commands if isinstance(command, Note)]
    return [REMARKS[note.remark][2] % note.about for note in said if REMARKS[note.remark][0] == level]


# -- joining -----------------------------------------------------------------------------------------------------------


def test_nothing_is_done_before_it_is_wanted(stage: Stage) -> None:
    stage.connect()
    assert stage.take() == []
    assert stage.candidacy.idle
    assert stage.candidacy.state(stage.now) == "idle"
    stage.candidacy.resign(stage.now)
    stage.candidacy.leave(stage.now)
    stage.expire_and_reconnect()
    assert stage.take() == []


def test_nothing_is_sent_before_a_server_is_there(stage: Stage) -> None:
    stage.candidacy.join(stage.now)
    assert stage.take() == []
    assert stage.candidacy.deadline() is None
    stage.connect()
    stage.sends(Purpose.CREATE)


def test_the_elections_znode_is_made_when_it_is_missing(stage: Stage) -> None:
    stage.connect()
    stage.candidacy.join(stage.now)
    (create,) = stage.sends(Purpose.CREATE)
    stage.answer(create, NO_NODE)
    (parent,) = stage.sends(Purpose.PARENT)
    assert parent.request == m.Create(PARENT), "most often what is above it is there"
    stage.answer(parent, NO_NODE)
    parents = stage.sends(Purpose.PARENT, Purpose.PARENT)
    assert [parent.request for parent in parents] == [m.Create("/ELECTION"), m.Create(PARENT)]
    stage.answer(parents[0], m.Failed(NodeExists.code))
    assert stage.take() == []
    stage.answer(parents[1], m.Created(PARENT))
    stage.sends(Purpose.CREATE)


def test_a_sequential_ephemeral_znode_with_who_we_are(stage: Stage) -> None:
    stage.connect()
    stage.candidacy.join(stage.now)
    (create,) = stage.sends(Purpose.CREATE)
    assert isinstance(create.request, m.Create)
    assert create.request.path == f"{PARENT}/u0-n_"
    assert create.request.ephemeral
    assert create.request.sequential
    assert b'"me"' in create.request.data


def test_behind_others_the_last_is_watched_and_the_record_has_been_read(stage: Stage) -> None:
    stage.enter("a-n_0000000001", "b-n_0000000002", record=held("a-n_0000000001"), version=2)
    (watch,) = stage.sends(Purpose.WATCH)
    assert watch.request == m.GetData(f"{PARENT}/b-n_0000000002", watch=True)
    assert stage.candidacy.state(stage.now) == "queued"
    stage.arm(watch)
    assert stage.take() == []
    assert stage.candidacy.story.seen is not None


def test_a_refused_request_is_logged_and_tried_again_after_a_moment(stage: Stage) -> None:
    stage.connect()
    stage.candidacy.join(stage.now)
    (create,) = stage.sends(Purpose.CREATE)
    stage.answer(create, m.Failed(-6))
    assert "cannot join the queue: Unimplemented (ZooKeeper error -6)" in notes(stage.candidacy, logging.ERROR)[0]
    assert stage.take() == []
    assert stage.candidacy.deadline() == stage.now + HOLD_OFF
    stage.now += HOLD_OFF
    stage.candidacy.tick(stage.now)
    stage.sends(Purpose.CREATE)


def denied(stage: Stage) -> str:
    return str(stage.the(Denied).error)


def test_who_is_not_let_in_is_told_whose_access_list_it_was(stage: Stage) -> None:
    stage.connect()
    stage.candidacy.join(stage.now)
    (create,) = stage.sends(Purpose.CREATE)
    stage.answer(create, DENIED)
    assert f"the access list of {PARENT} does not allow Create" in denied(stage)


def test_a_znode_above_that_may_not_be_made_need_not_be_if_it_is_there(stage: Stage) -> None:
    stage.connect()
    stage.candidacy.join(stage.now)
    stage.answer(stage.sends(Purpose.CREATE)[0], NO_NODE)
    stage.answer(stage.sends(Purpose.PARENT)[0], NO_NODE)
    above, parent = stage.sends(Purpose.PARENT, Purpose.PARENT)
    stage.answer(above, DENIED)
    stage.answer(parent, m.Created(PARENT))
    stage.answer(stage.sends(Purpose.CREATE)[0], NO_NODE)  # somebody deletes it
    stage.answer(stage.sends(Purpose.PARENT)[0], NO_NODE)
    above, parent = stage.sends(Purpose.PARENT, Purpose.PARENT)
    stage.answer(above, DENIED)
    stage.answer(parent, NO_NODE)
    assert "the access list of / does not allow Create" in denied(stage)


@pytest.mark.parametrize("above_too", [False, True])
def test_the_elections_znode_may_not_be_made(stage: Stage, above_too: bool) -> None:
    stage.connect()
    stage.candidacy.join(stage.now)
    stage.answer(stage.sends(Purpose.CREATE)[0], NO_NODE)
    (parent,) = stage.sends(Purpose.PARENT)
    if above_too:
        stage.answer(parent, NO_NODE)
        above, parent = stage.sends(Purpose.PARENT, Purpose.PARENT)
        stage.answer(above, m.Failed(NodeExists.code))
    stage.answer(parent, DENIED)
    assert "the access list of /ELECTION does not allow Create" in denied(stage)


def test_who_was_let_in_waits_for_the_access_lists_to_be_put_right(stage: Stage) -> None:
    stage.first()
    stage.take()
    refused = m.Transacted((m.Failed(m.ROLLED_BACK), m.Failed(NoAuth.code)))
    stage.answer(Send(Purpose.CLAIM, m.Multi((m.Check("/a"), m.SetData(PARENT, b"", 0)))), refused)
    (text,) = notes(stage.candidacy, logging.ERROR)
    assert text.startswith(
        f"cannot claim: NoAuth (ZooKeeper error -102): the access list of {PARENT} does not allow Set"
    )
    assert stage.take() == []


@pytest.mark.parametrize("purpose", list(Purpose))
def test_any_request_may_be_refused_without_harm(stage: Stage, purpose: Purpose) -> None:
    stage.first()
    stage.take()
    request: m.Request = m.Multi((m.Check("/a"),)) if purpose in (Purpose.CLAIM, Purpose.LEAVE) else m.Sync("/a")
    stage.answer(Send(purpose, request, PARENT), DENIED)
    assert notes(stage.candidacy, logging.ERROR)
    assert stage.candidacy.deadline() == stage.now + HOLD_OFF
    stage.candidacy.disconnected(stage.now)
    assert stage.candidacy.deadline() is None


# -- the queue ---------------------------------------------------------------------------------------------------------


def test_a_dead_predecessor_makes_us_list_again_instead_of_walking_through_the_dead(stage: Stage) -> None:
    znode = stage.enter("a-n_0000000001", "b-n_0000000002", "c-n_0000000003")
    (watch,) = stage.sends(Purpose.WATCH)
    stage.answer(watch, NO_NODE)
    _, listing = stage.sends(Purpose.RECORD, Purpose.LIST)
    stage.answer(listing, m.Children(("a-n_0000000001", znode)))
    (watch,) = stage.sends(Purpose.WATCH)
    assert watch.about == "a-n_0000000001"


def test_a_departure_ahead_is_followed_by_one_watch(stage: Stage) -> None:
    stage.enter("a-n_0000000001", "b-n_0000000002", "c-n_0000000003")
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch)
    stage.candidacy.watched(m.Watched(m.EventType.DELETED, f"{PARENT}/c-n_0000000003"), stage.now)
    (watch,) = stage.sends(Purpose.WATCH)
    assert watch.about == "b-n_0000000002"


A = "a-n_0000000001"


def test_an_early_heir_is_told_by_its_predecessors_data(stage: Stage) -> None:
    stage.enter(A)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch)
    assert stage.take() == []
    stage.candidacy.watched(m.Watched(m.EventType.DATA, f"{PARENT}/{A}"), stage.now)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch, CandidateData("alice", "http://alice", term=1, version=2))
    assert stage.candidacy.story.seen is not None
    record, _ = stage.candidacy.story.seen
    assert (record.holder, record.identity, record.address) == (A, "alice", "http://alice")
    assert not stage.candidacy.has_stake, "it is not named"


def test_the_heir_claims_in_the_very_step_in_which_its_predecessor_goes(stage: Stage) -> None:
    znode = stage.enter(A)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch, CandidateData("alice", term=4, version=8, heir=znode))
    stage.candidacy.watched(m.Watched(m.EventType.DELETED, f"{PARENT}/{A}"), stage.now)
    (claim,) = stage.sends(Purpose.CLAIM)
    assert isinstance(claim.request, m.Multi)
    check, write = claim.request.operations
    assert check == m.Check(f"{PARENT}/{znode}")
    assert isinstance(write, m.SetData)
    assert write.version == 9
    assert r.decode(write.data, 10, "/e").term == 5
    # Refused: it was a crash, not a leave. Read, then decide.
    stage.refused(claim, 1, BadVersion.code)
    (read,) = stage.sends(Purpose.RECORD)
    assert read.request == m.GetData(PARENT, watch=True)


OWN = "u0-n_0000000005"


@pytest.mark.parametrize(
    "said",
    [
        CandidateData("alice"),
        CandidateData("mallory", term=4, version=7, heir=OWN),
        CandidateData("alice", term=4, version=8),
        CandidateData("alice", term=4, version=8, heir="d-n_0000000003"),
        CandidateData("alice", term=4, version=8, heir="d-n_0000000003", by_name=True),
    ],
)
def test_a_blind_claim_needs_data_that_name_us_and_an_even_version(stage: Stage, said: CandidateData) -> None:
    """Whatever candidate's data say, a blind claim rests on an odd version: it can only take what was left."""
    stage.enter(A)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch, said)
    stage.candidacy.watched(m.Watched(m.EventType.DELETED, f"{PARENT}/{A}"), stage.now)
    (read,) = stage.sends(Purpose.RECORD)
    assert read.request == m.GetData(PARENT, watch=True)


def test_lost_sight_of_the_queue_is_healed_and_counted(stage: Stage) -> None:
    znode = stage.enter("a-n_0000000001", "b-n_0000000002")
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch)
    due = stage.candidacy.deadline()
    assert due == stage.now + 6.0 * 5
    stage.now = due
    stage.candidacy.tick(stage.now)
    (listing,) = stage.sends(Purpose.LIST)
    stage.answer(listing, m.Children(("a-n_0000000001", znode)))
    assert stage.candidacy.story.healed == 1
    (text,) = notes(stage.candidacy, logging.WARNING)
    assert text == "healed: the queue had changed unseen: b-n_0000000002"
    stage.sends(Purpose.WATCH)


def test_an_unseen_change_of_the_record_is_healed_and_counted(stage: Stage) -> None:
    stage.first(held("z-n_0000000001"), 2)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch)
    stage.now += 6.0 * 5
    stage.candidacy.tick(stage.now)
    (listing,) = stage.sends(Purpose.LIST)
    stage.answer(listing, m.Children((stage.candidacy.znode or "",)))
    (read,) = stage.sends(Purpose.RECORD)
    stage.read(read, left("z-n_0000000001"), 3)
    assert stage.candidacy.story.healed == 1
    assert notes(stage.candidacy, logging.WARNING) == ["healed: the record had changed unseen, from version 2 to 3"]
    stage.sends(Purpose.CLAIM)


def test_an_audit_that_finds_nothing_heals_nothing(stage: Stage) -> None:
    stage.first(held("z-n_0000000001"), 2)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch)
    stage.now += 6.0 * 5
    stage.candidacy.tick(stage.now)
    (listing,) = stage.sends(Purpose.LIST)
    stage.answer(listing, m.Children((stage.candidacy.znode or "",)))
    (read,) = stage.sends(Purpose.RECORD)
    stage.read(read, held("z-n_0000000001"), 2)
    assert stage.candidacy.story.healed == 0
    assert stage.take() == []


def test_our_znode_was_deleted_by_a_stranger(stage: Stage) -> None:
    stage.enter("a-n_0000000001")
    stage.take()
    stage.now += 60
    stage.candidacy.disconnected(stage.now)
    for purpose in (Purpose.WATCH,):
        stage.answer(Send(purpose, m.Sync("/"), "a-n_0000000001"), m.Lost())
    stage.connect()
    (listing,) = stage.sends(Purpose.LIST)
    stage.answer(listing, m.Children(("a-n_0000000001",)))
    assert "somebody deleted it" in notes(stage.candidacy, logging.WARNING)[0]
    over, create = stage.take()
    assert isinstance(over, Left)
    assert isinstance(create, Send)
    assert isinstance(create.request, m.Create)
    assert create.request.path == f"{PARENT}/u1-n_", "a new uuid for every join"


def test_the_parent_was_deleted(stage: Stage) -> None:
    stage.enter("a-n_0000000001", "b-n_0000000002")
    (watch,) = stage.sends(Purpose.WATCH)
    stage.answer(watch, NO_NODE)
    read, listing = stage.sends(Purpose.RECORD, Purpose.LIST)
    stage.answer(read, NO_NODE)
    stage.answer(listing, NO_NODE)
    over, create = stage.take()
    assert isinstance(over, Left)
    assert isinstance(create, Send)


def test_the_parent_was_deleted_before_the_record_was_read(stage: Stage) -> None:
    stage.enter("a-n_0000000001")
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch)
    stage.candidacy.watched(m.Watched(m.EventType.DELETED, f"{PARENT}/a-n_0000000001"), stage.now)
    (read,) = stage.sends(Purpose.RECORD)
    stage.answer(read, NO_NODE)
    stage.sends(Purpose.LIST)


# -- claiming and waiting out ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("record", "version", "versions"), [(None, 0, [0, 1]), (left("z-n_1"), 5, [5])])
def test_none_and_left_are_claimed_at_once(
    stage: Stage, record: r.Record | None, version: int, versions: list[int]
) -> None:
    stage.first(record, version)
    (claim,) = stage.sends(Purpose.CLAIM)
    assert stage.candidacy.state(stage.now) == "claiming"
    assert isinstance(claim.request, m.Multi)
    assert [write.version for write in claim.request.operations if isinstance(write, m.SetData)] == versions
    assert claim.within == pytest.approx(0.6)
    stage.claimed(claim, sent=stage.now - 1.0, mzxid=88)
    behind, start = stage.take()
    assert isinstance(behind, Send)
    assert behind.request == m.GetChildren(PARENT)
    assert isinstance(start, StartWork)
    hold = start.hold
    assert (hold.token, hold.version) == (88, versions[-1] + 1)
    assert hold.until == stage.now - 1.0 + 3.0, "the lease counts from the instant of sending"


def test_a_held_record_is_waited_out_from_when_its_holder_is_known_to_be_gone(stage: Stage) -> None:
    stage.first(held("z-n_0000000001", lease=10.0), 2)
    (watch,) = stage.sends(Purpose.WATCH)
    assert watch.about == "z-n_0000000001"
    assert stage.candidacy.state(stage.now) == "waiting out"
    stage.now += 5
    stage.answer(watch, NO_NODE)
    assert stage.take() == []
    assert stage.candidacy.deadline() == stage.now + 11.0
    stage.candidacy.tick(stage.now + 10.99)
    assert stage.take() == []
    stage.candidacy.tick(stage.now + 11.0)
    (claim,) = stage.sends(Purpose.CLAIM)
    assert isinstance(claim.request, m.Multi)
    assert [write.version for write in claim.request.operations if isinstance(write, m.SetData)] == [2, 3]


def test_a_living_holder_is_watched_for_as_long_as_it_lives(stage: Stage) -> None:
    stage.first(held("z-n_0000000009"), 2)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch)
    assert stage.candidacy.deadline() == stage.now + 30, "the next audit"
    stage.candidacy.tick(stage.now + 20)
    assert stage.take() == []
    stage.candidacy.watched(m.Watched(m.EventType.DELETED, f"{PARENT}/z-n_0000000009"), stage.now + 20)
    assert stage.candidacy.deadline() == pytest.approx(stage.now + 20 + 3.3)


def test_the_start_of_waiting_is_kept_for_the_holder_not_for_the_version(stage: Stage) -> None:
    stage.first(held("z-n_0000000001"), 2)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.answer(watch, NO_NODE)
    began = stage.now
    stage.now += 2
    stage.candidacy.watched(m.Watched(m.EventType.DATA, PARENT), stage.now)
    (read,) = stage.sends(Purpose.RECORD)
    stage.read(read, held("z-n_0000000001", term=2), 4)
    assert stage.candidacy.deadline() == pytest.approx(began + 3.3)


def test_gone_judged_before_a_reconnect_stands_but_the_record_is_read_again(stage: Stage) -> None:
    znode = stage.first(held("z-n_0000000001"), 2)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.answer(watch, NO_NODE)
    stage.candidacy.disconnected(stage.now)
    stage.now += 10
    stage.connect()
    (listing,) = stage.sends(Purpose.LIST)
    stage.answer(listing, m.Children((znode,)))
    (read,) = stage.sends(Purpose.RECORD)
    stage.read(read, held("z-n_0000000001"), 2)
    stage.sends(Purpose.CLAIM)


def test_a_foreign_record_is_nobodys_to_claim(stage: Stage) -> None:
    stage.first(held("z-n_0000000001"), 2)
    stage.take()
    stage.candidacy.watched(m.Watched(m.EventType.DATA, PARENT), stage.now)
    (read,) = stage.sends(Purpose.RECORD)
    stage.answer(read, m.Data(b"scribble", m.Stat(version=3)))
    assert "nobody leads until" in notes(stage.candidacy, logging.ERROR)[0]
    assert stage.take() == []
    stage.candidacy.watched(m.Watched(m.EventType.DATA, PARENT), stage.now)
    stage.sends(Purpose.RECORD)


def test_a_claim_refused_for_its_znode_is_followed_by_a_listing(stage: Stage) -> None:
    stage.first()
    (claim,) = stage.sends(Purpose.CLAIM)
    stage.refused(claim, 0, NO_NODE.code)
    stage.sends(Purpose.LIST)


# -- leading -----------------------------------------------------------------------------------------------------------


def test_a_leader_leads_until_its_lease_ends_and_not_an_instant_longer(stage: Stage) -> None:
    stage.lead()
    assert stage.candidacy.is_leader(stage.now + 2.999)
    assert not stage.candidacy.is_leader(stage.now + 3.0)
    assert stage.candidacy.deadline() == stage.now + 3.0
    assert stage.candidacy.state(stage.now) == "leading"


def test_a_suspended_term_goes_on_with_the_same_token_once_the_work_has_ended(stage: Stage) -> None:
    stage.lead()
    stake, hold = stage.stake(), stage.candidacy.hold
    stage.now += 3.0
    stage.candidacy.tick(stage.now)
    assert stage.stopped() is ends.LEASE_RAN_OUT
    assert stage.candidacy.state(stage.now) == "suspended"
    stage.candidacy.confirmed(stake, stage.now - 0.5, stage.now)
    assert stage.candidacy.is_leader(stage.now)
    assert stage.take() == [], "the old work has not ended yet"
    stage.end_work()
    assert stage.the(StartWork).hold is hold


def test_a_refused_confirm_ends_the_term_for_good(stage: Stage) -> None:
    znode = stage.lead()
    stake = stage.stake()
    stage.candidacy.refused(stake, 1, BadVersion.code, stage.now)
    assert not stage.candidacy.is_leader(stage.now)
    assert stage.stopped().detail is Detail.RECORD_CHANGED
    stage.candidacy.confirmed(stake, stage.now, stage.now)
    stage.candidacy.refused(stake, 0, NO_NODE.code, stage.now)
    assert not stage.candidacy.is_leader(stage.now), "no late answer revives it"
    assert stage.candidacy.state(stage.now) == "ending"
    stage.end_work()
    (delete,) = stage.sends(Purpose.DELETE)
    assert delete.request == m.Delete(f"{PARENT}/{znode}"), "the record is not ours to write any more"
    stage.answer(delete, NO_NODE)
    over, create = stage.take()
    assert isinstance(over, Left)
    assert isinstance(create, Send)
    assert create.purpose is Purpose.CREATE


def test_a_refusal_that_names_our_znode_says_so(stage: Stage) -> None:
    stage.lead()
    stake = stage.stake()
    stage.candidacy.refused(stake, 0, NO_NODE.code, stage.now)
    assert stage.stopped().detail is Detail.ZNODE_GONE


def test_expiry_ends_the_term_and_nobody_joins_before_the_work_has_ended(stage: Stage) -> None:
    stage.lead()
    stage.expire_and_reconnect()
    assert stage.stopped() is ends.SESSION_EXPIRED
    stage.end_work()
    # A ZooKeeper leader that was cut off may say so of a session that its quorum keeps: our znode may still be there.
    (delete,) = stage.sends(Purpose.DELETE)
    stage.answer(delete, NO_NODE)
    over, create = stage.take()
    assert isinstance(over, Left)
    assert isinstance(create, Send)


def test_a_leader_that_reconnects_confirms_at_once_and_lists(stage: Stage) -> None:
    znode = stage.lead()
    stage.candidacy.disconnected(stage.now)
    assert stage.candidacy.is_leader(stage.now)
    stage.connect()
    confirm, listing = stage.take()
    assert isinstance(confirm, ConfirmNow)
    assert isinstance(listing, Send)
    stage.answer(listing, m.Children((znode,)))
    (alone,) = stage.sends(Purpose.LIST)
    assert alone.request == m.GetChildren(PARENT, watch=True), "the watch of the old connection is gone"


def test_a_follower_that_reconnects_lists_before_it_reads_the_record_again(stage: Stage) -> None:
    ahead = "a-n_0000000001", "b-n_0000000002"
    znode = stage.enter(*ahead, record=held(ahead[0]), version=2)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch)
    stage.candidacy.disconnected(stage.now)
    stage.connect()
    (listing,) = stage.sends(Purpose.LIST)
    stage.answer(listing, m.Children((*ahead, znode)))
    again, read = stage.sends(Purpose.WATCH, Purpose.RECORD)
    assert (again.about, read.request) == (ahead[1], m.GetData(PARENT))


def test_a_lost_claim_is_resolved_by_reading(stage: Stage) -> None:
    znode = stage.first()
    (claim,) = stage.sends(Purpose.CLAIM)
    stage.candidacy.disconnected(stage.now)
    stage.answer(claim, m.Lost())
    stage.connect()
    (listing,) = stage.sends(Purpose.LIST)
    stage.answer(listing, m.Children((znode,)))
    (read,) = stage.sends(Purpose.RECORD)
    stage.read(read, held(znode, term=1), 2, mzxid=50)
    confirm, behind = stage.take()
    assert isinstance(confirm, ConfirmNow)
    assert isinstance(behind, Send)
    hold = stage.candidacy.hold
    assert hold is not None
    assert (hold.token, hold.version, hold.number) == (50, 2, 1)
    stake = stage.stake()
    assert not stage.candidacy.is_leader(stage.now), "the lease begins with the next confirm"
    stage.candidacy.confirmed(stake, stage.now, stage.now)
    assert isinstance(stage.the(StartWork), StartWork)


# -- leaving -----------------------------------------------------------------------------------------------------------


def test_the_leave_is_written_only_after_the_work_has_ended(stage: Stage) -> None:
    znode = stage.lead()
    stage.candidacy.leave(stage.now)
    assert not stage.candidacy.is_leader(stage.now), "the term ends first"
    assert stage.stopped() is ends.STOPPED
    stage.candidacy.tick(stage.now + 100)
    assert stage.take() == []
    stage.end_work()
    (leave,) = stage.sends(Purpose.LEAVE)
    assert isinstance(leave.request, m.Multi)
    delete, write = leave.request.operations
    assert delete == m.Delete(f"{PARENT}/{znode}")
    assert isinstance(write, m.SetData)
    assert write.version == 2
    assert r.decode(write.data, 3, "/e").state is r.LeadState.LEFT
    assert stage.candidacy.state(stage.now) == "leaving"
    stage.answer(leave, m.Transacted((m.Deleted(), m.DataSet(m.Stat()))))
    assert stage.has_left()
    assert stage.candidacy.idle


def test_resigning_joins_again_at_the_back(stage: Stage) -> None:
    stage.lead()
    stage.candidacy.resign(stage.now)
    assert stage.stopped() is ends.RESIGNED
    stage.end_work()
    (leave,) = stage.sends(Purpose.LEAVE)
    stage.answer(leave, m.Transacted((m.Deleted(), m.DataSet(m.Stat()))))
    over, create = stage.take()
    assert isinstance(over, Left)
    assert isinstance(create, Send)
    assert create.purpose is Purpose.CREATE


def test_a_follower_leaves_by_a_plain_delete(stage: Stage) -> None:
    znode = stage.enter("a-n_0000000001")
    (watch,) = stage.sends(Purpose.WATCH)
    stage.candidacy.leave(stage.now)
    (delete,) = stage.sends(Purpose.DELETE)
    assert delete.request == m.Delete(f"{PARENT}/{znode}")
    stage.arm(watch)
    stage.answer(delete, m.Deleted())
    assert stage.has_left()


def test_no_answer_of_one_join_reaches_the_next(stage: Stage) -> None:
    stage.enter("a-n_0000000001")
    (watch,) = stage.sends(Purpose.WATCH)
    stage.candidacy.resign(stage.now)
    (delete,) = stage.sends(Purpose.DELETE)
    stage.answer(delete, m.Deleted())
    assert stage.take() == []
    stage.answer(watch, NO_NODE)
    assert isinstance(stage.take()[0], Left)


def test_a_leave_refused_for_its_version_becomes_a_plain_delete(stage: Stage) -> None:
    stage.lead()
    stage.candidacy.leave(stage.now)
    stage.take()
    stage.end_work()
    (leave,) = stage.sends(Purpose.LEAVE)
    stage.refused(leave, 1, BadVersion.code)
    (delete,) = stage.sends(Purpose.DELETE)
    stage.answer(delete, m.Deleted())
    assert stage.has_left()


def test_a_leave_whose_znode_is_gone_has_left(stage: Stage) -> None:
    stage.lead()
    stage.candidacy.leave(stage.now)
    stage.take()
    stage.end_work()
    (leave,) = stage.sends(Purpose.LEAVE)
    stage.refused(leave, 0, NO_NODE.code)
    assert stage.has_left()


@pytest.mark.parametrize("happened", [True, False])
def test_a_lost_leave_is_resolved_by_looking(stage: Stage, happened: bool) -> None:
    znode = stage.lead()
    stage.candidacy.leave(stage.now)
    stage.take()
    stage.end_work()
    (leave,) = stage.sends(Purpose.LEAVE)
    stage.candidacy.disconnected(stage.now)
    stage.answer(leave, m.Lost())
    stage.connect()
    sync, listing = stage.sends(Purpose.SYNC, Purpose.LIST)
    stage.answer(sync, m.Synced())
    stage.answer(listing, m.Children(() if happened else (znode,)))
    if happened:
        assert stage.has_left()
    else:
        (again,) = stage.sends(Purpose.LEAVE)
        assert again.request == leave.request


def test_resigning_while_a_claim_is_under_way_waits_for_its_answer_and_leaves_properly(stage: Stage) -> None:
    stage.first()
    (claim,) = stage.sends(Purpose.CLAIM)
    stage.candidacy.resign(stage.now)
    assert stage.take() == []
    stage.claimed(claim)
    assert not stage.candidacy.is_leader(stage.now)
    stage.sends(Purpose.LEAVE)


def test_resigning_while_disconnected_leaves_when_a_server_is_back(stage: Stage) -> None:
    stage.lead()
    stage.candidacy.disconnected(stage.now)
    stage.candidacy.leave(stage.now)
    stage.take()
    stage.end_work()
    assert stage.take() == []
    stage.connect()
    stage.sends(Purpose.LEAVE)


def test_a_late_answer_to_a_confirm_after_the_leave_counts_for_nothing(stage: Stage) -> None:
    stage.lead()
    stake, hold = stage.stake(), stage.candidacy.hold
    assert hold is not None
    stage.candidacy.resign(stage.now)
    stage.candidacy.confirmed(stake, stage.now, stage.now)
    assert not stage.candidacy.is_leader(stage.now)
    stage.candidacy.refused(stake, 1, BadVersion.code, stage.now)
    assert not hold.forfeited


def test_a_rejoin_waits_until_its_own_old_znode_is_gone(stage: Stage) -> None:
    """Or it would queue behind itself."""
    stage.lead()
    stake = stage.stake()
    stage.candidacy.refused(stake, 1, BadVersion.code, stage.now)
    stage.take()
    stage.end_work()
    (delete,) = stage.sends(Purpose.DELETE)
    assert stage.take() == []
    stage.answer(delete, DENIED)
    assert stage.take() == []
    stage.now += HOLD_OFF
    stage.candidacy.tick(stage.now)
    stage.sends(Purpose.DELETE)


# -- lost creates ------------------------------------------------------------------------------------------------------


def lose_create(stage: Stage) -> tuple[Send, Send]:
    """Reconnect after a create whose reply was lost; returns the sync and the listing that look for it."""
    stage.connect()
    stage.candidacy.join(stage.now)
    (create,) = stage.sends(Purpose.CREATE)
    stage.candidacy.disconnected(stage.now)
    stage.answer(create, m.Lost())
    stage.connect()
    sync, listing = stage.sends(Purpose.SYNC, Purpose.LIST)
    stage.answer(sync, m.Synced())
    return sync, listing


def test_a_lost_create_that_happened_is_adopted(stage: Stage) -> None:
    _, listing = lose_create(stage)
    stage.answer(listing, m.Children(("a-n_0000000001", "u0-n_0000000002")))
    assert stage.candidacy.znode == "u0-n_0000000002"
    stage.sends(Purpose.RECORD, Purpose.LIST)


def test_a_lost_create_of_another_session_is_deleted_and_never_ours(stage: Stage) -> None:
    """CURATOR-498."""
    stage.connect()
    stage.candidacy.join(stage.now)
    (create,) = stage.sends(Purpose.CREATE)
    stage.candidacy.disconnected(stage.now)
    stage.answer(create, m.Lost())
    stage.candidacy.expired(stage.now)
    stage.candidacy.connected(SESSION + 1, 6.0, stage.now)
    sync, listing = stage.sends(Purpose.SYNC, Purpose.LIST)
    stage.answer(sync, m.Synced())
    stage.answer(listing, m.Children(("u0-n_0000000002",)))
    (delete,) = stage.sends(Purpose.DELETE)
    assert delete.request == m.Delete(f"{PARENT}/u0-n_0000000002")
    stage.answer(delete, m.Deleted())
    over, again = stage.take()
    assert isinstance(over, Left)
    assert isinstance(again, Send)
    assert isinstance(again.request, m.Create)
    assert again.request.path == f"{PARENT}/u1-n_"


def test_a_lost_create_that_did_not_happen_is_sent_again_with_the_same_uuid(stage: Stage) -> None:
    _, listing = lose_create(stage)
    stage.answer(listing, NO_NODE)
    (create,) = stage.sends(Purpose.CREATE)
    assert isinstance(create.request, m.Create)
    assert create.request.path == f"{PARENT}/u0-n_"


def test_of_twins_the_lowest_is_kept(stage: Stage) -> None:
    stage.connect()
    stage.candidacy.join(stage.now)
    (create,) = stage.sends(Purpose.CREATE)
    stage.answer(create, m.Created(f"{PARENT}/u0-n_0000000009"))
    read, listing = stage.sends(Purpose.RECORD, Purpose.LIST)
    stage.read(read, r.Record(), 0)
    stage.answer(listing, m.Children(("u0-n_0000000009", "u0-n_0000000002")))
    assert stage.candidacy.znode == "u0-n_0000000002"
    delete, _ = stage.sends(Purpose.DELETE, Purpose.CLAIM)
    assert delete.request == m.Delete(f"{PARENT}/u0-n_0000000009")
    stage.answer(delete, m.Deleted())
    assert stage.candidacy.znode == "u0-n_0000000002"


def test_leaving_with_a_create_unresolved_deletes_whatever_is_found(stage: Stage) -> None:
    stage.connect()
    stage.candidacy.join(stage.now)
    (create,) = stage.sends(Purpose.CREATE)
    stage.candidacy.leave(stage.now)
    assert stage.take() == []
    stage.candidacy.disconnected(stage.now)
    stage.answer(create, m.Lost())
    assert not stage.candidacy.idle
    stage.connect()
    sync, listing = stage.sends(Purpose.SYNC, Purpose.LIST)
    stage.answer(sync, m.Synced())
    stage.answer(listing, m.Children(("u0-n_0000000002", "u0-n_0000000003")))
    (twin,) = stage.sends(Purpose.DELETE)
    assert twin.about == "u0-n_0000000003"
    stage.answer(twin, m.Deleted())
    (own,) = stage.sends(Purpose.DELETE)
    assert own.about == "u0-n_0000000002"
    stage.answer(own, m.Deleted())
    assert stage.has_left()


def test_a_lost_leave_with_a_twin_about_deletes_the_twin_too(stage: Stage) -> None:
    znode = stage.lead()
    stage.candidacy.leave(stage.now)
    stage.take()
    stage.end_work()
    (leave,) = stage.sends(Purpose.LEAVE)
    stage.candidacy.disconnected(stage.now)
    stage.answer(leave, m.Lost())
    stage.connect()
    sync, listing = stage.sends(Purpose.SYNC, Purpose.LIST)
    stage.answer(sync, m.Synced())
    stage.answer(listing, m.Children(("u0-n_0000000009",)))
    (delete,) = stage.sends(Purpose.DELETE)
    assert delete.about == "u0-n_0000000009" != znode
    stage.answer(delete, m.Deleted())
    assert stage.has_left()


def test_what_could_not_be_sent_is_asked_again_on_the_next_connection(stage: Stage) -> None:
    stage.connect()
    stage.candidacy.join(stage.now)
    (create,) = stage.sends(Purpose.CREATE)
    stage.candidacy.unsent(create)
    stage.candidacy.disconnected(stage.now)
    stage.connect()
    stage.sends(Purpose.CREATE)


def test_a_term_that_ends_before_its_work_began_asks_for_no_stop(stage: Stage) -> None:
    znode = stage.first()
    (claim,) = stage.sends(Purpose.CLAIM)
    stage.claimed(claim, sent=stage.now - 10)
    confirm, behind = stage.take()
    assert isinstance(confirm, ConfirmNow), "only a confirm can bring it to life"
    assert isinstance(behind, Send)
    stage.answer(behind, m.Children((znode,)))
    stage.take()
    assert stage.candidacy.state(stage.now) == "suspended"
    stage.candidacy.leave(stage.now)
    (leave,) = stage.sends(Purpose.LEAVE)
    assert isinstance(leave.request, m.Multi)
    assert leave.request.operations[0] == m.Delete(f"{PARENT}/{znode}")
    assert not any(isinstance(command, StopWork) for command in stage.commands)


# -- what is left ------------------------------------------------------------------------------------------------------


def test_work_that_ends_by_itself_leaves_without_being_told_to_stop(stage: Stage) -> None:
    stage.lead()
    stage.candidacy.work_ended(stage.now, leaving=ends.WORK_DONE)
    stage.sends(Purpose.LEAVE)
    assert stage.candidacy.hold is not None
    assert stage.candidacy.hold.end is ends.WORK_DONE


def test_a_candidate_without_a_listing_is_joining(stage: Stage) -> None:
    stage.candidacy.join(stage.now)
    assert stage.candidacy.state(stage.now) == "joining"


def test_other_changes_of_znodes_mean_nothing(stage: Stage) -> None:
    stage.enter("a-n_0000000001")
    stage.take()
    stage.candidacy.watched(m.Watched(m.EventType.CHILDREN, f"{PARENT}/a-n_0000000001"), stage.now)
    assert stage.candidacy.own.join.queue.predecessor == "a-n_0000000001"
    assert stage.take() == []


def test_nothing_is_waited_out_while_the_record_is_unread(stage: Stage) -> None:
    stage.first(held("z-n_0000000001"), 2)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.answer(watch, NO_NODE)
    assert stage.candidacy.lead.wait_out_end() is not None
    stage.candidacy.disconnected(stage.now)
    assert stage.candidacy.lead.wait_out_end() is None


def test_a_claim_whose_answer_comes_after_its_lease_asks_for_a_confirm() -> None:
    """The process was stopped meanwhile. Without the confirm the term would stay suspended for ever."""
    stage = Stage()
    stage.first()
    (claim,) = stage.sends(Purpose.CLAIM)
    sent = stage.now
    stage.now += 100.0
    stage.claimed(claim, sent)
    assert not stage.candidacy.is_leader(stage.now)
    confirm, _ = stage.take()
    assert isinstance(confirm, ConfirmNow)
    stake = stage.stake()
    stage.candidacy.confirmed(stake, stage.now, stage.now)
    assert isinstance(stage.the(StartWork), StartWork)


@pytest.mark.parametrize("version", [1, 2])
def test_a_record_that_cannot_be_read_blocks_until_it_is_put_right(stage: Stage, version: int) -> None:
    stage.connect()
    stage.candidacy.join(stage.now)
    (create,) = stage.sends(Purpose.CREATE)
    stage.answer(create, m.Created(f"{PARENT}/u0-n_0000000005"))
    read, listing = stage.sends(Purpose.RECORD, Purpose.LIST)
    garbage = m.Data(b"[" * 99_999, m.Stat(version=version))
    stage.answer(read, garbage)
    stage.answer(listing, m.Children(("u0-n_0000000005",)))
    (read,) = stage.sends(Purpose.RECORD)
    assert read.request == m.GetData(PARENT, watch=True), "to be told when it is put right"
    stage.answer(read, garbage)
    assert stage.take() == []
    assert stage.candidacy.state(stage.now) == "blocked"
    assert str(stage.candidacy.unreadable).startswith(f"{PARENT} is not an election's record: ")
    stage.now += 10.0
    stage.candidacy.watched(m.Watched(m.EventType.DATA, PARENT), stage.now)
    (read,) = stage.sends(Purpose.RECORD)
    stage.answer(read, garbage)
    stage.candidacy.watched(m.Watched(m.EventType.DATA, PARENT), stage.now)
    (read,) = stage.sends(Purpose.RECORD)
    stage.read(read, held("nobody-n_0000000000", term=7), 4)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.answer(watch, NO_NODE)
    assert stage.candidacy.unreadable is None
    assert stage.candidacy.state(stage.now) == "waiting out"
    assert stage.take() == []
    stage.now += 3.3
    stage.candidacy.tick(stage.now)
    (claim,) = stage.sends(Purpose.CLAIM)
    assert isinstance(claim.request, m.Multi)
    assert [write.version for write in claim.request.operations if isinstance(write, m.SetData)] == [4, 5]


def test_that_a_record_cannot_be_read_is_said_once_and_that_it_can_be_again() -> None:
    candidacy = Stage().candidacy
    candidacy.connected(SESSION, 6.0, 0.0)
    candidacy.join(0.0)

    def said() -> list[str]:
        commands = iter(candidacy.next_command, None)
        return [REMARKS[command.remark][1] for command in commands if isinstance(command, Note)]

    def read(data: bytes) -> None:
        asked = Send(Purpose.RECORD, m.GetData(PARENT), Role.FOLLOWER)
        candidacy.answered(asked, m.Data(data, m.Stat(version=2)), 0.0, 0.0)

    read(b"")
    read(b"?")
    assert said() == ["record_unreadable"]
    read(r.encode(held("a-n_1")))
    read(r.encode(held("a-n_1")))
    assert said() == ["record_readable"]


def test_a_dead_candidacy_leads_no_more_and_wants_nothing_more(stage: Stage) -> None:
    stage.lead()
    hold, stake = stage.candidacy.hold, stage.stake()
    assert hold is not None
    stage.candidacy.die(working=True)
    assert not stage.candidacy.is_leader(stage.now)
    assert not stage.candidacy.has_stake
    assert (stage.candidacy.state(stage.now), stage.candidacy.working) == ("ending", True)
    stage.candidacy.confirmed(stake, stage.now, stage.now)
    assert not hold.leads(stage.now)
    stage.candidacy.work_ended(stage.now, ends.WORK_DONE)
    assert (stage.candidacy.state(stage.now), stage.candidacy.working) == ("idle", False)
    assert stage.take() == []


def test_one_may_die_without_a_term(stage: Stage) -> None:
    stage.enter("a-n_0000000001")
    stage.candidacy.die(working=False)
    stage.candidacy.tick(stage.now + 100)
    assert stage.take() == []


def test_an_election_that_was_made_anew_is_waited_out_by_who_knows_of_a_term(stage: Stage) -> None:
    stage.first(held("z-n_0000000001", lease=7.0), 2)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch)
    stage.candidacy.disconnected(stage.now)
    stage.connect()
    (listing,) = stage.sends(Purpose.LIST)
    stage.answer(listing, NO_NODE)  # all is gone
    assert isinstance(stage.candidacy.next_command(), Note)
    assert isinstance(stage.candidacy.next_command(), Left)
    stage.now += 1.0
    znode = stage.enter()
    assert stage.candidacy.lead.wait_out_end() is None
    (read,) = stage.sends(Purpose.RECORD)
    assert read.request == m.GetData(PARENT, watch=True), "to be told when somebody else claims"
    stage.read(read, r.Record(), 0, mzxid=60)
    assert stage.take() == []
    assert stage.candidacy.state(stage.now) == "waiting out"
    assert stage.candidacy.deadline() == pytest.approx(stage.now + 7.7)
    stage.now += 7.0
    stage.candidacy.watched(m.Watched(m.EventType.DELETED, PARENT), stage.now)  # again
    (read,) = stage.sends(Purpose.RECORD)
    stage.read(read, r.Record(), 0, mzxid=70)
    stage.now += 7.6
    stage.candidacy.tick(stage.now)
    assert stage.take() == []
    stage.now += 0.2
    stage.candidacy.tick(stage.now)
    (claim,) = stage.sends(Purpose.CLAIM)
    assert claim.about == f"{znode} 1 0"


def test_an_election_that_nobody_has_led_is_claimed_at_once(stage: Stage) -> None:
    stage.first(r.Record(), 0)
    assert stage.sends(Purpose.CLAIM)
