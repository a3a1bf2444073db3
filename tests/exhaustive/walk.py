"""The walk: breadth first from all candidates not yet joined, through every action that is possible in each state.

Actions: a server takes the oldest request of a connection; a client takes the oldest reply or event; a connection is
made again; time passes by a step. And faults, of which there is a budget: a connection is cut, with the oldest request
on it executed or not, so that a reply is lost after the effect; a session is expired, at any moment; a server is cut
off, from when on it serves old reads and its writes wait; a connection is made to such a server; a candidate resigns,
or hands over by name to the last in the queue; a stranger deletes a candidate's znode. (Of several elections these
three are about the first.) The end of a session ends its
connection, but what the server had said before that may still be on its way.

Two states are one if everything that rules look at agrees: times count from now, and only as far as they matter. What
the walk leaves out: more than `passes` steps of time, more than the budget of faults. A
server that is not cut off has applied the whole log, though what it has to say may be on its way for as long as wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from leader_async.election.rules import candidate_data, history, lease, queue, record
from leader_async.election.rules import effects as commands
from leader_async.election.rules import state as standing
from leader_async.election.rules.candidacy import Candidacy
from leader_async.embedded import tree
from leader_async.zookeeper import messages as m

from ..properties import world as worlds
from ..properties.world import PARENT, Process, World
from . import explore
from .copying import copied, share
from .explore import Action

STEP = 1.66
"""Seconds of a step of time: two are a little more than 1.1 leases of 3 s, and so a lease has been waited out then."""

ANEW = "delete election"
"""A fault that is outside of what is assumed: a stranger deletes the election's znode, and all below it. No second
leader comes of it all the same, if all candidates have heard of a term."""

FAULTS = ("cut", "lose", "expire", "cut off", "connect behind", "resign", "delete", "transfer")

share(
    m,
    candidate_data,
    commands,
    history,
    lease,
    queue,
    record,
    standing,
    tree,
    worlds,
    but=("Round", "Stake", "StartWork"),
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far to walk.

    Attributes:
        candidates: how many.
        faults: how many of each kind, at most.
        total: how many of all kinds, at most.
        passes: how many steps of time.
        joined: begin with all of them in the queue, the first leading; else nobody has joined yet.
        first: what is done before the walk begins, beyond all budgets.
        leases: of each candidate, in seconds; 3 if there are no more.
        rates: of each one's clock; 1 if there are no more.
        elections: how many each takes part in, under one session.
    """

    candidates: int
    faults: dict[str, int] = field(default_factory=dict)
    total: int = 1
    passes: int = 4
    joined: bool = True
    first: tuple[Action, ...] = ()
    leases: tuple[float, ...] = ()
    rates: tuple[float, ...] = ()
    elections: int = 1


@dataclass(eq=False)
class State(explore.State):
    """A world, and what is left of the budget."""

    world: World
    left: dict[str, int]
    total: int
    passes: int
    cut_off: frozenset[int] = frozenset()

    def possible(self) -> Iterator[Action]:
        return possible(self)

    def after(self, action: Action) -> State:
        return after(self, action)

    def key(self) -> Any:
        return key(self)

    def settle(self) -> None:
        copied(self.world).heal()


def begin(bounds: Bounds) -> State:
    """Where the walk starts."""
    world = World(bounds.candidates, leases=bounds.leases, rates=bounds.rates, elections=bounds.elections)
    for process in world.processes:
        process.join()
        if bounds.joined:
            world.deliver_to(process)
    if bounds.joined:
        world.deliver()
    _catch_up(world, frozenset())
    state = State(world, dict.fromkeys((*FAULTS, ANEW), 99), 99, 99)
    for action in bounds.first:
        state = after(state, action)
    return State(state.world, dict(bounds.faults), bounds.total, bounds.passes, state.cut_off)


def possible(state: State) -> Iterator[Action]:
    """What can happen here."""
    for number, process in enumerate(state.world.processes):
        connection = process.connection
        if connection is None:
            yield "connect", number
        else:
            writes = connection.up and not isinstance(connection.up[0][0], m.GetData | m.GetChildren | m.Exists)
            over = process.session not in state.world.ensemble.sessions
            if connection.up and not (writes if number in state.cut_off else over):
                yield "serve", number
            if connection.down:
                yield "receive", number
            if number in state.cut_off or over:
                yield "leave server", number
    if state.passes:
        yield "pass", 0
    if not state.total:
        return
    if state.left.get(ANEW) and state.world.ensemble.head.find(PARENT) is not None:
        yield ANEW, 0
    for fault in FAULTS:
        if not state.left.get(fault):
            continue
        for number, process in enumerate(state.world.processes):
            if _can(fault, state, number, process):
                yield fault, number


def _can(fault: str, state: State, number: int, process: Process) -> bool:
    connection, candidacy = process.connection, process.candidacy
    match fault:
        case "cut":
            return connection is not None
        case "connect behind":
            return connection is None
        case "lose":
            return connection is not None and bool(connection.up) and number not in state.cut_off
        case "expire":
            return process.session in state.world.ensemble.sessions
        case "cut off":
            return connection is not None and number not in state.cut_off
        case "resign":
            return candidacy.own.wanted and not candidacy.own.join.departing
        case "transfer":
            last = state.world.appointee(-1)
            return process.leads and last is not None and last.znode != candidacy.znode
        case _:
            return candidacy.znode is not None


