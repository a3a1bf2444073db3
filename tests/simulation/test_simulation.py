"""Simulated runs in the suite; `python -m tests.simulation` does as many as wanted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from . import run as simulated
from .judge import Judge
from .plan import KINDS, Plan, draw, of_seed, program
from .run import run

ROOT = Path(__file__).parents[2]


@st.composite
def plans(draw_from: st.DrawFn) -> Plan:
    return draw(
        lambda low, high: draw_from(st.integers(low, high)),
        lambda choices: draw_from(st.sampled_from(choices)),
        draw_from(st.integers(0, 2**32)),
    )


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    print_blob=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(plans())
@pytest.mark.timeout(240)
def test_no_plan_breaks_a_promise(plan: Plan) -> None:
    report = run(plan)
    assert not report.violation, f"{report.violation}\nReplay it:\n\n{program(plan)}"


@pytest.mark.parametrize("seed", [1610, 3379])
def test_a_member_that_leaves_as_its_session_closes_raises_nothing(seed: int) -> None:
    """Of 8,000 runs these two have its list come while the session is closing."""
    assert run(of_seed(seed)).violation == ""


@pytest.mark.parametrize("seed", [2, 7, 120, 195])
def test_one_plan_is_one_run(seed: int) -> None:
    first, second = run(of_seed(seed)), run(of_seed(seed))
    assert (first.trace, first.steps) == (second.trace, second.steps)
    assert first.terms > 0


def test_one_plan_is_one_run_in_another_process_too() -> None:
    script = "from tests.simulation import plan, run; print(run.run(plan.of_seed(2)).trace)"
    traces = {
        subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, env={"PYTHONHASHSEED": chosen}, capture_output=True, check=True
        ).stdout
        for chosen in ("1", "2")
    }
    assert len(traces) == 1


def test_a_broken_promise_prints_a_program_that_replays_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # A judge who takes the first leader for a second one: every plan breaks a promise.
    monkeypatch.setattr(Judge, "leaders", lambda judge: list(judge._processes) * 2)
    plan = of_seed(3)
    assert plan.faults
    report = run(plan)
    assert "two leaders" in report.violation
    small = simulated.shrink(plan)
    assert not small.faults
    exec(program(small), {})
    assert "two leaders" in capsys.readouterr().out


def test_the_command_reports_what_was_done(tmp_path: Path) -> None:
    out = tmp_path / "simulate.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seeds", "40", "--jobs", "2", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "40 runs" in done.stdout
    result = json.loads(out.read_text())
    assert result["runs"] == 40
    assert result["violations"] == []
    assert result["steps"] > 10_000
    assert set(result["faults"]) <= set(KINDS)
