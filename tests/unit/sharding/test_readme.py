"""The README's example, as it stands there."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

import leader_async
from leader_async.testing import ZooKeeper, zookeeper

__all__ = ["zookeeper"]
README = Path(leader_async.__file__).parent.parent / "README.md"


@pytest.mark.timeout(60)
async def test_the_example_runs(zookeeper: ZooKeeper, capsys: pytest.CaptureFixture[str]) -> None:
    section = README.read_text().partition("## Sharded work")[2]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None
    code = found[1].replace("zk1:2181,zk2:2181,zk3:2181", zookeeper.address)
    names: dict[str, Any] = {"asyncio": asyncio, "leader_async": leader_async}
    exec(compile(code, README, "exec"), names)
    running = asyncio.create_task(names["main"]())
    printed = ""
    async with asyncio.timeout(30):
        while printed.count("partition") < 256:
            await asyncio.sleep(0.01)
            printed += capsys.readouterr().out
    assert {int(number) for number in re.findall(r"partition (\d+) token", printed)} == set(range(256))
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
