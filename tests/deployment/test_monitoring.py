"""Alerts, dashboard and metrics know each other, and a real Prometheus knows what to do with them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp.test_utils import TestClient, TestServer

from leader_async import JobRun, Schedule, connect
from leader_async.testing import ZooKeeper
from leader_async.web import create_app

from ..conftest import need
from ..support.prometheus import REMEDY, ROOT, program
from ..support.readme import section

RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
CONFIG = ROOT / "deploy" / "prometheus" / "prometheus.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "leader_async.json"
RUNBOOK = ROOT / "deploy" / "RUNBOOK.md"
NAME = re.compile(r"\bleader_async_\w+")
LIMIT = 30.0
"""Seconds that Prometheus may take to ask every replica and evaluate every rule, with 5 s between two times."""

ALERTS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]


def promtool(*arguments: str, text: str = "") -> str:
    """What it says; it has to succeed."""
    found = program("promtool")
    need(None if found else "no promtool here", "tests of alerts and dashboard", REMEDY)
    assert found is not None
    done = subprocess.run(
        [found, *arguments], input=text, capture_output=True, text=True, timeout=15, check=False, cwd=RULES.parent
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


async def _scrape(address: str) -> str:
    async with connect(address, timeout=1.0) as zk:
        jobs = Schedule(zk.election("reports", identity="me"))

        @jobs.every(0.1)
        async def job(run: JobRun) -> None: ...

        running = asyncio.create_task(jobs.run())
        async with TestClient(TestServer(create_app(jobs.election, zk, schedule=jobs))) as client:
            text = ""
            async with asyncio.timeout(10):
                while "job_last_done_timestamp_seconds{" not in text or "queue_length{" not in text:
                    text = await (await client.get("/metrics")).text()
        running.cancel()
        await asyncio.wait([running])
        return text


@pytest.fixture(scope="module")
def scrape() -> str:
    """What a replica tells that leads and has run a job."""
    with ZooKeeper() as zookeeper:
        return asyncio.run(_scrape(zookeeper.address))


def families(scrape: str) -> dict[str, str]:
    """The types of our metrics by name, as the text has them."""
    return dict(re.findall(r"# TYPE (leader_async_\w+) (\w+)", scrape))


def series(scrape: str) -> set[str]:
    """The names that can be asked for."""
    return {name for line in scrape.splitlines() for name in NAME.findall(line.partition("{")[0].partition(" ")[0])}


def expressions() -> list[str]:
    """What the dashboard asks for, with its variables filled in."""
    text = json.loads(DASHBOARD.read_text())
    found = [target["expr"] for panel in text["panels"] for target in panel.get("targets", ())]
    return [one.replace("$__rate_interval", "1m").replace("$election", ".*") for one in found]


def test_the_metrics_keep_to_prometheus_conventions(scrape: str) -> None:
    ours = [line for line in scrape.splitlines() if "leader_async_" in line]  # process_* are Prometheus' own client's
    promtool("check", "metrics", text="\n".join(ours) + "\n")


def test_labels_take_few_values(scrape: str) -> None:
    values: dict[str, set[str]] = {}
    for label, value in re.findall(r'(\w+)="([^"]*)"', scrape):
        values.setdefault(label, set()).add(value)
    assert set(values) == {
        "election", "identity", "version", "state", "why", "change", "session", "cause", "outcome", "job_name", "le",
    }  # fmt: skip
    assert max(len(values[label]) for label in set(values) - {"le"}) <= 14
    assert len(scrape.splitlines()) < 500


def test_every_metric_is_documented_and_nothing_else_is(scrape: str) -> None:
    rows = set(re.findall(r"^\| `(\w+)", section("Metrics"), re.MULTILINE))
    assert rows == {name.removeprefix("leader_async_") for name in families(scrape)}


def test_alerts_ask_for_what_there_is(scrape: str) -> None:
    used = {name for alert in ALERTS for name in NAME.findall(alert["expr"])}
    assert used - series(scrape) == set()


def test_every_alert_has_its_section_in_the_runbook() -> None:
    sections = re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert sections == [alert["alert"] for alert in ALERTS]
    for alert in ALERTS:
        told = alert["annotations"]
        assert set(told) == {"summary", "description", "runbook"}
        assert told["runbook"] == f"{alert['alert']} in deploy/RUNBOOK.md"
    links = re.findall(r"\]\(#(\w+)\)", RUNBOOK.read_text())
    assert set(links) <= {section.lower() for section in sections}


def test_the_runbook_names_metrics_and_events_that_there_are(scrape: str) -> None:
    text = RUNBOOK.read_text()
    assert set(NAME.findall(text)) <= series(scrape) | set(families(scrape)) | {"leader_async_"}
    source = "".join(path.read_text() for path in (ROOT / "leader_async").rglob("*.py"))
    for event in re.findall(r"event: (\w+)", text):
        assert f'"{event}"' in source, event


def test_every_alert_is_tested_both_ways() -> None:
    told = promtool("test", "rules", "alerts_test.yml")
    assert "SUCCESS" in told
    tests = yaml.safe_load((RULES.parent / "alerts_test.yml").read_text())["tests"]
    fires: set[str] = set()
    silent: set[str] = set()
    for case in (case for test in tests for case in test["alert_rule_test"]):
        (fires if case.get("exp_alerts") else silent).add(case["alertname"])
    assert fires == silent == {alert["alert"] for alert in ALERTS}


def test_rules_and_configuration_are_valid(tmp_path: Path) -> None:
    assert f"SUCCESS: {len(ALERTS)} rules found" in promtool("check", "config", str(CONFIG))


def test_the_dashboard_asks_for_what_there_is(scrape: str, tmp_path: Path) -> None:
    asked = expressions()
    assert {name for text in asked for name in NAME.findall(text)} - series(scrape) == set()
    rules = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(asked)]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"SUCCESS: {len(asked)} rules found" in promtool("check", "rules", str(file))


def test_compose_has_a_profile_for_both() -> None:
    known = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0 if (
        shutil.which("docker")
    ) else False  # fmt: skip
    need(None if known else "no docker compose here", "the monitoring profile", "install Docker's compose plugin")
    command = ["docker", "compose", "--file", str(ROOT / "compose.yaml"), "--profile", "monitoring", "config"]
    told = subprocess.run([*command, "--format", "json"], capture_output=True, text=True, timeout=15, check=False)
    assert told.returncode == 0, told.stderr
    services = json.loads(told.stdout)["services"]
    assert {name for name, service in services.items() if service.get("profiles")} == {"prometheus", "grafana"}
    for name in ("prometheus", "grafana"):
        for volume in services[name]["volumes"]:
            assert volume["type"] == "volume" or Path(volume["source"]).exists(), volume
        assert {port["host_ip"] for port in services[name]["ports"]} == {"127.0.0.1"}


@pytest.mark.timeout(60)
def test_prometheus_finds_every_replica_and_evaluates_every_rule(tmp_path: Path) -> None:
    prometheus = program("prometheus")
    need(None if prometheus else "no prometheus here", "Prometheus asking replicas", REMEDY)
    need(
        None if os.geteuid() == 0 and shutil.which("unshare") else "namespaces need root", "Prometheus asking replicas",
        "run as root with util-linux installed",
    )  # fmt: skip
    asked = [
        "sum(leader_async_is_leader)",
        "count(leader_async_info)",
        "sum(leader_async_in_queue)",
        *expressions(),
    ]
    done = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", sys.executable, "-m",
         "tests.deployment.monitored", str(prometheus), str(CONFIG), str(tmp_path), str(LIMIT), json.dumps(asked)],
        capture_output=True, text=True, timeout=55, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["targets"] == {f"127.0.0.{number}:8080": "up" for number in (11, 12, 13)}, done.stderr
    assert told["rules"] == {alert["alert"]: "ok" for alert in ALERTS}
    values = {text: [row["value"][1] for row in rows] for text, rows in told["answers"].items()}
    assert values["sum(leader_async_is_leader)"] == ["1"]
    assert values["count(leader_async_info)"] == values["sum(leader_async_in_queue)"] == ["3"]
