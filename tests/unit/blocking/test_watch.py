"""Following an election from threads, and reading its history."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from leader_async import Change, SessionClosed, UsageError, blocking
from leader_async.testing import ZooKeeper
from leader_async.zookeeper.mirror import Mirror

from .leading import LIMIT, Leading, until


def who(change: Change) -> str | None:
    return change.leader.identity if change.leader is not None else None


def first(changes: Iterator[Change], leader: str | None) -> Change:
    """The first change at which this one leads."""
    return next(change for change in changes if who(change) == leader)


def followers(election: blocking.Election) -> int:
    listeners = election.asynchronous.client._listeners[election.asynchronous.parent]
    return sum(isinstance(each, Mirror) for each in listeners)


def test_a_thread_follows_an_election_in_which_it_takes_no_part(
    zk: blocking.Connection, other: blocking.Connection
) -> None:
    election, followed = zk.election("x", identity="one"), other.election("x")
    changes = followed.watch(LIMIT)
    assert who(first(changes, None)) is None
    with election.lead(LIMIT) as term:
        change = first(changes, "one")
        assert "leader" in change.what
        assert change.leader is not None
        assert change.leader.token == term.token
        assert [each.identity for each in change.queue] == ["one"]
    first(changes, None)
    assert followers(followed) == 1
    del changes
    until(lambda: not followers(followed))


def test_several_threads_follow(zk: blocking.Connection, threads: ThreadPoolExecutor) -> None:
    election, begun = zk.election("x", identity="one"), threading.Barrier(4)

    def follow() -> str | None:
        changes = election.watch(LIMIT)
        first(changes, None)
        begun.wait(LIMIT)
        return who(first(changes, "one"))

    following = [threads.submit(follow) for _ in range(3)]
    begun.wait(LIMIT)
    with election.lead(LIMIT):
        assert [each.result(LIMIT) for each in following] == ["one"] * 3


def test_a_change_that_does_not_come_in_time(zk: blocking.Connection) -> None:
    election = zk.election("x")
    changes = election.watch(0.01)
    with pytest.raises(TimeoutError):
        list(changes)
    until(lambda: not followers(election))
    assert list(changes) == []
    assert next(election.watch(LIMIT)).what == ("leader", "queue", "status", "connected"), "another one begins anew"


def test_closing_ends_those_who_follow(zookeeper: ZooKeeper, threads: ThreadPoolExecutor) -> None:
    zk = blocking.connect(zookeeper.address, timeout=1.0)
    election, begun = zk.election("x"), threading.Barrier(4)

    def follow() -> None:
        changes = election.watch()
        next(changes)
        begun.wait(LIMIT)
        list(changes)

    following = [threads.submit(follow) for _ in range(3)]
    begun.wait(LIMIT)
    zk.close()
    for each in following:
        with pytest.raises(SessionClosed):
            each.result(LIMIT)
    with pytest.raises(SessionClosed):
        next(election.watch())


def test_ctrl_c_while_following(zk: blocking.Connection, threads: ThreadPoolExecutor) -> None:
    election, main = zk.election("x"), threading.main_thread().ident
    assert main is not None
    seen = threading.Event()

    def interrupt() -> None:
        assert seen.wait(LIMIT)
        signal.pthread_kill(main, signal.SIGINT)

    interrupting = threads.submit(interrupt)

    def follow() -> None:
        for _ in election.watch():
            seen.set()

    with pytest.raises(KeyboardInterrupt):
        follow()
    interrupting.result(LIMIT)
    until(lambda: not followers(election))
    with election.lead(LIMIT):
        pass


def test_who_is_slow_gets_the_latest_state_and_a_lost_server_is_told(
    zookeeper: ZooKeeper, zk: blocking.Connection, other: blocking.Connection
) -> None:
    changes = zk.election("x").watch(LIMIT)
    first(changes, None)
    for number in range(5):
        with other.election("x", identity="busy").lead(LIMIT) as term:
            assert term.number == number + 1
    with other.election("x").lead(LIMIT):
        change = first(changes, "busy")
        assert change.leader is not None
        assert change.leader.term == 6, "no backlog"
    zookeeper.stop()
    assert not next(change for change in changes if not change.connected).connected
    zookeeper.start()
    assert next(change for change in changes if change.connected).connected


def test_the_history_tells_the_terms(zk: blocking.Connection, threads: ThreadPoolExecutor) -> None:
    election = zk.election("x", identity="one")
    assert election.history() == []
    leading = Leading(election, threads)
    leading.began.result(LIMIT)
    until(lambda: len(election.history()) == 1)
    leading.finish()
    with election.lead(LIMIT) as term:
        until(lambda: [entry.term for entry in election.history()] == [1, term.number])
        reading = [threads.submit(election.history) for _ in range(3)]
        for entries in (each.result(LIMIT) for each in reading):
            assert [entry.identity for entry in entries] == ["one", "one"]
            assert entries[0].ended is not None
            assert entries[1].ended is None


@pytest.mark.parametrize(("history", "terms"), [(False, [3]), (True, [1, 2, 3])])
def test_history_is_written_where_it_is_wanted(zk: blocking.Connection, *, history: bool, terms: list[int]) -> None:
    election = zk.election("x", history=history)
    for term in election.terms():
        if term.number == 3:
            until(lambda: [entry.term for entry in election.history()] == terms)
            break


def test_nobody_follows_where_nobody_may_wait(zk: blocking.Connection) -> None:
    election = zk.election("x")

    async def misuse() -> None:
        for call in (election.history, lambda: next(election.watch()), lambda: next(election.terms())):
            with pytest.raises(UsageError, match=r"use leader_async\.connect\(\)"):
                call()

    asyncio.run(misuse())


def test_each_term_is_given_as_it_begins(zookeeper: ZooKeeper, zk: blocking.Connection) -> None:
    election, tokens = zk.election("x", lease=0.3), list[int]()
    for term in election.terms():
        assert election.term is term
        tokens.append(term.token)
        if len(tokens) == 2:
            zookeeper.expire_all()
            assert term.lost.wait(LIMIT)
        if len(tokens) == 3:
            break
    assert tokens == sorted(set(tokens)), "who asks for the next one has resigned"
    assert not election.candidates(), "leaving the loop gives the place up"
    with pytest.raises(ZeroDivisionError):
        [1 // 0 for _ in election.terms()]
    assert not election.candidates()


def test_who_asks_for_the_next_term_queues_at_the_back(
    zk: blocking.Connection, other: blocking.Connection, threads: ThreadPoolExecutor
) -> None:
    election, second = zk.election("x", identity="one"), other.election("x", identity="two")
    terms = election.terms()
    assert next(terms).number == 1
    following = Leading(second, threads)
    until(lambda: second.status().state == "queued")
    again = threads.submit(next, terms)
    assert following.began.result(LIMIT).number == 2
    following.finish()
    assert again.result(LIMIT).number == 3
    with pytest.raises(UsageError, match=r"one lead\(\), run\(\), terms\(\) or join\(\) at a time"):
        next(election.terms())


def test_a_generator_that_is_garbage_in_the_loop_ends_without_waiting(zk: blocking.Connection) -> None:
    election = zk.election("x")
    held = [election.terms()]
    term = next(held[0])
    zk._portal.do(held.clear)  # as the collector does, in the thread in which it happens to run
    assert term.lost.wait(LIMIT)
    until(lambda: not election.candidates())
