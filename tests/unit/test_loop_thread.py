"""An event loop in a thread: nothing that waits for it waits for ever."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError, Future, wait

import pytest

from leader_async.loop_thread import LoopThread

LIMIT = 15.0


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


def test_what_is_spawned_while_the_loop_ends_is_done_when_it_has_ended() -> None:
    thread, running = LoopThread("test"), list[Future[None]]()
    thread.start()
    running.append(thread.spawn(forever()))
    thread.stop()
    with pytest.raises(CancelledError):
        running.extend(thread.spawn(forever()) for _ in range(10**6))
    thread.join()
    assert all(each.cancelled() for each in running)
    with pytest.raises(CancelledError):
        thread.call(forever())


def test_the_end_of_what_was_cancelled_is_waited_for() -> None:
    thread, ended = LoopThread("test"), list[str]()
    thread.start()
    begun: Future[asyncio.Event] = Future()

    async def stubborn() -> None:
        go = asyncio.Event()
        begun.set_result(go)
        try:
            await forever()
        finally:
            await go.wait()
            ended.append("ended")

    running = thread.spawn(stubborn())
    go = begun.result(LIMIT)
    running.cancel()
    assert running.done()
    assert not wait([running], 0.01).done, "its task has not ended"
    loop = thread.call(current())
    loop.call_soon_threadsafe(go.set)
    thread.end(running)
    assert ended == ["ended"]
    thread.stop()
    thread.join()


async def current() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_a_call_that_takes_too_long_is_cancelled() -> None:
    thread = LoopThread("test")
    thread.start()
    cancelled: Future[None] = Future()

    async def slow() -> None:
        try:
            await forever()
        finally:
            cancelled.set_result(None)

    with pytest.raises(TimeoutError):
        thread.call(slow(), 0.01)
    cancelled.result(LIMIT)
    thread.stop()
    thread.join()
