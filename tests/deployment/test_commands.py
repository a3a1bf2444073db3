"""The commands that the pages print, typed as they stand there; what is shown must come, whatever the numbers are.

A command that a page has is taken by a test in here, or it is in one of the two lists below.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from deploy.servers import DEBIAN_JARS

from ..conftest import need
from ..support import world
from ..support.certificates import Authority
from ..support.readme import PAGES, ROOT, Command, Taken, begins, examples, section
from ..support.world import INSTALLED, World
from .launching import eventually

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("on_linux")]
TOKEN = "a token of sixteen or more"

ELSEWHERE = {
    "make": "tests/deployment/test_makefile.py::test_alone_it_says_what_there_is",
    "make rolling-restart":
        "tests/deployment/test_local.py::test_a_rolling_restart_moves_the_lead_once_and_in_the_worst_order_twice",
    "make exhaustive": "tests/exhaustive/test_walk.py::test_every_interleaving_keeps_the_promises",
    "make mutants": "tests/mutants/test_mutants.py::test_somebody_notices",
    "make chaos MINUTES=20": "tests/campaigns/test_campaign.py::test_a_short_campaign",
    "make chaos-jobs MINUTES=15": "tests/campaigns/test_jobs.py::test_a_short_campaign_of_jobs",
    "make bench QUICK=1": "tests/bench/test_bench.py::test_handovers_on_a_real_server",
    "python -m tests.bench": "tests/bench/test_bench.py::test_handovers_on_a_real_server",
    "leader-async evict ZNODE": "tests/unit/cli/test_evict.py::test_a_ghost_is_seen_and_evicted",
    "leader-async doctor --repair":
        "tests/unit/cli/test_doctor.py::test_a_record_that_cannot_be_read_is_told_of_and_put_right",
    "make test": ".ci/run",
    "make lint": ".ci/run",
    "make types": ".ci/run",
    "docker compose up -d --build --scale leader-election=7":
        "tests/deployment/test_compose.py::test_nginx_follows_scaling_without_a_reload",
    "docker build -f deploy/Dockerfile -t leader-async:0.1.0 .":
        "tests/deployment/test_compose.py::test_the_image_is_built_as_the_page_says",
    "docker kill": "tests/deployment/test_compose.py::test_a_killed_replica_costs_no_client_an_error",
    "docker compose --profile monitoring up -d":
        "tests/deployment/test_monitoring.py::test_compose_has_a_profile_for_both",
    "COMPOSE_PROFILES=monitoring make up":
        "tests/deployment/test_monitoring.py::test_compose_has_a_profile_for_both",
    "kubectl apply -k deploy/kubernetes": "tests/deployment/test_kubernetes.py::test_everything_is_applied",
    "kubectl rollout restart deployment leader-async":
        "tests/deployment/test_kubernetes.py::test_a_new_replica_is_in_the_queue_before_an_old_one_stops",
    "systemctl restart leader-async":
        "tests/deployment/test_systemd.py::test_a_restart_hands_over_and_returns_when_the_replica_is_in_the_queue",
    "systemctl status leader-async": "tests/deployment/test_systemd.py::test_the_status_says_who_leads",
    "systemctl start": "tests/deployment/test_systemd.py::test_the_status_says_who_leads",
}  # fmt: skip
"""What another test runs, or the nearest to it that needs no cluster, no hour and no downloads."""

NOT_RUN = {
    "pip install .": "asks a package index; building the image does it",
    ".venv/bin/pip install kazoo": "asks a package index",
    "python3 -m venv /opt/leader-async && /opt/leader-async/bin/pip install .": "asks a package index",
    "apt install libcurator-recipes-java default-jdk-headless": "asks a package index",
    "make lock": "asks a package index; what it wrote is checked in test_image.py",
    "make audit": "asks for known vulnerabilities",
    "make chaos SYSTEMS=leader_async,kazoo,curator …": "minutes of faults for three systems",
    'ZOOKEEPER_HOME=build/zookeeper-3.9 make test ARGS="tests/conformance tests/integration"': "the tests themselves",
    "make test ARGS='-m \"not campaign\"'": "the tests themselves",
    "python -m tests.bench.units": "measures for minutes",
    "python -m tests.exhaustive.cron": "walks for twenty minutes; a sample is tests/exhaustive/test_cron.py",
    "python -m tests.hostile.fuzz": "goes on until it is stopped",
    "chmod 600": "the system's, and half a command",
    "ulimit -Hn": "the system's",
}
"""What no test can run, and why."""

PAGE = Taken([*PAGES, ROOT / "tests/README.md"])
TWO, WALK = PAGE.block("Two commands"), PAGE.block("A walk through it")
JOBS, ANY = PAGE.block("Jobs"), PAGE.block("A command in one place at a time")
STATUS, DOCTOR = PAGE.one("leader-async status"), PAGE.one("leader-async doctor")
WHY = PAGE.block("Why did leadership move?")
ASKING = PAGE.block("Who leads, and why")
SIZING = PAGE.block("Sizing")
SYSTEMD = PAGE.block("systemd")
POLL = PAGE.block("From a service that is polled")
LEADER_STATUS = PAGE.one("curl localhost:5001/leader/status")
LISTING, JAVA = PAGE.one("zkCli.sh ls"), PAGE.one("leader-async run --election reports -- java")
ZOOKEEPER, GUARD = PAGE.one("leader-async zookeeper"), PAGE.one("leader-async guard")
NOW, RESET = PAGE.one("leader-async jobs NAME --now"), PAGE.one("leader-async jobs NAME --reset")
WATCH = PAGE.one("leader-async watch")
FIRST = PAGE.one("leader-async status --url http://replica-1:8080")
RUNBOOK = [PAGE.one("leader-async why --zookeeper"), PAGE.one("leader-async doctor --zookeeper …")]
RESIGN, SECURE = PAGE.one("leader-async resign"), PAGE.one("curl --cacert")
SIMULATE = [PAGE.one("make simulate SEEDS="), PAGE.one("python -m tests.simulation.jobs")]


# -- every command -----------------------------------------------------------------------------------------------------


def test_every_command_is_run_or_it_is_said_why_not() -> None:
    listed = {*ELSEWHERE, *NOT_RUN}
    assert {one for one in PAGE.left if not begins(one, listed)} == set()
    assert listed - {one.text for one in PAGE.all} == set(), "no page has these any more"
    assert set(ELSEWHERE) & set(NOT_RUN) == set()


@pytest.mark.parametrize("place", sorted({*ELSEWHERE.values()}))
def test_what_runs_them_elsewhere_is_there(place: str) -> None:
    path, _, test = place.partition("::")
    text = (ROOT / path).read_text()
    if test:
        assert re.search(rf"^(async )?def {test}\(", text, re.MULTILINE)
    else:
        assert {command for command in ELSEWHERE if ELSEWHERE[command] == place} <= set(text.splitlines())


def takes(command: str) -> None:
    """See that this program of the tests is there, and has these flags."""
    _, _, module, *arguments = shlex.split(command)
    path = ROOT / module.replace(".", "/")
    text = (path / "__main__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
    assert all(f'"{flag}"' in text for flag in arguments if flag.startswith("-")), command


@pytest.mark.parametrize("command", sorted({one.text for one in PAGE.all if one.text.startswith("python -m tests.")}))
def test_a_program_of_the_tests_is_there_and_takes_these_flags(command: str) -> None:
    takes(command)


@pytest.mark.parametrize("command", sorted({one.text for one in PAGE.all if re.match(r"make \S+ [A-Z]+=", one.text)}))
def test_make_passes_on_what_it_is_given(command: str) -> None:
    need(None if shutil.which("make") else "no make here", "tests of the Makefile", "install make")

    def would_run(*words: str) -> str:
        dry = ["make", "--no-print-directory", "--dry-run", *INSTALLED, *words]
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        return subprocess.run(dry, cwd=ROOT, env=plain, capture_output=True, text=True, check=True).stdout

    _, target, *given = shlex.split(command.removesuffix(" …"))
    told = would_run(target, *given)
    assert told != would_run(target)
    if "python -m tests." in told:
        takes(told)


TWO_JOBS = """
import asyncio
import os

