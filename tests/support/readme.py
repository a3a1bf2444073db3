"""The README's and the pages' examples, to be run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import leader_async

ROOT = Path(leader_async.__file__).parent.parent
README = ROOT / "README.md"
PAGES = (README, *sorted(ROOT.glob("deploy/*.md")))
SERVERS = "zk1:2181,zk2:2181,zk3:2181"


def example(heading: str, servers: str = SERVERS) -> str:
    """The first Python example below a heading of the README, to be run against these ZooKeeper servers."""
    section = README.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = examples(section, "python")
    assert found, f"no example below {heading!r}"
    return found[0].replace(SERVERS, servers)


def examples(text: str, language: str) -> list[str]:
    """All examples in a language, as they stand there."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    """What a link may point to: each heading in lower case, without punctuation, with hyphens for spaces."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
