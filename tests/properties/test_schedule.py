"""Leaders that come, go, die and have wrong clocks share one ledger: what holds in every order of events.

Their job is due every ten seconds, or by a cron expression around a change of its time zone's clock. Which slots there
are is said by the oracle.

The world is the ledger's znode alone, with its version: a write succeeds against the version that was read. That of
several leaders only one holds the record is not even assumed here, so the claims' fence is left out on purpose.
"""

from __future__ import annotations

import functools
from bisect import bisect_left, bisect_right
from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from leader_async.schedule.decisions import Rewrite, Start, Wait, claimed, decide, ended, first
from leader_async.schedule.job_options import ATTEMPTS, JobSettings
from leader_async.schedule.ledger import Ledger, decode, encode
from leader_async.schedule.triggers import Cron, Every, Trigger

from ..support import cron_oracle

SECOND = 1000
HOUR = 3600
DAYS = 24
"""More than passes in a run."""
LEADERS = st.integers(0, 2)
SECONDS = st.sampled_from([0.5, 4, 10, 37, 300])
NIGHTS = (
    ("Europe/Berlin", 0, "15,45 0-3,22 * * *"),
    ("Europe/Berlin", 1, "30 2 * * *"),
    ("Europe/Berlin", 1, "*/7 * * * *"),
    ("Australia/Lord_Howe", 0, "0 */6 * * *"),
    ("Australia/Lord_Howe", 0, "45 1 * * *"),
    ("Pacific/Chatham", 0, "*/10 3 * * *"),
    ("Pacific/Chatham", 0, "5-59/10 3 * * *"),
    ("America/Santiago", 0, "30 23 * * *"),
    ("America/Santiago", 1, "0 0 * * *"),
    ("Antarctica/Troll", 1, "15,45 0-3 * * *"),
)
"""Time zones, which of the changes of 2026 is meant, and when the job is due."""


@functools.cache
def around(zone: str, place: int, expression: str) -> tuple[int, list[int]]:
    """An hour before that change, and the slots from a while before on; in milliseconds."""
    begin = cron_oracle.changes(zone, 2026, 2026)[place].instant - HOUR
    clock = cron_oracle.shown(zone, begin - 2 * HOUR, begin + DAYS * 24 * HOUR, 60)
    return begin * SECOND, [slot * SECOND for slot in cron_oracle.due(expression, clock, begin - 2 * HOUR)]