import leader_async
from aiohttp import web
from leader_async.web import create_app

async def main():
    async with leader_async.connect("127.0.0.1:2181") as zk:
        election = zk.election("reports", identity="replica-3")
        jobs = leader_async.Schedule(election)
        night, polled = asyncio.Event(), []

        @jobs.cron("0 3 * * *", tz="Europe/Berlin")
        async def nightly(run):
            night.set()

        @jobs.every(seconds=5)
        async def poll(run):
            await night.wait()
            polled.append(run)
            if len(polled) > 1:
                asyncio.get_running_loop().call_soon(over.set)
                raise ConnectionError("db is away")

        over = asyncio.Event()
        token = os.environ["LEADER_ASYNC_RESIGN_TOKEN"]
        runner = web.AppRunner(create_app(election, zk, resign_token=token, schedule=jobs))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 8000).start()
        running = asyncio.create_task(jobs.run())
        await election.wait_for_leader()
        print("it leads", flush=True)
        await over.wait()
        while (await jobs.jobs())[1].past[-1].outcome != "failed":
            pass
        running.cancel()
        await asyncio.wait([running])
        await runner.cleanup()

asyncio.run(main())
"""
"""The two jobs of the page Jobs: one has run since somebody asked for it, the other has done its work, and failed."""


# -- typed -------------------------------------------------------------------------------------------------------------

OPEN = {"warn  encryption", "warn  access to the root", "warn  access to the election"}
"""What `doctor` has against a ZooKeeper without credentials and TLS."""
LATE = re.compile(r", \d+ ms after the last True of the old one")
"""What a takeover's line ends with if the old leader answered once more after the signal."""


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[World]:
    need(world.problem(), "the commands of the pages", "run as root with make, curl, iproute2 and util-linux installed")
    with World(tmp_path) as one:
        yield one


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world with the embedded ZooKeeper, in which a program with two jobs has begun."""
    need(world.problem(), "the commands of the pages", "run as root with make, curl, iproute2 and util-linux installed")
    with World(tmp_path_factory.mktemp("world"), {"LEADER_ASYNC_RESIGN_TOKEN": TOKEN}) as one:
        one.start(ZOOKEEPER, "zookeeper")
        (one.folder / "jobs.py").write_text(TWO_JOBS)
        one.start("python jobs.py", "jobs", one.folder)
        eventually(lambda: "it leads" in one.log("jobs"), 15, "its jobs have begun")
        told = one.run(NOW.replace("NAME", "nightly").replace("URL", "http://127.0.0.1:8000"))
        assert told == "nightly runs now at replica-3\n"
        yield one


def check(command: Command, printed: str) -> None:
    assert not command.shown or command.printed(LATE.sub("", printed)), f"{command}\n{printed}"


def names_a_replica(answer: Callable[[], str]) -> bool:
    return re.search(r"\breplica-\d", answer()) is not None


def prints(world: World, command: Command) -> bool:
    """Whether this command prints what is shown, by now."""
    return command.printed(world.run(command.text))


def test_a_walk_with_make(fresh: World) -> None:
    missing = [name for name in ("nginx", "zkCli.sh") if shutil.which(name, path=world.PATH) is None]
    need(f"no {missing[0]} here" if missing else None, "a walk with make", "install Debian's nginx and zookeeper")
    assert TWO[0].text == WALK[0].text
    check(WALK[0], fresh.run(WALK[0].text))
    check(TWO[1], fresh.run(TWO[1].text))
    assert json.loads(fresh.run(LEADER_STATUS))["is_leader"] is True
    assert fresh.run(LISTING.replace("PATH", "/ELECTION")).endswith("\n[leader]\n")
    for command in WALK[1:-1]:
        check(command, fresh.run(command.text))
    for one in ASKING:  # what has just happened need not be written down yet
        answered = partial(fresh.run, f"{one.text} || true")
        eventually(partial(names_a_replica, answered), 15, one.text)
    # Against a cluster that was started as the page says there is this, and nothing else.
    found = fresh.run(DOCTOR).splitlines()
    assert {line.partition(":")[0] for line in found if not line.startswith("ok ")} == OPEN
    check(WALK[-1], fresh.run(WALK[-1].text))


def test_who_is_polled_dies_and_why_is_told(here: World) -> None:
    """One replica as MIGRATING starts it, one as the image does."""
    serve, poll = POLL
    first = here.start(serve.text, "first")
    leads = "curl -fs localhost:5001/leader/status || true"
    eventually(lambda: '"guardian": "running"' in here.run(leads), 15, "it leads, and would be missed at once")
    assert here.run(poll.text) == poll.shown.rstrip()

    image = (ROOT / "deploy/Dockerfile").read_text()
    (entry,) = examples(section("The guardian"), "dockerfile")
    assert entry in image
    guard = shlex.join(word for words in re.findall(r" (\[.*\])", entry) for word in json.loads(words))
    assert guard.startswith(GUARD)
    here.start(guard, "second", LEADER_ASYNC_IDENTITY="replica-1", LEADER_ASYNC_PORT="8081")
    here.start(WATCH, "watch")
    eventually(lambda: "replica-1" in here.run("leader-async candidates"), 15, "there are two")
    first.kill()
    eventually(lambda: WHY[1].printed(here.run(WHY[1].text)), 15, "both terms are written down")
    check(WHY[0], here.run(WHY[0].text))

    assert re.fullmatch(r"replica-1 leads leader, term 2, token \d+; 1 in the queue\n", here.run(STATUS))
    assert here.run(FIRST.replace("replica-1:8080", "127.0.0.1:8081")) == "replica-1 leads leader\n"
    assert here.run(RUNBOOK[0].replace("…", "127.0.0.1:2181")) == here.run(WHY[0].text)
    for doctor in (DOCTOR, RUNBOOK[1].replace("…", "127.0.0.1:2181")):
        told = here.run(doctor)
        assert {line.split()[0] for line in told.splitlines()} == {"ok", "warn"}
        assert "replica-1 leads, term 2" in told
    check(SIZING[0], here.run(SIZING[0].text))
    eventually(lambda: "replica-1 leads" in here.log("watch"), 15, "watch says so")
    assert here.run(RESIGN.replace("URL", "http://127.0.0.1:8081")) == "replica-1 has resigned from term 2\n"


def test_a_command_runs_in_one_place(here: World, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "deploy/examples", tmp_path / "deploy/examples")  # beat writes a file there
    enter, run = ANY
    where = tmp_path / enter.text.removeprefix("cd ")
    beat = here.start(run.text, "beat", where, LEADER_ASYNC_IDENTITY="replica-1")
    eventually(lambda: "celery beat v" in here.log("beat"), 15, "celery's beat has begun")
    beat.send_signal(signal.SIGTERM)
    beat.wait(15)
    check(run, here.log("beat"))
    assert "stopped" in here.log("beat")


def test_a_service_in_java_runs_in_one_place(here: World, tmp_path: Path) -> None:
    found = DEBIAN_JARS[0].exists()
    need(None if found else "no ZooKeeper here", "a program in Java", "install Debian's package zookeeper")
    with zipfile.ZipFile(tmp_path / "reports.jar", "w") as jar:  # a program in Java that is there: it tells its version
        main = "Main-Class: org.apache.zookeeper.version.VersionInfoMain"
        jar.writestr("META-INF/MANIFEST.MF", f"{main}\nClass-Path: file:{DEBIAN_JARS[0]}\n")
    assert "Apache ZooKeeper, version" in here.run(f"LEADER_ASYNC_ROOT=/java {JAVA}", tmp_path)


def test_a_replica_with_a_certificate(here: World, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("replica", "replica-3")
    here.start(
        "leader-async serve", "secure", tmp_path, LEADER_ASYNC_ELECTION="secure", LEADER_ASYNC_TLS_CERT=str(files.both)
    )
    eventually(lambda: '"is_leader": true' in here.run(f"{SECURE} || true", tmp_path), 15, "it answers that it leads")


def test_units_are_installed(here: World) -> None:
    for command in SYSTEMD:
        if command.text not in {*ELSEWHERE, *NOT_RUN}:
            here.run(command.text.replace(" --now", ""))  # nothing can be started: no systemd has booted this world
    told = here.run("ls /etc/systemd/system /etc/systemd/system/multi-user.target.wants")
    assert {"leader-async.service", "leader-async-run@.service"} <= {*told.split()}
    assert told.count("leader-async.service") == 2, "it is there, and enabled"


@pytest.mark.parametrize("command", SIMULATE)
def test_simulations(here: World, command: str) -> None:
    assert re.search(r"\b4 runs", here.run(re.sub(r"\d+$", "4", command)))


def test_a_job_is_reset(here: World) -> None:
    told = here.run(RESET.replace("NAME", "poll") + " --election reports")
    assert told.startswith("poll  (every 5 s)  ")


def test_jobs_are_shown(here: World) -> None:
    """The last one: the jobs have gone on beside the tests above."""
    for command in JOBS:
        eventually(partial(prints, here, command), 20, f"{command}")
