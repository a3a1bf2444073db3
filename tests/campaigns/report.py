"""What campaigns showed: a table for people, JSON for programs, a picture of each kind of fault."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .campaign import Campaign
from .checker import QUIET, Trouble
from .field import LEASE, SYNC_LIMIT, TICK, TIMEOUT

ROW, LEFT, WIDTH = 18, 210, 900


def as_json(campaigns: Sequence[Campaign]) -> list[dict[str, Any]]:
    """One entry a campaign."""
    return [
        {
            "system": one.system,
            "minutes": round(one.minutes, 1),
            "seed": one.seed,
            "faults": dict(Counter(trouble.kind for trouble in one.troubles)),
            "leader_overlap_seconds": round(one.verdict.overlap, 3),
            "doubled_work": one.verdict.doubled,
            "token_disorder": one.verdict.disorder,
            "refused_late_work": one.verdict.refused,
            "units_of_work": sum(not unit.refused for unit in one.history.units),
            "late": [[trouble.kind, round(seconds, 2)] for trouble, seconds in one.verdict.late],
            "orphans": one.orphans,
            "leaderless_seconds": _by_kind(one.verdict.leaderless),
            "unanswered_seconds": _by_kind(one.verdict.unanswered),
            "overlap_seconds_by_fault": {
                kind: round(sum(_overlap(one, trouble) for trouble in one.troubles if trouble.kind == kind), 3)
                for kind in sorted({trouble.kind for trouble in one.troubles})
            },
        }
        for one in campaigns
    ]


def _by_kind(seconds: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    return {
        kind: {"n": len(each), "median": round(statistics.median(each), 2), "max": round(max(each), 2)}
        for kind, each in sorted(seconds.items())
    }


def _overlap(one: Campaign, trouble: Trouble) -> float:
    return sum(s for _, later, s in one.verdict.overlaps if trouble.begin <= later.begin < trouble.end)


def markdown(campaigns: Sequence[Campaign], command: str, date: str, cores: int) -> str:
    """The report."""
    facts = as_json(campaigns)
    lines = [
        "# Campaigns of faults",
        "",
        f"`{command}`, {date}, {cores} cores. Three ZooKeeper 3.8 servers and five replicas, each in a network "
        f"namespace of its own; tick {TICK:g} s, syncLimit {SYNC_LIMIT}, session timeout {TIMEOUT:g} s, "
        f"lease {LEASE:g} s. Each replica asks itself every 10 ms whether it leads, on one clock for all, and works "
        "while it does. A stretch of leading counts from the end of the first such question to the begin of the last.",
        "",
        "| | " + " | ".join(fact["system"] for fact in facts) + " |",
        "|---|" + "---|" * len(facts),
    ]
    for name, key in (
        ("minutes", "minutes"),
        ("seed", "seed"),
        ("**seconds with two leaders**", "leader_overlap_seconds"),
        ("**units of work done twice**", "doubled_work"),
        ("units of work done", "units_of_work"),
        ("tokens out of order", "token_disorder"),
        ("late units refused by their token", "refused_late_work"),
    ):
        lines.append(f"| {name} | " + " | ".join(str(fact[key]) for fact in facts) + " |")
    lines.append("| faults | " + " | ".join(str(sum(fact["faults"].values())) for fact in facts) + " |")
    lines.append("| nobody led in time | " + " | ".join(str(len(fact["late"])) for fact in facts) + " |")
    lines.append("| znodes left behind | " + " | ".join(str(len(fact["orphans"])) for fact in facts) + " |")
    lines += [
        "",
        "Seconds without a leader, median and worst (times), then, if there were any, the most seconds in which no "
        "quorum answered a writer beside the replicas; seconds with two leaders in bold. Who leads too late is late "
        "from the end of the fault, or from when a quorum answered again:",
        "",
        "| fault | " + " | ".join(fact["system"] for fact in facts) + " |",
        "|---|" + "---|" * len(facts),
    ]
    for kind in sorted({kind for fact in facts for kind in fact["faults"]}):
        cells = []
        for fact in facts:
            seconds = fact["leaderless_seconds"].get(kind)
            two = fact["overlap_seconds_by_fault"].get(kind, 0)
            unanswered = fact["unanswered_seconds"].get(kind, {"max": 0.0})["max"]
            cells.append(
                (f"{seconds['median']:.1f}, {seconds['max']:.1f} ({seconds['n']})" if seconds else "-")
                + (f"; no quorum {unanswered:.1f}" if unanswered > QUIET else "")
                + (f" **two: {two:.1f} s**" if two else "")
            )
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def picture(kind: str, campaigns: Sequence[Campaign]) -> str | None:
    """An SVG: who led around one case of this fault, the one with most two leaders, for each system; None if none had
    it."""
    shown = []
    for one in campaigns:
        cases = [trouble for trouble in one.troubles if trouble.kind == kind]
        if cases:
            shown.append((one, max(cases, key=lambda trouble: _overlap(one, trouble))))
    if not shown:
        return None
    span = max(trouble.end - trouble.begin for _, trouble in shown) + 2.0
    scale = (WIDTH - LEFT - 20) / span
    parts: list[str] = []
    y = 34
    for one, trouble in shown:
        start = trouble.begin - 1.0
        led = [s for s in one.history.stretches if s.end > start and s.begin < start + span]
        names = sorted({f"r{number}" for number in range(1, 6)} | {stretch.replica for stretch in led})
        high = len(names) * ROW
        begin, end = LEFT + scale, LEFT + (max(trouble.healed, trouble.begin + 0.1) - start) * scale
        parts.append(f'<rect class="fault" x="{begin:.1f}" y="{y}" width="{max(2, end - begin):.1f}" height="{high}"/>')
        parts.append(f'<text x="10" y="{y + high / 2 + 4}" class="system">{escape(one.system)}</text>')
        for index, name in enumerate(names):
            row = y + index * ROW
            parts.append(f'<text x="{LEFT - 8}" y="{row + 13}" text-anchor="end">{name}</text>')
            parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{row + ROW - 2}" y2="{row + ROW - 2}"/>')
            for stretch in led:
                if stretch.replica == name:
                    left = LEFT + (max(stretch.begin, start) - start) * scale
                    right = LEFT + (min(stretch.end, start + span) - start) * scale
                    parts.append(f'<rect class="leads" x="{left:.1f}" y="{row + 3}" width="{max(1, right - left):.1f}" '
                                 f'height="{ROW - 7}"/>')  # fmt: skip
        for before, later, _ in one.verdict.overlaps:
            both = max(before.begin, later.begin), min(before.end, later.end)
            if both[1] > start and both[0] < start + span:
                left, right = (LEFT + (min(max(at, start), start + span) - start) * scale for at in both)
                parts.append(f'<rect class="two" x="{left:.1f}" y="{y}" width="{max(2, right - left):.1f}" '
                             f'height="{high}"/>')  # fmt: skip
        y += high + 14
    for second in range(int(span) + 1):
        x = LEFT + second * scale
        if second % max(1, round(span / 12)) == 0:
            parts.append(f'<text x="{x:.1f}" y="{y + 8}" text-anchor="middle">{second - 1} s</text>')
    style = (
        "text{font:12px sans-serif;fill:#333}.system{font-weight:bold}.title{font-size:14px;font-weight:bold}"
        "line{stroke:#8884}.fault{fill:#e8a33d40}.leads{fill:#2a7de1}.two{fill:none;stroke:#d22;stroke-width:2}"
        "svg{background:#fff}@media(prefers-color-scheme:dark){svg{background:#16181c}text{fill:#ddd}.leads{fill:#5aa2ff}}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 18}" viewBox="0 0 {WIDTH} {y + 18}" '
        f'role="img"><style>{style}</style><text class="title" x="10" y="20">{escape(kind)}: who leads (blue), '
        f"the fault (shaded), two leaders (red frame)</text>{''.join(parts)}</svg>\n"
    )
