"""What waits for a listener: bounded, and never without the latest of anything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from leader_async.web.mailbox import ROOM, Event, Mailbox

NAMES = "abcdef"


def event(name: str, number: int) -> Event:
    return Event(name, f"{name}{number} ".encode())


def test_who_is_quick_misses_nothing() -> None:
    box = Mailbox()
    for number in range(ROOM):
        box.put(event("a", number))
    assert box.take().split() == [b"a%d" % number for number in range(ROOM)]
    assert (box.take(), box.dropped) == (b"", 0)


def test_the_oldest_that_is_superseded_is_dropped() -> None:
    box = Mailbox()
    for number, name in enumerate(["b", "a", *["c"] * (ROOM - 2), "a"]):
        box.put(event(name, number))
    taken = box.take().split()
    assert (taken[:2], taken[-1], box.dropped) == ([b"b0", b"c2"], b"a%d" % ROOM, 1)


@given(st.lists(st.sampled_from(NAMES), max_size=200))
def test_whatever_comes_the_latest_of_each_name_is_there_and_the_order_is_kept(names: list[str]) -> None:
    box = Mailbox()
    for number, name in enumerate(names):
        box.put(event(name, number))
    taken = [(frame[:1].decode(), int(frame[1:])) for frame in box.take().split()]
    assert len(taken) == min(len(names), ROOM)
    assert box.dropped == len(names) - len(taken)
    assert [number for _, number in taken] == sorted(number for _, number in taken)
    assert dict(taken) == {name: number for number, name in enumerate(names)}
