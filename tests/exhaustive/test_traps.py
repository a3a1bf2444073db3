"""The traps: schedules that broke drafts of these rules, or real systems, each by its name."""

from __future__ import annotations

from dataclasses import replace

from leader_async.election.rules import record as r
from leader_async.election.rules.confirm_rounds import ConfirmRounds
from leader_async.embedded.entries import Entry
from leader_async.zookeeper import messages as m

from ..properties.test_election import joined
from ..properties.world import PARENT, Process, World
from . import sessions
from .explore import Action


def in_order(world: World) -> list[Process]:
    """The processes as they stand in the queue."""
    return [next(process for process in world.processes if process.name == name) for name in world.queue()]


def a_record(world: World) -> r.Record:
    node = world.ensemble.head.find(PARENT)
    assert node is not None
    return r.decode(node.data, node.version, "/e")


def pass_time(world: World, seconds: float, *but: Process) -> None:
    """Time passes, and everything arrives, but for these."""
    for _ in range(round(seconds / 0.1)):
        world.step(0.1)
        for process in world.processes:
            if process not in but and process.connection is not None:
                world.deliver_to(process)


def drain(process: Process) -> None:
    while process.connection is not None and process.connection.down:
        process.receive()


def transfer(world: World, leader: Process, place: int) -> None:
    """The leader hands over by name to whoever stands at this place of the queue."""
    appointee = world.appointee(place)
    assert appointee is not None
    leader.candidacy.transfer(appointee, leader.now)
    leader.carry_out()


def test_a_blind_claim_after_a_stale_read_of_none_meets_no_term() -> None:
    """The heir read `none`; its predecessor claimed, and its session ended: a claim on v + 1 would be a theft."""
    world = World(2)
    first, heir = world.processes
    for process in world.processes:
        process.connect()
        process.candidacy.join(process.now)
        process.carry_out()
    for _ in range(60):  # both stand in the queue, and nobody has claimed
        for process in world.processes:
            assert process.connection is not None
            up = process.connection.up
            if up and not (isinstance(up[0][0], m.Multi)):
                process.serve()
            drain(process)
    world.deliver_to(first)
    assert first.leads
    held = a_record(world)
    assert held.state is r.LeadState.HELD
    world.ensemble.expire(first.session)  # `first` does not know
    world.deliver_to(heir)
    pass_time(world, 2.0, first)
    assert first.leads
    assert not heir.leads
    pass_time(world, 5.0, first)
    assert heir.leads
    assert not first.leads


def test_gone_is_not_judged_by_a_listing_older_than_the_read() -> None:
    """A listing without the holder counts as its end only if it was sent after the read that named it."""
    world = joined(3)
    first, second, third = in_order(world)
    first.candidacy.resign(first.now)
    first.carry_out()
    world.deliver()  # the second leads now; the first stands at the back
    assert second.leads
    world.ensemble.expire(second.session)
    # The third has lists and reads of all ages; still it waits the whole lease out.
    began = world.time
    while not third.leads and world.time < began + 20:
        world.step(0.1)
        world.deliver_to(third)
        world.check()
    assert third.leads
    assert world.time - began >= 1.1 * 3.0 - 0.2


def test_a_confirm_for_a_new_znode_while_the_record_names_the_old_one_is_never_sent() -> None:
    world = joined(2)
    leader = in_order(world)[0]
    old = leader.candidacy.znode
    world.ensemble.commit(Entry(leader.session, m.Delete(f"{PARENT}/{old}")))
    for _ in range(80):
        world.step(0.1)
        if leader.connection is not None:
            for request, _ in leader.connection.up:
                if isinstance(request, m.Multi) and isinstance(request.operations[-1], m.Check):
                    *own, last = request.operations
                    if last.path != PARENT:
                        continue  # an heir's
                    assert own[0].path == f"{PARENT}/{a_record(world).holder}"
        world.deliver()
    assert leader.candidacy.znode not in (None, old)
    assert sum(process.leads for process in world.processes) == 1


def test_nobody_rejoins_behind_its_own_living_znode() -> None:
    """The leave's reply is lost: the old znode is looked for before a new one is made."""
    world = joined(2)
    leader = in_order(world)[0]
    leader.candidacy.resign(leader.now)
    leader.carry_out()
    leader.cut(0)  # the leave never reached the server
    leader.connect()
    world.settle(wait=10.0)
    names = world.ensemble.head.children(PARENT)
    assert len(names) == 2
    assert sorted(world.queue()) == ["p0", "p1"]


def test_a_late_answer_to_a_confirm_after_the_leave_revives_nothing() -> None:
    world = joined(2)
    leader, heir = in_order(world)
    leader.keeper.hurry()
    leader.confirm()
    leader.serve()  # answered, but not heard yet
    leader.candidacy.resign(leader.now)
    leader.carry_out()
    assert not leader.leads
    drain(leader)
    assert not leader.leads
    world.deliver()
    assert heir.leads
    assert not leader.leads


