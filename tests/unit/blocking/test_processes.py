"""What happens to the door when processes fork, and when they end without closing it: real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from leader_async.testing import ZooKeeper

ROOT = Path(__file__).parents[3]


@pytest.fixture
def slow() -> Iterator[ZooKeeper]:
    """One whose sessions outlast the test unless they are closed."""
    with ZooKeeper(tick=5.0) as server:
        yield server


def python(zookeeper: ZooKeeper, script: str) -> subprocess.Popen[str]:
    script = f"import os, sys, threading, time\nfrom leader_async import blocking, UsageError\n{script}"
    return subprocess.Popen(
        [sys.executable, "-c", script, zookeeper.address], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=15)
    assert process.returncode == 0, errors
    return output


FORK = """
def in_child(body):
    child = os.fork()
    if child == 0:
        try:
            body()
        except BaseException:
            import traceback; traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the child failed"

def refused(call):
    try:
        call()
    except UsageError as error:
        assert "connect after the fork" in str(error), error
    else:
        raise AssertionError(f"{call} was not refused")
"""


def test_a_forked_child_is_refused_and_the_parent_leads_on(slow: ZooKeeper) -> None:
    script = (
        FORK
        + """
zk = blocking.connect(sys.argv[1])
election = zk.election("x")
work = election.leader_only(lambda: "done")

def child():
    assert not election.is_leader and election.term is None and not term.is_current
    for call in (zk.start, zk.wait_connected, election.leader, election.join, election.resign, term.confirm, work,
                 lambda: zk.election("y"), lambda: election.lead().__enter__()):
        refused(call)
    zk.close()                                             # nothing of the child's is there to be closed
    with blocking.connect(sys.argv[1]) as own:             # as the message says
        assert own.election("z").run(lambda term: "led") == "led"

with election.lead() as term:
    in_child(child)
    term.confirm()
    changes, terms = zk.election("w").watch(15), zk.election("w").terms()
    next(changes), next(terms)
    in_child(lambda: (changes.close(), terms.close()))     # they are the parent's
    next(change for change in changes if change.status.is_leader)
    assert zk.election("w").is_leader
    terms.close()
    child = os.fork()                                      # one that ends the inherited block, and exits with atexit
    if child:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
        term.confirm()
if not child:
    sys.exit(3)
print("fine")
zk.close()
"""
    )
    assert finish(python(slow, script)) == "fine\n"
    assert not slow.sessions


def test_a_connection_that_was_not_used_before_the_fork_begins_in_the_child(slow: ZooKeeper) -> None:
    script = (
        FORK
        + """
zk = blocking.connect(sys.argv[1])
made = zk.election("made")

@zk.leader("x")
def work():
    return "done"

def child():
    zk.start()
    while work() is None:
        time.sleep(0.002)
    with made.lead() as term:
        term.confirm()
    zk.close()

in_child(child)
in_child(child)
child()                                                    # and in the parent
print("fine")
"""
    )
    assert finish(python(slow, script)) == "fine\n"
    assert not slow.sessions


def test_a_process_that_just_ends_leaves_gracefully(slow: ZooKeeper) -> None:
    script = """
zk = blocking.connect(sys.argv[1])
zk.election("x").join()
with zk.election("y").lead():
    print("led")
"""
    assert finish(python(slow, script)) == "led\n"
    assert not slow.sessions


def test_a_process_that_ends_while_its_work_runs_on_is_not_held_up(slow: ZooKeeper) -> None:
    script = """
blocking.connection.EXIT_LIMIT = 0.1
zk = blocking.connect(sys.argv[1])
led = threading.Event()

def work(term):
    led.set()
    threading.Event().wait()                               # ignores the loss of its term

threading.Thread(target=zk.election("x").run, args=(work,), daemon=True).start()
led.wait()
"""
    process = python(slow, script)
    _, errors = process.communicate(timeout=15)
    assert process.returncode == 0
    assert "the process ends while its work runs on" in errors
    assert slow.sessions, "its place ends with the session"


def test_a_process_that_ends_amidst_its_terms_is_not_held_up(slow: ZooKeeper) -> None:
    script = """
blocking.connection.EXIT_LIMIT = 0.1
terms = blocking.connect(sys.argv[1]).election("x").terms()
next(terms)
"""
    process = python(slow, script)
    _, errors = process.communicate(timeout=15)
    assert process.returncode == 0
    assert "the process ends while its work runs on" in errors
    assert "Traceback" not in errors


def test_ctrl_c_in_the_body_leaves_gracefully(slow: ZooKeeper) -> None:
    script = """
with blocking.connect(sys.argv[1]) as zk, zk.election("x").lead() as term:
    print("leads", flush=True)
    term.lost.wait()
"""
    process = python(slow, script)
    assert process.stdout is not None
    assert process.stdout.readline() == "leads\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=15)
    assert process.returncode != 0
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert not slow.sessions


@pytest.mark.usefixtures("on_linux")
def test_with_a_guardian_a_killed_process_is_followed_at_once(slow: ZooKeeper) -> None:
    script = """
with blocking.connect(sys.argv[1], guardian=True) as zk, zk.election("x").lead() as term:
    while zk.guardian != "running":
        time.sleep(0.002)
    print("leads", flush=True)
    term.lost.wait()
"""
    first = python(slow, script)
    assert first.stdout is not None
    assert first.stdout.readline() == "leads\n"
    second = python(slow, script)
    first.kill()
    first.communicate(timeout=15)
    assert second.stdout is not None
    assert second.stdout.readline() == "leads\n"
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=15)
