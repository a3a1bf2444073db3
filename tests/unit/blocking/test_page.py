"""The example of the page Code that blocks, as it stands there."""

from __future__ import annotations

import re

import pytest

from leader_async.testing import ZooKeeper, zookeeper

from ...support.readme import example

__all__ = ["zookeeper"]


def test_the_example_runs(zookeeper: ZooKeeper, capsys: pytest.CaptureFixture[str]) -> None:
    code = example("Code that blocks", servers=zookeeper.address)
    exec(compile(code, "deploy/docs/blocking.md", "exec"), {})
    printed = capsys.readouterr().out
    assert re.fullmatch(r"making the daily report, token (\d+)\nmaking the weekly report, token \1\n", printed)
    assert not zookeeper.sessions
