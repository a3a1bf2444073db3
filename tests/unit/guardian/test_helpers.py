"""Processes whose end a guardian waits for."""

from __future__ import annotations

import asyncio
import fcntl
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from leader_async.guardian.helpers import Helpers, has_ended

pytestmark = pytest.mark.usefixtures("on_linux")


@contextmanager
def living() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def descriptors() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def test_a_process_is_watched_by_a_descriptor_of_any_number() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        process = stack.enter_context(living())
        pidfd = os.pidfd_open(process.pid)
        stack.callback(os.close, pidfd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        high = fcntl.fcntl(pidfd, fcntl.F_DUPFD_CLOEXEC, 1024)
        stack.callback(os.close, high)
        assert not has_ended(high)
        process.kill()
        process.wait()
        assert has_ended(high)


async def test_all_of_them_are_waited_for() -> None:
    helpers = Helpers()
    with living() as first, living() as second:
        for process in (first, second):
            helpers.add(process.pid)
        waiting = asyncio.create_task(helpers.ended(10))
        first.kill()
        await asyncio.to_thread(first.wait)
        assert not waiting.done()
        second.kill()
        await waiting


async def test_they_are_waited_for_with_a_limit(caplog: pytest.LogCaptureFixture) -> None:
    helpers = Helpers()
    with living() as process:
        helpers.add(process.pid)
        await helpers.ended(0.01)
    assert "lives on" in caplog.text


async def test_those_that_have_ended_are_forgotten() -> None:
    helpers, before = Helpers(), descriptors()
    helpers.add(2**31)
    with living() as process:
        pass
    helpers.add(process.pid)  # its status is taken: there is no such process
    with living() as process:
        helpers.add(process.pid)
    for _ in range(3):
        with living() as process:
            helpers.add(process.pid)
            assert descriptors() <= before + 3  # the pipe to the process, itself, at most one before it
    await helpers.ended(10)
    assert descriptors() == before
    helpers.add(os.getpid())
    helpers.close()
    assert descriptors() == before