def after(state: State, action: Action) -> State:
    """The state that the action leads to.

    Raises:
        AssertionError: an invariant does not hold there.
    """
    world = copied(state.world)
    kind, number = action
    process = world.processes[number]
    cut_off, left, total, passes = state.cut_off, state.left, state.total, state.passes
    if kind in left:
        left, total = {**left, kind: left[kind] - 1}, total - 1
    match kind:
        case "connect":
            process.connect()
        case "serve":
            process.serve()
        case "receive":
            process.receive()
        case "pass":
            world.step(STEP)
            passes -= 1
        case "cut" | "leave server":
            process.cut(0)
            cut_off -= {number}
        case "lose":
            process.cut(1)
        case "expire":
            world.ensemble.expire(process.session)
        case "cut off":
            cut_off |= {number}
        case "connect behind":
            process.connect()
            cut_off |= {number}
        case "resign":
            process.candidacy.resign(process.now)
            process.carry_out()
        case "transfer":
            last = world.appointee(-1)
            assert last is not None
            process.candidacy.transfer(last, process.now)
            process.carry_out()
        case "delete":
            assert process.candidacy.znode is not None
            world.delete_by_a_stranger(f"{PARENT}/{process.candidacy.znode}")
        case "delete election":
            world.delete_election()
    _catch_up(world, cut_off)
    world.check()
    return State(world, left, total, passes, cut_off, before=state, action=action, depth=state.depth + 1)


def _catch_up(world: World, cut_off: frozenset[int]) -> None:
    for number, process in enumerate(world.processes):
        if process.connection is not None and number not in cut_off:
            process.catch_up(process.connection, world.ensemble.zxid)


def walk(bounds: Bounds, *, seconds: float = 1e9, settle_every: int = 200) -> explore.Found:
    """Go through every state within the bounds; see `explore.explore`."""
    return explore.explore(begin(bounds), seconds=seconds, settle_every=settle_every)


def replay(bounds: Bounds, actions: tuple[Action, ...]) -> World:
    """Do these actions again."""
    state = begin(bounds)
    for action in actions:
        state = after(state, action)
    return state.world


# -- when two states are one -------------------------------------------------------------------------------------------


def key(state: State) -> Any:
    """What tells this state from others."""
    world = state.world
    ensemble = world.ensemble
    nodes = tuple((path, node.data, node.version, node.owner) for path, node in ensemble.head.walk() if node.czxid)
    return (
        nodes,
        tuple(ensemble.sessions),
        tuple(_process_key(process) for process in world.processes),
        tuple(state.left.values()),
        state.total,
        state.passes,
        state.cut_off,
    )


def _process_key(process: Process) -> Any:
    now = process.now
    return (
        tuple(_candidacy_key(candidacy, now) for candidacy in process.candidacies),
        tuple(candidacy in process.keeper._staked for candidacy in process.candidacies),
        round(max(-_lease(process), min(process.keeper._due - now, _lease(process))), 3),
        process.session,
        _connection_key(process, now),
    )


def _lease(process: Process) -> float:
    return process.candidacy.settings.lease


def _candidacy_key(candidacy: Candidacy, now: float) -> Any:
    own, lead, lease = candidacy.own, candidacy.lead, candidacy.settings.lease
    link, sight, join = own.link, own.sight, own.join
    warm, hold, ahead = round(min(now - join.warm, lease), 3), join.hold, join.queue._ahead
    return (
        own.wanted, join.departing, join.uncertain, own.work, join.uuid, join.znode, join.behind, link.watches_joins,
        sight.before, sight.gone_with, join.named_at, warm, join.appointee, join.published, link.session_id,
        sight.listed, sight.armed, sight.awaited, None if ahead is None else tuple(ahead), _view_key(sight.view),
        hold and (hold.holder, hold.version, hold.lease, hold.forfeited, hold.read),
        hold and (max(-1.0, round(hold.until - now, 3)), bool(hold.over)),
        tuple(sorted((name, round(min(now - at, 1.2 * lease), 3)) for name, at in join.gone.items())),
        link.hold_off and round(link.hold_off - now, 3),
        lead._last_lease, lead._anew and round(min(now - lead._anew[1], 1.2 * lease), 3),
        frozenset(own.asked),
    )  # fmt: skip


def _view_key(view: standing.View | None) -> Any:
    if view is None or view.record is None:
        return view and view.version, view and view.role
    # What is told of former terms decides nothing; what it will be in the next record is in the last one's data.
    return view.version, view.role, replace(view.record, past=())


def _connection_key(process: Process, now: float) -> Any:
    connection = process.connection
    if connection is None:
        return process.seen
    log = process.world.ensemble.log
    return (
        tuple((request, _asked(asked, now)) for request, asked in connection.up),
        tuple(
            entry if isinstance(entry, m.Watched) else (_plain(entry[0]), _asked(entry[1], now))
            for entry, _ in connection.down
        ),
        tuple(log[connection.applied :]),
        tuple(sorted(connection.replica.watches._data)),
        tuple(sorted(connection.replica.watches._children)),
        # How far back another server may be; it matters only while there is something that it might not have.
        tuple(log[process.seen :]) if len(log) - process.seen < 4 else process.seen,
    )


def _asked(asked: worlds.Asked, now: float) -> Any:
    what, sent, number = asked
    purpose = (what.purpose, what.about, number) if isinstance(what, commands.Send) else ("confirm", what.request)
    return purpose, round(min(now - sent, 4.0), 3)


def _plain(reply: m.Reply) -> Any:
    match reply:
        case m.Data(data, stat):
            return data, stat.version
        case m.DataSet(stat):
            return stat.version
        case m.Transacted(results):
            return tuple(_plain(result) for result in results)
        case _:
            return reply
