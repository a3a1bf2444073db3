"""Processes that fall silent in the little world: who follows, and after how many leases."""

from __future__ import annotations

import pytest

from .world import Process, World

LEASE = 3.0
STEP = 0.05


class Stage(World):
    """A world in which some are frozen."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.frozen: set[Process] = set()
        for process in self.processes:
            if process.connection is None:
                process.join()
            else:
                process.candidacy.join(process.now)
                process.carry_out()
            self.settle(wait=1)
        self.settle(wait=6)

    def go_on(self, leases: float) -> None:
        """Let time pass."""
        end = self.time + leases * LEASE
        while self.time < end:
            self.time += STEP
            for process in self.processes:
                if process not in self.frozen:
                    self._serve(process)
            self.check()

    def _serve(self, process: Process) -> None:
        process.tick()
        connection = process.connection
        assert connection is not None
        while True:
            process.catch_up(connection, self.ensemble.zxid)
            if connection.up:
                process.serve()
            elif connection.down:
                process.receive()
            else:
                return

    def leaders(self) -> list[Process]:
        return [process for process in self.processes if process.leads and process not in self.frozen]

    def leads_after(self, limit: float) -> float:
        """Leases until somebody leads."""
        begin = self.time
        while not self.leaders():
            assert self.time - begin < limit * LEASE, "nobody leads"
            self.go_on(STEP / LEASE)
        return (self.time - begin) / LEASE


@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize("silent", [0.1, 0.3, 0.6, 0.9])
def test_who_resigns_to_a_frozen_heir_is_followed_all_the_same(count: int, silent: float) -> None:
    """Within the time of a bad handover, or at once if the heir was in doubt. Nobody leaves the heir in the way."""
    stage = Stage(count)
    first, heir, third, *_ = stage.processes
    stage.frozen = {heir}
    stage.go_on(silent)
    first.candidacy.resign(first.now)
    first.carry_out()
    after = stage.leads_after(2.4)
    assert stage.leaders() == [third]
    assert (after < 0.1) == (silent >= 0.6), "in doubt after two fifths of a lease, as the readings show it"
    stage.go_on(1.4)
    assert heir.name not in stage.queue()
    stage.go_on(1.0)
    third.candidacy.resign(third.now)
    third.carry_out()
    assert stage.leads_after(0.2) < 0.1, "handed over by name"


def test_an_heir_that_was_passed_and_wakes_up_keeps_its_place() -> None:
    """It stands first now, and confirms although nobody names it."""
    stage = Stage(3)
    first, heir, third = stage.processes
    stage.frozen = {heir}
    stage.go_on(0.7)
    first.candidacy.resign(first.now)
    first.carry_out()
    stage.leads_after(0.2)
    stage.frozen = set()
    stage.go_on(8.0)
    assert stage.leaders() == [third]
    assert stage.queue() == [heir.name, third.name, first.name]
    assert not any(process.candidacy.silence.buried for process in stage.processes)
