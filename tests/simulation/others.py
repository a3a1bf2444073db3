"""Holds the further elections of each process, and its partitions, against the same promises, after every step.

Rules: in each of them at most one process leads at any instant, and tokens rise. An audit heals nothing that an event
should have told, unless a stranger was there. Once everything has healed, one leads and all others queue; a partition
is led by whoever it is assigned to.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from .process import PARTS, Process


class Others:
    """Watches all processes.

    Args:
        processes: all that live; the caller keeps this list.
    """

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = processes
        self._newest: Counter[str] = Counter()
        self._led: dict[tuple[str, int], str] = {}

    def broken(self, *, strangers: bool) -> str | None:
        """What breaks a promise now, None if nothing does."""
        leaders: dict[str, str] = {}
        for process in self._processes:
            now = process.clock() if process.others else 0.0
            for election in process.others if not process.loop.dead else ():
                candidacy = election.candidacy
                if candidacy.story.healed and not strangers:
                    return f"{process.name} found by looking what an event of {election.name} should have told it"
                hold = candidacy.hold
                if hold is None or not hold.leads(now):
                    continue
                parent = candidacy.settings.parent
                if (other := leaders.setdefault(parent, process.name)) != process.name:
                    return f"two leaders of {parent}: {other}, {process.name}"
                if self._led.setdefault((parent, hold.token), process.name) != process.name:
                    return f"token {hold.token} of {parent} belongs to two processes"
                if hold.token < self._newest[parent]:
                    return f"{process.name} leads {parent} with token {hold.token} after {self._newest[parent]}"
                self._newest[parent] = hold.token
        return None

    def problem(self) -> str | None:
        """What is not as it must be once everything has healed."""
        states: dict[str, dict[str, str]] = defaultdict(dict)
        for process in self._processes:
            for election in process.others:
                candidacy = election.candidacy
                states[candidacy.settings.parent][process.name] = candidacy.state(process.clock())
        for parent, by_name in states.items():
            if list(by_name.values()).count("leading") != 1:
                return f"{parent}: {by_name}"
            # Who has no share of a partition does not stand in its queue.
            rest = {"leading", "queued"} | ({"idle"} if f"/{PARTS}/" in parent else set())
            if not set(by_name.values()) <= rest:
                return f"{parent}: {by_name}"
        return None
