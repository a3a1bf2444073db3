"""Whose silence is watched, what counts as silence, and who is buried: rules 9 to 14."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from leader_async.election.reporting import REMARKS
from leader_async.election.rules import record as r
from leader_async.election.rules.candidate_data import CandidateData
from leader_async.election.rules.effects import Attend, ConfirmNow, Note, Purpose, Send
from leader_async.election.rules.lease import Hold, Stake
from leader_async.election.rules.pulse import Wanted
from leader_async.election.rules.state import HOLD_OFF
from leader_async.errors import BadVersion, NoAuth, NoNode, QuotaExceeded
from leader_async.zookeeper import messages as m

from .stage import NO_NODE, PARENT, Stage, held

HOLDER, HEIR, OTHER = "a-n_0000000001", "b-n_0000000002", "c-n_0000000003"
BEHIND = "z-n_0000000009"
HOLDS = CandidateData("alice", term=1, version=2, token=5, lease=3.0, pulse="/e/pulse-a")
NAMED = CandidateData("bob", lease=3.0, pulse="/e/pulse-b", named_by=HOLDER, named_in=4)


def watched(stage: Stage) -> tuple[str, float] | None:
    """The pulse that is wanted read, and how often."""
    wanted = stage.candidacy.watched_pulse
    return None if wanted is None else (wanted.path, round(wanted.period, 3))


def next_in_line(data: CandidateData = HOLDS, *, pulse: bool = False) -> Stage:
    """Right behind one that says this."""
    stage = Stage(pulse=pulse)
    stage.enter(HOLDER)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch, data)
    return stage


def leading(heir: CandidateData | None = None, *behind: str) -> Stage:
    """Leading, with an heir that has been told so, and that says this."""
    stage = Stage(pulse=True)
    stage.lead(*(behind or (BEHIND,)))
    confirm(stage)
    (read,) = stage.sends(Purpose.HEIR)
    assert read.request == m.GetData(f"{PARENT}/{BEHIND}")
    stage.answer(read, m.Data((heir or CandidateData("zoe", pulse="/e/pulse-z")).encode(), m.Stat()))
    return stage


def confirm(stage: Stage, sent: float | None = None) -> Stake:
    """A confirm is answered."""
    stake = stage.stake()
    stage.candidacy.confirmed(stake, stage.now if sent is None else sent, stage.now)
    return stake


def beat(stage: Stage, version: int | None, after: float = 0.0) -> bool:
    """After so long this version of the pulse that it watches has been read."""
    stage.now += after
    wanted = stage.candidacy.watched_pulse
    assert wanted is not None
    return stage.candidacy.beat(wanted.path, version, stage.now)


def bury(stage: Stage) -> Send:
    """The watched one has been silent for a lease, and ZooKeeper serves; returns what buries it."""
    beat(stage, 7)
    assert beat(stage, 7, after=1.25)
    for each in stage.take():
        if isinstance(each, Send) and each.purpose is Purpose.LIST:  # a holder's, whose heir is in doubt
            assert stage.candidacy.znode is not None
            stage.answer(each, m.Children((stage.candidacy.znode, BEHIND)))
    confirm(stage)
    stage.now += 1.75
    stage.candidacy.tick(stage.now)
    (asked,) = [each for each in stage.take() if isinstance(each, Send) and each.purpose is Purpose.BURY]
    return asked


def notes(stage: Stage) -> list[tuple[str, int]]:
    """Event and severity of what the log will say."""
    said = [command.remark for command in stage.candidacy.commands if isinstance(command, Note)]
    return [(REMARKS[remark][1], REMARKS[remark][0]) for remark in said]


# -- 9: whom to watch --------------------------------------------------------------------------------------------------


def test_rule_9_who_has_nobody_but_the_holder_ahead_watches_the_holder() -> None:
    stage = next_in_line()
    assert Attend() in stage.take()
    assert watched(stage) == ("/e/pulse-a", 0.6)
    assert stage.candidacy.silence.watches == "alice"
    stage.candidacy.tick(stage.now)
    assert Attend() not in stage.take(), "it is the same one"


@pytest.mark.parametrize(
    "data",
    [
        CandidateData("alice", term=1, version=2, lease=3.0),
        CandidateData("alice", term=1, version=2, pulse="/e/pulse-a"),
        CandidateData("alice", pulse="/e/pulse-a"),
        CandidateData("alice", pulse="/e/pulse-a", named_by="x"),
    ],
    ids=["no pulse", "no lease", "it neither holds nor is named", "named under no lease"],
)
def test_rule_9_who_does_not_say_all_that_it_takes_is_not_watched(data: CandidateData) -> None:
    assert watched(next_in_line(data)) is None


def test_rule_9_a_holder_whose_data_are_still_to_come_is_known_by_the_record() -> None:
    stage = Stage()
    stage.enter(HOLDER, record=held(HOLDER, lease=5.0), version=2)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch, CandidateData("alice", pulse="/e/pulse-a"))
    assert watched(stage) == ("/e/pulse-a", 1.0)


def test_rule_9_who_is_first_watches_a_holder_that_stands_behind_it() -> None:
    stage = Stage()
    stage.first(held(BEHIND), version=2)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch, CandidateData("zoe", pulse="/e/pulse-z"))
    assert watched(stage) == ("/e/pulse-z", 0.6)


def test_rule_9_who_stands_right_behind_a_holder_watches_it_and_behind_an_heir_that_heir() -> None:
    stage = Stage()
    stage.enter(OTHER, HOLDER)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch, HOLDS)
    assert watched(stage) == ("/e/pulse-a", 0.6)
    stage = Stage()
    stage.enter(HOLDER, HEIR)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch, NAMED)
    assert watched(stage) == ("/e/pulse-b", 0.6)


def test_rule_9_a_holder_watches_the_heir_that_it_has_named() -> None:
    stage = leading()
    assert watched(stage) == ("/e/pulse-z", 0.6)
    stage.candidacy.own.join.behind = (OTHER,)
    stage.candidacy.tick(stage.now)
    assert watched(stage) is None, "that one has not been told"


def test_rule_9_a_holder_asks_once_for_an_heir_and_for_the_next_one_then() -> None:
    stage = Stage(pulse=True)
    stage.lead(BEHIND)
    confirm(stage)
    (read,) = stage.sends(Purpose.HEIR)
    own = stage.candidacy.own.join
    own.behind = (OTHER,)
    stage.take()
    confirm(stage)
    assert stage.take() == [], "one at a time"
    stage.answer(read, m.Data(b"{}", m.Stat()))
    (read,) = stage.sends(Purpose.HEIR)
    assert read.about == OTHER


def test_rule_9_an_heir_without_a_pulse_or_one_that_is_gone_is_not_watched() -> None:
    assert watched(leading(CandidateData("zoe"))) is None
    stage = Stage(pulse=True)
    stage.lead(BEHIND)
    confirm(stage)
    (read,) = stage.sends(Purpose.HEIR)
    stage.answer(read, NO_NODE)
    stage.sends(Purpose.LIST)
    assert watched(stage) is None


def test_rule_9_what_the_heir_says_is_asked_again_after_a_refusal() -> None:
    stage = Stage(pulse=True)
    stage.lead(BEHIND)
    confirm(stage)
    (read,) = stage.sends(Purpose.HEIR)
    stage.answer(read, m.Failed(QuotaExceeded.code))
    stage.now += HOLD_OFF
    stage.candidacy.tick(stage.now)
    stage.sends(Purpose.HEIR)


def test_rule_9_an_heir_under_a_lease_that_is_not_ours_is_not_named_and_not_watched() -> None:
    stage = Stage(pulse=True)
    stage.lead(BEHIND)
    assert stage.candidacy.hold is not None
    stage.candidacy.hold.lease = 2.5
    confirm(stage)
    assert stage.take() == []


def test_rule_9_what_the_heir_says_comes_too_late_for_who_holds_no_more() -> None:
    stage = next_in_line()
    stage.take()
    stage.answer(Send(Purpose.HEIR, m.GetData("/x"), BEHIND), NO_NODE)
    assert stage.take() == []


# -- 10: what counts as silence ----------------------------------------------------------------------------------------


def test_rule_10_another_version_starts_anew_and_another_pulse_is_nothing() -> None:
    stage = next_in_line()
    assert stage.candidacy.silence.seconds(stage.now) is None
    assert not beat(stage, 7)
    assert not beat(stage, 7, after=1.0)
    assert stage.candidacy.silence.seconds(stage.now) == 1.0
    assert not beat(stage, 8, after=0.5)
    assert stage.candidacy.silence.seconds(stage.now) == 0.0
    assert not stage.candidacy.beat("/e/pulse-other", 8, stage.now + 9.0)


def test_rule_10_it_is_counted_for_each_election_of_its_own() -> None:
    """The same session may have led one election for long, and another one only now."""
    first, second = next_in_line(), next_in_line()
    beat(first, 7)
    beat(first, 7, after=2.5)
    second.now = first.now
    beat(second, 7)
    assert first.candidacy.silence.seconds(first.now) == 2.5
    assert second.candidacy.silence.seconds(second.now) == 0.0


def test_rule_10_it_is_forgotten_with_the_connection() -> None:
    stage = next_in_line()
    beat(stage, 7)
    stage.candidacy.disconnected(stage.now)
    assert stage.candidacy.silence.seconds(stage.now) is None
    assert watched(stage) is None


@pytest.mark.parametrize("data", [HOLDS, CandidateData("alice", term=2, version=6, lease=3.0, pulse="/e/pulse-a")])
def test_rule_10_it_is_forgotten_when_the_watched_one_says_something_new(data: CandidateData) -> None:
    stage = next_in_line()
    beat(stage, 7)
    stage.candidacy.watched(m.Watched(m.EventType.DATA, f"{PARENT}/{HOLDER}"), stage.now)
    (watch,) = [each for each in stage.take() if isinstance(each, Send) and each.purpose is Purpose.WATCH]
    stage.arm(watch, data)
    assert stage.candidacy.silence.seconds(stage.now) is None


def test_rule_10_a_holder_counts_its_heirs_silence_only_after_a_beat() -> None:
    stage = leading()
    beat(stage, 7)
    assert beat(stage, 7, after=1.25)
    stage.take()
    confirm(stage)
    stage.now += 10.0
    confirm(stage)
    assert not [each for each in stage.take() if isinstance(each, Send)]
    beat(stage, 8)
    assert bury(stage).about == BEHIND


def test_rule_10_a_pulse_that_is_gone_is_not_silent() -> None:
    stage = next_in_line()
    beat(stage, 7)
    assert beat(stage, None)
    assert watched(stage) is None
    assert stage.candidacy.silence.seconds(stage.now) is None
    assert not stage.candidacy.beat("/e/pulse-a", 7, stage.now + 9.0)
    stage = leading()
    stage.take()
    assert beat(stage, None)
    stage.sends(Purpose.LIST)


# -- 11: burying -------------------------------------------------------------------------------------------------------


def test_rule_11_after_a_lease_the_holder_is_buried_if_it_has_not_confirmed_since() -> None:
    stage = next_in_line()
    asked = bury(stage)
    assert asked.request == m.Multi((m.Check("/e/pulse-a", 7), m.Delete(f"{PARENT}/{HOLDER}")))
    assert asked.within == pytest.approx(0.6)
    stage.candidacy.tick(stage.now)
    assert stage.take() == [], "once"
    stage.answer(asked, m.Transacted((m.Checked(), m.Deleted())))
    assert notes(stage) == [("buried", logging.WARNING)]
    assert stage.candidacy.silence.buried == 1
    assert stage.candidacy.gone == {HOLDER: stage.now}, "it is waited out from now"


def test_rule_11_a_holder_buries_its_heir_and_lists_who_stands_behind_then() -> None:
    stage = leading()
    beat(stage, 6)
    asked = bury(stage)
    assert asked.request == m.Multi((m.Check("/e/pulse-z", 7), m.Delete(f"{PARENT}/{BEHIND}")))
    stage.answer(asked, m.Transacted((m.Checked(), m.Deleted())))
    stage.sends(Purpose.LIST)


def test_rule_11_who_buries_another_ones_heir_checks_that_it_is_named_still() -> None:
    stage = Stage()
    stage.enter(HOLDER, HEIR)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch, NAMED)
    asked = bury(stage)
    assert asked.request == m.Multi(
        (m.Check("/e/pulse-b", 7), m.Check(f"{PARENT}/{HOLDER}", 4), m.Delete(f"{PARENT}/{HEIR}"))
    )
    stage.refused(asked, 1, BadVersion.code)
    stage.sends(Purpose.WATCH)  # what it says by now


def test_rule_11_who_has_confirmed_meanwhile_is_not_buried_and_is_watched_on() -> None:
    stage = next_in_line()
    stage.refused(bury(stage), 0, BadVersion.code)
    assert Attend() in stage.take()
    assert stage.candidacy.silence.seconds(stage.now) is None
    assert watched(stage) == ("/e/pulse-a", 0.6)
    assert bury(stage).about == HOLDER


def test_rule_11_who_is_gone_already_is_gone_and_so_may_be_a_pulse() -> None:
    stage = next_in_line()
    stage.refused(bury(stage), 1, NoNode.code)
    assert stage.candidacy.gone == {HOLDER: stage.now}
    assert not notes(stage)
    stage = next_in_line()
    stage.refused(bury(stage), 0, NoNode.code)
    assert watched(stage) is None
    assert not stage.candidacy.gone


def test_rule_11_who_may_not_delete_says_so_and_waits_for_the_end_of_the_session() -> None:
    stage = next_in_line()
    stage.refused(bury(stage), 1, NoAuth.code)
    assert notes(stage) == [("cannot_bury", logging.ERROR)]
    assert watched(stage) is None
    assert stage.candidacy.silence.due() is None


def test_rule_11_what_is_refused_for_no_known_reason_is_tried_again() -> None:
    stage = next_in_line()
    stage.answer(bury(stage), m.Failed(QuotaExceeded.code))
    assert notes(stage) == [("refused", logging.ERROR)]
    stage.now += HOLD_OFF
    stage.candidacy.tick(stage.now)
    stage.sends(Purpose.BURY)


def test_rule_11_an_answer_that_comes_when_somebody_else_is_watched_is_heeded_all_the_same() -> None:
    for index, code in ((1, NoAuth.code), (0, NoNode.code)):
        stage = next_in_line()
        asked = bury(stage)
        stage.candidacy.own.sight.watch = None
        stage.refused(asked, index, code)
        stage.take()
    stage = next_in_line()
    asked = bury(stage)
    stage.candidacy.own.sight.watch = None
    stage.answer(asked, m.Transacted((m.Checked(), m.Deleted())))
    assert HOLDER in stage.candidacy.gone


# -- 12: not while ZooKeeper is away for all ---------------------------------------------------------------------------


def test_rule_12_proof_is_asked_for_after_two_fifths_of_a_lease_of_silence() -> None:
    stage = next_in_line()
    beat(stage, 7)
    beat(stage, 7, after=1.1)
    assert not stage.candidacy.has_stake
    stage.take()
    assert beat(stage, 7, after=0.15)
    assert stage.take() == [ConfirmNow()]
    assert stage.stake() == Stake((m.Check(f"{PARENT}/{stage.candidacy.znode}"),), None)
    assert beat(stage, 7, after=0.1)
    assert stage.take() == [], "once"
    assert beat(stage, 8, after=0.1)
    assert not stage.candidacy.has_stake


def test_rule_12_what_was_sent_before_proves_nothing() -> None:
    stage = next_in_line()
    confirm_before = Stake((m.Check(f"{PARENT}/{stage.candidacy.znode}"),), None)
    stage.candidacy.confirmed(confirm_before, stage.now, stage.now)
    beat(stage, 7)
    began = stage.now
    beat(stage, 7, after=1.25)
    confirm(stage, sent=began + 1.1)
    assert stage.candidacy.silence.due() is None
    stage.take()
    confirm(stage, sent=began + 1.2)
    assert stage.take() == [Attend()], "so that the alarm is set"
    assert stage.candidacy.deadline() == stage.candidacy.silence.due() == began + 3.0


def test_rule_12_the_answer_must_have_come_two_fifths_of_a_lease_ago() -> None:
    stage = next_in_line()
    beat(stage, 7)
    began = stage.now
    beat(stage, 7, after=1.25)
    stage.now = began + 10.0
    confirm(stage, sent=began + 1.2)
    assert stage.candidacy.silence.due() == stage.now + 1.2
    confirm(stage)
    assert stage.candidacy.silence.due() == stage.now + 1.2, "the first one counts"


# -- 13 and 14 ---------------------------------------------------------------------------------------------------------


def test_rule_13_none_buries_while_it_departs() -> None:
    stage = next_in_line()
    beat(stage, 7)
    beat(stage, 7, after=1.25)
    confirm(stage)
    stage.candidacy.resign(stage.now)
    stage.now += 9.0
    stage.candidacy.tick(stage.now)
    assert not [each for each in stage.take() if isinstance(each, Send) and each.purpose is Purpose.BURY]
    assert watched(stage) is None


def test_rule_13_nobody_claims_blindly_what_it_has_buried() -> None:
    for event_first in (True, False):
        stage = Stage()
        znode = stage.enter(HOLDER)
        (watch,) = stage.sends(Purpose.WATCH)
        stage.arm(watch, CandidateData("alice", term=1, version=2, lease=3.0, heir=znode, pulse="/e/pulse-a"))
        asked = bury(stage)
        if event_first:
            stage.candidacy.watched(m.Watched(m.EventType.DELETED, f"{PARENT}/{HOLDER}"), stage.now)
        stage.answer(asked, m.Transacted((m.Checked(), m.Deleted())))
        stage.sends(Purpose.RECORD)


def test_rule_14_who_is_behind_an_heir_in_doubt_is_appointed_instead() -> None:
    stage = leading(None, BEHIND, "zz-n_0000000010")
    stage.take()
    beat(stage, 7)
    assert beat(stage, 7, after=1.25)
    stage.take()
    stage.candidacy.resign(stage.now)
    stage.take()
    stage.end_work()
    (asked,) = stage.sends(Purpose.APPOINT)
    assert isinstance(asked.request, m.Multi)
    assert asked.request.operations[0] == m.Check(f"{PARENT}/zz-n_0000000010")
    wake = asked.request.operations[1]
    assert isinstance(wake, m.SetData)
    assert wake.path == f"{PARENT}/{BEHIND}"
    assert CandidateData.decode(wake.data) == CandidateData("zoe", pulse="/e/pulse-z", appointed="zz-n_0000000010")


def test_rule_14_what_an_heir_has_said_of_its_naming_is_kept_when_the_lead_passes_it_by() -> None:
    """So that who is appointed instead may bury it."""
    stage = leading(None, BEHIND, "zz-n_0000000010")
    beat(stage, 6)
    beat(stage, 7)
    beat(stage, 7, after=1.25)
    stage.candidacy.resign(stage.now)
    stage.end_work()
    (asked,) = [each for each in stage.take() if isinstance(each, Send) and each.purpose is Purpose.APPOINT]
    assert isinstance(asked.request, m.Multi)
    wake = asked.request.operations[1]
    assert isinstance(wake, m.SetData)
    said = CandidateData.decode(wake.data)
    assert (said.named_by, said.lease, said.pulse) == (stage.candidacy.znode, 3.0, "/e/pulse-z")


def test_rule_14_an_heir_in_doubt_is_better_than_none() -> None:
    stage = leading()
    beat(stage, 7)
    beat(stage, 7, after=1.25)
    stage.candidacy.resign(stage.now)
    stage.end_work()
    (asked,) = [each for each in stage.take() if isinstance(each, Send) and each.purpose is Purpose.APPOINT]
    assert isinstance(asked.request, m.Multi)
    assert asked.request.operations[0] == m.Check(f"{PARENT}/{BEHIND}")


# -- what is said, so that others can watch ----------------------------------------------------------------------------


def test_an_heir_says_by_whom_it_is_named_with_its_first_confirm() -> None:
    stage = next_in_line(pulse=True)
    znode = stage.candidacy.znode
    assert znode is not None
    stage.candidacy.watched(m.Watched(m.EventType.DATA, f"{PARENT}/{HOLDER}"), stage.now)
    (watch,) = [each for each in stage.take() if isinstance(each, Send) and each.purpose is Purpose.WATCH]
    names = CandidateData("alice", term=1, version=2, token=5, lease=3.0, heir=znode, by_name=True, pulse="/e/pulse-a")
    stage.answer(watch, m.Data(names.encode(), m.Stat(version=6)))
    stake = stage.stake()
    data = CandidateData("me", "http://me", lease=3.0, pulse=stage.pulse.path, named_by=HOLDER, named_in=6)
    assert CandidateData.decode(stake.data) == data
    assert stake.operations == (m.SetData(f"{PARENT}/{znode}", stake.data, m.ANY_VERSION),)
    assert stage.candidacy.lead.stake(publish=False).operations == (m.Check(f"{PARENT}/{znode}"),)
    assert stage.stake() == stake, "until it is answered"
    stage.candidacy.confirmed(stake, stage.now, stage.now)
    assert stage.stake() == Stake((m.Check(f"{PARENT}/{znode}"),), None)
    stage.pulse.off()
    assert CandidateData.decode(stage.stake().data).pulse == "", "its silence says nothing from now on"


def test_who_is_appointed_says_nothing_that_was_said_for_it() -> None:
    """Who appointed it has written what it is onto its znode; and nobody behind is woken once more."""
    for told, named, said in ((True, True, True), (True, False, False), (False, True, False)):
        stage = next_in_line(pulse=True)
        znode = stage.candidacy.znode
        assert znode is not None
        own = stage.candidacy.own
        names = CandidateData(
            "alice", term=1, version=2, token=5, lease=3.0, heir=znode, by_name=True, pulse="/e/pulse-a"
        )
        own.sight.before = names
        if named:
            confirm(stage)
        stage.candidacy.watched(m.Watched(m.EventType.DELETED, f"{PARENT}/{HOLDER}"), stage.now)
        (read,) = [each for each in stage.take() if isinstance(each, Send) and each.purpose is Purpose.RECORD]
        stage.read(read, r.Record(2, znode, r.LeadState.HELD, 3.0, behind=(BEHIND,), token=6, told=told), 4)
        assert (stage.stake().data == b"") == said


def test_a_holder_confirms_while_its_work_winds_down() -> None:
    stage = Stage(pulse=True)
    stage.lead(BEHIND)
    stage.candidacy.resign(stage.now)
    assert stage.candidacy.has_stake
    confirm(stage)
    assert not stage.candidacy.is_leader(stage.now), "it leads no more all the same"
    assert not stage.stake().data, "nobody is woken by it"
    stage.take()
    stage.end_work()
    assert not stage.candidacy.has_stake, "its leave is on its way"


def test_a_refusal_of_a_part_of_one_that_departs_is_the_last() -> None:
    stage = Stage(pulse=True)
    stage.lead(BEHIND)
    stake = stage.stake()
    stage.candidacy.resign(stage.now)
    stage.candidacy.refused(stake, 1, BadVersion.code, stage.now)
    assert not stage.candidacy.has_stake


def test_a_refusal_tells_one_that_has_died_of_a_bug_nothing() -> None:
    stage = Stage(pulse=True)
    stage.lead(BEHIND)
    stake = stage.stake()
    stage.candidacy.die(working=False)
    assert not stage.candidacy.has_stake
    stage.candidacy.refused(stake, 1, BadVersion.code, stage.now)
    assert stage.candidacy.idle


# -- the pulse of one's own --------------------------------------------------------------------------------------------


def test_a_pulse_is_made_ahead_of_the_first_candidate_and_named_by_it() -> None:
    stage = Stage(pulse=True)
    stage.connect()
    stage.candidacy.join(stage.now)
    pulse, create = stage.sends(Purpose.PULSE, Purpose.CREATE)
    assert pulse.request == m.Create(f"{PARENT}/pulse-mine", b"", ephemeral=True)
    assert isinstance(create.request, m.Create)
    assert CandidateData.decode(create.request.data).pulse == f"{PARENT}/pulse-mine"
    stage.answer(create, NO_NODE)
    stage.answer(pulse, NO_NODE)
    (parent,) = stage.sends(Purpose.PARENT)
    stage.answer(parent, m.Created(PARENT))
    stage.sends(Purpose.PULSE, Purpose.CREATE)


def test_a_pulse_that_may_not_be_made_is_said_once_and_a_lost_reply_is_looked_up() -> None:
    stage = Stage(pulse=True)
    stage.connect()
    stage.candidacy.join(stage.now)
    pulse, create = stage.sends(Purpose.PULSE, Purpose.CREATE)
    stage.candidacy.disconnected(stage.now)
    stage.answer(pulse, m.Lost())
    stage.answer(create, m.Lost())
    stage.connect()
    _, listing = stage.sends(Purpose.SYNC, Purpose.LIST)
    assert isinstance(create.request, m.Create)
    znode = create.request.path.rpartition("/")[2] + "0000000005"
    stage.answer(listing, m.Children((znode,)))
    _, listing = stage.sends(Purpose.RECORD, Purpose.LIST)
    stage.answer(listing, m.Children((znode,)))
    (pulse,) = stage.sends(Purpose.PULSE)
    stage.answer(pulse, m.Failed(NoAuth.code))
    assert notes(stage) == [("no_pulse", logging.WARNING)]
    stage.candidacy.tick(stage.now)
    assert Purpose.PULSE not in [each.purpose for each in stage.take() if isinstance(each, Send)]


def test_a_pulse_that_could_not_be_sent_or_whose_candidate_died_is_made_by_the_next_one() -> None:
    stage = Stage(pulse=True)
    stage.connect()
    stage.candidacy.join(stage.now)
    pulse, _ = stage.sends(Purpose.PULSE, Purpose.CREATE)
    stage.candidacy.unsent(pulse)
    assert stage.pulse.request(PARENT) is not None
    stage = Stage(pulse=True)
    stage.connect()
    stage.candidacy.join(stage.now)
    stage.candidacy.die(working=False)
    assert stage.pulse.request(PARENT) is not None


def test_what_is_wanted_read_is_a_value() -> None:
    assert Wanted("/e/pulse-a", 0.6, None) == ("/e/pulse-a", 0.6, None)


# -- an heir that the lead has passed by -------------------------------------------------------------------------------


def passing(data: CandidateData) -> Stage:
    """Holding, appointed past the one right before us, which says this."""
    stage = Stage(pulse=True)
    znode = stage.enter(HOLDER, HEIR)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch, data)
    stage.candidacy.own.join.hold = Hold(znode, 4, 2, 6, 3.0, until=stage.now + 3.0, read=True)
    stage.candidacy.tick(stage.now)
    stage.take()
    return stage


def test_rule_9_a_holder_watches_the_heir_that_the_lead_has_passed_by() -> None:
    stage = passing(NAMED)
    assert stage.candidacy.hold is not None
    assert watched(stage) == ("/e/pulse-b", 0.6)
    assert bury(stage).request == m.Multi((m.Check("/e/pulse-b", 7), m.Delete(f"{PARENT}/{HEIR}")))
    for data in (CandidateData("bob", pulse="/e/pulse-b", lease=3.0), CandidateData("bob", named_by=HOLDER, lease=3.0)):
        assert watched(passing(data)) is None, "that one has never said that it confirms, or cannot"


def test_rule_9_a_holder_watches_whoever_is_right_before_it_by_then() -> None:
    stage = passing(NAMED)
    stage.candidacy.watched(m.Watched(m.EventType.DELETED, f"{PARENT}/{HEIR}"), stage.now)
    (watch,) = stage.sends(Purpose.WATCH)
    assert watch.about == HOLDER
    assert watched(stage) is None


def test_who_was_named_confirms_as_long_as_it_stands_first_whoever_leads() -> None:
    """The holder behind it may watch it, whether that one can be watched or not."""
    stage = Stage(pulse=True)
    znode = stage.enter(HOLDER)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch, replace(HOLDS, heir=znode, by_name=True))
    confirm(stage)
    stage.take()
    stage.candidacy.watched(m.Watched(m.EventType.DELETED, f"{PARENT}/{HOLDER}"), stage.now)
    assert stage.candidacy.has_stake
    (read,) = [each for each in stage.take() if isinstance(each, Send) and each.purpose is Purpose.RECORD]
    stage.read(read, held(BEHIND), 4)
    (watch,) = stage.sends(Purpose.WATCH)
    stage.arm(watch, CandidateData("zoe"))
    assert watched(stage) is None
    assert stage.candidacy.has_stake
    assert stage.stake().operations == (m.Check(f"{PARENT}/{znode}"),)
