"""No election stands where the library has znodes of its own."""

from __future__ import annotations

import pytest

from leader_async.election.names import JOBS, Names, is_own
from leader_async.election.rules.record import notice
from leader_async.errors import UsageError
from leader_async.schedule.ledger import folder

CANDIDATE = "0a1b2c-n_0000000007"


@pytest.mark.parametrize("name", ["jobs", "history", "members", CANDIDATE, notice("a-n_1", 2, 1, 50, 3.0)])
def test_what_is_the_librarys_own_below_an_election_is_no_election(name: str) -> None:
    assert is_own(name)
    with pytest.raises(UsageError, match="take another name, or another root="):
        Names("").take(name, "/ELECTION/reports")
    with pytest.raises(UsageError):
        Names("/app").take(name, "/ELECTION/reports/nested")
    one = Names("/app")
    assert one.take("reports", "/mine") == "/app/mine/reports"
    with pytest.raises(UsageError, match="/app/mine/reports/"):
        one.take(name, "/mine/reports")
    other = Names("")
    other.take(name, "/mine/reports")
    with pytest.raises(UsageError, match="/mine/reports cannot be"):
        other.take("reports", "/mine")


@pytest.mark.parametrize("name", ["jobs", "history", "members", "nightly"])
def test_below_a_root_that_is_no_election_every_name_is_fine(name: str) -> None:
    names = Names("")
    for root in ("/ELECTION", "/mine", "/ELECTIONS/mine"):
        assert names.take(name, root) == f"{root}/{name}"


def test_other_names_are_fine_everywhere() -> None:
    names = Names("")
    names.take("reports", "/ELECTION")
    for name in ("job", "jobs-0007", "histories", "notices", "a-n_x"):
        assert not is_own(name)
        names.take(name, "/ELECTION/reports")


def test_the_names_are_those_that_are_used() -> None:
    assert folder("/ELECTION/x") == f"/ELECTION/x/{JOBS}"
