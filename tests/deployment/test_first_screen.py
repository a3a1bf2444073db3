"""The first example of the README runs as it is printed, with the ZooKeeper that the README offers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ..conftest import need

README = Path(__file__).parents[2] / "README.md"


def problem() -> str | None:
    """Why no network of one's own can be had."""
    try:
        subprocess.run(["unshare", "-rn", "ip", "link", "set", "lo", "up"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return "no network namespace can be made"
    return None


@pytest.mark.timeout(60)
def test_the_schedule_of_the_first_screen(tmp_path: Path) -> None:
    need(problem(), "the README's first example, which needs port 2181", "allow user namespaces, and install iproute2")
    first = re.search(r"```python\n(.*?)```", README.read_text(), re.S)
    assert first is not None
    (tmp_path / "jobs.py").write_text(first[1])
    # In a network of its own, where port 2181 is free. Two replicas; each slot is printed by one of them.
    script = f"""
        ip link set lo up
        {sys.executable} -m leader_async zookeeper --log-level error & zookeeper=$!
        {sys.executable} -u jobs.py >one.txt 2>>errors.txt & one=$!
        {sys.executable} -u jobs.py >two.txt 2>>errors.txt & two=$!
        for _ in $(seq 300); do
            [ "$(cat one.txt two.txt | wc -l)" -ge 2 ] && break
            sleep 0.1
        done
        {sys.executable} -m leader_async jobs --election reports
        kill $one $two $zookeeper
    """
    shown = subprocess.run(
        ["unshare", "-rn", "sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False
    )
    lines = [line for name in ("one.txt", "two.txt") for line in (tmp_path / name).read_text().splitlines()]
    assert all(re.fullmatch(r"polling for \d{4}-\d\d-\d\d \d\d:\d\d:\d[05]\+00:00 attempt 1", line) for line in lines)
    assert len(set(lines)) == len(lines) >= 2
    assert re.search(r"^nightly  \(cron 0 3 \* \* \* Europe/Berlin\)  has not run yet; next: ", shown.stdout, re.M)
    assert re.search(r"^poll  \(every 5 s\)  done at ", shown.stdout, re.M), shown.stdout + shown.stderr
