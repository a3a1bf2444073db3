"""The supervisor's timer: on the clock of leases, or the loop's where there is none."""

from __future__ import annotations

import asyncio
import resource
import time
from contextlib import suppress
from pathlib import Path

import pytest

from leader_async import clock
from leader_async.supervise.timer import Timer, timer
from leader_async.waking import Alarm

pytestmark = pytest.mark.usefixtures("on_linux")


def clocks() -> set[int]:
    """The clocks of this process's timerfds."""
    texts = []
    for info in Path("/proc/self/fdinfo").iterdir():
        with suppress(OSError):  # that of the listing itself
            texts.append(info.read_text())
    return {int(line.split()[1]) for text in texts for line in text.splitlines() if line.startswith("clockid:")}


async def test_it_rings_when_due_on_the_clock_that_counts_sleep() -> None:
    rang = asyncio.get_running_loop().create_future()
    one = Timer(lambda: rang.set_result(clock.now()))
    assert clocks() == {time.CLOCK_BOOTTIME}
    due = clock.now() + 0.02
    one.set(due + 100)
    one.set(due)
    assert await rang >= due
    one.close()


async def test_an_instant_that_has_passed_rings_at_once_and_a_cancelled_one_never() -> None:
    first, second = (asyncio.get_running_loop().create_future() for _ in range(2))
    early, late = Timer(lambda: first.set_result(None)), Timer(lambda: second.set_result(None))
    early.set(clock.now() + 0.001)
    early.cancel()
    late.set(0.0)
    await second
    late.set(clock.now() + 0.01)
    second = asyncio.get_running_loop().create_future()
    await second
    assert not first.done()
    for one in (early, late):
        one.close()


async def test_without_one_the_loops_own_has_to_do(caplog: pytest.LogCaptureFixture) -> None:
    rang = asyncio.get_running_loop().create_future()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        one = timer(lambda: rang.set_result(None))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert isinstance(one, Alarm)
    assert "Too many open files" in caplog.text
    one.set(clock.now())
    await rang
