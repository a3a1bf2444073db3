"""The pure rules: which signal when, when a supervisor is late with it, and what next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leader_async import CommandFailed
from leader_async.supervise.policy import LONGEST_PAUSE, Next, OnExit, OnLoss, after, pause
from leader_async.supervise.supervision import LATE, PATIENCE, Patience, Signal, StopReason, Supervision


def test_a_lease_that_runs_out_ends_the_command_by_its_end() -> None:
    run = Supervision(until=10.0, lease=3.0, stop_timeout=5.0)
    assert run.deadline == pytest.approx(9.7)
    assert run.tick(9.6) is Signal.NONE
    assert run.tick(9.8) is Signal.TERM
    assert run.deadline == 10.0
    assert run.tick(10.0) is Signal.KILL
    assert run.why is StopReason.LEASE


def test_a_graceful_stop_has_its_time_as_long_as_the_lease_is_renewed() -> None:
    run = Supervision(until=10.0, lease=3.0, stop_timeout=5.0)
    run.stop(8.0, StopReason.STOPPED)
    assert run.tick(8.0) is Signal.TERM
    run.renew(20.0)
    run.renew(11.0)
    assert run.tick(12.9) is Signal.TERM
    assert run.tick(13.0) is Signal.KILL


def test_a_kill_is_at_once() -> None:
    run = Supervision(until=10.0, lease=3.0, stop_timeout=5.0)
    run.kill(7.5)
    assert run.tick(7.5) is Signal.KILL


@given(st.lists(st.tuples(st.floats(0, 100), st.sampled_from(["renew", "stop", "tick"]))), st.floats(0, 60))
def test_a_signal_is_never_taken_back_and_nothing_outlives_the_lease(
    steps: list[tuple[float, str]], stop_timeout: float
) -> None:
    run = Supervision(until=3.0, lease=3.0, stop_timeout=stop_timeout)
    seen = Signal.NONE
    for now, step in sorted(steps):
        if step == "stop":
            run.stop(now, StopReason.STOPPED)
        elif step == "renew" and now < run.until:
            run.renew(now + 3.0)
        due = run.tick(now)
        assert due is Signal.KILL or now < run.until
        if due is Signal.KILL:
            return
        assert due >= seen
        seen = due


def patience() -> Patience:
    return Patience(Supervision(until=10.0, lease=3.0, stop_timeout=5.0))


def test_a_supervisor_that_hangs_is_late_soon_after_the_leases_end() -> None:
    one = patience()
    assert [one.wait(7.0), one.wait(9.0)] == pytest.approx([3.0, 1.0])  # it ends at 10
    assert one.wait(10.001) == pytest.approx(LATE * 3.0 - 0.001)
    assert one.wait(10.0 + LATE * 3.0) <= 0


def test_a_look_that_is_only_a_little_late_gives_no_more_time() -> None:
    one = patience()
    assert one.wait(10.05) == pytest.approx(LATE * 3.0 - 0.05)


def test_a_supervisor_that_hangs_in_a_graceful_stop_is_late_after_its_patience() -> None:
    one = patience()
    one.run.stop(2.0, StopReason.STOPPED)
    assert one.wait(2.0) == 3.0  # no longer than a lease
    assert one.wait(7.0) == pytest.approx(PATIENCE)
    assert one.wait(7.0 + PATIENCE) <= 0


@pytest.mark.parametrize(("woke", "more"), [(10.1, 0.1), (15.0, PATIENCE), (1e6, PATIENCE)])
def test_who_was_frozen_gives_a_supervisor_that_may_wake_now_time_but_once(woke: float, more: float) -> None:
    one = patience()
    one.wait(8.0)
    assert one.wait(woke) == pytest.approx(more)
    assert one.wait(woke + more / 2) == pytest.approx(more / 2)
    assert one.wait(woke + more + 100.0) <= 0


def test_who_was_frozen_right_after_the_start_judges_no_sooner() -> None:
    assert patience().wait(20.0) == PATIENCE


def test_a_lease_that_goes_on_begins_anew() -> None:
    one = patience()
    assert one.wait(10.0) > 0
    one.run.renew(13.0)
    assert one.wait(10.1) == pytest.approx(2.9)
    assert one.wait(20.0) == PATIENCE


@pytest.mark.parametrize(
    ("why", "on_exit", "on_loss", "started", "stopping", "step"),
    [
        (StopReason.ENDED, "exit", "follow", True, False, Next.EXIT),
        (StopReason.ENDED, "resign", "follow", True, False, Next.RESIGN),
        (StopReason.ENDED, "restart", "follow", True, False, Next.RESTART),
        (StopReason.ENDED, "restart", "follow", True, True, Next.EXIT),
        (StopReason.ENDED, "restart", "follow", False, False, Next.EXIT),
        (StopReason.LEASE, "restart", "follow", True, False, Next.FOLLOW),
        (StopReason.LEASE, "restart", "exit", True, False, Next.LOST),
    ],
)
def test_what_next(
    why: StopReason, on_exit: OnExit, on_loss: OnLoss, started: bool, stopping: bool, step: Next
) -> None:
    assert after(why, on_exit, on_loss, started=started, stopping=stopping) is step


def test_a_command_that_keeps_ending_is_started_less_often() -> None:
    assert [pause(0.0, 0.1), pause(1.0, 0.1), pause(50.0, 0.1), pause(50.0, LONGEST_PAUSE)] == [1.0, 2.0, 60.0, 1.0]


def test_the_error_tells_the_command_and_its_status() -> None:
    error = CommandFailed(["a", "b"], 3)
    assert (error.command, error.status, error.definite) == (("a", "b"), 3, False)
