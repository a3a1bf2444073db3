"""Schedules on which a careless heir would bury a leader that is well, or lead beside one that it has buried."""

from __future__ import annotations

from leader_async.election.rules.effects import Purpose, Send
from leader_async.zookeeper import messages as m

from ..properties.world import FAST, SLOW, Process, World

LEASE = 3.0
READS = m.GetData | m.GetChildren | m.Exists


def joined(count: int, *, leases: tuple[float, ...] = (), rates: tuple[float, ...] = ()) -> World:
    """A world whose processes stand in the queue in their order, and the first leads; all have confirmed lately."""
    world = World(count, leases=leases, rates=rates)
    for process in world.processes:
        process.join()
        world.deliver()
    go_on(world, 2.0)
    assert world.queue() == [process.name for process in world.processes]
    return world


def go_on(world: World, seconds: float, *silent: Process) -> None:
    """Let time pass in which all but these are quick; what they have sent stays where it is."""
    for process in silent:
        process.frozen = True
    end = world.time + seconds - 1e-6
    while world.time < end:
        world.step(0.1)
        world.deliver()
    for process in silent:
        process.frozen = False


def buries(process: Process) -> bool:
    """Whether it has asked for that, and nobody has served it yet."""
    assert process.connection is not None
    asked = [asked for _, (asked, _, _) in process.connection.up]
    return any(isinstance(each, Send) and each.purpose is Purpose.BURY for each in asked)


def read_only(world: World, seconds: float) -> None:
    """Let time pass in which servers answer reads, and no write is agreed on."""
    end = world.time + seconds - 1e-6
    while world.time < end:
        world.step(0.1)
        for process in world.processes:
            connection = process.connection
            assert connection is not None
            while connection.down or (connection.up and isinstance(connection.up[0][0], READS)):
                if connection.down:
                    process.receive()
                else:
                    process.serve()


def test_nobody_is_buried_where_all_are_well() -> None:
    for leases, rates in (((), ()), ((3.0, 30.0, 1.0), ()), ((), (SLOW, FAST, SLOW))):
        world = joined(3, leases=leases, rates=rates)
        go_on(world, 12.0)
        assert world.buried == 0
        assert world.processes[0].leads


def test_a_silent_leader_is_followed_after_two_leases() -> None:
    world = joined(2)
    first, second = world.processes
    first.frozen = True
    began = world.time
    while not second.leads:
        world.step(0.1)
        world.deliver()
        assert world.time - began < 2.6 * LEASE
    assert world.queue() == ["p1"]


def test_who_confirms_just_before_it_would_be_buried_is_not() -> None:
    world = joined(2)
    first, second = world.processes
    first.frozen = True
    while not buries(second):
        world.step(0.1)
        for _ in range(9):
            if second.connection is not None and not buries(second):
                world.deliver_to(second)
    first.frozen = False
    first.tick()
    world.deliver_to(first)
    world.deliver()
    assert world.buried == 0
    assert first.leads


def test_silence_does_not_begin_before_the_answer_that_shows_it() -> None:
    """A reading takes its time. The leader confirms before it is served, and is silent for less than a lease then."""
    world = joined(2)
    first, second = world.processes
    for _ in range(12):
        world.step(0.1)
        world.deliver_to(first)  # the heir's readings, asked for by now, are served late
    world.deliver_to(second)
    go_on(world, 2.6, first)
    assert world.buried == 0, "it was asked for a lease ago, but not known for so long"
    assert not buries(second)


def test_an_outage_for_all_does_not_change_the_leader() -> None:
    """Servers answer reads and agree on nothing; then the heir is served first."""
    for before in (0.1, 0.3, 0.6):  # seconds for which the leader has been silent already; then it is in no doubt
        world = joined(2)
        first, second = world.processes
        go_on(world, before, first)
        read_only(world, 6.0)
        world.deliver_to(second)
        world.deliver()
        go_on(world, 1.0)
        assert world.buried == 0
        assert first.leads


def test_an_outage_that_ends_connections_does_not_change_the_leader() -> None:
    world = joined(2)
    first, second = world.processes
    go_on(world, 2.0, first)  # the heir has proof by now that ZooKeeper serves
    for process in (first, second):
        process.cut(0)
    for _ in range(20):
        world.step(0.1)
    second.connect()
    second.tick()
    world.deliver_to(second)
    first.connect()
    world.deliver_to(first)
    go_on(world, 1.0)
    assert world.buried == 0
    assert first.leads


def test_who_has_no_pulse_any_more_is_not_silent() -> None:
    world = joined(2)
    first, second = world.processes
    world.delete_by_a_stranger(first.pulse.path)
    go_on(world, 9.0, first)
    assert world.asked_to_bury == 0
    assert world.queue() == ["p0", "p1"]
    go_on(world, 9.0)
    assert first.leads or second.leads


def test_a_leader_whose_work_winds_down_is_not_buried() -> None:
    world = joined(2)
    first, _ = world.processes
    first.obedient = False
    first.candidacy.resign(first.now)
    first.carry_out()
    go_on(world, 9.0)
    assert world.queue() == ["p0", "p1"]
    assert world.buried == 0


def test_who_has_buried_waits_for_the_end_of_the_lease_by_the_slowest_clock() -> None:
    world = joined(2, rates=(SLOW, FAST))
    first, second = world.processes
    first.keeper.hurry()
    first.carry_out()
    world.deliver()
    first.frozen = True
    while not second.leads:
        world.step(0.02)
        world.deliver()
    assert not first.leads
