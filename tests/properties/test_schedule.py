"""Leaders that come, go, die and have wrong clocks share one ledger: what holds in every order of events.

The world is the ledger's znode alone, with its version: a write succeeds against the version that was read. That of
several leaders only one holds the record is not even assumed here, so the claims' fence is left out on purpose.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from leader_async.schedule.decisions import ATTEMPTS, Rewrite, Rules, Start, Wait, claimed, decide, ended, first
from leader_async.schedule.ledger import Ledger, decode, encode
from leader_async.schedule.triggers import Every

SECOND = 1000
LEADERS = st.integers(0, 2)


class OneLedger(RuleBasedStateMachine):
    @initialize(
        missed=st.sampled_from(["latest", "all", "skip"]),
        unfinished=st.sampled_from(["leave", "rerun"]),
        retries=st.integers(0, 2),
        jitter=st.sampled_from([0.0, 0.7, 15.0]),
        clocks=st.tuples(*[st.sampled_from([0, 0, -3600, 3600, 5])] * 3),
    )
    def begin(self, missed: Any, unfinished: Any, retries: int, jitter: float, clocks: tuple[int, ...]) -> None:
        overlap: Any = "queue" if missed == "all" else "skip"
        self.how = Rules("job", Every(10), missed, None, unfinished, overlap, jitter, retries=retries)
        self.time = 10_000 * SECOND
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

    @rule(seconds=st.sampled_from([0.5, 4, 10, 37, 300]))
    def time_passes(self, seconds: float) -> None:
        self.time += round(seconds * SECOND)

    @rule(who=LEADERS)
    def looks(self, who: int) -> None:
        if who not in self.making:
            self.pages[who] = decode(self.data, "/jobs/x"), self.version

    @rule(who=LEADERS)
    def does_what_it_decides(self, who: int) -> None:
        """As it has read the ledger, however long ago."""
        if who in self.making or who not in self.pages:
            return
        ledger, version = self.pages[who]
        match decide(self.how, ledger, self.now(who)):
            case Wait(until):
                assert until is not None
                assert until > self.now(who)
            case Rewrite(changed):
                self.write(changed, version)
                del self.pages[who]
            case Start() as start:
                mine = claimed(ledger, start, who, str(who), self.now(who))
                if self.write(mine, version):
                    self.making[who] = start, mine, self.version
                    self.runs[start.slot, start.attempt] += 1
                    self.begun.append((start.slot, start.attempt))
                    self.undone.add(start.slot)
                del self.pages[who]

    @rule(who=LEADERS, well=st.booleans())
    def ends(self, who: int, well: bool) -> None:
        if who not in self.making:
            return
        start, mine, version = self.making.pop(who)
        if self.write(ended(self.how, mine, self.now(who), None if well else "no"), version) and well:
            self.undone.discard(start.slot)

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
        if not hasattr(self, "how") or self.how.missed != "all":
            return
        firsts = [slot for slot, attempt in self.begun if attempt == 1]
        begin = self.start // (10 * SECOND) + 1
        assert firsts == [(begin + place) * 10 * SECOND for place in range(len(firsts))]


OneLedger.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestOneLedger = OneLedger.TestCase
