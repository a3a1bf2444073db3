"""A command of a job: its status and its surroundings, and that nothing of it runs beside the next leader's."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from leader_async import Election, JobRun, JobStatus, Schedule, UsageError, connect
from leader_async.testing import ZooKeeper

from ...support.waiting import until
from ..guardian import processes
from ..guardian.processes import Application
from .place import LEASE, Place

eventually = partial(processes.eventually, limit=30.0)

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("on_linux")]


class Services(Place):
    """The same with services that run the command as a job."""

    def serve(self, guardian: str = "guarded") -> Application:
        command = [sys.executable, "-m", "tests.unit.supervise.leading", self.address, str(self.beats), guardian]
        one = Application(command, self.folder / f"log-{len(self.started)}")
        self.started.append(one)
        return one


@pytest.fixture
def services(server: ZooKeeper, tmp_path: Path) -> Any:
    services = Services(server.address, tmp_path)
    try:
        yield services
    finally:
        services.end()


def supervisor(one: Application) -> int:
    found = [pid for pid, command in one.relatives().items() if " -m leader_async.supervise " in command]
    return found[0]


@pytest.mark.parametrize("guardian", ["guarded", "unguarded"])
def test_a_killed_leaders_command_is_gone_before_the_next_begins(services: Services, guardian: str) -> None:
    first = services.serve(guardian)
    eventually(lambda: services.running(1))
    services.serve(guardian)
    first.process.kill()
    eventually(lambda: services.running(2))
    eventually(lambda: not first.relatives())
    services.judge()


def test_the_guardian_waits_for_a_supervisor_that_is_slow(services: Services) -> None:
    first = services.serve()
    eventually(lambda: services.running(1))
    services.serve()
    slow = supervisor(first)
    os.kill(slow, signal.SIGSTOP)
    first.process.kill()
    first.process.wait()
    eventually(lambda: "waiting for the end of what the application had started" in first.log())
    os.kill(slow, signal.SIGCONT)
    eventually(lambda: services.running(2))
    services.judge()


def test_a_frozen_leaders_command_does_not_outlive_its_lease(services: Services, server: ZooKeeper) -> None:
    first = services.serve("unguarded")
    eventually(lambda: services.running(1))
    services.serve("unguarded")
    os.kill(first.process.pid, signal.SIGSTOP)
    server.expire(server.sessions[0])  # sooner than by itself
    eventually(lambda: len(first.relatives()) == 2)  # the leader and the supervisor
    eventually(lambda: services.running(2))
    os.kill(first.process.pid, signal.SIGCONT)
    services.judge()


@pytest.mark.parametrize("paused", ["leader", "machine"])
def test_a_leader_that_was_frozen_takes_its_next_turn(services: Services, server: ZooKeeper, paused: str) -> None:
    first = services.serve("unguarded")
    eventually(lambda: services.running(1))
    second = services.serve("unguarded")
    frozen = [first.process.pid]
    if paused == "machine":
        frozen += [pid for pid in first.relatives() if pid != first.process.pid]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    server.expire(server.sessions[0])  # sooner than by itself
    eventually(lambda: services.running(2))  # after the end of the first's lease
    for pid in reversed(frozen):
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: "1 before it" in first.log())  # it waits, and its work of that term has ended
    assert "status 71" not in first.log(), first.log()
    second.process.kill()
    eventually(lambda: services.running(3))


def test_a_killed_supervisor_takes_the_command_along_and_the_attempt_has_failed(services: Services) -> None:
    first = services.serve()
    eventually(lambda: services.running(1))
    command = services.pids("command")
    os.kill(supervisor(first), signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{command}").exists())
    eventually(lambda: "ended with status 71: its supervisor was killed" in first.log())


# -- in a process ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def leading(server: ZooKeeper, lease: float = LEASE, name: str = "x") -> AsyncIterator[Election]:
    async with connect(server.address, timeout=LEASE) as zk:
        yield zk.election(name, identity="me", lease=lease)


async def ended(election: Election, work: Callable[[JobRun], Awaitable[object]], **options: Any) -> JobStatus:
    """What the ledger says after one attempt."""
    jobs = Schedule(election)
    jobs.every(3600, name="job", **options)(work)
    running = asyncio.create_task(jobs.run())
    try:
        await until(lambda: election.is_leader)
        await jobs.run_now("job")
        async with asyncio.timeout(30):
            while (found := await jobs.job("job")) is None or not found.past:
                await asyncio.sleep(0.005)
        return found
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_its_status_and_what_it_finds(server: ZooKeeper, tmp_path: Path) -> None:
    statuses: list[int] = []
    script = 'echo "$LEADER_ELECTION $LEADER_IDENTITY $LEADER_JOB $LEADER_ATTEMPT $LEADER_TOKEN $OWN $(pwd)" >out; cat'
    seen: list[JobRun] = []

    async def work(run: JobRun) -> None:
        seen.append(run)
        command = ["sh", "-c", f"{script}; test $LEADER_SLOT = {run.slot.isoformat()} || exit 9"]
        statuses.append(await run.command(command, env={"OWN": "own"}, cwd=tmp_path))
        statuses.append(await run.command(["sh", "-c", "exit 7"], check=False))
        statuses.append(await run.command(["sh", "-c", "kill -9 $$"], check=False))
        statuses.append(await run.command(["/nowhere"], check=False))
        await run.command(["sh", "-c", "exit 7"])

    async with leading(server) as election:
        found = await ended(election, work)
    assert statuses == [0, 7, 137, 127]
    assert found.past[-1].error == "CommandFailed: sh ended with status 7"
    told = (tmp_path / "out").read_text().split()
    assert told == ["x", "me", "job", "1", str(seen[0].token), "own", str(tmp_path)]


async def test_who_is_cancelled_has_ended_the_command(server: ZooKeeper, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    deaf = f"trap '' TERM; sleep 60 & echo $! >{pid}.new; mv {pid}.new {pid}; while :; do sleep 0.01; done"

    def work(run: JobRun) -> Awaitable[None]:  # a plain function that returns what is to be awaited
        async def cancelling() -> None:
            command = asyncio.create_task(run.command(["sh", "-c", deaf], stop_timeout=0.05))
            await until(pid.exists)
            for _ in range(2):
                command.cancel()
                await asyncio.sleep(0)
            await command

        return cancelling()

    async with leading(server) as election:
        found = await ended(election, work)
    assert found.past[-1].error == "it cancelled itself"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


async def test_wrong_use_is_told(server: ZooKeeper) -> None:
    wrong: list[tuple[Any, dict[str, Any], str]] = [
        ("true", {}, "a command is a list, not 'true'"),
        ([], {}, "a command is a list"),
        (["true"], {"stop_timeout": -1.0}, "stop_timeout=-1.0 is not 0 seconds or more"),
    ]
    told: list[str] = []

    async def work(run: JobRun) -> None:
        for command, options, _ in wrong:
            with pytest.raises(UsageError) as error:
                await run.command(command, **options)
            told.append(str(error.value))

    async with leading(server) as election:
        found = await ended(election, work)
        assert found.past[-1].outcome == "done"
    assert all(match in text for text, (_, _, match) in zip(told, wrong, strict=True))
    async with leading(server, 0.5, "short") as election:
        found = await ended(election, lambda run: run.command(["true"]))
        assert "give at least 1 second" in found.past[-1].error