def test_a_woken_zookeeper_leader_that_expires_a_session_right_after_answering_its_confirm() -> None:
    world = joined(2)
    leader, heir = in_order(world)
    leader.keeper.hurry()
    leader.confirm()
    leader.serve()
    world.ensemble.expire(leader.session)
    drain(leader)
    assert leader.leads, "it was alive when it was confirmed"
    pass_time(world, 3.1, leader)
    assert not leader.leads
    assert not heir.leads, "a tenth of the lease is for clocks"
    pass_time(world, 1.0, leader)
    assert heir.leads


def test_a_stalled_ping_loop_ends_a_session_early() -> None:
    """ZOOKEEPER-3774: whatever the session's timer says, nobody leads before the lease has ended."""
    for late in range(12):
        world = joined(2)
        leader, _ = in_order(world)
        world.step(late * 0.25)
        world.ensemble.expire(leader.session)
        pass_time(world, 8.0, leader)
        assert sum(process.leads for process in world.processes) == 1
        assert not leader.leads


def test_a_failed_check_in_a_shared_confirm_belongs_to_one_election_only() -> None:
    """Two terms in one round: the first that failed ends; the other is asked for again without it."""
    one, two = joined(2), joined(2)
    first, second = in_order(one)[0].candidacy, in_order(two)[0].candidacy
    assert first.hold is not None
    assert second.hold is not None
    shared, now = ConfirmRounds(), in_order(one)[0].now
    shared.note(first)
    shared.note(second)
    shared.hurry()
    (asked,) = shared.rounds(now)
    assert len(asked.request.operations) == 4
    until = second.hold.until
    failed = m.Transacted((m.Failed(-101), m.Failed(-2), m.Failed(-2), m.Failed(-2)))
    shared.answered(asked, failed, now, now)
    assert first.hold.over
    assert not second.hold.over
    assert second.hold.until == until, "for this one it counts for nothing"
    (again,) = shared.rounds(now)
    assert [candidacy for candidacy, _ in again.stakes] == [second], "and it is asked again at once"


def test_an_appointment_hit_by_the_heirs_claim_on_v_plus_one() -> None:
    """An heir that does not know that it was named claims blindly: by the parity it takes nothing from itself."""
    world = joined(3)
    leader, heir, _ = in_order(world)
    heir.candidacy.own.sight.before = replace(heir.candidacy.own.sight.before, by_name=False)
    leader.candidacy.resign(leader.now)
    leader.carry_out()
    leader.serve()
    assert heir.connection is not None
    heir.catch_up(heir.connection, world.ensemble.zxid)
    heir.receive()  # a notice, which it does not know to be for it
    heir.receive()
    (claim, _), *_ = heir.connection.up
    assert isinstance(claim, m.Multi)
    before = a_record(world)
    assert before.holder == heir.candidacy.znode
    heir.serve()
    assert a_record(world) == before
    world.deliver()
    assert heir.leads


def test_who_transfers_and_then_resigns_does_not_free_the_others_record() -> None:
    world = joined(3)
    leader, _, last = in_order(world)
    transfer(world, leader, 2)
    leader.cut(1)  # the reply is lost, the effect is not
    leader.candidacy.resign(leader.now)
    leader.connect()
    world.settle(wait=5.0)
    assert last.leads
    assert a_record(world).holder == last.candidacy.znode


def test_a_transfer_to_one_further_back_is_read_by_that_one() -> None:
    world = joined(4)
    leader, *_, last = in_order(world)
    transfer(world, leader, 3)
    world.deliver()
    assert last.leads, "without waiting for an audit"
    assert sum(process.leads for process in world.processes) == 1


def who_leads_before_its_turn() -> tuple[World, Process, Process, Process]:
    """The second leads by name, the first stands ahead of it, and the last has read its data before that."""
    world = joined(3)
    for process in in_order(world)[:2]:  # the first of them queues again: none behind the last has data of a term
        process.candidacy.resign(process.now)
        process.carry_out()
        world.deliver()
    leader, first, second = in_order(world)
    transfer(world, leader, 2)
    world.deliver()
    assert in_order(world) == [first, second, leader]
    assert second.leads
    return world, first, second, leader


def test_one_that_leads_before_its_turn_hands_over_to_the_one_right_behind_it() -> None:
    """Its end alone would not tell that one: whoever it watches may go, and somebody else still be ahead of it."""
    world, _, second, last = who_leads_before_its_turn()
    transfer(world, second, 2)
    world.deliver()
    assert last.leads, "without waiting for an audit"


