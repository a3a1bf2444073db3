"""Partitions: the bounds of the assignment, and that nothing is dropped, for every order of events."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from leader_async.errors import AssignmentError
from leader_async.sharding.assignment import NOBODY, decode, encode, moves, rebalance
from leader_async.sharding.decisions import Decision, Situation, decide
from leader_async.sharding.member_data import MemberData

pytestmark = pytest.mark.timeout(120)
counts = st.integers(1, 300)
numbers = st.integers(1, 20)


def named(*places: int) -> tuple[str, ...]:
    return tuple(f"member-{place:03}" for place in places)


def shares(owners: tuple[str, ...], members: tuple[str, ...]) -> list[int]:
    found = Counter(owners)
    assert set(found) <= set(members)
    return [found[member] for member in members]


@st.composite
def histories(draw: st.DrawFn) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A balanced assignment as some comings and goings have left it, and its members."""
    owners, members = (NOBODY,) * draw(counts), named(0)
    owners = rebalance(owners, members)
    for place in range(1, draw(st.integers(1, 12))):
        if draw(st.booleans()) and len(members) > 1:
            gone = draw(st.sampled_from(members))
            members = tuple(member for member in members if member != gone)
        else:
            members += named(place)
        owners = rebalance(owners, members)
    return owners, members


# -- the assignment ----------------------------------------------------------------------------------------------------


@given(counts, st.lists(st.integers(0, 25), max_size=300), st.lists(st.integers(0, 25), min_size=1, unique=True))
def test_whatever_stood_there_shares_differ_by_one_at_most(count: int, before: list[int], there: list[int]) -> None:
    owners, members = named(*(before + [0] * count)[:count]), named(*there)
    after = rebalance(owners, members)
    sizes = shares(after, members)
    assert max(sizes) - min(sizes) <= 1
    assert rebalance(owners, members) == after, "the same for everybody"
    assert rebalance(after, members) == after, "nothing moves when nothing has changed"
    assert decode(encode(after), "/members") == after


@given(counts, st.lists(st.integers(0, 25), max_size=300), st.lists(st.integers(0, 25), min_size=1, unique=True))
def test_no_balanced_assignment_moves_fewer(count: int, before: list[int], there: list[int]) -> None:
    owners, members = named(*(before + [0] * count)[:count]), named(*there)
    loads = sorted((Counter(owners)[member] for member in members), reverse=True)
    least, larger = divmod(count, len(members))
    # Which members have the larger quotas is free: the largest loads keep the most with them.
    kept = sum(min(load, least + (place < larger)) for place, load in enumerate(loads))
    assert moves(owners, rebalance(owners, members)) == count - kept


