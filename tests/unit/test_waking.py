"""Alarms on asyncio's loop and on uvloop, whose timers count in milliseconds and whose handles are others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeAlias

import pytest
import uvloop

from leader_async import clock
from leader_async.histogram import Histogram
from leader_async.waking import Alarm, outlast

Run: TypeAlias = Callable[[Coroutine[None, None, None]], None]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine on a loop of that kind."""

    def on_loop(coroutine: Coroutine[None, None, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(coroutine)

    return on_loop


@pytest.mark.parametrize("delay", [-1.0, 0.0, 0.0002, 0.0004, 0.0006, 0.0014, 0.0025, 0.02])
def test_it_rings_when_due_and_never_before(run: Run, delay: float) -> None:
    async def main() -> None:
        rang: asyncio.Queue[float] = asyncio.Queue()
        alarm = Alarm(lambda: rang.put_nowait(clock.now()))
        for _ in range(20):
            due = clock.now() + delay
            alarm.set(due)
            assert await rang.get() >= due
        assert rang.empty()

    run(main())


@pytest.mark.parametrize("others", [(0.0, 0.0), (0.0, 5.0), (5.0, 0.0), (5.0, 60.0, 0.0), (0.0, None, 0.0)], ids=str)
def test_the_last_setting_counts(run: Run, others: tuple[float | None, ...]) -> None:
    async def main() -> None:
        rang: asyncio.Queue[float] = asyncio.Queue()
        alarm = Alarm(lambda: rang.put_nowait(clock.now()))
        for delay in others:
            alarm.set(None if delay is None else clock.now() + delay)
        due = clock.now() + 0.003
        alarm.set(due)
        assert await rang.get() >= due
        alarm.set(clock.now())
        alarm.cancel()
        await asyncio.sleep(0.003)
        assert rang.empty()

    run(main())


def test_how_late_the_loop_rings_is_counted(run: Run) -> None:
    async def main() -> None:
        rang: asyncio.Queue[None] = asyncio.Queue()
        lag = Histogram((0.001, 0.01, 1.0))
        alarm = Alarm(lambda: rang.put_nowait(None), lag)
        alarm.set(clock.now() + 0.001)
        until = clock.now() + 0.05
        while clock.now() < until:
            pass  # here it blocks
        await rang.get()
        assert lag.total >= 0.04

    run(main())


async def test_who_outlasts_a_future_is_cancelled_afterwards() -> None:
    future = asyncio.get_running_loop().create_future()
    waiting = asyncio.ensure_future(outlast(future))
    for _ in range(2):
        await asyncio.sleep(0)
        waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    future.set_exception(OSError("not looked at"))
    assert await waiting is True
    assert await outlast(future) is False
    assert future.exception()
