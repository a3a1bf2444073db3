"""Holds a run against the promises, after every step.

*How long nobody may lead* follows from what is promised (deploy/GUARANTEES.md), T being the session timeout, L the
longest lease, and all of it by the slowest clock. `WITHOUT_LEADER` says it for each kind of fault alone:

- a handover (resign, transfer, cancel, terminate) is one write and one event: `HANDOVER`;
- a cut connection, one server's trouble, a wall clock that jumps change no leader: no time at all;
- a session that ended early, a znode that was deleted: 1.1 L;
- a process that is gone, frozen, or unheard (there is no guardian here): T, two ticks and 1.1 L;
- no quorum: for as long as there is none, and until its servers are dialled again.

`healed_within` says it for when everything has healed, after any number of them at once: T and two ticks until the
sessions of the dead have ended, 1.1 L for the last holder (once more if a stranger has deleted the znode of who
waited), work that does not listen, one pause of a second, and one between two rounds of dialling. An audit takes 4 to
6 T, so who has missed an event is late. Only who has lost its znode to a stranger is told by nobody, and may queue that
late.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from leader_async import Term
from leader_async.election.rules import queue as q
from leader_async.election.rules import record as r
from leader_async.election.rules.state import HOLD_OFF
from leader_async.zookeeper import dialling
from leader_async.zookeeper import messages as m

from .ensemble import TICK
from .others import Others
from .plan import ARMED, Plan
from .process import PARENT, Process

if TYPE_CHECKING:
    from .ensemble import Ensemble


FASTEST = 1.05
"""Seconds of one clock in a second of another, at most."""

HANDOVER = 0.25
"""Seconds for a handover's write and event, on this network: a few hops, and an heir that is just being told that it
is one."""


def _lease(plan: Plan) -> float:
    return 1.1 * FASTEST * plan.lease


def _dialling(away: float) -> float:
    return 0.1 + dialling.STAGGER + min(dialling.BACKOFF_CAP, max(dialling.BACKOFF_FLOOR, away / 8)) * FASTEST


def _no_time(plan: Plan, seconds: float) -> float:
    return HANDOVER


def _early(plan: Plan, seconds: float) -> float:
    return _lease(plan) + HANDOVER


def _expiry(plan: Plan, seconds: float) -> float:
    return plan.timeout + 2 * TICK + _lease(plan) + HANDOVER


WITHOUT_LEADER: dict[str, Callable[[Plan, float], float]] = {
    **dict.fromkeys(("resign", "transfer", "cancel", "terminate", "wall clock jumps"), _no_time),
    **dict.fromkeys(("cut", "server lags", "server frozen", "server down", "server cut off"), _no_time),
    **{kind: _no_time for kind in ARMED if kind.startswith("cut")},
    **dict.fromkeys(("expire session", "delete znode"), _early),
    **{kind: _early for kind in ARMED if kind.startswith("expire")},
    **dict.fromkeys(("kill", "stop", "blackhole", "deaf", "mute", "server denies"), _expiry),
    "no quorum": lambda plan, seconds: seconds + _dialling(seconds) + plan.timeout / 3 * FASTEST,
}
"""Seconds in which nobody may lead, by the kind of the only fault and how long that lasts."""


def healed_within(plan: Plan, *, strangers: bool) -> tuple[float, float]:
    """Seconds after healing in which somebody leads, and in which all else is as it should be."""
    works = {kind for works in plan.works for kind in works}
    stubborn = 2 * plan.lease * FASTEST if works & {"stubborn", "blocking"} else 0.0
    ends = 4 * plan.lease * FASTEST if works - {"steady"} else 0.0  # of its own accord
    led = plan.timeout + 2 * TICK + _lease(plan) * (2 if strangers else 1) + stubborn
    led += HOLD_OFF * FASTEST + _dialling(10.0) + plan.timeout / 3 * FASTEST
    return led, led + ends + 1.0 + (6 * plan.timeout * FASTEST if strangers else 0.0)


class Violation(AssertionError):
    """A promise was broken."""


class Judge:
    """Watches all processes.

    Args:
        ensemble: whose record is looked at.
        processes: all that live; the caller keeps this list.
    """

    def __init__(self, ensemble: Ensemble, processes: Sequence[Process]) -> None:
        self._ensemble, self._processes = ensemble, processes
        self._led: dict[int, str] = {}
        self._newest = 0
        self._working: dict[str, Term] = {}
        self._woken: Counter[str] = Counter()
        self._out_of_turn: set[str] = set()  # who got the lead by name while others stood ahead
        self.uuids: dict[str, Process] = {}  # who made each
        self.strangers = False
        self._seen = 0
        self._record: tuple[int, str, int, int] | None = None
        self.others = Others(processes)
        self._led_at = float("inf")  # when somebody last led; nobody is late before the first
        self.longest = 0.0
        """Seconds without a leader at most, once there had been one."""
        self.terms = 0
        self.violation = ""

    def began(self, process: Process, term: Term) -> None:
        """Work begins."""
        if process.name in self._working:
            self._note(Violation(f"{process.name} works twice at a time"))
        self._working[process.name] = term
        self.terms += 1

    def ended(self, process: Process, term: Term) -> None:
        """Work has ended."""
        del self._working[process.name]

    def died(self, process: Process) -> None:
        """The process is gone, and so is its work."""
        self._working.pop(process.name, None)

    def leaders(self) -> list[Process]:
        """Who says now that it leads, stopped ones as well: they would if they could."""
        found = []
        before = asyncio._get_running_loop()
        for process in self._processes:
            election = process.election
            if election is None or election.candidacy.hold is None or process.loop.dead:
                continue
            asyncio._set_running_loop(process.loop)
            if election.is_leader:
                found.append(process)
        asyncio._set_running_loop(before)
        return found

    def heir(self) -> Process | None:
        """Who stands behind the first in the queue, if it lives."""
        tree = self._ensemble.tree
        names = q.in_order(tree.children(PARENT)) if tree.find(PARENT) is not None else []
        process = self.uuids[names[1].partition("-")[0]] if len(names) > 1 else None
        return process if process in self._processes else None

    def look(self) -> None:
        """See whether everything is as promised.

        Raises:
            Violation: it is not. Kept in `violation` as well: the code under test may catch what is raised.
        """
        try:
            self._look()
        except Violation as violation:
            self._note(violation)
            raise

    def fail(self, text: str) -> None:
        """Something else has seen that a promise was broken."""
        self._note(Violation(text))

    def _note(self, violation: Violation) -> None:
        self.violation = self.violation or str(violation)

    def _look(self) -> None:
        leaders = self.leaders()
        now = self._ensemble.timeline.now
        self.longest = max(self.longest, now - self._led_at)
        if leaders:
            self._led_at = now
        if len(leaders) > 1:
            raise Violation(f"two leaders: {', '.join(process.name for process in leaders)}")
        for process in leaders:
            assert process.election is not None
            hold = process.election.candidacy.hold
            assert hold is not None
            if self._led.setdefault(hold.token, process.name) != process.name:
                raise Violation(f"token {hold.token} belongs to {self._led[hold.token]} and to {process.name}")
            if hold.token < self._newest:
                raise Violation(f"{process.name} leads with token {hold.token} after token {self._newest}")
            self._newest = hold.token
            if self._record is not None and self._record[0] == hold.version:
                told = hold.version, hold.holder, hold.number, hold.token
                if told != self._record:
                    raise Violation(f"{process.name} leads by {told}, and the record says {self._record}")
        for process in self._processes:
            # Jobs that catch up have many.
            if (
                process.kind != "jobs"
                and len(process.requests) == process.requests.maxlen
                and process.requests[-1] - process.requests[0] < 1.0
            ):
                raise Violation(f"{process.name} floods the server with requests")
            if process.loop.errors and not process.loop.dead:
                raise Violation(f"{process.name}: {process.loop.errors[0]}")
            if process.election is not None and process.election.driver.died is not None:
                raise Violation(f"{process.name} has died of {process.election.driver.died!r}")
            if process.election is not None and process.election.candidacy.story.healed and not self.strangers:
                raise Violation(f"{process.name} found by looking what an event should have told it")
        if (broken := self.others.broken(strangers=self.strangers)) is not None:
            raise Violation(broken)
        if len(self._ensemble.log) != self._seen:
            self._seen = len(self._ensemble.log)
            self._look_at_record()
            self._look_at_queue()

    def _look_at_queue(self) -> None:
        tree = self._ensemble.tree
        for name in q.in_order(tree.children(PARENT)) if tree.find(PARENT) is not None else ():
            process = self.uuids[name.partition("-")[0]]
            if process.over or process.election is None:
                continue
            candidacy, node = process.election.candidacy, tree.find(f"{PARENT}/{name}")
            lied_at = None if node is None else self._ensemble.denied.get(node.owner)
            if node is not None and lied_at is not None and node.czxid > lied_at:
                # Its create was held up at a server that was cut off, while another one said that its session, which
                # lives, is over. Nobody can know of it; it stands in the way until that session ends.
                continue
            if not name.startswith(q.prefix(candidacy.uuid)):
                raise Violation(f"{process.name} has begun another join, and {name} is still there")
            session, departing = candidacy.own.link.session_id, candidacy.own.join.departing
            if node is not None and session not in (0, node.owner) and not departing:
                raise Violation(f"{process.name} stands in the queue with the znode of another session")

    def _look_at_record(self) -> None:
        node = self._ensemble.tree.find(PARENT)
        if node is None:
            return
        record = r.decode(node.data, node.version, "/e")
        self._record = node.version, record.holder, record.term, r.token_of(record, node.mzxid)
        queue = q.in_order(self._ensemble.tree.children(PARENT))
        if record.state is r.LeadState.HELD and record.holder in queue[1:]:
            self._out_of_turn.add(record.holder)
        for process in self._processes:
            term = self._working.get(process.name)
            if record.state is r.LeadState.LEFT and term is not None and term._hold.holder == record.holder:
                raise Violation(f"{process.name} has left while its work runs")

    def woken(self, process: Process, event: m.Watched) -> None:
        """A watch event reaches a process."""
        election = process.election
        if election is None or event.change is not m.EventType.DELETED:
            return
        candidacy, name = election.candidacy, event.path.rpartition("/")[2]
        own, armed = candidacy.znode, candidacy.own.sight.armed
        if armed == name and own is not None and self._ensemble.tree.find(f"{PARENT}/{own}") is not None:
            self._woken[name] += 1
            # Whoever is first waits for such a holder's end, and so does the one behind it.
            if self._woken[name] > 1 + (name in self._out_of_turn):
                self._note(Violation(f"the end of {name} woke more than one candidate"))

    def _state(self, process: Process) -> str:
        return process.election.candidacy.state(process.clock()) if process.election is not None else "starting"

    def problem(self) -> str | None:
        """What is not as it must be once everything has healed; None if one leads and all others queue."""
        leaders = self.leaders()
        if len(leaders) != 1:
            states = {process.name: self._state(process) for process in self._processes}
            return f"{len(leaders)} lead; {states}"
        if leaders[0].kind not in ("steady", "stubborn", "jobs"):  # those that go on until they are told to end
            return f"{leaders[0].name} does {leaders[0].kind} work"
        assert leaders[0].election is not None
        out_of_turn = leaders[0].election.candidacy.znode in self._out_of_turn
        owners = {}
        for process in self._processes:
            assert process.election is not None
            candidacy = process.election.candidacy
            state = candidacy.state(process.clock())
            if state not in ("leading", "queued") and not (state == "waiting out" and out_of_turn):
                return f"{process.name} is {state}"
            owners[candidacy.znode] = process.name
        strangers = set(q.in_order(self._ensemble.tree.children(PARENT))) - set(owners)
        if strangers:
            return f"znodes without an owner: {sorted(strangers)}"
        if len(owners) != len(self._processes):
            return "two share a znode"
        return self.others.problem()
