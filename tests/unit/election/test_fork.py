"""A forked child inherits a leader's memory, not its session."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os
from leader_async import clock, connect
from leader_async.election.commands import Hold
from leader_async.election.term import Term

connection = connect("127.0.0.1:1")
election = connection.election("x")
election.candidacy.hold = Hold("u-n_1", 2, 1, 50, 100.0, clock.now() + 100)
term = Term(connection, "/ELECTION/x", election.candidacy.hold)
assert election.is_leader and term.is_current
child = os.fork()
if child == 0:
    os._exit(1 if election.is_leader or election.status().is_leader or term.is_current else 0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the child thinks that it leads"
assert election.is_leader
assert connect("127.0.0.1:1").own_process
"""


def test_a_forked_child_does_not_lead() -> None:
    root = Path(__file__).parents[3]
    result = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, cwd=root, check=False)
    assert result.returncode == 0, result.stderr
