"""The bench measures, and tells what it measured. Its figures are not judged here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ..conftest import need
from ..support.reporting import measured
from ..support.zookeeper import classpath
from .bench import Bench
from .cases.handover import handovers
from .figures import Figure, compare
from .pictures import draw, pictures
from .report import BEGIN, END, markdown, put_into_page
from .systems import LIMIT, OURS

CASE = "handover, 5 candidates, 1 server"


@pytest.mark.timeout(60)
async def test_handovers_on_a_real_server(tmp_path: Path) -> None:
    need(
        None if classpath() else "no ZooKeeper server here",
        "the bench",
        "install Debian's package zookeeper (with Java), or set ZOOKEEPER_HOME",
    )
    figures = compare(await handovers(Bench(tmp_path, [OURS, LIMIT], True, lambda line: None), 1, 5, 3))
    lines = json.loads(json.dumps([figure.as_json() for figure in figures]))
    assert [(line["case"], line["system"], line["n"]) for line in lines] == [(CASE, OURS, 3), (CASE, LIMIT, 3)]
    for line in lines:
        assert set(line) == {"case", "system", "n", "median_ms", "p99_ms", "ratio_to_limit"}
        assert 0 < line["median_ms"] <= line["p99_ms"]
        assert line["ratio_to_limit"] > 0
        measured(f"bench, {CASE}: {line['system']}", line["median_ms"] / 1000)
    assert f"| {CASE} | " in markdown(figures, "a command", "2026-01-01", {})


def figures() -> list[Figure]:
    return compare(
        [
            Figure(CASE, OURS, [2.0, 3.0, 4.0]),
            Figure(CASE, LIMIT, [1.0, 2.0, 9.0]),
            Figure(CASE, "aiozk", failed="it <broke>"),
            Figure("is-leader", OURS, [1.0], {"polls_per_second": 1234.0, "rate_to_bare_handler": 0.95}),
        ]
    )


def test_the_report_has_figures_ratios_and_failures() -> None:
    text = markdown(figures(), "python -m tests.bench", "2026-01-01", {"kazoo": "pip install kazoo"})
    assert "| 3 ms / 4 ms (1.5) | 2 ms / 9 ms |" in text
    assert "**Failed:** handover, 5 candidates, 1 server, aiozk: it <broke>" in text
    assert "**Left out:** kazoo: pip install kazoo" in text
    assert "| polls per second | 1,234 |" in text
    assert "(benchmark-handover.svg)" in text
    assert "(benchmark-crash.svg)" not in text


def test_pictures_are_well_formed_and_readable_on_both_backgrounds() -> None:
    drawn = pictures(figures())
    assert set(drawn) == {"benchmark-handover.svg", "benchmark-polls.svg"}
    for svg in (*drawn.values(), draw("<&>", [("<case>", "a & b", 0.0, 0.0), ("<case>", OURS, 1.0, 50.0)])):
        ElementTree.fromstring(svg)
        assert "prefers-color-scheme:dark" in svg


def test_the_page_gets_the_short_table_between_its_markers(tmp_path: Path) -> None:
    page = tmp_path / "benchmark.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    put_into_page(page, figures(), "2026-01-01")
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\nMedians")
    assert text.endswith(f"{END}\nafter\n")
    assert "\nold\n" not in text
    assert "| 3 ms (1.5) | failed | 2 ms |" in text
    page.write_text("no markers")
    with pytest.raises(ValueError, match="has no lines"):
        put_into_page(page, figures(), "2026-01-01")


def test_make_bench_writes_into_a_page_that_has_the_markers() -> None:
    root = Path(__file__).parents[2]
    (page,) = re.findall(r"--page (\S+\.md)", (root / "Makefile").read_text())
    _, _, rest = (root / page).read_text().partition(f"\n{BEGIN}\n")
    assert f"\n{END}\n" in rest
