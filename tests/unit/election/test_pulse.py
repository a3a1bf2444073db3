"""The pulse of a session, and the pulses that it reads."""

from __future__ import annotations

import itertools

import pytest

from leader_async.election.rules.pulse import Pulse, PulseRead, PulseReads, Stage, Wanted
from leader_async.errors import NoAuth, NodeExists, NoNode
from leader_async.zookeeper import messages as m

PATH = "/e/a/pulse-u0"
NO_NODE = m.Failed(NoNode.code)


def pulse() -> Pulse:
    made = Pulse(f"u{n}" for n in itertools.count())
    made.connected(7)
    return made


def beating() -> Pulse:
    made = pulse()
    made.request("/e/a")
    made.made(m.Created(PATH))
    return made


# -- a session's own: rules 1 and 2 ------------------------------------------------------------------------------------


def test_it_is_made_once_below_the_election_that_is_joined_first() -> None:
    own = pulse()
    assert own.request("/e/a") == m.Create(PATH, b"", ephemeral=True)
    assert own.request("/e/b") is None
    assert (own.path, own.named, own.raised()) == (PATH, "", None), "nobody is told of it before it can be raised"
    own.made(m.Created(PATH))
    assert own.request("/e/b") is None
    assert own.named == PATH
    assert own.raised() == m.SetData(PATH, b"", m.ANY_VERSION)


def test_a_session_without_one_never_makes_it() -> None:
    own = Pulse(None)
    own.connected(7)
    assert own.request("/e/a") is None
    assert (own.path, own.named, own.raised()) == ("", "", None)


@pytest.mark.parametrize("answer", [m.Lost(), NO_NODE])
def test_what_may_not_be_there_yet_is_made_again_under_its_name(answer: m.Answer) -> None:
    own = pulse()
    own.request("/e/a")
    own.made(answer)
    own.connected(7)  # the same session, at another server
    assert own.request("/e/b") == m.Create(PATH, b"", ephemeral=True)
    own.made(m.Failed(NodeExists.code))
    assert own.stage is Stage.BEATING


def test_where_it_cannot_be_made_the_session_goes_without() -> None:
    own = pulse()
    own.request("/e/a")
    own.made(m.Failed(NoAuth.code))
    assert own.stage is Stage.OFF
    assert own.request("/e/a") is None
    own.made(m.Created(PATH))
    assert own.stage is Stage.OFF, "an answer that nobody waits for says nothing"


def test_what_cannot_be_raised_is_removed_and_never_made_again() -> None:
    own = beating()
    assert own.off() == m.Delete(PATH)
    assert (own.path, own.named, own.raised()) == ("", "", None)
    own.connected(7)
    assert own.request("/e/a") is None


def test_the_next_session_has_another_one() -> None:
    own = beating()
    own.connected(8)
    assert own.stage is Stage.NONE
    assert own.request("/e/b") == m.Create("/e/b/pulse-u1", b"", ephemeral=True)


# -- reading others': rules 3 and 4 ------------------------------------------------------------------------------------


class Watcher:
    def __init__(self, path: str = PATH, lease: float = 3.0, *, calls: bool = False) -> None:
        self.wants: Wanted | None = Wanted(path, lease / 5, object())
        self.read: list[int | None] = []
        self.calls = calls

    @property
    def watched_pulse(self) -> Wanted | None:
        return self.wants

    def beat(self, path: str, version: int | None, now: float) -> bool:
        self.read.append(version)
        return self.calls


class Broken(Watcher):
    def beat(self, path: str, version: int | None, now: float) -> bool:
        raise ZeroDivisionError


def reading(*watchers: Watcher) -> PulseReads[Watcher]:
    reads: PulseReads[Watcher] = PulseReads()
    for watcher in watchers:
        reads.note(watcher, 100.0)
    return reads


def the_read(reads: PulseReads[Watcher], now: float) -> PulseRead:
    (read,) = reads.reads(now)
    return read


def found(version: int) -> m.Found:
    return m.Found(m.Stat(version=version))


