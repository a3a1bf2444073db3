"""A forked child inherits a leader's memory, not its session."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from leader_async.testing import ZooKeeper, zookeeper

__all__ = ["zookeeper"]

SCRIPT = """
import asyncio, ctypes, os
from leader_async import clock, connect
from leader_async.election.rules.lease import Hold
from leader_async.election.term import Term

connection = connect("127.0.0.1:1")
election = connection.election("x")
election.candidacy.own.join.hold = Hold("u-n_1", 2, 1, 50, 100.0, clock.now() + 100)
term = Term(connection.confirms, election.candidacy, election.candidacy.hold)
assert election.is_leader and term.is_current
child = os.fork()
if child == 0:
    os._exit(1 if election.is_leader or election.status().is_leader or term.is_current else 0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the child thinks that it leads"
assert election.is_leader
assert connect("127.0.0.1:1").own_process

child = ctypes.CDLL(None).fork()  # by C code: Python's hooks do not run
if child == 0:
    leads = election.is_leader or election.status().is_leader or election.term or term.is_current
    os._exit(1 if leads or term.valid_until > 0 else 0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the child of C code thinks that it leads"
assert election.is_leader and term.valid_until > clock.now()

if os.fork() == 0:  # what was made before the fork and not begun is begun in the child
    async def enter():
        async with connection:
            assert connection.own_process and election.is_leader
            election.candidacy.own.join.hold = None
    asyncio.run(enter())
    os._exit(0)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 0, "the child cannot begin"
"""

IN_USE = """
import asyncio, os, sys
from leader_async import UsageError, connect

async def ask(zk):
    try:
        await zk.election("x").leader()
    except UsageError as error:
        assert "connect after the fork" in str(error)
    else:
        raise AssertionError("the child asks through its parent's session")
    await zk.close()

async def main():
    async with connect(sys.argv[1]) as zk:
        await zk.wait_connected()
        session = zk.client.session_id
        child = os.fork()
        if child == 0:
            import traceback
            try:
                asyncio.events._set_running_loop(None)
                asyncio.set_event_loop(None)
                asyncio.run(ask(zk))
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert await zk.election("x").leader() is None
        assert zk.client.session_id == session and zk.client.stats.resumed == 0

asyncio.run(main())
"""


ROOT = Path(__file__).parents[3]


def run(*arguments: str) -> None:
    result = subprocess.run([sys.executable, "-c", *arguments], capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr


def test_a_forked_child_does_not_lead() -> None:
    run(SCRIPT)


def test_a_forked_child_neither_asks_through_its_parents_session_nor_ends_it(zookeeper: ZooKeeper) -> None:
    run(IN_USE, zookeeper.address)
