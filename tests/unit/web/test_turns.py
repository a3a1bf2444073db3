"""A few in one turn of the event loop, and a few at a time."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from leader_async.web.turns import ASKED, PASSED, WAITING, Full, Limiter, Turnstile

from ...support.waiting import Turns, until


async def test_few_pass_in_one_turn_and_in_the_order_in_which_they_came() -> None:
    turnstile, passed = Turnstile(), list[tuple[int, int]]()
    turns = Turns()

    async def one(number: int) -> None:
        await turnstile.enter()
        passed.append((turns.number, number))

    await asyncio.gather(*(one(number) for number in range(1500)))
    turns.stop()
    assert [number for _, number in passed] == [*range(1500)]
    counted = Counter(turn for turn, _ in passed)
    assert max(counted.values()) <= PASSED
    assert len(counted) < 1500 / PASSED + 2, "no turn is left out"


async def test_who_is_alone_does_not_wait_and_nothing_turns_when_nobody_comes() -> None:
    turnstile, turns = Turnstile(), Turns()
    began = turns.number
    for _ in range(PASSED):
        await turnstile.enter()
    assert turns.number == began
    await until(lambda: turns.number > began + 3)
    turns.stop()
    await until(lambda: not turnstile._turning)


async def test_who_has_gone_takes_nobodys_turn() -> None:
    turnstile = Turnstile()
    for _ in range(PASSED):
        await turnstile.enter()
    gone = [asyncio.create_task(turnstile.enter()) for _ in range(3 * PASSED)]
    staying = asyncio.create_task(turnstile.enter())
    await asyncio.sleep(0)
    for one in gone:
        one.cancel()
    await asyncio.wait([staying], timeout=10)
    assert staying.done()
    assert all(one.cancelled() or one.done() for one in gone)


async def test_a_few_are_inside_a_few_wait_and_one_more_is_refused() -> None:
    limiter, leave, inside = Limiter(), asyncio.Event(), 0

    async def ask() -> None:
        nonlocal inside
        async with limiter.inside():
            inside += 1
            await leave.wait()

    tasks = [asyncio.create_task(ask()) for _ in range(ASKED + WAITING)]
    await until(lambda: inside == ASKED)
    with pytest.raises(Full):
        async with limiter.inside():
            raise AssertionError
    tasks[-1].cancel()  # one that waits goes away: there is room again
    await asyncio.wait(tasks[-1:])
    late = asyncio.create_task(ask())
    leave.set()
    await asyncio.gather(*tasks[:-1], late)
    assert inside == ASKED + WAITING
    async with limiter.inside():
        pass
