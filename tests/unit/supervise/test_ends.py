"""`leader-async run`: what comes after the command's end, and after the lead's; signals that are passed on."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from leader_async import clock
from leader_async.testing import ZooKeeper

from ..guardian.processes import Application, eventually
from .place import BEATING, LEASE, Place

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("on_linux")]


def state(pid: int) -> str:
    """What the kernel says a process does: R, S, T (stopped), Z …"""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_resigning_lets_the_other_run_it_and_queues_again(place: Place) -> None:
    first = place.start("--on-exit", "resign")
    eventually(lambda: place.running(1))
    second = place.waiting()
    os.kill(place.pids("command"), signal.SIGTERM)
    eventually(lambda: place.running(2))
    assert len(first.relatives()) == 2  # run and its supervisor
    second.process.terminate()
    assert second.process.wait(10) == 128 + signal.SIGTERM
    eventually(lambda: place.running(3))
    assert len(first.relatives()) == 4
    place.judge()


def test_restarting_keeps_the_term(place: Place) -> None:
    one = place.start("--on-exit", "restart")
    eventually(lambda: place.running(1))
    first = {place.pids("command"), place.pids("daemon")}
    os.kill(place.pids("command"), signal.SIGKILL)
    eventually(lambda: not first & {place.pids("command"), place.pids("daemon")})
    ((_, roles),) = place.copies().items()
    beats = [beat for role in roles.values() for beat in role]
    assert max(when for pid, when in beats if pid in first) < min(when for pid, when in beats if pid not in first)
    one.process.terminate()
    assert one.process.wait(10) == 128 + signal.SIGTERM


def test_a_lost_lead_ends_it_if_asked_to(place: Place, server: ZooKeeper) -> None:
    one = place.start("--on-loss", "exit")
    eventually(lambda: place.running(1))
    server.expire_all()
    assert one.process.wait(10) == 75
    eventually(lambda: not one.relatives())


def test_an_outage_of_zookeeper(place: Place, server: ZooKeeper) -> None:
    one = place.start(command=[sys.executable, BEATING, str(place.beats), "stubborn"])
    eventually(lambda: place.running(1))
    before = place.pids("command")
    other = place.waiting()
    with server.outage():
        began = clock.now()
        other.process.terminate()
        eventually(lambda: len(one.relatives()) == 2)  # run and its supervisor
        ((_, roles),) = place.copies().items()
        # Each confirm was sent before the outage; the tenth is what the next leader waits for as well.
        assert max(when for beats in roles.values() for _, when in beats) < began + 1.1 * LEASE
        assert other.process.wait(5) == 0
        assert clock.now() < began + 3.0, "leaving is bounded: a session timeout and a third"
    eventually(lambda: place.pids("command") != before)
    eventually(lambda: not other.relatives())


def test_a_killed_candidate_leaves_the_queue(place: Place, server: ZooKeeper) -> None:
    first = place.start()
    eventually(lambda: place.running(1))
    second = place.waiting()
    eventually(lambda: len(server.sessions) == 2)
    os.kill(second.process.pid, signal.SIGKILL)
    eventually(lambda: not second.relatives() and len(server.sessions) == 1)
    assert place.running(1)
    assert len(first.relatives()) == 4


def test_without_a_guardian_the_session_lives_on(place: Place, server: ZooKeeper) -> None:
    first = place.start("--no-guardian")
    eventually(lambda: place.running(1))
    place.waiting("--no-guardian")
    os.kill(first.process.pid, signal.SIGKILL)
    eventually(lambda: not first.relatives())
    assert len(server.sessions) == 2
    server.expire(server.sessions[0])  # as it would by itself
    eventually(lambda: place.running(2))
    place.judge()


BROKEN = """
from leader_async.cli.main import main
from leader_async.supervise.channel import Channel

def stop(self, why):
    raise RuntimeError("broken on purpose")

Channel.stop = stop
main()
"""


def test_a_bug_ends_the_command_before_the_place_is_given_up(place: Place) -> None:
    first = place.start(program=["-c", BROKEN])
    eventually(lambda: place.running(1))
    place.waiting()
    first.process.terminate()
    assert first.process.wait(10) == 70
    assert "broken on purpose" in first.log()
    assert not first.relatives()
    eventually(lambda: place.running(2))
    place.judge()


def shell(place: Place, script: str) -> Application:
    return place.start(command=["sh", "-c", f"{script}; sleep 300 & echo ready $$; while :; do wait; done"])


@pytest.fixture
def listening() -> Iterator[None]:
    """A SIGHUP that is not ignored, as it is when the tests run under nohup: that would be for the command as well."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("listening")
def test_signals_are_passed_on(place: Place) -> None:
    one = shell(place, "trap 'echo hup' HUP; trap 'echo usr1' USR1; trap 'echo usr2; exit 9' USR2")
    one.line("ready")
    for number, said in ((signal.SIGHUP, "hup"), (signal.SIGUSR1, "usr1"), (signal.SIGUSR2, "usr2")):
        one.process.send_signal(number)
        one.line(said)
    assert one.process.wait(10) == 9


def test_a_stop_from_the_terminal_stops_the_command_only(place: Place) -> None:
    one = shell(place, "trap 'echo goes on' CONT")
    command = int(one.line("ready")[0])
    one.process.send_signal(signal.SIGTSTP)
    eventually(lambda: state(command) == "T")
    one.process.send_signal(signal.SIGCONT)
    one.line("goes")
    one.process.send_signal(signal.SIGTSTP)
    eventually(lambda: state(command) == "T")
    one.process.terminate()  # a stopped one is woken for it
    assert one.process.wait(10) == 128 + signal.SIGTERM