def test_one_that_leads_before_its_turn_and_resigns_passes_nobody_over() -> None:
    world, first, second, _ = who_leads_before_its_turn()
    second.candidacy.resign(second.now)
    second.carry_out()
    world.deliver()
    assert first.leads


def test_whoever_stands_ahead_of_a_living_leader_waits_for_its_end_however_long_that_takes() -> None:
    """What is waited out begins with the holder's end, not with the reading of the record that names it."""
    world, first, second, _ = who_leads_before_its_turn()
    pass_time(world, 8.0)
    assert second.leads
    world.ensemble.expire(second.session)
    world.deliver_to(first)
    pass_time(world, 2.0, second)
    assert not first.leads
    pass_time(world, 2.0, second)
    assert first.leads


def test_who_was_appointed_while_it_was_away_learns_that_when_it_is_back() -> None:
    world, _, second, last = who_leads_before_its_turn()
    appointee = world.appointee(2)
    assert appointee is not None
    last.cut(0)
    second.candidacy.transfer(appointee, second.now)
    second.carry_out()
    world.deliver()
    last.connect()
    world.deliver()
    assert last.leads, "without waiting for an audit"


def test_a_server_behind_an_event_is_believed_no_more_than_the_event() -> None:
    """A watch event carries no zxid: who reconnects to a server that is behind it must not see the dead rise."""
    world = joined(3)
    first, second, third = in_order(world)
    assert third.connection is not None
    gone = second.candidacy.znode
    world.ensemble.expire(second.session)
    third.catch_up(third.connection, world.ensemble.zxid)
    third.receive()  # the event; its reply to what it asks then never comes
    third.cut(0)
    third.connect()
    assert third.connection.applied < world.ensemble.zxid, "another server, which has not heard of it"
    while third.connection.up or third.connection.down:
        if third.connection.up:
            third.serve()
        drain(third)
    assert third.candidacy.own.join.queue.ahead == (first.candidacy.znode,)
    assert gone not in third.candidacy.own.join.queue.ahead
    assert third.candidacy.story.healed == 0


def test_a_candidacy_that_has_died_of_a_bug_confirms_no_more() -> None:
    """A connection that lives on must not keep the lease of a candidacy that nobody drives any more."""
    world = joined(2)
    first, _ = in_order(world)
    term = first.candidacy.hold
    assert first.leads
    assert term is not None
    first.candidacy.die(working=True)
    first.carry_out()
    assert not first.leads
    pass_time(world, 2 * term.lease)
    assert not term.leads(first.now)
    assert first.candidacy.next_command() is None
    assert first.keeper.due() is None


def test_an_election_that_is_deleted_under_a_leader_that_is_cut_off_has_no_second_one() -> None:
    """Its znode is made anew by the other, which knows that somebody led, and not that nobody does any more."""
    world = joined(2)
    first, second = in_order(world)
    world.delete_election()
    pass_time(world, 3.2, first)
    assert world.ensemble.head.find(PARENT) is not None, "made anew"
    assert second.candidacy.state(second.now) == "waiting out"
    assert not second.leads
    pass_time(world, 3.0, first)
    assert second.leads
    first.cut(0)
    first.connect()
    world.settle()
    assert [process.leads for process in (first, second)] == [False, True]


UP, UP_AGAIN = ("open", "serve", "receive"), ("open", "serve", "receive", "serve", "receive")
"""A handshake; one that is followed by a request, be it the close of a session that nobody wants."""


def session_after(*steps: str) -> sessions.State:
    """A session, its server, and what is between them, after these steps, and that they heal."""
    actions: tuple[Action, ...] = tuple((step, 0) for step in steps)
    state = sessions.replay(sessions.Bounds(1, 9, 9, 9, 9), actions)
    state.settle()
    return state


def test_a_session_outlives_an_outage_that_costs_no_session() -> None:
    """Servers without a quorum hang up; when they have one again, they grant new sessions, and resume the old ones."""
    begun = *UP, "send", "serve", "receive"
    state = session_after(*begun, "cut", "hang up", *UP, "outage", *UP_AGAIN)
    assert state.client.expired == []
    state = state.after(("open", 0)).after(("serve", 0)).after(("receive", 0))
    assert state.client.expired == []
    assert list(state.server.host.tree.sessions) == [state.client.session.session_id], "and no other one is left"


def test_who_had_no_session_when_the_data_were_lost_gets_one_all_the_same() -> None:
    """What it had seen is ahead of servers that have lost it: they hang up, whatever session it asks for."""
    state = session_after(*UP, "send", "serve", "receive", "expire", "receive", "open", "serve", "receive", "wipe")
    assert state.client.session.session_id == 0
    assert state.client.session.last_zxid > state.server.host.tree.zxid
