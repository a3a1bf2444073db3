"""One plan, one run: the same to the last byte each time.

For as long as a run lasts, the library's clock, dialling, uuids and wall clock are those of the simulated processes;
nothing else of it is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import logging
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

from leader_async import JobRun, Term, clock
from leader_async.election.driver import Driver
from leader_async.election.rules import queue as q
from leader_async.embedded.entries import Entry
from leader_async.zookeeper import dialling
from leader_async.zookeeper import messages as m

from ..properties.world import FAST, SLOW
from . import nights
from .ensemble import FOREIGN, TICK, Ensemble, Ordered, Server
from .jobs import Slots
from .judge import Judge, Violation, healed_within
from .loop import Loop
from .network import LATENCY, Connection
from .plan import HEIR, LEADER, Fault, Plan, program
from .process import PARENT, Process
from .timeline import Timeline

EARLY = 0.3
"""Seconds in which the processes start, one after the other."""


@dataclass(slots=True)
class Report:
    """What came of a run.

    Attributes:
        violation: the promise that was broken, "" if none was.
        steps: how many things happened.
        terms: how many times work began.
        faults: how often each kind of fault happened, by the state of the process that it hit.
        jobs: how many attempts at jobs were made.
        longest: seconds in which nobody led at most, once somebody had.
        trace: a digest of everything that happened.
        lines: what happened, in words, if it was wanted.
    """

    violation: str = ""
    steps: int = 0
    terms: int = 0
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)
    jobs: int = 0
    longest: float = 0.0
    trace: str = ""
    lines: list[str] = field(default_factory=list)


def run(plan: Plan, *, verbose: bool = False) -> Report:
    """Let it happen."""
    world = World(plan, verbose=verbose)
    with world.patched():
        try:
            world.go()
        except Violation as violation:
            world.judge.violation = world.judge.violation or str(violation)
        finally:
            world.report.violation = world.judge.violation
            if world.report.violation:
                world.tell(f"VIOLATION: {world.report.violation}")
            world.report.steps, world.report.terms = world.timeline.steps, world.judge.terms
            world.report.jobs = world.slots.runs
            world.report.longest = world.judge.longest
            world.report.trace = world.digest.hexdigest()
            world.wind_up()
    return world.report


def replay(plan: Plan) -> None:
    """Run it and print everything that happens."""
    report = run(plan, verbose=True)
    print("\n".join(report.lines))  # noqa: T201
    print(report.violation or "nothing was broken")  # noqa: T201


def shrink(plan: Plan) -> Plan:
    """A smaller plan that still breaks something: one fault after the other is left out."""
    smaller = True
    while smaller:
        smaller = False
        for index in range(len(plan.faults)):
            faults = plan.faults[:index] + plan.faults[index + 1 :]
            candidate = replace(plan, faults=faults)
            if run(candidate).violation:
                plan, smaller = candidate, True
                break
    return plan


class World:
    """Everything that takes part in a run."""

    def __init__(self, plan: Plan, *, verbose: bool = False) -> None:
        self.plan, self._verbose = plan, verbose
        self.rng = random.Random(plan.seed)
        self.timeline = Timeline()
        self.ensemble = Ensemble(self.timeline, self.rng)
        self.processes: list[Process] = []
        self._dead: list[Process] = []
        self._numbers = itertools.count()
        self.judge = Judge(self.ensemble, self.processes)
        self.night = nights.NIGHTS.get(plan.night)
        self.slots = Slots(self.judge.fail, self.night)
        self.report = Report()
        self.digest = hashlib.blake2b(digest_size=16)
        self._wall = 1.8e9
        self._uuids = itertools.count()
        self._begin = self.timeline.now
        if self.night is not None:
            self._wall = self.ensemble.wall = self.night.begin - self._begin
        self._over = False
        self._steady = "jobs" if ("jobs",) in plan.works else "steady"

    # -- the run -------------------------------------------------------------------------------------------------------

    def go(self) -> None:
        """Start everybody, let everything go wrong, heal it, and see that all is well."""
        plan = self.plan
        self.timeline.after_each = self.judge.look
        self.ensemble.latency = max(self.ensemble.latency, plan.latency * plan.lease)
        for slot in range(plan.processes):
            self.timeline.after(self.rng.uniform(0, EARLY), lambda slot=slot: self._start(slot))  # type: ignore[misc]
        for fault in plan.faults:
            self.timeline.after(fault.at, lambda fault=fault: self._inflict(fault))  # type: ignore[misc]
        last = max((fault.at + fault.seconds for fault in plan.faults), default=0.0)
        self.timeline.run_until(self._begin + last + 1.0)
        self.tell("everything heals")
        self._heal_all()
        self.timeline.run_until(self.timeline.now + 1.0)  # the last fault's news may be on its way
        self._settle()
        self._stop_all()

    def _settle(self) -> None:
        """After healing exactly one leads within a bound, and goes on to lead."""
        plan, healed = self.plan, self.timeline.now
        led, settled = healed_within(plan, strangers=self.judge.strangers)
        while not self.judge.leaders() and self.timeline.now < healed + led:
            self.timeline.run_until(self.timeline.now + 0.1)
        if not self.judge.leaders():
            raise Violation(f"{led:.1f} s after healing nobody leads: {self.judge.problem()}")
        while (problem := self.judge.problem()) is not None and self.timeline.now < healed + settled:
            self.timeline.run_until(self.timeline.now + 0.1)
        if problem is not None:
            raise Violation(f"{settled:.1f} s after healing: {problem}")
        leader = self.judge.leaders()[0].name
        self.timeline.run_until(self.timeline.now + 3 * plan.lease)
        leaders = [process.name for process in self.judge.leaders()]
        if leaders != [leader]:
            raise Violation(f"{leader} led, and without a fault now {leaders} lead")

        if self.night is not None:
            self.timeline.run_until(self._begin + 3 * nights.EARLY)
        now = self.ensemble.wall + self.timeline.now
        self.slots.look_at_ledgers(self.ensemble.tree, f"{PARENT}/jobs", now)

    def _stop_all(self) -> None:
        """Everybody leaves; nothing is left behind."""
        self._over = True  # nobody comes any more
        self.tell("everybody stops")
        for process in self.processes:
            process.stop()
        end = self.timeline.now + 2 * self.plan.timeout + 4 * self.plan.lease
        while not all(process.over for process in self.processes) and self.timeline.now < end:
            self.timeline.run_until(self.timeline.now + 0.1)
        late = [process.name for process in self.processes if not process.over]
        if late:
            raise Violation(f"{late} did not stop")
        self.timeline.run_until(self.timeline.now + TICK)
        if queue := q.in_order(self.ensemble.tree.children(PARENT)):
            raise Violation(f"left behind: {queue}")
        owned = [session for session in self.ensemble.tree.sessions if self.ensemble.tree.owned(session)]
        if owned:
            raise Violation(f"ephemeral znodes of {owned} were left behind")

    def _start(self, slot: int) -> None:
        if self._over:
            return
        rng = random.Random(f"{self.plan.seed} {next(self._numbers)}")
        works = (
            self.plan.works[slot] if len(self.processes) + len(self._dead) < self.plan.processes else (self._steady,)
        )
        process = Process(
            f"p{slot}" + "'" * sum(dead.name.startswith(f"p{slot}") for dead in self._dead),
            self.timeline,
            rng,
            self.ensemble,
            rate=rng.choice((SLOW, FAST, rng.uniform(SLOW, FAST))),  # any two within what is assumed, often just so
            timeout=self.plan.timeout,
            lease=self.plan.lease * (self.plan.shorter if slot % 2 else 1.0),
            works=works,
            sides=self.plan.sides,
            parts=self.plan.parts,
            began=self._began,
            ended=self._ended,
            ran=self._ran,
            night=self.night,
        )
        self.processes.append(process)
        self.processes.sort(key=lambda each: each.name)
        self.tell(f"{process.name} starts")
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(process.loop)
        process.start()
        asyncio._set_running_loop(before)

    def _began(self, process: Process, term: Term) -> None:
        self.tell(f"{process.name} works under {term}")
        self.judge.began(process, term)

    def _ended(self, process: Process, term: Term) -> None:
        self.tell(f"{process.name} has ended its work under {term}")
        self.judge.ended(process, term)

    def _ran(self, process: Process, run: JobRun, begins: bool) -> None:
        self.tell(f"{process.name} {'begins' if begins else 'has done'} {run.job} at {run.slot}, attempt {run.attempt}")
        self.slots.ran(process.name, run, begins)

    def tell(self, line: str) -> None:
        """Note what happens."""
        line = f"{self.timeline.now - self._begin:9.4f}  {line}"
        self.digest.update(line.encode())
        if self._verbose:
            self.report.lines.append(line)

    # -- faults --------------------------------------------------------------------------------------------------------

    def _target(self, fault: Fault) -> Process | None:
        leaders = self.judge.leaders()
        if fault.target == LEADER and leaders:
            return leaders[0]
        if fault.target == HEIR and (heir := self.judge.heir()) is not None:
            return heir
        slot = max(fault.target, 0)
        return next((process for process in self.processes if process.name.startswith(f"p{slot}")), None)

    def _inflict(self, fault: Fault) -> None:
        process = self._target(fault)
        if process is None or process.over:
            return
        state = self._state(process)
        self.report.faults[fault.kind, state] += 1
        self.tell(f"{fault.kind} ({process.name}, {state}, {fault.seconds} s)")
        self._do(fault, process)

    def _state(self, process: Process) -> str:
        election = process.election
        if election is None:
            return "starting"
        connected = "" if process.connections and not process.connections[-1].closed else ", not connected"
        return election.candidacy.state(process.clock()) + connected

    def _do(self, fault: Fault, process: Process) -> None:
        after = self.timeline.after
        server = process.connections[-1].server if process.connections else self.ensemble.servers[0]
        match fault.kind:
            case "cut":
                self._cut(process)
            case "expire session":
                self._expire(process)
            case "delete znode":
                self._delete_znode(process)
            case "resign":
                process.resign()
            case "transfer":
                process.transfer(self.rng.choice(self.processes).name)
            case "cancel":
                process.cancel_run()
            case "stop":
                process.loop.stop_process()
                after(fault.seconds, process.loop.go_on)
            case "kill":
                self._bury(process)
                process.kill()
                self._replace(process, fault.seconds)
            case "terminate":
                process.stop()
                self._when_over(process, fault.seconds)
            case "blackhole":
                process.blackhole(True)
                after(fault.seconds, lambda: process.blackhole(False))
            case "deaf" | "mute":
                wires = [each.down if fault.kind == "deaf" else each.up for each in process.connections]
                for wire in wires:
                    wire.hold(True)
                    after(fault.seconds, lambda wire=wire: wire.hold(False))  # type: ignore[misc]
            case "server lags":
                server.lag(True)
                after(fault.seconds, lambda: server.lag(False))
            case "server cut off":
                server.cut()
                after(fault.seconds, server.heal)
            case "server frozen":
                server.freeze(True)
                after(fault.seconds, lambda: server.freeze(False))
            case "server denies":
                server.deny(True)
                after(fault.seconds, lambda: server.deny(False))
            case "server down":
                server.crash()
                after(fault.seconds, server.restart)
            case "no quorum":
                self.ensemble.set_quorum(False)
                after(fault.seconds, lambda: self.ensemble.set_quorum(True))
            case "wall clock jumps":
                self._wall += self.rng.uniform(-1e5, 1e5)
            case armed:
                what, _, request = armed.partition(" at ")
                springs = {
                    "cut": lambda connection: connection.cut(),
                    "expire": lambda connection: self._expire(process),
                }
                process.armed = request, springs[what]

    def _cut(self, process: Process) -> None:
        for connection in process.connections:
            if not connection.closed:
                connection.cut()

    def _expire(self, process: Process) -> None:
        if process.election is not None:
            self.ensemble.expire(process.election.client.session_id)

    def _delete_znode(self, process: Process) -> None:
        znode = process.election.candidacy.znode if process.election is not None else None
        if znode is not None:
            self.judge.strangers = True  # what is healed from now on may be their doing
            self.ensemble.order(Ordered(Entry(FOREIGN, m.Delete(f"{PARENT}/{znode}")), None, None))

    def _bury(self, process: Process) -> None:
        self.processes.remove(process)
        self._dead.append(process)
        self.judge.died(process)

    def _replace(self, process: Process, seconds: float) -> None:
        slot = int(process.name.strip("p'"))
        self.timeline.after(seconds, lambda: self._start(slot))

    def _when_over(self, process: Process, seconds: float) -> None:
        if process not in self.processes:
            return  # killed meanwhile
        if process.over:
            self._bury(process)
            self._replace(process, seconds)
        else:
            self.timeline.after(TICK, lambda: self._when_over(process, seconds))

    def _heal_all(self) -> None:
        for process in self.processes:
            process.loop.go_on()
            process.blackhole(False)
            process.armed = None
            process._works = [self._steady]
        for server in self.ensemble.servers:
            server.restart()
            server.freeze(False)
            server.lag(False)
            server.deny(False)
            server.heal()
        self.ensemble.set_quorum(True)
        self.ensemble.latency = LATENCY[1]

    # -- the library in this world -------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def patched(self) -> Iterator[None]:
        """The library's clocks, chance and network are this world's."""

        def here() -> Process:
            loop = asyncio._get_running_loop()
            assert isinstance(loop, Loop)
            return loop.owner

        real_clock = clock.now

        def own_clock() -> float:
            # Threads of earlier tests, if any, live in no world.
            return here().clock() if isinstance(asyncio._get_running_loop(), Loop) else real_clock()

        def wall_clock() -> float:
            return self._wall + self.timeline.now

        def next_uuid() -> uuid.UUID:
            # Falling, so that nothing can rely on the names' order where the numbers' is meant.
            number = uuid.UUID(int=2**128 - 1 - next(self._uuids))
            self.judge.uuids[number.hex] = here()
            return number

        async def dial(addresses: Sequence[Any], **how: float) -> Connection:
            return await here().dial(addresses)

        watch_event = Driver.watch_event

        def watched(driver: Driver, event: m.Watched) -> None:
            self.judge.woken(here(), event)
            watch_event(driver, event)

        chance, noisy = random.getstate(), logging.root.manager.disable
        random.seed(self.plan.seed)
        logging.disable(logging.CRITICAL)
        try:
            with (
                mock.patch.object(clock, "now", own_clock),
                mock.patch.object(time, "time", wall_clock),
                mock.patch.object(uuid, "uuid4", next_uuid),
                mock.patch.object(dialling, "start_connection", dial),
                mock.patch.object(Driver, "watch_event", watched),
            ):
                yield
        finally:
            logging.disable(noisy)
            random.setstate(chance)

    def wind_up(self) -> None:
        """Let everybody come to an end: no coroutine is left to be closed by force in the middle of something."""
        self._over = True
        self.timeline.after_each = lambda: None
        everybody = (*self.processes, *self._dead)
        for process in everybody:
            process.wind_up()
        end = self.timeline.now + 100.0
        while not all(process.wound_up for process in everybody) and self.timeline.now < end:
            self.timeline.run_until(self.timeline.now + 1.0)
        late = [process.name for process in everybody if not process.wound_up]
        assert not late, f"{late} do not end, even now"


__all__ = ["Report", "Server", "World", "program", "replay", "run", "shrink"]
