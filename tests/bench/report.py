"""What was measured, as Markdown: the whole report, and the short table of the page How fast."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .figures import Figure
from .pictures import TITLES, file_name, pictures
from .systems import LIMIT, OURS, SYSTEMS, machine, versions

BEGIN, END = "<!-- bench: written by `make bench` -->", "<!-- /bench -->"
SHORT = (
    "handover, 5 candidates, 1 server", "handover, 500 candidates, 1 server", "handover, 5 candidates, 3 servers",
    "handover, 500 candidates, 3 servers", "kill -9, session timeout 10 s",
    "ZooKeeper's leader killed: until a handover is done",
)  # fmt: skip
SHORT_OTHER = (
    ("requests of the leader's departure", "requests_per_departure", "ZooKeeper requests when the leader leaves"),
    ("one waiting candidate", "memory_mib", "memory of a process with one waiting candidate"),
    ("1,000 elections on one session", "joined_ms", "1,000 elections on one session: until all lead"),
    ("1,000 elections on one session", "memory_mib", "memory of a process that leads 1,000 elections"),
)
METHOD = """\
- All systems of a case are connected to the same real ZooKeeper at the same time, each below a path of its own, and
  take turns: one handover of each, then the next of each, another one first each time.
- A handover is timed from the instant at which the leader calls its `resign()` (kazoo: its function returns; Curator:
  `close()`) to the instant at which the next one's code knows that it leads (`run` has called the work and `is_leader`
  is True; kazoo: the function is entered; aiozk: `wait_for_leadership` returns; Curator: `isLeader()` is called). Both
  are read from the machine's monotonic clock by the processes themselves. 50 ms pass before each one.
- 5 candidates are 5 processes with a session each. 50 and 500 are 5 processes with 10 and 100 sessions each, for
  Curator one Java process with all of them. Of an ensemble each session is given one server, by turns, the same for all
  systems. Java compiles with C1 only, and before handovers the servers answer some thousand rounds of what the systems
  ask: those of production have run for a while. The first handovers of each system, 5 or in a quick run 2, are not
  counted.
- The bare sockets are the limit: asyncio protocols that delete, await the event, list the election, and lead when that
  is answered, without looking at the answer. They check nothing, recover from nothing, and hold no lease: they are left
  out where ZooKeeper's leader is killed.
- aiozk's and Curator's objects cannot be used again after they have resigned: new ones are made, outside the time.
- Requests are counted frame by frame by a proxy. Pings, and the confirms that a leader and its heir send five times a
  lease anyway, are counted apart.
- Where ZooKeeper's leader is killed, "nobody led" is what the systems say: aiozk never says that it leads no more,
  kazoo only when the session is lost.
- Of 1,000 elections, "leave after a cut" is the time from the end of the connection, which can be made again at once,
  to the end of a leave of one of them that is asked for 0.2 s later; about 15 s means that it had not ended by then.
- ZooKeeper's tick is 2 s, and its log is not forced to the disk. Sessions end on a tick, so two kills with the same
  session timeout may differ by as much; in a quick run there is one. p99 of less than a hundred measurements is the
  longest of them.
- An import is the time of an interpreter that imports it less that of one that does not; for the bare sockets that is
  asyncio.
