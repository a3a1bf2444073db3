"""The door for code that blocks, used from threads as users do."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from leader_async import Digest, NoAuth, NoNode, SessionClosed, TermEnded, UsageError, blocking
from leader_async.blocking.metrics import Collector
from leader_async.testing import ZooKeeper

from .leading import LIMIT, Leading, until


def test_who_leads_with_credentials_leads_for_those_who_have_them(
    zookeeper: ZooKeeper, other: blocking.Connection
) -> None:
    own = Digest("app", "geheim")
    with blocking.connect(zookeeper.address, timeout=1.0, auth=own) as zk, zk.election("x").lead(LIMIT):
        stranger = other.election("x")
        with pytest.raises(NoAuth, match="the access list of /ELECTION/x"), stranger.lead(LIMIT):
            pass
        with pytest.raises(NoAuth):
            stranger.leader()


def test_the_body_leads_and_the_next_one_after_it(zk: blocking.Connection, other: blocking.Connection) -> None:
    election, second = zk.election("x", identity="one"), other.election("x", identity="two")
    assert (election.name, election.identity, election.is_leader, election.term) == ("x", "one", False, None)
    with election.lead() as term:
        assert election.is_leader
        assert term.is_current
        assert election.term is term
        assert election.status().state == "leading"
        assert (term.number, str(term.token) in repr(term)) == (1, True)
        leader = second.wait_for_leader(LIMIT)
        assert (leader.identity, leader.token) == ("one", term.token)
        with pytest.raises(TimeoutError, match=r"two did not lead x within 0\.05 s"), second.lead(0.05):
            pass
        assert [candidate.identity for candidate in election.candidates()] == ["one"]
    assert not election.is_leader
    assert not term.is_current
    assert term.lost.is_set()
    assert election.leader() is None
    with second.lead() as later:
        assert later.token > term.token


def test_the_lease_is_renewed_while_the_caller_blocks(zk: blocking.Connection) -> None:
    with zk.election("x", lease=0.2).lead() as term:
        first = term.valid_until
        # What holds this thread up for longer than a lease.
        until(lambda: term.valid_until > first + 0.3)
        term.check()
        term.confirm()
        assert not term.lost.is_set()


def test_work_is_told_of_the_loss_and_keeps_the_place_until_it_has_ended(
    zookeeper: ZooKeeper, zk: blocking.Connection, other: blocking.Connection, threads: ThreadPoolExecutor
) -> None:
    election, second = zk.election("x", identity="one", lease=0.5), other.election("x", identity="two", lease=0.5)
    leading = Leading(election, threads)
    term = leading.began.result(LIMIT)
    following = Leading(second, threads)
    until(lambda: second.status().state == "queued")
    resigning = threads.submit(election.resign)
    assert term.lost.wait(LIMIT)
    with pytest.raises(TermEnded, match=f"token {term.token}: this process leads no more"):
        term.check()
    with pytest.raises(TermEnded):
        term.confirm()
    assert [one.identity for one in second.candidates()] == ["one", "two"], "its place is kept"
    assert not following.began.done()
    leading.finish()
    assert resigning.result(LIMIT)
    assert following.began.result(LIMIT).token > term.token
    following.finish()


def test_a_session_that_expires_ends_the_term(zookeeper: ZooKeeper, zk: blocking.Connection) -> None:
    with zk.election("x", lease=0.5).lead() as term:
        zookeeper.expire_all()
        assert term.lost.wait(LIMIT)
        with pytest.raises(TermEnded):
            term.commit(term.transaction().create("/never"))


def test_writes_that_happen_only_while_the_term_stands(zk: blocking.Connection) -> None:
    with zk.election("x").lead() as term:
        assert term.commit(term.transaction().create("/here", b"1").set_data("/here", b"2", version=0)) == ("/here", 1)
        with pytest.raises(NoNode):
            term.commit(term.transaction().delete("/not/here"))


def test_run_calls_the_work_again_after_a_loss_and_returns_what_it_returns(
    zookeeper: ZooKeeper, zk: blocking.Connection
) -> None:
    caller, tokens = threading.get_ident(), list[int]()

    def work(term: blocking.Term) -> str:
        assert threading.get_ident() == caller
        tokens.append(term.token)
        if len(tokens) < 3:
            zookeeper.expire_all()
            assert term.lost.wait(LIMIT)
            if len(tokens) == 1:
                term.check()
            return "counts for nothing"
        return "done"

    election = zk.election("x", lease=0.3)
    assert election.run(work) == "done"
    assert tokens == sorted(set(tokens))
    assert len(tokens) == 3
    assert not election.candidates()


def test_what_work_raises_ends_run(zk: blocking.Connection) -> None:
    def fail(term: blocking.Term) -> None:
        raise ZeroDivisionError

    def fail_by_another(term: blocking.Term) -> None:
        raise TermEnded("of another election")

    election = zk.election("x")
    with pytest.raises(ZeroDivisionError):
        election.run(fail)
    with pytest.raises(TermEnded, match="another"):
        election.run(fail_by_another)
    with pytest.raises(ZeroDivisionError), election.lead() as term:
        fail(term)
    for stop in (StopIteration(3), StopAsyncIteration(3)):
        with pytest.raises(type(stop)), election.lead():
            raise stop
        with pytest.raises(type(stop)):
            election.run(raising(stop))
    assert not election.candidates()


def raising(error: BaseException) -> Callable[[object], None]:
    def work(term: object) -> None:
        raise error

    return work


def test_a_coroutine_function_is_refused(zk: blocking.Connection) -> None:
    async def coroutine(term: object) -> None: ...

    work: Any = coroutine
    work_of_nothing: Any = lambda: None  # noqa: E731
    election = zk.election("x")
    with pytest.raises(UsageError, match=r"an `async def` does not run in a thread: use leader_async\.connect"):
        election.run(work)
    with pytest.raises(UsageError, match="an `async def` does not"):
        election.leader_only(work)
    with pytest.raises(TypeError, match="<lambda> returned coroutine, of which nothing has run"):
        election.run(lambda term: work(term))
    with pytest.raises(UsageError, match="too many positional"):
        election.run(work_of_nothing)
    with pytest.raises(TypeError, match="returned coroutine"):
        eventually_called(election.leader_only(lambda: work(1)))
    election.leave()


def eventually_called(guarded: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        guarded()
        time.sleep(0.002)


def test_ctrl_c_while_waiting_leaves_the_queue(
    zk: blocking.Connection, other: blocking.Connection, threads: ThreadPoolExecutor
) -> None:
    election, second = zk.election("x", identity="one"), other.election("x", identity="two")
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        until(lambda: second.status().state == "queued")
        signal.pthread_kill(main, signal.SIGINT)

    with election.lead():
        interrupting = threads.submit(interrupt)
        with pytest.raises(KeyboardInterrupt), second.lead():
            pass
        interrupting.result(LIMIT)
        assert [one.identity for one in election.candidates()] == ["one"]
    with second.lead(LIMIT):
        pass


def test_it_refuses_to_block_an_event_loop(zk: blocking.Connection) -> None:
    election = zk.election("x")

    async def misuse() -> None:
        assert not election.is_leader
        for call in (election.leader, election.status, zk.close, zk.wait_connected, election.join, election.lead):
            with pytest.raises(UsageError, match=r"use leader_async\.connect\(\)"):
                call().__enter__() if call == election.lead else call()

    asyncio.run(misuse())
    with election.lead(LIMIT):
        pass


def test_one_at_a_time_and_nobody_waits_for_himself(zk: blocking.Connection) -> None:
    election = zk.election("x")
    with election.lead():
        with pytest.raises(UsageError, match="takes part in x already"), election.lead():
            pass
        for call, name in ((election.resign, "resign"), (zk.close, "close"), (election.leave, "leave")):
            with pytest.raises(UsageError, match=rf"{name}\(\) waits for the end of the work under x"):
                call()
        with pytest.raises(UsageError, match="transfer"):
            election.transfer("two")
        assert election.is_leader
    assert zk.election("x") is election
    with pytest.raises(UsageError, match=r"with lease=3\.0 and not 4.0: give the same, or leave it out"):
        zk.leader("x", lease=4)
    with pytest.raises(UsageError, match="timeout=0 cannot be used"):
        blocking.connect("127.0.0.1:1", timeout=0)


def test_transfer_by_name(zk: blocking.Connection, other: blocking.Connection, threads: ThreadPoolExecutor) -> None:
    election, second = zk.election("x", identity="one"), other.election("x", identity="two")
    leading = Leading(election, threads)
    term = leading.began.result(LIMIT)
    following = Leading(second, threads)
    until(lambda: second.status().state == "queued")
    transferring = threads.submit(election.transfer, "two")
    assert term.lost.wait(LIMIT)
    leading.end.set()
    assert transferring.result(LIMIT)
    following.began.result(LIMIT)
    leading.finish()
    following.finish()


def test_who_leads_has_a_term(zk: blocking.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    begins, begin = threading.Event(), threading.Event()

    class Late(blocking.Term):
        def __init__(self, *arguments: Any) -> None:
            begins.set()
            assert begin.wait(LIMIT)
            super().__init__(*arguments)

    monkeypatch.setattr("leader_async.blocking.election.Term", Late)
    election = zk.election("x")
    election.join()
    try:
        assert begins.wait(LIMIT)
        assert election.asynchronous.is_leader
        assert (election.is_leader, election.term) == (False, None)
    finally:
        begin.set()
    until(lambda: election.is_leader)
    assert election.term is not None


def test_the_candidate_that_started_last_is_favoured(
    zookeeper: ZooKeeper, zk: blocking.Connection, other: blocking.Connection, threads: ThreadPoolExecutor
) -> None:
    with blocking.connect(zookeeper.address, timeout=1.0) as third:
        elections = [one.election("x", identity=str(place)) for place, one in enumerate((zk, other, third))]
        replicas: list[Leading] = []
        for election in elections:
            replicas.append(Leading(election, threads))
            until(lambda: elections[len(replicas) - 1].status().position == len(replicas) - 1)
        assert not elections[1].favour_newest(), "only who leads has something to give"
        assert elections[0].favour_newest()
        replicas[0].finish()
        assert replicas[2].began.result(LIMIT).number == 2
        assert not elections[2].favour_newest(timeout=LIMIT), "nobody started later"
        replicas[2].finish()
        replicas[1].finish()


def test_closing_tells_the_work_and_waits_for_it(zookeeper: ZooKeeper, threads: ThreadPoolExecutor) -> None:
    zk = blocking.connect(zookeeper.address, timeout=1.0)
    leading = Leading(zk.election("x"), threads)
    term = leading.began.result(LIMIT)
    waiting = Leading(zk.election("y"), threads)
    waiting.began.result(LIMIT)
    closing = threads.submit(zk.close)
    assert term.lost.wait(LIMIT)
    waiting.finish()
    assert not closing.done()
    leading.finish()
    closing.result(LIMIT)
    assert not zookeeper.sessions
    zk.close()
    with pytest.raises(SessionClosed):
        zk.start()
    with pytest.raises(SessionClosed), zk.election("z").lead():
        pass


def test_a_body_that_ends_in_another_thread_has_ended(zk: blocking.Connection, threads: ThreadPoolExecutor) -> None:
    election = zk.election("x")
    leading = election.lead(LIMIT)
    threads.submit(leading.__enter__).result(LIMIT)
    assert election.is_leader
    leading.__exit__(None, None, None)
    assert not election.candidates()


def test_closing_within_a_bound(zookeeper: ZooKeeper, threads: ThreadPoolExecutor) -> None:
    zk = blocking.connect(zookeeper.address, timeout=1.0)
    leading = Leading(zk.election("x"), threads)
    leading.began.result(LIMIT)
    with pytest.raises(TimeoutError, match="its place is kept"):
        zk.close(0.01)
    assert zookeeper.sessions
    assert loops()
    leading.finish()
    until(lambda: not zookeeper.sessions)
    until(lambda: not loops())


def loops() -> list[str]:
    """The threads of all connections."""
    return [thread.name for thread in threading.enumerate() if thread.name == "leader_async"]


def test_who_waits_for_the_lead_hears_that_the_connection_was_closed(
    zookeeper: ZooKeeper, zk: blocking.Connection, threads: ThreadPoolExecutor
) -> None:
    with zk.election("x").lead():
        closed = blocking.connect(zookeeper.address, timeout=1.0)
        second = closed.election("x")
        waiting = Leading(second, threads)
        until(lambda: second.status().state == "queued")
        closed.close()
        with pytest.raises(SessionClosed):
            waiting.ended.result(LIMIT)
    unused = blocking.connect(zookeeper.address)
    unused.close()
    with pytest.raises(SessionClosed):
        unused.wait_connected()


def test_only_the_leader_runs_the_function(zk: blocking.Connection, other: blocking.Connection) -> None:
    @zk.leader("x", identity="one")
    def here(a: int, *, b: int) -> tuple[str, int]:
        """Adds."""
        return "one", a + b

    with pytest.raises(UsageError, match="has an election x already"):
        zk.leader("x", identity="another")
    there = other.election("x", identity="two").leader_only(lambda: "two")
    assert here.__doc__ == "Adds."
    until(lambda: here(1, b=2))
    assert here(1, b=2) == ("one", 3)
    assert there() is None
    zk.close()
    with pytest.raises(SessionClosed):
        here(1, b=2)
    until(there)


def test_several_threads_run_under_one_term_and_are_all_waited_for(
    zk: blocking.Connection, threads: ThreadPoolExecutor
) -> None:
    election, ends = zk.election("x"), [threading.Event(), threading.Event()]
    began = threading.Barrier(3)

    @zk.leader("x")
    def work(end: threading.Event) -> bool:
        began.wait(LIMIT)
        return end.wait(LIMIT)

    election.join()
    until(lambda: election.is_leader)
    running = [threads.submit(work, end) for end in ends]
    began.wait(LIMIT)
    term = election.term
    assert term is not None
    leaving = threads.submit(election.leave)
    assert term.lost.wait(LIMIT)
    assert work(ends[0]) is None, "nobody begins any more"
    ends[0].set()
    assert running[0].result(LIMIT)
    assert len(election.candidates()) == 1
    ends[1].set()
    leaving.result(LIMIT)
    assert not election.candidates()


def test_what_ends_a_background_candidacy_is_raised(zk: blocking.Connection) -> None:
    election = zk.election("x")
    work = election.leader_only(lambda: "done")
    election.join()
    until(work)
    zk._portal.do(
        lambda: election.asynchronous.driver.die(ZeroDivisionError("a bug"))
    )  # nothing short of a bug does it
    assert not election.is_leader
    with pytest.raises(ZeroDivisionError):
        until(work)


def test_calls_that_wait_when_the_connection_is_closed_end(zookeeper: ZooKeeper, threads: ThreadPoolExecutor) -> None:
    zk = blocking.connect(zookeeper.address, timeout=1.0)
    election = zk.election("x")
    zk.start()
    waiting = [threads.submit(election.wait_for_leader) for _ in range(20)]
    zk.close()
    for each in waiting:
        with pytest.raises(SessionClosed):
            each.result(LIMIT)


def test_nothing_makes_the_loop_give_the_place_up_before_the_body_has_ended(
    zk: blocking.Connection, other: blocking.Connection, threads: ThreadPoolExecutor
) -> None:
    leading = Leading(zk.election("x"), threads)
    term = leading.began.result(LIMIT)

    def cancel() -> int:
        found = [task for task in asyncio.all_tasks() if task.get_name() == "term 1"]
        return sum(task.cancel() for task in found)

    assert zk._portal.do(cancel) == 1
    assert term.lost.wait(LIMIT)
    assert zk._portal.do(cancel) == zk._portal.do(cancel) == 1
    other.wait_connected(LIMIT)
    assert len(other.election("x").candidates()) == 1
    leading.finish()
    until(lambda: not zk._elections["/ELECTION/x"].candidates())


def test_metrics_are_those_of_the_elections_while_the_connection_lives(zookeeper: ZooKeeper) -> None:
    registry = CollectorRegistry()
    zk = blocking.connect(zookeeper.address, timeout=1.0)
    registry.register(Collector(zk))
    election = zk.election("x", identity="me")
    assert registry.get_sample_value("leader_async_session_connected") is None, "nothing has begun"
    with zk, election.lead(LIMIT):
        assert registry.get_sample_value("leader_async_is_leader", {"election": "x"}) == 1
    assert registry.get_sample_value("leader_async_session_connected") is None, "it is closed"


def test_who_is_interrupted_while_the_place_is_given_up_may_take_part_again(
    zk: blocking.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    election = zk.election("x")
    leading = election.lead()
    leading.__enter__()

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("leader_async.loop_thread.wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            leading.__exit__(None, None, None)
    until(lambda: not election.candidates())
    with election.lead() as term:
        assert term.number == 2
