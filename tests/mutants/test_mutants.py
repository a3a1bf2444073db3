"""Mutants that are caught soon, and by whom. `python -m tests.mutants` asks everybody about all of them.

Those that are not here need more luck or time than the suite has: rare orders of events, which directed tests of
`unit/election` and of the traps show instead.
"""

from __future__ import annotations

import pytest

from .catchers import properties, simulation
from .rules import MUTANTS

SEEDS = {
    "`left` is written while the term goes on": 0,
    "a claim on `held` does not wait the lease out": 18,
    "a confirm checks the record but not the own znode": 25,
    "a create whose reply was lost is sent again blindly, and nobody looks for twins": 77,
    "a join after an expiry keeps what was known of the old queue": 0,
    "a new place is taken while the old work runs": 0,
    "a suspended term is revived by an answer that came after its end": 2,
    "answers of a dropped connection count: a lost confirm renews": 22,
    "any session that a server grants is taken for ours": 3,
    "nothing is watched anew after a reconnect": 3,
    "ok is read from the header of a failed transaction": 3,
    "pings are trusted: any answer renews the lease": 22,
    "the first candidate is watched, not the predecessor": 0,
    "the heir claims on v, not on v + 1": 11,
    "the lease counts from the answer's instant": 561,
    "the lease does not end": 22,
    "the place is given up before the work has ended": 0,
    "the queue is listed before the own create": 0,
    "waiting out begins with the reading of the record, not with the end of the znode": 99,
    "what is unanswered when a connection ends is never told": 2,
    "what is waited out is a little less than the lease": 69,
}
"""The first seed of the simulation whose run shows that the rule is broken."""

BY_PROPERTIES = ("a watch for existence, which stays behind on a znode that is gone",)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", sorted(SEEDS))
def test_the_simulation_catches(name: str) -> None:
    with MUTANTS[name]():
        assert simulation(range(SEEDS[name], SEEDS[name] + 1)), "python -m tests.mutants tells the seed that does now"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", BY_PROPERTIES)
def test_the_properties_catch(name: str) -> None:
    with MUTANTS[name]():
        assert properties(60)


def test_those_that_catch_mutants_have_nothing_against_the_library_as_it_is() -> None:
    for seed in sorted(set(SEEDS.values())):
        assert simulation(range(seed, seed + 1)) == ""
