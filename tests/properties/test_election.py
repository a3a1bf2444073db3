"""The election's order and safety, whatever happens in whatever order."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from leader_async.election.rules.candidacy import Candidacy
from leader_async.zookeeper import messages as m

from .world import FAST, PARENT, SLOW, WHO, Process, World

pytestmark = pytest.mark.timeout(240)
index = st.integers(0, 3)


class Elections(RuleBasedStateMachine):
    """Candidates come, go, lose connections and sessions; every message may be delayed."""

    @initialize(
        count=st.integers(2, 4),
        rates=st.tuples(*[st.sampled_from([1.0, 1.0, SLOW, FAST])] * 4),
        joined=st.booleans(),
        elections=st.sampled_from([1, 1, 2, 3]),
    )
    def begin(self, count: int, rates: tuple[float, ...], joined: bool, elections: int) -> None:
        self.world = World(count, rates=rates, elections=elections)
        for process in self.world.processes:
            process.join()
        if joined:
            self.world.settle(wait=1.0)

    def pick(self, number: int) -> Process:
        return self.world.processes[number % len(self.world.processes)]

    def one_of(self, process: Process, number: int) -> Candidacy:
        return process.candidacies[number % len(process.candidacies)]

    @rule(number=index, count=st.integers(1, 4))
    def serve(self, number: int, count: int) -> None:
        process = self.pick(number)
        if process.connection is None:
            return
        for _ in range(min(count, len(process.connection.up))):
            process.serve()

    @rule(number=index, count=st.integers(1, 4))
    def receive(self, number: int, count: int) -> None:
        process = self.pick(number)
        if process.connection is None:
            return
        for _ in range(min(count, len(process.connection.down))):
            process.receive()
            self.world.check()

    @rule(number=index, ahead=st.integers(1, 5))
    def catch_up(self, number: int, ahead: int) -> None:
        process = self.pick(number)
        if process.connection is None:
            return
        process.catch_up(process.connection, min(process.connection.applied + ahead, self.world.ensemble.zxid))

    @rule()
    def deliver_all(self) -> None:
        self.world.deliver()

    @rule(number=index, executed=st.integers(0, 3))
    def cut(self, number: int, executed: int) -> None:
        process = self.pick(number)
        if process.connection is None:
            return
        process.cut(executed)

    @rule(number=index)
    def connect(self, number: int) -> None:
        process = self.pick(number)
        if process.connection is not None:
            return
        process.connect()

    @rule(number=index)
    def expire(self, number: int) -> None:
        """ZooKeeper ends a session whenever it likes, also right behind a confirm."""
        self.world.ensemble.expire(self.pick(number).session)

    @rule(number=index, which=index)
    def delete_by_a_stranger(self, number: int, which: int) -> None:
        parent = self.world.parents[which % len(self.world.parents)]
        names = self.world.ensemble.head.children(parent)
        if names and self.world.ensemble.sessions:
            self.world.delete_by_a_stranger(f"{parent}/{names[number % len(names)]}")

    @rule(number=index, which=index)
    def resign(self, number: int, which: int) -> None:
        process = self.pick(number)
        self.one_of(process, which).resign(process.now)
        process.carry_out()

    @rule(number=index, to=index, which=index)
    def transfer(self, number: int, to: int, which: int) -> None:
        process = self.pick(number)
        candidacy = self.one_of(process, which)
        appointee = self.world.appointee(to, candidacy.settings.parent)
        if appointee is not None and appointee.znode != candidacy.znode:
            candidacy.transfer(appointee, process.now)
            process.carry_out()

    @rule(number=index, which=index)
    def leave_and_join(self, number: int, which: int) -> None:
        process = self.pick(number)
        candidacy = self.one_of(process, which)
        candidacy.leave(process.now)
        process.carry_out()
        candidacy.join(process.now)
        process.carry_out()

    @rule(number=index, obedient=st.booleans())
    def temper(self, number: int, obedient: bool) -> None:
        process = self.pick(number)
        process.obedient = obedient
        if obedient:
            process.obey()

    @rule(seconds=st.sampled_from([0.1, 0.6, 1.0, 3.0, 3.3, 7.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.world.step(seconds)

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def never_two(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        """After healing one leads within what is promised, and each other one watches exactly its predecessor."""
        if not hasattr(self, "world"):
            return
        for process in self.world.processes:
            process.obey()
        self.world.heal()
        for number in range(len(self.world.parents)):
            assert_settled(self.world, number)


def joined(count: int) -> World:
    """A world whose processes all stand in the queue, and the first leads."""
    world = World(count)
    for process in world.processes:
        process.join()
    world.settle(wait=1.0)
    return world


def assert_settled(world: World, number: int = 0) -> None:
    parent = world.parents[number]
    queue = world.queue(parent)
    assert sorted(queue) == sorted(process.name for process in world.processes)
    by_name = {process.name: process.candidacies[number] for process in world.processes}
    (leader,) = (process for process in world.processes if by_name[process.name].is_leader(process.now))
    watching = {}
    for process in world.processes:
        assert process.connection is not None
        watches = watching[process.name] = process.connection.replica.watches._data
        candidacy = by_name[process.name]
        notice = candidacy.lead.notice
        assert not notice or candidacy.own.sight.awaited == notice, "an heir awaits notice"
        assert not notice or WHO in watches[f"{parent}/{notice}"]
        for path in watches:
            # One that a holder might have given that is gone stays until the connection ends: it never comes.
            there = world.ensemble.head.find(path) is not None or "/notice:" in path
            assert there, "no watch waits for what is gone"
    for before, name in zip([None, *queue], queue, strict=False):
        if name == leader.name:
            continue  # it may have got the lead by name, and stand behind others
        # Who is first and does not lead waits for the holder's end.
        znode = by_name[before or leader.name].znode
        assert by_name[name].own.sight.armed == znode
        assert WHO in watching[name][f"{parent}/{znode}"]


TestElections = Elections.TestCase
TestElections.settings = settings(
    max_examples=300, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("leaving", range(5))
def test_a_departure_wakes_exactly_one(leaving: int) -> None:
    world = joined(5)
    before = world.queue()
    woken = {process.name: process.woken for process in world.processes}
    gone = next(process for process in world.processes if process.name == before[leaving])
    world.ensemble.expire(gone.session)
    gone.connection = None
    world.deliver()
    awake = [process.name for process in world.processes if process.woken != woken[process.name]]
    assert awake == before[leaving + 1 : leaving + 2]


def receive_all(process: Process) -> None:
    assert process.connection is not None
    while process.connection.down:
        process.receive()


def test_a_handover_by_name_is_one_commit_one_event_and_one_read() -> None:
    world = joined(3)
    first, heir, next_heir = (next(p for p in world.processes if p.name == name) for name in world.queue())
    commits = world.ensemble.zxid
    first.candidacy.leave(first.now)
    first.carry_out()
    first.serve()
    assert world.ensemble.zxid == commits + 1
    assert heir.connection is not None
    heir.catch_up(heir.connection, world.ensemble.zxid)
    heir.receive()
    assert [type(request) for request, _ in heir.connection.up] == [m.GetData]
    heir.serve()
    receive_all(heir)
    assert heir.leads
    assert world.ensemble.zxid == commits + 1
    # Its first confirm tells the next heir, who reads one candidate's data.
    assert [type(request) for request, _ in heir.connection.up] == [m.Multi]
    heir.serve()
    assert next_heir.connection is not None
    next_heir.catch_up(next_heir.connection, world.ensemble.zxid)
    receive_all(next_heir)
    assert [request for request, _ in next_heir.connection.up] == [
        m.GetData(f"{PARENT}/{heir.candidacy.znode}", watch=True)
    ]
    world.deliver()
    assert next_heir.candidacy.lead.named


def test_a_handover_under_a_lease_that_is_not_one_s_own_is_the_leave_one_event_and_the_claim() -> None:
    world = joined(3)
    first, heir, _ = (next(p for p in world.processes if p.name == name) for name in world.queue())
    assert first.candidacy.hold is not None
    first.candidacy.hold.lease = 2.5  # as if it had been appointed by one that had another lease
    first.keeper.hurry()
    first.carry_out()
    world.deliver()
    assert heir.candidacy.own.sight.before.heir == heir.candidacy.znode
    assert not heir.candidacy.lead.named
    commits = world.ensemble.zxid
    first.candidacy.leave(first.now)
    first.carry_out()
    first.serve()
    assert world.ensemble.zxid == commits + 1
    assert heir.connection is not None
    heir.catch_up(heir.connection, world.ensemble.zxid)
    heir.receive()
    assert [type(request) for request, _ in heir.connection.up] == [m.Multi]
    heir.serve()
    receive_all(heir)
    assert heir.leads
    assert world.ensemble.zxid == commits + 2


def test_an_answer_that_comes_late_renews_no_more_than_its_sending_did() -> None:
    """ZooKeeper expires the session right behind the confirm, and the answer takes a second to arrive."""
    world = joined(2)
    old, new = (next(p for p in world.processes if p.name == name) for name in world.queue())
    old.keeper.hurry()
    old.confirm()
    old.serve()
    world.ensemble.expire(old.session)
    world.deliver_to(new)
    world.step(1.0)
    assert old.connection is not None
    while old.connection.down:
        old.receive()
    for _ in range(30):
        world.step(0.1)
        world.deliver_to(new)
    assert new.leads
    assert not old.leads


def test_disobedient_work_keeps_its_place() -> None:
    world = joined(2)
    leader = next(process for process in world.processes if process.leads)
    leader.obedient = False
    leader.candidacy.resign(leader.now)
    leader.carry_out()
    world.settle(wait=30.0)
    assert not any(process.leads for process in world.processes)
    assert world.queue()[0] == leader.name