class OneLedger(RuleBasedStateMachine):
    @initialize(
        missed=st.sampled_from(["latest", "all", "skip"]),
        unfinished=st.sampled_from(["leave", "rerun"]),
        retries=st.integers(0, 2),
        jitter=st.sampled_from([0.0, 0.7, 15.0]),
        clocks=st.tuples(*[st.sampled_from([0, 0, -3600, 3600, 5])] * 3),
        night=st.sampled_from([None, *NIGHTS]),
        window=st.sampled_from([None, None, 8.0]),
    )
    def begin(
        self,
        missed: Any,
        unfinished: Any,
        retries: int,
        jitter: float,
        clocks: tuple[int, ...],
        night: Any,
        window: float | None,
    ) -> None:
        overlap: Any = "queue" if missed == "all" else "skip"
        trigger: Trigger = Every(10)
        self.pace, self.time = 1, 10_000 * SECOND
        self.slots = list(range(0, self.time + DAYS * 24 * HOUR * SECOND // 60, 10 * SECOND))
        if night is not None:
            zone, place, expression = night
            self.pace, trigger = 60, Cron(expression, zone)
            self.time, self.slots = around(zone, place, expression)
        late = None if window is None else window * self.pace
        self.how = JobSettings("job", trigger, missed, late, unfinished, overlap, jitter * self.pace, retries=retries)
        self.clocks = [clock * SECOND for clock in clocks]
        self.data, self.version = encode(first(self.how, self.now(0))), 0
        self.start = decode(self.data, "/jobs/x").slot
        self.pages: dict[int, tuple[Ledger, int]] = {}  # what each leader has read
        self.making: dict[int, tuple[Start, Ledger, int]] = {}  # what each one runs
        self.runs: Counter[tuple[int, int]] = Counter()
        self.begun: list[tuple[int, int]] = []
        self.undone: set[int] = set()

    def now(self, who: int) -> int:
        return self.time + self.clocks[who]

    def write(self, ledger: Ledger, version: int) -> bool:
        if version != self.version:
            return False
        self.data, self.version = encode(ledger), version + 1
        return True

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.time += round(seconds * SECOND) * self.pace

    @rule(who=LEADERS)
    def looks(self, who: int) -> None:
        if who not in self.making:
            self.pages[who] = decode(self.data, "/jobs/x"), self.version

    @rule(who=LEADERS)
    def does_what_it_decides(self, who: int) -> None:
        """As it has read the ledger, however long ago; or as it reads it now."""
        if who in self.making:
            return
        ledger, version = self.pages.setdefault(who, (decode(self.data, "/jobs/x"), self.version))
        match decide(self.how, ledger, self.now(who)):
            case Wait(until):
                assert until is not None
                assert until > self.now(who)
                del self.pages[who]
            case Rewrite(changed):
                self.write(changed, version)
                del self.pages[who]
            case Start() as start:
                due = self.how.due(start.slot)
                if start.attempt == 1:  # it may be made again by a clock that is behind
                    assert due <= self.now(who)
                    assert self.how.lateness is None or self.now(who) <= due + self.how.lateness
                mine = claimed(ledger, start, who, str(who), self.now(who))
                if self.write(mine, version):
                    self.making[who] = start, mine, self.version
                    self.runs[start.slot, start.attempt] += 1
                    self.begun.append((start.slot, start.attempt))
                    self.undone.add(start.slot)
                del self.pages[who]

    @rule(which=LEADERS, well=st.booleans())
    def ends(self, which: int, well: bool) -> None:
        if not self.making:
            return
        self.end(sorted(self.making)[which % len(self.making)], well)

    def end(self, who: int, well: bool) -> None:
        start, mine, version = self.making.pop(who)
        over = ended(self.how, mine, self.now(who), None if well else "no")
        passed_over = self.slots[bisect_right(self.slots, mine.slot) : bisect_right(self.slots, over.slot)]
        assert all(self.how.due(slot) <= self.now(who) for slot in passed_over)
        if self.write(over, version) and well:
            self.undone.discard(start.slot)

    @rule(who=LEADERS, waits=SECONDS, works=SECONDS, well=st.booleans())
    def leads_for_a_while(self, who: int, waits: float, works: float, well: bool) -> None:
        self.time_passes(waits)
        self.looks(who)
        self.does_what_it_decides(who)
        self.time_passes(works)
        if who in self.making:
            self.end(who, well)

    @rule(who=LEADERS)
    def dies(self, who: int) -> None:
        self.pages.pop(who, None)
        self.making.pop(who, None)

    @invariant()
    def each_attempt_at_a_slot_is_claimed_at_most_once(self) -> None:
        assert all(count == 1 for count in getattr(self, "runs", {}).values())

    @invariant()
    def slots_never_go_back(self) -> None:
        firsts = [slot for slot, attempt in getattr(self, "begun", []) if attempt == 1]
        assert firsts == sorted(set(firsts))

    @invariant()
    def nothing_is_made_again_against_the_rules(self) -> None:
        if not hasattr(self, "how"):
            return
        most = max((attempt for _, attempt in self.begun), default=1)
        assert most <= (ATTEMPTS if self.how.unfinished == "rerun" else 1 + self.how.retries)

    @invariant()
    def all_means_all(self) -> None:
        if not hasattr(self, "how") or self.how.missed != "all" or self.how.window is not None:
            return
        firsts = [slot for slot, attempt in self.begun if attempt == 1]
        first_one = bisect_right(self.slots, self.start)
        assert firsts == self.slots[first_one : first_one + len(firsts)]

    @invariant()
    def no_slot_is_made_up(self) -> None:
        if hasattr(self, "how"):
            assert all(self.slots[bisect_left(self.slots, slot)] == slot for slot, _ in self.begun)


OneLedger.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestOneLedger = OneLedger.TestCase
