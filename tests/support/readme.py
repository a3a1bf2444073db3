"""The README's examples, to be run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import leader_async

README = Path(leader_async.__file__).parent.parent / "README.md"
SERVERS = "zk1:2181,zk2:2181,zk3:2181"


def example(heading: str, servers: str = SERVERS) -> str:
    """The first Python example below a heading, to be run against these ZooKeeper servers."""
    section = README.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None, f"no example below {heading!r}"
    return found[1].replace(SERVERS, servers)