def test_one_read_is_for_all_in_a_fifth_of_the_shortest_lease() -> None:
    watchers = [Watcher(lease=10.0), Watcher(lease=3.0, calls=True), Watcher(lease=5.0)]
    reads = reading(*watchers)
    assert reads.due() == 100.0
    read = the_read(reads, 100.0)
    assert read.request == m.Exists(PATH)
    assert read.within == pytest.approx(0.6)
    assert reads.due() is None
    assert reads.reads(200.0) == [], "one at a time"
    assert reads.answered(read, found(4), 100.1) == [watchers[1]]
    assert [watcher.read for watcher in watchers] == [[4]] * 3
    assert reads.due() == pytest.approx(100.6)


def test_a_pulse_that_is_not_there_is_no_silence_and_what_is_not_known_is_neither() -> None:
    watcher = Watcher()
    reads = reading(watcher)
    for answer in (m.Lost(), m.Failed(NoAuth.code), NO_NODE):
        assert reads.answered(the_read(reads, 200.0), answer, 200.0) == []
        reads._reads[PATH].due = 0.0
    assert watcher.read == [None]


def test_nobody_gets_the_answer_to_a_read_from_before_it_watched() -> None:
    first, second = Watcher(), Watcher()
    reads = reading(first)
    read = the_read(reads, 100.0)
    reads.note(second, 100.0)
    first.wants = Wanted(PATH, 0.6, object())  # as another one's
    reads.note(first, 100.0)
    reads.answered(read, found(1), 100.1)
    assert first.read == second.read == []
    reads.note(first, 100.1)  # nothing is new
    assert reads.due() == 100.0, "both are waiting"
    reads.answered(the_read(reads, 100.1), found(1), 100.2)
    assert first.read == second.read == [1]


def test_an_answer_to_a_read_that_was_given_up_is_for_nobody() -> None:
    watcher, late = Watcher(), Watcher()
    reads = reading(watcher)
    old = the_read(reads, 100.0)
    watcher.wants = None
    reads.note(watcher, 100.0)
    assert reads.due() is None
    assert reads.answered(old, found(1), 100.1) == []
    reads.note(late, 100.1)
    new = the_read(reads, 100.1)
    assert reads.answered(old, found(1), 100.1) == []
    reads.answered(new, found(2), 100.2)
    assert late.read == [2]


def test_who_has_lost_interest_is_dropped_with_the_next_answer() -> None:
    gone, moved, stays = Watcher(), Watcher(), Watcher()
    reads = reading(gone, moved, stays)
    gone.wants, moved.wants = None, Wanted("/e/a/pulse-other", 0.6, object())
    reads.answered(the_read(reads, 100.0), found(1), 100.1)
    assert gone.read == moved.read == []
    assert stays.read == [1]
    reads.note(moved, 100.1)
    assert the_read(reads, 100.1).request == m.Exists("/e/a/pulse-other")
    stays.wants = Wanted("/e/a/pulse-other", 0.6, object())
    reads.note(stays, 100.1)
    assert [*reads._reads] == ["/e/a/pulse-other"]
    reads.note(gone, 100.1)
    assert reads.due() is None


def test_what_could_not_be_sent_is_read_again() -> None:
    reads = reading(Watcher())
    read = the_read(reads, 100.0)
    reads.unsent(read)
    reads.unsent(read)
    assert reads.due() == pytest.approx(100.6)


def test_who_has_a_bug_costs_nobody_else_a_reading() -> None:
    died: list[object] = []
    broken, well = Broken(), Watcher()
    reads: PulseReads[Watcher] = PulseReads(lambda watcher, error: died.append((watcher, type(error))))
    for watcher in (broken, well):
        reads.note(watcher, 100.0)
    reads.answered(the_read(reads, 100.0), found(1), 100.1)
    assert died == [(broken, ZeroDivisionError)]
    assert well.read == [1]
    with pytest.raises(ZeroDivisionError):
        PulseReads[Watcher]()._broken(broken, ZeroDivisionError())