"""
HIDDEN = {"guardian", "frame_bytes"}
"""Units that are told in a sentence."""


def markdown(figures: Sequence[Figure], command: str, date: str, missing: Mapping[str, str]) -> str:
    """The report."""
    parts = ["# How fast", f"`{command}`, {date}. {machine()}. {versions()}.", METHOD.rstrip()]
    parts += [f"**Left out:** {system}: {why}" for system, why in missing.items()]
    parts += [f"**Failed:** {one.case}, {one.system}: {one.failed}" for one in figures if one.failed]
    timed = [one for one in figures if one.times and not set(one.other) - HIDDEN]
    if timed:
        parts += ["## Times", "Median / p99, and in brackets how many times the median of the bare sockets."]
        parts += [_cases(timed), *_remarks(figures)]
    for case in dict.fromkeys(one.case for one in figures if set(one.other) - HIDDEN):
        some = [one for one in figures if one.case == case and one.other]
        parts += [f"## {case[0].upper()}{case[1:]}", _units(some)]
    drawn = pictures(figures)
    parts += [f"![{title}]({file_name(name)})" for name, title in TITLES.items() if file_name(name) in drawn]
    return "\n\n".join(parts) + "\n"


def short(figures: Sequence[Figure], date: str) -> str:
    """The handful of lines that matter, for the page How fast."""
    by = {(one.case, one.system): one for one in figures}
    systems = [system for system in SYSTEMS if any(one.system == system for one in figures)]
    lines = _head("", systems)
    for case in SHORT:
        if (case, OURS) in by:
            lines.append(_line(case, [_time(by.get((case, system)), p99=False) for system in systems]))
    for beginning, unit, words in SHORT_OTHER:
        cases = [one.case for one in figures if one.case.startswith(beginning) and unit in one.other]
        if cases:
            found = [by.get((cases[0], system)) for system in systems]
            lines.append(_line(words, [_value(unit, one.other.get(unit) if one else None) for one in found]))
    polls = [by.get((case, OURS)) for case in ("is-leader", "is-leader while ZooKeeper is down")]
    tail = [
        f"`is-leader`{words}: {one.other['polls_per_second']:,.0f} polls a second, "
        f"{one.other['rate_to_bare_handler']:.2f} of a bare aiohttp handler's, p99 {_milliseconds(one.p99)}."
        for one, words in zip(polls, ("", " while ZooKeeper is down"), strict=True)
        if one is not None
    ]
    about = (
        "Medians; in brackets, how many times that of bare sockets: those do only what cannot be left out (delete, "
        "await the event, read) and queue again 5 ms later, as we do; they hold no lease and recover from nothing. "
        f"{machine()}; {date}."
    )
    return "\n".join([about, "", *lines, "", *tail]).rstrip() + "\n"


def put_into_page(path: Path, figures: Sequence[Figure], date: str) -> None:
    """Replace what stands between the markers."""
    before, found, rest = path.read_text().partition(BEGIN)
    _, also, after = rest.partition(END)
    if not (found and also):
        raise ValueError(f"{path} has no lines {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n{short(figures, date)}{END}{after}")


def _remarks(figures: Sequence[Figure]) -> list[str]:
    guarded = {one.other["guardian"] for one in figures if "guardian" in one.other}
    sizes = {one.other["frame_bytes"] for one in figures if one.system == OURS and "frame_bytes" in one.other}
    remarks = [f"{OURS} was killed and frozen {'with' if with_it else 'without'} its guardian." for with_it in guarded]
    return remarks + [f"The frame of a confirm had {size:.0f} bytes." for size in sorted(sizes)[:1]]


def _cases(figures: Iterable[Figure]) -> str:
    by = {(one.case, one.system): one for one in figures}
    columns = [system for system in SYSTEMS if any(key[1] == system for key in by)]
    lines = _head("", columns)
    for case in dict.fromkeys(case for case, _ in by):
        if any((case, system) in by for system in columns):
            lines.append(_line(case, [_time(by.get((case, system)), p99=True) for system in columns]))
    return "\n".join(lines)


def _units(figures: Sequence[Figure]) -> str:
    lines = _head("", [one.system for one in figures])
    for unit in dict.fromkeys(unit for one in figures for unit in one.other):
        words = re.sub("_(ms|mib)$", "", unit).replace("_", " ")
        lines.append(_line(words, [_value(unit, one.other.get(unit)) for one in figures]))
    if any(one.times for one in figures):
        lines.append(_line("median", [_milliseconds(one.median) for one in figures]))
        lines.append(_line("p99", [_milliseconds(one.p99) for one in figures]))
    return "\n".join(lines)


def _head(first: str, columns: Sequence[str]) -> list[str]:
    return [f"| {first} | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]


def _line(first: str, cells: Sequence[str]) -> str:
    return f"| {first} | " + " | ".join(cells) + " |"


def _time(figure: Figure | None, *, p99: bool) -> str:
    if figure is None or figure.median is None:
        return "failed" if figure is not None and figure.failed else "-"
    slowest = f" / {_milliseconds(figure.p99)}" if p99 else ""
    ratio = f" ({figure.ratio:.1f})" if figure.ratio is not None and figure.system != LIMIT else ""
    return f"{_milliseconds(figure.median)}{slowest}{ratio}"


def _value(unit: str, value: float | None) -> str:
    if value is None:
        return "-"
    if unit.endswith("_ms"):
        return _milliseconds(value)
    text = f"{value:,.0f}" if value >= 100 else f"{value:.2f}".rstrip("0").rstrip(".")
    return f"{text} MiB" if unit.endswith("_mib") else text


def _milliseconds(value: float | None) -> str:
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value / 1000:.2f} s"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.3g} ms"