@given(histories())
def test_one_that_comes_gets_its_share_and_nothing_else_moves(history: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    owners, members = history
    (newcomer,) = named(99)
    after = rebalance(owners, (*members, newcomer))
    assert all(new in (old, newcomer) for old, new in zip(owners, after, strict=True))
    assert moves(owners, after) == len(owners) // (len(members) + 1)


@given(histories(), st.integers(0, 11))
def test_of_one_that_goes_only_its_own_move(history: tuple[tuple[str, ...], tuple[str, ...]], which: int) -> None:
    owners, members = history
    gone = members[which % len(members)]
    after = rebalance(owners, tuple(member for member in members if member != gone))
    assert all(old == gone for old, new in zip(owners, after, strict=True) if old != new)
    assert moves(owners, after) == Counter(owners)[gone]


@given(histories(), st.sets(st.integers(0, 11)), st.integers(0, 8))
def test_the_bounds_of_changes_at_once_add_up(
    history: tuple[tuple[str, ...], tuple[str, ...]], going: set[int], coming: int
) -> None:
    owners, members = history
    gone = {members[place % len(members)] for place in going}
    stay = tuple(member for member in members if member not in gone)
    there = stay + named(*range(100, 100 + coming))
    bound = sum(owner in gone for owner in owners)
    bound += sum(len(owners) // number for number in range(max(2, len(stay) + 1), len(there) + 1))
    if there:
        assert moves(owners, rebalance(owners, there)) <= bound


@pytest.mark.parametrize("data", [b"x", b"[]", b"{}", b'{"members":["a"],"owners":[1]}', b'{"members":1,"owners":[0]}'])
def test_what_is_no_assignment_is_told(data: bytes) -> None:
    with pytest.raises(AssignmentError):
        decode(data, "/members")


def test_an_assignment_not_written_yet() -> None:
    assert decode(b"", "/members") is None
    assert rebalance(("a", "b"), ()) == (NOBODY, NOBODY)


LINES = st.text(st.characters(categories=["L", "N", "P"]), max_size=256)


@given(st.frozensets(st.integers(0, 1023)), LINES, LINES)
def test_a_card_is_read_as_it_was_written(announced: frozenset[int], identity: str, address: str) -> None:
    card = MemberData(identity, address, announced)
    assert MemberData.decode(card.encode()) == card


@given(st.binary())
def test_what_is_no_card_announces_nothing(data: bytes) -> None:
    assert not MemberData.decode(data).announced or data.startswith(b"{")


# -- handing over ------------------------------------------------------------------------------------------------------

COUNT = 5
index = st.integers(0, 3)
partition = st.integers(0, COUNT - 1)


@dataclass
class Replica:
    """One member with its delayed view of the rest, driven as `shares` drives it."""

    name: str
    me: str = NOBODY
    leaving: bool = False
    owners: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    running: set[int] = field(default_factory=set)
    ending: set[int] = field(default_factory=set)
    joining: set[int] = field(default_factory=set)
    announced: frozenset[int] = frozenset()
    said: dict[str, frozenset[int]] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    asks: frozenset[str] | None = None  # a read on its way to the server
    writes: frozenset[int] | None = None  # a write on its way to the server
    waits: bool = False  # for an answer
    alone: bool = False
    inbox: list[tuple[str, Any]] = field(default_factory=list)  # from the server, in order

    def decide(self) -> Decision:
        said = {name: announced for name, announced in self.said.items() if name in self.told}
        self.alone = all(name == self.me for name in self.names)
        return decide(
            Situation(
                me=self.me,
                leaving=self.leaving,
                alone=self.alone,
                owners=self.owners,
                running=self.running,
                ending=self.ending,
                joining=self.joining,
                announced=self.announced,
                said=said,
            )
        )


class World:
    """Members, their znodes, and the queues of the partitions; each method is one small step of one of them."""

    def __init__(self) -> None:
        self.number = 0
        self.replicas: list[Replica] = []
        self.cards: dict[str, frozenset[int]] = {}  # the members' znodes, in order
        self.watchers: dict[str, set[str]] = {}
        self.owners: tuple[str, ...] = (NOBODY,) * COUNT
        self.queues: list[list[str]] = [[] for _ in range(COUNT)]
        self.exempt = False  # somebody has died, or left in the belief to be alone
        self.come()

    def pick(self, number: int) -> Replica | None:
        return self.replicas[number % len(self.replicas)] if self.replicas else None

    # -- the world ---------------------------------------------------------------------------------------------------

    def changed(self, name: str) -> None:
        for replica in self.replicas:
            if replica.name in self.watchers.get(name, ()):
                replica.inbox.append(("changed", name))
        self.watchers.pop(name, None)

    def replace(self, owners: tuple[str, ...]) -> None:
        self.owners = owners
        for replica in self.replicas:
            replica.inbox.append(("assignment", (owners, tuple(self.cards))))

    def come(self) -> None:
        if len(self.replicas) < 4:
            self.number += 1
            replica = Replica(f"r{self.number}", me=f"m{self.number:03}")
            self.replicas.append(replica)
            self.cards[replica.me] = frozenset()
            self.replace(self.owners)

    def plan(self) -> None:
        """The first of the members does."""
        if self.cards:
            self.replace(rebalance(self.owners, tuple(self.cards)))

    def leave(self, number: int) -> None:
        replica = self.pick(number)
        if replica is not None and not replica.leaving and not replica.waits:
            replica.leaving = True
            del self.cards[replica.me]
            self.changed(replica.me)
            replica.me, replica.announced = NOBODY, frozenset()
            self.replace(self.owners)

    def die(self, number: int) -> None:
        """Process or session."""
        replica = self.pick(number)
        if replica is not None:
            self.exempt = True
            self.replicas.remove(replica)
            self.cards.pop(replica.me, None)
            self.changed(replica.me)
            for queue in self.queues:
                if replica.name in queue:
                    queue.remove(replica.name)
            self.replace(self.owners)

    # -- one replica -------------------------------------------------------------------------------------------------

    def step(self, number: int) -> bool:
        """As `Partitions` does: decide, begin and end, then one request."""
        replica = self.pick(number)
        if replica is None or replica.waits:
            return False
        decision = replica.decide()
        assert decision.announce <= replica.running - replica.joining
        assert not decision.end & replica.announced, "withdrawn before it is given up"
        replica.running |= decision.begin
        replica.joining |= decision.begin
        replica.ending |= decision.end
        for partition in decision.end:
            self.give_up(replica, partition)
        replica.running -= decision.end
        replica.joining -= decision.end
        if replica.me and decision.announce != replica.announced:
            replica.writes, replica.waits = decision.announce, True
        elif decision.ask:
            replica.asks, replica.waits = decision.ask, True
            replica.told |= decision.ask
        return bool(decision.begin or decision.end or replica.waits)

    def give_up(self, replica: Replica, partition: int) -> None:
        queue = self.queues[partition]
        if replica.name in queue:
            others = [name for name in queue if name != replica.name]
            self.exempt |= replica.leaving and replica.alone
            if not self.exempt:
                assert any(partition in other.running for other in self.replicas if other.name in others), "dropped"

    def end(self, number: int, partition: int) -> bool:
        """Work has ended, and the place is given up."""
        replica = self.pick(number)
        if replica is None or partition not in replica.ending:
            return False
        replica.ending.remove(partition)
        if replica.name in self.queues[partition]:
            self.queues[partition].remove(replica.name)
        return True

    def stand(self, number: int, partition: int) -> bool:
        """A place in a queue is taken."""
        replica = self.pick(number)
        if replica is None or partition not in replica.joining:
            return False
        replica.joining.remove(partition)
        self.queues[partition].append(replica.name)
        return True

    def serve(self, number: int) -> bool:
        """Its request reaches the server."""
        replica = self.pick(number)
        if replica is None or (replica.asks is None and replica.writes is None):
            return False
        if replica.writes is not None:
            self.cards[replica.me] = replica.writes
            self.changed(replica.me)
            replica.inbox.append(("written", replica.writes))
        elif replica.asks is not None:
            for name in replica.asks & self.cards.keys():
                self.watchers.setdefault(name, set()).add(replica.name)
            replica.inbox.append(("read", {name: self.cards.get(name, frozenset()) for name in replica.asks}))
        replica.writes = replica.asks = None
        return True

    def receive(self, number: int) -> bool:
        replica = self.pick(number)
        if replica is None or not replica.inbox:
            return False
        match replica.inbox.pop(0):
            case "changed", str(name):
                replica.told.discard(name)
            case "assignment", (owners, names):
                replica.owners, replica.names = owners, names
            case "written", frozenset() as announced:
                replica.announced, replica.waits = announced, False
            case "read", dict() as cards:
                replica.said |= cards
                replica.waits = False
        return True

    def all_of(self, number: int) -> bool:
        """Whatever one of them can do, once; whether that was anything."""
        replica = self.pick(number)
        did = self.serve(number) | self.receive(number) | self.step(number)
        for partition in range(COUNT):
            did |= self.stand(number, partition) | self.end(number, partition)
        if replica is not None and replica.leaving and not (did or replica.running or replica.ending):
            self.replicas.remove(replica)
            return True
        return did

    def come_to_rest(self) -> None:
        """Each partition is in the hands of its owner then, and of nobody else."""
        self.plan()
        for _ in range(2000):
            busy = False
            for number in range(len(self.replicas)):
                busy |= self.all_of(number)
            if not busy:
                break
        else:
            raise AssertionError("it never comes to rest")
        who = {replica.me: replica.name for replica in self.replicas if replica.me}
        assert self.queues == [[who[owner]] if owner in who or self.cards else [] for owner in self.owners]
        for replica in self.replicas:
            assert replica.announced == {p for p, owner in enumerate(self.owners) if replica.me and owner == replica.me}


class Handovers(RuleBasedStateMachine):
    """Replicas come, leave and die; every message and every step may be delayed."""

    @initialize()
    def begin(self) -> None:
        self.world = World()

    @rule()
    def come(self) -> None:
        self.world.come()

    @rule()
    def plan(self) -> None:
        self.world.plan()

    @rule(number=index)
    def leave(self, number: int) -> None:
        if len(self.world.cards) > 1:
            self.world.leave(number)

    @rule(number=index, chance=st.integers(0, 9))
    def die(self, number: int, chance: int) -> None:
        if chance == 0:
            self.world.die(number)

    @rule(number=index)
    def step(self, number: int) -> None:
        self.world.step(number)

    @rule(number=index, times=st.integers(1, 3))
    def receive(self, number: int, times: int) -> None:
        for _ in range(times):
            self.world.receive(number)

    @rule(number=index)
    def serve(self, number: int) -> None:
        self.world.serve(number)

    @rule(number=index, partitions=st.sets(partition))
    def stand(self, number: int, partitions: set[int]) -> None:
        for partition in sorted(partitions):
            self.world.stand(number, partition)

    @rule(number=index, partitions=st.sets(partition))
    def end(self, number: int, partitions: set[int]) -> None:
        for partition in sorted(partitions):
            self.world.end(number, partition)

    @rule(number=index, times=st.integers(1, 12))
    def go_on(self, number: int, times: int) -> None:
        """One is quick, while the others are not."""
        for _ in range(times):
            self.world.all_of(number)

    @rule(number=index)
    def start(self, number: int) -> None:
        """A newcomer, and the members settle into what that means, but for one of them."""
        self.world.come()
        self.world.plan()
        for _ in range(12):
            for other in range(len(self.world.replicas)):
                if other != number % len(self.world.replicas):
                    self.world.all_of(other)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.come_to_rest()
            for number in range(len(self.world.replicas)):
                self.world.leave(number)
            self.world.come_to_rest()
            assert not self.world.replicas


TestHandovers = Handovers.TestCase
TestHandovers.settings = settings(
    max_examples=150, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
