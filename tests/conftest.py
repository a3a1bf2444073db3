"""Loud skips and measured figures, for all tests."""

from __future__ import annotations

import gc
import signal
import sys

import pytest
from hypothesis import HealthCheck, settings

from .support import loops, reporting

# Machines that run tests are shared: how long something took says nothing about it.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


def pytest_configure() -> None:
    # A shell that starts these tests in the background has SIGINT ignored, which they and their children would inherit.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    loops.choose()


def pytest_report_header() -> str:
    return f"event loop: {loops.NAME}"


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    # What a module has left unclosed is told of there, not in whatever test garbage is collected next.
    if nextitem is None or nextitem.path != item.path:
        gc.collect()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if reporting.MEASURED:
        terminalreporter.section("measured on this machine; nothing is judged by these")
        for line in reporting.lines():
            terminalreporter.line(line)
    if reporting.NOT_RUN:
        terminalreporter.section("NOT RUN", red=True, bold=True)
        for what, remedy in reporting.NOT_RUN.items():
            terminalreporter.line(f"{what}: {remedy}")


def need(problem: str | None, what: str, remedy: str) -> None:
    """Skip, loudly, where something is missing; fail where nothing may be (in CI)."""
    if problem is None:
        return
    reporting.NOT_RUN[what] = f"{problem}; {remedy}"
    if reporting.IN_CI:
        pytest.fail(f"{what}: {problem}; {remedy}")
    pytest.skip(f"{what}: {problem}")


@pytest.fixture
def on_linux() -> None:
    """For `usefixtures`: what is tested here needs Linux."""
    need(None if sys.platform == "linux" else "not Linux", "commands and guardians at hand", "run on Linux")
