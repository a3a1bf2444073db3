"""The pages: README.md and all below deploy/, their sections, and their examples and commands, to be run as they stand.

A section is named by its heading alone, whichever page has it. A page's title is the heading of the whole page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import leader_async

ROOT = Path(leader_async.__file__).parent.parent
README, INDEX = ROOT / "README.md", ROOT / "deploy/docs/README.md"
DOCS = tuple(sorted(ROOT.glob("deploy/docs/**/*.md")))
PAGES = (README, *sorted(ROOT.glob("deploy/*.md")), *DOCS)
SERVERS = "zk1:2181,zk2:2181,zk3:2181"

CONSOLE = "console|sh|bash|shell"
PROGRAM = re.compile(
    r"(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?"
    r"(?:make(?: |$)|(?:leader-async|python3?|pip|docker|kubectl|systemctl|curl|apt|zkCli\.sh|chmod|ulimit) )"
)
"""How a command begins that stands in the text or in a table."""


def name(page: Path) -> str:
    """What a page is called: its path in the repository."""
    return page.relative_to(ROOT).as_posix()


def example(heading: str, servers: str = SERVERS) -> str:
    """The first Python example below a heading, to be run against these ZooKeeper servers."""
    found = examples(section(heading), "python")
    assert found, f"no example below {heading!r}"
    return found[0].replace(SERVERS, servers)


def sections(text: str) -> list[tuple[int, str, str]]:
    """A page's headings: how deep each is, its words, and what stands below it until the next one of any depth."""
    found: list[tuple[int, str, str]] = []
    for part in re.split(r"(^```.*?^```)", text, flags=re.DOTALL | re.MULTILINE):
        pieces = [part] if part.startswith("```") else re.split(r"^(?=#+ )", part, flags=re.MULTILINE)
        for piece in pieces:
            if head := re.match(r"(#+) (.*)\n?", piece):
                found.append((len(head[1]), head[2], piece[head.end() :]))
            elif found:
                depth, heading, below = found[-1]
                found[-1] = (depth, heading, below + piece)
    return found


def section(heading: str, pages: Iterable[Path] = PAGES) -> str:
    """What stands below the one heading of these words, deeper headings included."""
    found: list[str] = []
    for page in pages:
        inside = 0  # how deep the section is that is being read
        for depth, words, below in sections(page.read_text()):
            if inside and depth > inside:
                found[-1] += f"{'#' * depth} {words}\n{below}"
            elif words == heading:
                inside = depth
                found.append(below)
            else:
                inside = 0
    assert len(found) == 1, f"{len(found)} sections are called {heading!r}"
    return found[0]


def examples(text: str, language: str) -> list[str]:
    """All examples in a language, as they stand there."""
    return re.findall(rf"^```(?:{language})\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def prose(text: str) -> str:
    """What stands outside of examples."""
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    """What a link may point to: each heading in lower case, without punctuation, with hyphens for spaces."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for _, heading, _ in sections(text)}


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

    def block(self, heading: str) -> list[Command]:
        """Take the console's commands below a heading."""
        found = console(section(heading, self._pages))
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
