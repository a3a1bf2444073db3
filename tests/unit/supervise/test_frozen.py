"""A `run` that was frozen, alone or with all that it has started, takes its next turn: nobody calls that late."""

from __future__ import annotations

import os
import signal
import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest

from leader_async import clock
from leader_async.supervise.channel import Channel, RunResult, send
from leader_async.supervise.supervision import StopReason, Supervision
from leader_async.testing import ZooKeeper
from leader_async.waking import Pulse

from ..guardian.processes import eventually
from .place import Place

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("on_linux")]


@pytest.mark.parametrize("paused", ["run", "machine"])
def test_a_run_that_was_frozen_takes_its_next_turn(place: Place, server: ZooKeeper, paused: str) -> None:
    first = place.start()
    eventually(lambda: place.running(1))
    second = place.waiting()
    frozen = [first.process.pid]
    if paused == "machine":
        frozen += [pid for pid in first.relatives() if pid != first.process.pid]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    server.expire(server.sessions[0])  # sooner than by itself
    eventually(lambda: place.running(2), 30.0)  # after the end of the first's lease
    for pid in reversed(frozen):
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: "the command has ended" in first.log() or first.process.poll() is not None, 30.0)
    assert first.process.poll() is None, first.log()
    second.process.terminate()
    eventually(lambda: place.running(3), 30.0)


async def test_what_the_supervisor_has_said_is_read_before_it_is_judged() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel, over = Channel(ours), clock.now() - 60.0
    channel.open()
    with theirs:
        channel.start(Supervision(over, 3.0, 10.0), {})
        send(theirs, "killing")
        send(theirs, "ended", status=137, why=StopReason.LEASE)
        term = cast(Any, SimpleNamespace(valid_until=over))
        assert await channel.until_ended(term, Pulse()) == (RunResult(137, StopReason.LEASE, True), False)
    channel.close()
