"""What was measured, as pictures: bars of each system, in SVG that can be read on light and dark backgrounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from .figures import Figure
from .systems import LIMIT, OURS

WIDTH, LEFT, RIGHT, ROW = 900, 150, 150, 20
TITLES = {
    "handover": "A graceful handover: median (bar) and p99 (line), milliseconds; shorter is better",
    "crash": "A leader that cannot hand over: seconds until the next one leads; shorter is better",
    "elections": "1,000 elections on one session: milliseconds until all lead; shorter is better",
    "polls": "Polls of is-leader per second; longer is better",
}
STYLE = (
    "text{font:12px sans-serif;fill:#333}.case{font-weight:bold}.title{font-size:14px;font-weight:bold}"
    "rect{fill:#9aa3ad}.ours{fill:#2a7de1}.limit{fill:#8884}line{stroke:#777;stroke-width:1.5}svg{background:#fff}"
    "@media(prefers-color-scheme:dark){svg{background:#16181c}text{fill:#ddd}rect{fill:#6f7781}.ours{fill:#5aa2ff}"
    ".limit{fill:#8884}line{stroke:#aaa}}"
)

Bar = tuple[str, str, float, float]
"""Case, system, how long the bar is, and its line (0.0: none)."""


def pictures(figures: Sequence[Figure]) -> dict[str, str]:
    """Those that there are figures for, by the name of their file."""
    chosen: dict[str, Callable[[Figure], Bar | None]] = {
        "handover": lambda one: _timed(one, "handover", 1.0),
        "crash": lambda one: _timed(one, "kill -9", 1000.0) or _timed(one, "SIGSTOP", 1000.0),
        "elections": lambda one: _other(one, "joined_ms"),
        "polls": lambda one: _other(one, "polls_per_second"),
    }
    found = {}
    for name, choose in chosen.items():
        bars = [bar for bar in map(choose, figures) if bar is not None]
        if bars:
            found[file_name(name)] = draw(TITLES[name], bars)
    return found


def file_name(name: str) -> str:
    """Where that picture goes, beside the report."""
    return f"benchmark-{name}.svg"


def draw(title: str, bars: Sequence[Bar]) -> str:
    """An SVG of these bars, those of a case together."""
    # A single slow one must not make all others unreadable: the line may end at the border.
    longest = max(
        max(length for _, _, length, _ in bars) * 1.05, *(min(line, length * 2.5) for *_, length, line in bars)
    )
    scale = (WIDTH - LEFT - RIGHT) / longest
    parts: list[str] = []
    y = 34
    for case in dict.fromkeys(case for case, *_ in bars):
        parts.append(f'<text class="case" x="10" y="{y + 13}">{escape(case)}</text>')
        y += ROW
        for _, system, length, line in (bar for bar in bars if bar[0] == case):
            kind = {OURS: ' class="ours"', LIMIT: ' class="limit"'}.get(system, "")
            end, far = LEFT + length * scale, LEFT + min(max(length, line), longest) * scale
            parts.append(f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(system)}</text>')
            parts.append(f'<rect{kind} x="{LEFT}" y="{y + 3}" width="{max(1.0, end - LEFT):.1f}" height="{ROW - 7}"/>')
            if line > length:
                parts.append(f'<line x1="{end:.1f}" x2="{far:.1f}" y1="{y + 9.5}" y2="{y + 9.5}"/>')
            both = f"{length:,.3g} / {line:,.3g}" if line else f"{length:,.0f}" if length >= 100 else f"{length:.3g}"
            parts.append(f'<text x="{far + 6:.1f}" y="{y + 13}">{both}</text>')
            y += ROW
        y += 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 6}" viewBox="0 0 {WIDTH} {y + 6}" '
        f'role="img"><style>{STYLE}</style><text class="title" x="10" y="20">{escape(title)}</text>'
        f"{''.join(parts)}</svg>\n"
    )


def _timed(one: Figure, beginning: str, unit: float) -> Bar | None:
    if not one.case.startswith(beginning) or one.median is None or one.p99 is None:
        return None
    return one.case, one.system, one.median / unit, one.p99 / unit


def _other(one: Figure, unit: str) -> Bar | None:
    return (one.case, one.system, one.other[unit], 0.0) if unit in one.other else None
