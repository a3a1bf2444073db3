"""The README's and the pages' examples and commands, to be run as they stand there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import leader_async

ROOT = Path(leader_async.__file__).parent.parent
README = ROOT / "README.md"
PAGES = (README, *sorted(ROOT.glob("deploy/*.md")))
SERVERS = "zk1:2181,zk2:2181,zk3:2181"

CONSOLE = "console|sh|bash|shell"
PROGRAM = re.compile(
    r"(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?"
    r"(?:make(?: |$)|(?:leader-async|python3?|pip|docker|kubectl|systemctl|curl|apt|zkCli\.sh|chmod|ulimit) )"
)
"""How a command begins that stands in the text or in a table."""


def example(heading: str, servers: str = SERVERS) -> str:
    """The first Python example below a heading of the README, to be run against these ZooKeeper servers."""
    found = examples(section(README, heading), "python")
    assert found, f"no example below {heading!r}"
    return found[0].replace(SERVERS, servers)


def section(page: Path, heading: str) -> str:
    """What stands below a heading of a page."""
    return page.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def examples(text: str, language: str) -> list[str]:
    """All examples in a language, as they stand there."""
    return re.findall(rf"^```(?:{language})\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def prose(text: str) -> str:
    """What stands outside of examples."""
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    """What a link may point to: each heading in lower case, without punctuation, with hyphens for spaces."""
    headings = re.findall(r"^#+ (.*)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# -- commands ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Command:
    """What a page tells to type.

    Attributes:
        text: the line.
        shown: what the page says that it prints, "" if it shows nothing.
    """

    text: str
    shown: str = ""

    def printed(self, output: str) -> bool:
        """Whether this is what the page shows, whatever the numbers are; a line of "…" stands for any others."""
        return re.fullmatch(shape(self.shown), output.rstrip("\n")) is not None


def shape(shown: str) -> str:
    """What is shown, as a pattern: other numbers, another time zone, and the other answer to a poll are as good."""
    text = re.escape(shown.rstrip("\n")).replace("\\-", "-").replace("\\ ", " ")
    text = re.sub(r"\d+", r"\\d+", text)
    text = re.sub(r"\bCET\b", r"(?:[A-Z]+|[+-]\\d+)", text)
    text = re.sub(r"\b(True|False)\b", "(True|False)", text)
    return re.sub(r"^…$", r"(?:.*\\n)*.*", text.replace("\\\n", "\n"), flags=re.MULTILINE)


def console(text: str) -> list[Command]:
    """The commands of all examples for a console."""
    found: list[Command] = []
    for block in examples(text, CONSOLE):
        assert block.startswith("$ "), f"who types what in {block!r}?"
        parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
        found += [Command(line, shown) for line, _, shown in (part.partition("\n") for part in parts)]
    return found


def inline(text: str) -> list[Command]:
    """The commands between backticks."""
    words = (" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose(text)))
    return [Command(code) for code in words if PROGRAM.match(code)]


class Taken:
    """Commands of these pages, and which of them somebody took to run them."""

    def __init__(self, pages: Iterable[Path]) -> None:
        self._pages = tuple(pages)
        self._taken: set[str] = set()

    @property
    def all(self) -> list[Command]:
        return [one for page in self._pages for one in [*console(page.read_text()), *inline(page.read_text())]]

    @property
    def left(self) -> set[str]:
        """What nobody took, nor anything that begins with it."""
        return {one.text for one in self.all if not begins(one.text, self._taken)}

    def block(self, page: Path, heading: str) -> list[Command]:
        """Take the console's commands below a heading."""
        found = console(section(page, heading))
        assert found, f"no commands below {heading!r}"
        self._taken |= {one.text for one in found}
        return found

    def one(self, beginning: str) -> str:
        """Take this command, or the one that begins so."""
        known = {one.text for one in self.all}
        (found,) = {beginning} & known or {text for text in known if text.startswith(beginning)}
        self._taken.add(found)
        return found


def begins(text: str, commands: Iterable[str]) -> bool:
    """Whether one of these begins with that, word by word."""
    return any(f"{one} ".startswith(f"{text} ") for one in commands)
