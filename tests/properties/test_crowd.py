"""What a candidate and a departure cost does not depend on how many candidates there are, but for the one listing."""

from __future__ import annotations

from collections import Counter

from .crowd import Crowd

Cost = tuple[Counter[str], int]
"""Requests by kind, and how many candidates were woken."""


def costs(count: int) -> dict[str, Cost]:
    """What each of these costs with so many candidates in the queue."""
    crowd = Crowd()
    for _ in range(count):
        crowd.join()
    crowd.take_cost()
    found = {}
    crowd.join()
    found["one joins"] = crowd.take_cost()
    for turn in ("first", "second"):
        leader = crowd.leader
        crowd.resign(leader)
        assert crowd.leader is not leader
        found[f"the {turn} leader leaves"] = crowd.take_cost()
    crowd.die(crowd.members[-2])
    found["one that does not lead dies"] = crowd.take_cost()
    return found


def test_a_departure_costs_the_same_among_four_and_among_a_thousand() -> None:
    cost = costs(1000)
    assert cost == costs(4)
    # The record, and the data of who stands before it, which it watches.
    assert cost["one joins"] == (Counter(Create=1, GetChildren=1, GetData=2), 0)
    # The appointment, the new leader's confirm that names its heir, and the first one of that heir; the record is read
    # by the new leader, its data by its heir, which then awaits notice. Who has led from the start does not know the
    # whole queue: its heir lists.
    handover = Counter(Multi=3, GetData=2, Exists=1)
    assert cost["the first leader leaves"] == (handover + Counter(GetChildren=1), 2)
    # It hears of its own write as well: it had read the record as the first of the queue.
    assert cost["the second leader leaves"] == (handover, 3)
    assert cost["one that does not lead dies"] == (Counter(GetData=1), 1)
