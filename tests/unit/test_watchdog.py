"""Overdue work is noticed, shown and, if that is wanted, ended."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from leader_async import UsageError, connect, logs, watchdog
from leader_async.testing import ZooKeeper
from leader_async.watchdog import EXIT_CODE, Watchdog, dump

from .guardian.processes import application, eventually

pytestmark = pytest.mark.timeout(60)


@dataclass(eq=False)
class Overdue:
    """An election whose work is overdue."""

    name: str = "x"
    lease: float = 0.05
    overdue: float = 0.0


@pytest.fixture
def server() -> Iterator[ZooKeeper]:
    with ZooKeeper(tick=0.5) as server:
        yield server


async def until(caplog: pytest.LogCaptureFixture, count: int) -> list[logging.LogRecord]:
    """The watchdog's records, when there are so many."""
    async with asyncio.timeout(10):
        while True:
            records = [record for record in caplog.records if record.name == watchdog.log.name]
            if len(records) >= count:
                return records
            await asyncio.sleep(0.005)


async def test_each_run_of_overdue_work_is_dumped_once(caplog: pytest.LogCaptureFixture) -> None:
    one, other = Overdue(overdue=3.0), Overdue("y")
    dog = Watchdog(lambda: [one, other], "dump")
    dog.start()
    dog.start()
    try:
        (record,) = await until(caplog, 1)
        assert record.getMessage().startswith(
            "x: the work runs 3.0 s past the end of its lease, although it was cancel"
        )
        assert "its place is kept" in record.getMessage()
        assert (vars(record)["event"], vars(record)["election"]) == ("work_overdue", "x")
        assert "test_each_run_of_overdue_work_is_dumped_once" in (record.stack_info or "")
        await asyncio.sleep(0.2)
        other.overdue = 1.0
        assert [record.getMessage()[0] for record in await until(caplog, 2)] == ["x", "y"]
        one.overdue = 0.0
        await asyncio.sleep(0.2)
        one.overdue = 2.0
        assert [record.getMessage()[0] for record in await until(caplog, 3)] == ["x", "y", "x"]
    finally:
        dog.stop()


async def test_work_that_is_late_for_a_moment_is_let_be(caplog: pytest.LogCaptureFixture) -> None:
    """As after a machine's sleep: the deadline is long past, but the work has not had its chance."""
    looks = 0

    class Waking(Overdue):
        def __getattribute__(self, name: str) -> object:
            nonlocal looks
            if name == "overdue":
                looks += 1
                return 3600.0 if looks % watchdog.LOOKS else 0.0
            return super().__getattribute__(name)

    waking = Waking()
    dog = Watchdog(lambda: [waking], "dump")
    dog.start()
    try:
        async with asyncio.timeout(10):
            while looks < 4 * watchdog.LOOKS:
                await asyncio.sleep(0.005)
    finally:
        dog.stop()
    assert not [record for record in caplog.records if record.name == watchdog.log.name]


async def test_off_is_off() -> None:
    before = threading.active_count()
    Watchdog(list, "off").start()
    assert threading.active_count() == before
    with pytest.raises(UsageError, match="none of off, dump, exit"):
        connect("a", overdue="loudly")  # type: ignore[arg-type]


async def test_a_log_that_hangs_does_not_keep_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    release = threading.Event()

    class Hanging(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            release.wait(10)

    def end(code: int) -> None:
        ended.append(code)

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(watchdog, "LOG_LIMIT", 0.05)
    handler = Hanging()
    watchdog.log.addHandler(handler)
    one = Overdue(overdue=1.0)
    dog = Watchdog(lambda: [one], "exit")
    dog.start()
    try:
        async with asyncio.timeout(10):
            while not ended:
                await asyncio.sleep(0.005)
    finally:
        dog.stop()
        release.set()
        watchdog.log.removeHandler(handler)
    assert ended == [EXIT_CODE]


async def test_the_stacks_of_tasks_are_shown_as_far_as_they_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async def waits_here() -> None:
        await asyncio.get_running_loop().create_future()

    loop = asyncio.get_running_loop()
    tasks = [asyncio.create_task(waits_here(), name=f"waiting {number}") for number in range(3)]
    await asyncio.sleep(0)
    assert "waits_here" in dump(loop)
    monkeypatch.setattr(watchdog, "MOST_TASKS", 2)
    assert "and 2 more tasks" in dump(loop)

    def changing(loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[None]]:
        raise RuntimeError("Set changed size during iteration")

    monkeypatch.setattr(asyncio, "all_tasks", changing)
    assert "cannot be read: Set changed" in dump(loop)
    for task in tasks:
        task.cancel()


def test_a_log_of_one_line_a_message_shows_the_whole_dump() -> None:
    record = watchdog.log.makeRecord("x", logging.CRITICAL, "file", 1, "text", (), None, sinfo="File 1\nFile 2")
    assert logs.OneLine("%(message)s").format(record) == "text\nFile 1\nFile 2"


def test_a_blocked_loop_is_shown_with_its_line_and_never_leads_again(
    server: ZooKeeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "blocked"
    blocked.touch()
    monkeypatch.setenv("BLOCKED", str(blocked))
    with application(tmp_path / "log", server.address, "x", "block", "dump", "0.5") as app:
        app.line("leads")
        eventually(lambda: "time.sleep(0.01)  # here it hangs" in app.log())
        assert "x: the work runs 0." in app.log()
        assert "application.py" in app.log()
        app.go_on()
        blocked.unlink()
        assert app.line("woke") == ["False"]


def test_work_that_swallows_its_cancellation_ends_the_process_if_wanted(server: ZooKeeper, tmp_path: Path) -> None:
    with application(tmp_path / "log", server.address, "x", "swallow", "exit", "0.5") as app:
        app.line("leads")
        server.expire_all()
        app.line("cancelled")
        assert app.process.wait(20) == EXIT_CODE
        assert "await asyncio.sleep(1000)  # here it does not listen" in app.log()
        assert "this process ends with exit code 5" in app.log()


def test_the_guardian_frees_the_place_of_a_process_that_was_ended(
    server: ZooKeeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "blocked"
    blocked.touch()
    monkeypatch.setenv("BLOCKED", str(blocked))
    with application(tmp_path / "log", server.address, "x", "block", "exit", "0.5") as app:
        app.line("leads")
        with application(tmp_path / "other", server.address, "x", "wait") as other:
            assert app.process.wait(20) == EXIT_CODE
            began = time.monotonic()
            other.line("leads")
            assert time.monotonic() - began < 5.0, "far less than the session's 10 s"
