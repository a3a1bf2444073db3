"""When the guardian acts: only at the end of the process. Mostly the application is this very process, which lives."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from leader_async.guardian import watch as w
from leader_async.guardian.protocol import Begun, Closed, Joined, Message, Ready, encode
from leader_async.guardian.watch import Watch
from leader_async.zookeeper.session import Credentials

BEGUN = Begun("127.0.0.1:1", Credentials(7, b"0123456789abcdef", 1.0, 9))
Ended = list[tuple[Begun, list[str], bool]]


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Ended:
    """The sessions that were ended, and whether for a process that is known to be dead."""
    ended: Ended = []

    async def end_session(session: Begun, parents: list[str], *, dead: bool) -> bool:
        ended.append((session, parents, dead))
        return True

    monkeypatch.setattr(w, "end_session", end_session)
    return ended


@asynccontextmanager
async def application(*said: Message) -> AsyncIterator[tuple[socket.socket, asyncio.Task[None]]]:
    """An application's end, with a guardian that is ready at the other one."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    running = asyncio.create_task(Watch(theirs).run())
    try:
        assert await asyncio.get_running_loop().sock_recv(ours, 100) == encode(Ready())
        ours.send(b"".join(map(encode, said)))
        yield ours, running
    finally:
        running.cancel()
        await asyncio.wait([running])
        ours.close()


async def until_logged(caplog: pytest.LogCaptureFixture, text: str) -> None:
    async with asyncio.timeout(10):
        while text not in caplog.text:
            await asyncio.sleep(0.005)


async def test_a_session_that_was_closed_is_left_alone(ended: Ended) -> None:
    async with application(BEGUN, Joined("/x"), Closed(confirmed=True)) as (_, running):
        await running
    assert ended == []


async def test_an_end_of_file_of_a_living_process_ends_nothing(
    ended: Ended, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(w, "SETTLE", 0.0)
    async with application(BEGUN, Joined("/x")) as (ours, running):
        ours.close()
        await until_logged(caplog, "its process lives: waiting for its end")
        assert not running.done()
    assert ended == []


async def test_a_living_process_is_not_waited_for_for_ever(ended: Ended, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(w, "LINGER", 0.0)
    async with application(BEGUN) as (ours, running):
        ours.close()
        await running
    assert ended == []


async def test_a_close_that_zookeeper_did_not_confirm_waits_for_the_end_until_it_would_be_in_vain(
    ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(w, "lifetime", lambda timeout: 0.0)
    async with application(BEGUN, Closed(confirmed=False)) as (_, running):
        await running
    assert ended == []


async def test_an_application_that_had_no_session_leaves_nothing_to_do(ended: Ended) -> None:
    async with application() as (ours, running):
        ours.close()
        await running
    assert ended == []


async def test_an_application_that_is_gone_before_it_is_watched(ended: Ended) -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    await Watch(theirs).run()
    assert ended == []


async def test_what_is_not_understood_is_not_guarded_and_not_quoted(
    ended: Ended, caplog: pytest.LogCaptureFixture
) -> None:
    async with application(BEGUN) as (ours, running):
        ours.send(b"secret!\n")
        await running
    assert "not guarded" in caplog.text
    assert "secret!" not in caplog.text
    assert ended == []


@pytest.mark.parametrize("missing", ["pidfd_open", "refused"])
async def test_without_pidfds_an_end_of_file_proves_no_death(
    ended: Ended, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    def refused(pid: int, flags: int = 0) -> int:
        raise PermissionError

    if missing == "refused":
        monkeypatch.setattr(os, "pidfd_open", refused)
    else:
        monkeypatch.delattr(os, "pidfd_open")
    other = Begun("127.0.0.1:2", BEGUN.credentials)
    async with application(BEGUN, Joined("/x"), other, Joined("/y"), Joined("/x")) as (ours, running):
        ours.close()
        await running
    assert ended == [(other, ["/x", "/y"], False)]


async def test_without_pidfds_an_unconfirmed_close_is_the_end_of_it(
    ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    async with application(BEGUN, Closed(confirmed=False)) as (ours, running):
        ours.close()
        await running
    assert ended == []


async def test_a_second_ready_is_not_minded(ended: Ended, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with application(Ready(), BEGUN, Closed(confirmed=True)) as (_, running):
        await running
    assert "not expected" in caplog.text


APPLICATION = """
import socket, sys
way = socket.socket(fileno=int(sys.argv[1]))
ours, theirs = socket.socketpair()
socket.send_fds(way, [b"guard"], [theirs.fileno()])
theirs.close()
ours.recv(100)
ours.sendall(sys.argv[2].encode())
print("told", flush=True)
sys.stdin.readline()
"""


def start(command: list[str], descriptor: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[descriptor])


@asynccontextmanager
async def process(*said: Message) -> AsyncIterator[tuple[subprocess.Popen[bytes], Watch, asyncio.Task[None]]]:
    """An application in a process of its own, which has said this."""
    way, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with way, far:
        command = [sys.executable, "-c", APPLICATION, str(far.fileno()), b"".join(map(encode, said)).decode()]
        child = start(command, far.fileno())
        assert child.stdout is not None
        try:
            _, descriptors, _, _ = await asyncio.to_thread(socket.recv_fds, way, 10, 1)
            watch = Watch(socket.socket(fileno=descriptors[0]))
            running = asyncio.create_task(watch.run())
            assert await asyncio.to_thread(child.stdout.readline) == b"told\n"
            yield child, watch, running
            running.cancel()
            await asyncio.wait([running])
        finally:
            child.kill()
            child.communicate()


@pytest.mark.parametrize("last", [Joined("/y"), Closed(confirmed=False)])
async def test_the_end_of_the_process_ends_its_session(ended: Ended, last: Message) -> None:
    async with process(BEGUN, Joined("/x"), last) as (child, watch, running):
        watch.look()
        assert watch.living
        assert ended == []
        child.kill()
        await running
        assert not watch.living
    assert ended == [(BEGUN, ["/x", "/y"] if isinstance(last, Joined) else ["/x"], True)]


async def test_what_was_said_last_is_heard_although_the_process_has_ended(ended: Ended) -> None:
    async with process(BEGUN, Closed(confirmed=True)) as (child, watch, running):
        child.kill()
        child.wait()
        watch.look()
        await running
    assert ended == []


async def test_the_process_can_be_ended(ended: Ended) -> None:
    async with process(BEGUN) as (child, watch, running):
        assert watch.kill()
        await running
        assert child.wait() == -9
        assert not watch.kill()
    assert ended == [(BEGUN, [], True)]
