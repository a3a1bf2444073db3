"""Each mutant is noticed by somebody, within seconds. `python -m tests.mutants` asks everybody at length."""

from __future__ import annotations

import pytest

from .catchers import properties, session, simulation, soon
from .rules import MUTANTS


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_somebody_notices(name: str) -> None:
    said = soon(name)
    assert said, "nobody does within seconds: ask `python -m tests.mutants`, and put who does into `soon`"
    assert "TypeError" not in said, f"it no longer fits what it breaks, and that was noticed: mend it ({said})"


@pytest.mark.timeout(240)
def test_those_that_notice_have_nothing_against_the_library_as_it_is() -> None:
    assert simulation(range(60)) == ""
    assert session() == ""
    assert properties(40) == ""
