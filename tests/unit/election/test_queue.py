from __future__ import annotations

import pytest

from leader_async.election.rules import queue as q
from leader_async.errors import UsageError


@pytest.mark.parametrize("name", ["", "n_0000000001", "-n_0000000001", "u-n_", "u-n_x", "u-n_-1", "u-n_²"])
def test_names_that_are_no_candidates(name: str) -> None:
    with pytest.raises(ValueError, match="not a candidate"):
        q.order(name)
    assert q.in_order([name]) == []


def test_the_number_decides_and_ties_stand_by_uuid() -> None:
    stuck = 2**31 - 1
    names = [f"b-n_{stuck}", f"a-n_{stuck}", "z-n_0000000009", "y-n_0000000010"]
    assert q.in_order(names) == ["z-n_0000000009", "y-n_0000000010", f"a-n_{stuck}", f"b-n_{stuck}"]


def test_nothing_is_known_before_a_listing() -> None:
    queue = q.Queue()
    assert not queue.known
    assert queue.ahead == ()
    assert queue.position == 0
    assert queue.predecessor is None
    assert not queue.gone("a-n_1")


def test_the_last_one_ahead_is_watched_and_what_is_ahead_shrinks() -> None:
    queue = q.Queue()
    assert queue.listed(["c-n_3", "a-n_1", "d-n_4", "b-n_2", "stranger"], "c-n_3") == (set(), set())
    assert queue.ahead == ("a-n_1", "b-n_2")
    assert queue.predecessor == "b-n_2"
    assert queue.gone("b-n_2")
    assert not queue.gone("b-n_2")
    assert (queue.predecessor, queue.position) == ("a-n_1", 1)
    assert queue.listed(["c-n_3"], "c-n_3") == ({"a-n_1"}, set())
    assert queue.predecessor is None


def test_what_appears_ahead_is_unexplained() -> None:
    queue = q.Queue()
    queue.listed(["c-n_3"], "c-n_3")
    assert queue.listed(["c-n_3", "a-n_1"], "c-n_3") == (set(), {"a-n_1"})
    assert queue.predecessor == "a-n_1"


def test_a_listing_without_us_cannot_be_used() -> None:
    with pytest.raises(UsageError):
        q.Queue().listed(["a-n_1"], "c-n_3")


def test_what_one_join_created_and_what_there_must_be_above_it() -> None:
    names = ["u-n_0000000012", "other-n_0000000003", "u-n_0000000007", "uu-n_0000000001", "u-x", "u-n_x"]
    assert q.of_join(names, "u") == ["u-n_0000000007", "u-n_0000000012"]
    assert q.of_join(names, "nobody") == []
    assert q.above("/chroot/ELECTION/x") == ["/chroot", "/chroot/ELECTION", "/chroot/ELECTION/x"]
    assert q.above("/x") == ["/x"]
