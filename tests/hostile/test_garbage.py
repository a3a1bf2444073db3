"""Every kind of znode, with every kind of garbage in it: only what it is about stops, everybody else goes on.

The parts are real and run together: three replicas of an election with jobs, partitions, the status service and a
listener to its events, and a second election that nobody touches. Each test spoils one kind of znode, in all ways.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from leader_async import Connection, Election, JobRun, Partitions, Schedule, connect, partitions
from leader_async.election import repair
from leader_async.election.rules import history, record
from leader_async.election.rules.candidate_data import CandidateData
from leader_async.election.rules.ends import WORK_DONE
from leader_async.sharding.member_data import MemberData
from leader_async.testing import ZooKeeper
from leader_async.zookeeper import messages as m

from ..support.garbage import GARBAGE, spoilt
from ..support.waiting import until
from ..unit.cli.test_main import environment
from ..unit.web.test_events import Listener, Replica

pytestmark = pytest.mark.timeout(120)
ELECTION, MEMBERS = "/ELECTION/x", "/ELECTION/parts/members"
PAGES = (
    "/status",
    "/candidates",
    "/history",
    "/jobs",
    "/jobs/good",
    "/jobs/bad",
    "/leader",
    "/readyz",
    "/openapi.json",
)


def all_ways(said: dict[str, Any]) -> list[bytes]:
    """All kinds of garbage, and every seventh way in which a field of what should be there can be spoilt.

    The readers' own tests, `tests/unit/test_stored.py`, have each of these.
    """
    return [*GARBAGE.values(), *list(spoilt(said))[::7]]


def refuse_constant(name: str) -> object:
    raise AssertionError(f"{name} in JSON")


async def idle(*_: object) -> None:
    await asyncio.get_running_loop().create_future()


class Place:
    """See the module's docstring."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[Any]] = []
        self.elections: list[Election] = []
        self.parts: list[Partitions] = []
        self.runs = {"good": 0, "bad": 0}

    @asynccontextmanager
    async def standing(self, lease: float) -> AsyncIterator[Place]:
        async with AsyncExitStack() as stack:
            zookeeper = stack.enter_context(ZooKeeper(tick=0.5))
            self.address = zookeeper.address
            zks = [await stack.enter_async_context(connect(self.address, timeout=6.0)) for _ in range(4)]
            self.stranger = zks.pop()
            for name, zk in zip("abc", zks, strict=True):
                await self._replica(name, zk, lease)
            self.untouched = zks[0].election("y", identity="a", lease=30.0)
            self.tasks.append(asyncio.create_task(self.untouched.run(idle)))
            await until(lambda: self.untouched.is_leader and all(self.runs.values()), 30.0)
            await until(lambda: all(len(parts.held) == 2 for parts in self.parts))
            await until(lambda: all(one.status().in_queue for one in self.elections))
            self.web = await stack.enter_async_context(Replica(zks[1], self.elections[1]).serving())
            self.events = await stack.enter_async_context(self.web.stream())
            self.term = self.untouched.status().term
            try:
                yield self
            finally:
                for task in self.tasks:
                    task.cancel()
                await asyncio.wait(self.tasks)

    async def _replica(self, name: str, zk: Connection, lease: float) -> None:
        election, parts = zk.election("x", identity=name, lease=lease), partitions(zk, "parts", count=6, identity=name)
        jobs = Schedule(election)

        async def good(run: JobRun) -> None:
            self.runs["good"] += 1

        async def bad(run: JobRun) -> None:
            self.runs["bad"] += 1

        for work in (good, bad):
            jobs.every(0.1)(work)
        self.tasks += [asyncio.create_task(jobs.run()), asyncio.create_task(parts.run(idle))]
        self.elections.append(election)
        self.parts.append(parts)
        await until(lambda: election.status().in_queue)

    def held(self) -> set[int]:
        held = [place for parts in self.parts for place in parts.held]
        assert len(held) == len(set(held))
        return set(held)

    def leader(self) -> Election | None:
        leading = [one for one in self.elections if one.is_leader]
        assert len(leading) < 2
        return leading[0] if leading else None

    # -- what a stranger does ------------------------------------------------------------------------------------------

    async def write(self, path: str, data: bytes) -> None:
        await self.stranger.client.request(m.SetData(path, data, m.ANY_VERSION))

    async def children(self, path: str) -> list[str]:
        children = await self.stranger.client.request(m.GetChildren(path))
        assert isinstance(children, m.Children)
        return sorted(children.names, key=lambda name: name[-10:])

    # -- what must be so all the same ----------------------------------------------------------------------------------

    async def stands(self, *refused: str) -> None:
        """Nobody's process has ended, everybody is answered in JSON, the stream goes on, and y is led as before."""
        assert not any(task.done() for task in self.tasks)
        assert (self.untouched.is_leader, self.untouched.status().term) == (True, self.term)
        for page in PAGES:
            async with self.web.http.get(f"http://127.0.0.1:{self.web.port}{page}") as answer:
                json.loads(await answer.text(), parse_constant=refuse_constant)
                assert answer.status == 200 or page == "/leader" or page in refused, page
        async with self.web.http.get(f"http://127.0.0.1:{self.web.port}/metrics") as answer:
            assert answer.status == 200
        assert not self.events.answer.content.at_eof()

    async def works(self, *, partitions: bool = True) -> None:
        """Somebody leads, the good job runs, partitions are held."""
        before = self.runs["good"]
        await until(lambda: self.leader() is not None and self.runs["good"] > before)
        if partitions:
            await until(lambda: len(self.held()) == 6)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place().standing(lease=3.0) as place:
        yield place


async def told(listener: Listener, name: str, wanted: Callable[[Any], Any]) -> Any:
    return await listener.until(name, wanted)


async def test_the_record(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "leader_async")
    held = json.loads(
        record.encode(record.Record(4, "a-n_1", record.LeadState.HELD, 3.0, "me", "", ("b-n_2",), WORK_DONE, 7))
    )
    async with Place().standing(lease=0.4) as place:
        for ways in ([GARBAGE["deep"]], [json.dumps({**held, "lease": 1e308}).encode()] * 2, all_ways(held)):
            await place.works()
            caplog.clear()
            for data in ways:
                await place.write(ELECTION, data)
                await place.stands()
            await place.write(ELECTION, GARBAGE["deep"])
            await until(lambda: any(one.status().state == "blocked" for one in place.elections))
            assert place.leader() is None
            problem = (await told(place.events, "queue", lambda queue: queue["problem"]))["problem"]
            assert problem.startswith(f"{ELECTION} is not an election's record: ")
            await place.stands()
            assert len(place.held()) == 6
            lines = [line for line in caplog.records if getattr(line, "event", "") == "record_unreadable"]
            assert len(lines) <= 3 or len(ways) > 2, "each replica says it once"
            todo = await repair.plan(place.stranger.client, ELECTION, 0.4)
            assert await repair.carry_out(place.stranger.client, todo)
        await place.works()
        assert all(not one.status().problem for one in place.elections if one.is_leader)


async def spoil(place: Place, path: str, said: dict[str, Any], *, partitions: bool = True) -> None:
    """Spoil this znode in all ways; the leader stays who it is."""
    leader = place.leader()
    assert leader is not None
    term = leader.status().term
    for data in all_ways(said):
        await place.write(path, data)
        await place.stands()
    await place.works(partitions=partitions)
    assert (leader.is_leader, leader.status().term) == (True, term)


@pytest.mark.parametrize("whose", [0, 1, 2])
async def test_a_candidate_s_data(place: Place, whose: int) -> None:
    znode = [name for name in await place.children(ELECTION) if "-n_" in name][whose]
    said = json.loads(CandidateData("a", "", 1.5, 2, 4, 9, 3.0, "b-n_2", by_name=True, appointed="").encode())
    await spoil(place, f"{ELECTION}/{znode}", said)
    queue = await place.elections[0].candidates()
    assert [one.znode for one in queue if one.identity == one.znode] in ([znode], [])
    # Who stands behind it takes over all the same.
    leader = place.leader()
    assert leader is not None
    await leader.resign()
    await until(lambda: place.leader() not in (None, leader))
    await place.works()


async def test_a_stranger_in_the_queue(place: Place) -> None:
    made = []
    for data in all_ways({"identity": "s"}):
        created = await place.stranger.client.request(
            m.Create(f"{ELECTION}/s-n_", data, ephemeral=True, sequential=True)
        )
        assert isinstance(created, m.Created)
        made.append(created.path)
    for name in ("x-n_99999999999999999999999", "-n_0000000001", "jobs-n_x", "\u2028\u202e-n_0000000009", "~" * 5_000):
        await place.stranger.client.request(m.Create(f"{ELECTION}/{name}", b"[" * 9_999, ephemeral=True))
    await place.stands()
    leader = place.leader()
    assert leader is not None
    queue = await leader.candidates()
    assert len([one for one in queue if one.identity == one.znode]) >= len(made) - 3
    await leader.resign()
    await until(lambda: place.leader() not in (None, leader))
    for path in made:
        await place.stranger.client.request(m.Delete(path))
    await place.works()


async def test_a_queue_whose_list_is_longer_than_1_mib(place: Place) -> None:
    names = [f"{ELECTION}/{number}{'x' * 5_000}" for number in range(220)]
    await asyncio.gather(*(place.stranger.client.request(m.Create(name)) for name in names))
    await place.stands()
    leader = place.leader()
    assert leader is not None
    await leader.resign()
    await until(lambda: place.leader() not in (None, leader))
    await until(lambda: leader.status().state == "queued")
    await place.works()


async def test_the_history(place: Place) -> None:
    path = f"{ELECTION}/{history.NAME}"
    leader = place.leader()
    assert leader is not None
    await leader.resign()
    await until(lambda: place.leader() not in (None, leader))
    if history.NAME not in await place.children(ELECTION):
        await place.stranger.client.request(m.Create(path))
    row = {"term": 3, "token": 9, "identity": "me", "began": 1.5, "ended": 2.5, "why": "left", "told_by": "holder"}
    await spoil(place, path, row)
    for data in all_ways(row):
        await place.write(path, b"[" + data + b"]")
        await place.stands()
    for _ in range(3):
        leader = place.leader()
        assert leader is not None
        await leader.resign()
        await until(lambda was=leader: place.leader() not in (None, was))  # type: ignore[misc]
    assert (await place.elections[0].history())[-1].identity
    await place.works()


async def test_a_ledger(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    path = f"{ELECTION}/jobs/bad"
    attempt = {"slot": 1, "attempt": 1, "token": 5, "identity": "me", "began": 2, "manual": False}
    past = [{**attempt, "ended": 3, "outcome": "failed", "error": "x"}]
    said = {"spec": "every 0.1 s", "slot": 1, "open": {**attempt, "again_at": 7}, "past": past}
    await spoil(place, path, said)
    await place.write(path, b"[" * 9_999)
    shown = await told(place.events, "jobs", lambda told: any(job["problem"] for job in told["jobs"]))
    assert {job["name"]: bool(job["problem"]) for job in shown["jobs"]} == {"bad": True, "good": False}
    await until(lambda: "bad cannot be run" in caplog.text)
    await place.works()
    before, lines = place.runs["bad"], caplog.text.count("bad cannot be run")
    await place.works()
    assert (place.runs["bad"], caplog.text.count("bad cannot be run")) == (before, lines)
    reset = await Schedule(place.stranger.election("x", identity="s")).reset("bad")
    assert reset is not None
    await until(lambda: place.runs["bad"] > before)  # it begins anew
    shown = await told(place.events, "jobs", lambda told: not any(job["problem"] for job in told["jobs"]))
    assert {job["trigger"] for job in shown["jobs"]} <= {"every 0.1 s", "unknown"}


async def test_the_assignment(place: Place) -> None:
    shares = [parts.held for parts in place.parts]
    await spoil(place, MEMBERS, {"members": ["a", "b"], "owners": [0, 1, 1, 0, 0, 1]})
    await place.write(MEMBERS, b"[" * 9_999)
    await place.works()
    assert [len(parts.held) for parts in place.parts] == [len(share) for share in shares]


@pytest.mark.parametrize("whose", [0, 2])
async def test_a_member_s_card(place: Place, whose: int) -> None:
    znode = (await place.children(MEMBERS))[whose]
    shares = [parts.held for parts in place.parts]
    await spoil(place, f"{MEMBERS}/{znode}", json.loads(MemberData("a", "", frozenset({1, 2})).encode()))
    assert [parts.held for parts in place.parts] == shares
    assert len(await place.parts[1].members()) == 3
    # What it announces counts again as soon as there is something new to announce.
    going = place.tasks[3]
    going.cancel()
    await asyncio.wait([going])
    await until(lambda: [len(parts.held) for parts in place.parts] == [3, 0, 3])


async def test_a_stranger_among_the_members_gets_a_share_and_goes(place: Place) -> None:
    created = await place.stranger.client.request(
        m.Create(f"{MEMBERS}/s-n_", b'{"announced":"' + b"f" * 300_000 + b'"}', ephemeral=True, sequential=True)
    )
    assert isinstance(created, m.Created)
    await until(lambda: all(parts.status().members == 4 for parts in place.parts))
    await place.stands()
    await place.works()  # nobody hands over to who announces nothing
    await place.stranger.client.request(m.Delete(created.path))
    await until(lambda: all(len(parts.held) == 2 for parts in place.parts))


async def test_the_record_of_a_share(place: Place) -> None:
    path = "/ELECTION/parts/parts-0003"
    said = json.loads(record.encode(record.Record(4, "a-n_1", record.LeadState.HELD, 3.0)))
    for data in all_ways(said):
        await place.write(path, data)
        await place.stands()
    await until(lambda: place.held() == {0, 1, 2, 4, 5})
    assert await repair.carry_out(place.stranger.client, await repair.plan(place.stranger.client, path, 3.0))
    await until(lambda: len(place.held()) == 6)
    await place.works()


# -- processes ---------------------------------------------------------------------------------------------------------


async def run(*arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "leader_async", *arguments, env=environment(),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(40):
        out, _ = await process.communicate()
    return process.returncode, out.decode()


async def test_serve_and_the_commands(place: Place) -> None:
    serve = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "leader_async", "serve", "--zookeeper", place.address, "--election", "x", "--identity",
        "process", "--port", "0", "--address", "http://p", env=environment(),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    deep = GARBAGE["deep"]

    async def everything() -> None:
        for name in await place.children(ELECTION):
            if "-n_" in name:
                await place.write(f"{ELECTION}/{name}", deep)
        for path in (f"{ELECTION}/jobs/bad", MEMBERS, f"{ELECTION}/{history.NAME}"):
            await place.write(path, deep)

    there = ("--zookeeper", place.address, "--election", "x")
    await until(lambda: place.elections[0].candidacy.story.queue_length is not None)
    while len(await place.elections[0].candidates()) < 4:
        await asyncio.sleep(0.01)
    if history.NAME not in await place.children(ELECTION):
        await place.stranger.client.request(m.Create(f"{ELECTION}/{history.NAME}"))
    await everything()
    await place.stands()
    names = ("status", "candidates", "history", "why", "jobs", "doctor")
    answers = dict(zip(names, await asyncio.gather(*(run(name, *there) for name in names)), strict=True))
    assert {name: code for name, (code, _) in answers.items() if name not in ("doctor", "why")} == {
        "status": 0, "candidates": 0, "history": 0, "jobs": 0,
    }  # fmt: skip
    assert answers["doctor"][0] in (0, 1), "delays are this machine's"
    assert answers["why"][0] in (0, 1), "what was written down is gone"
    assert not any("Traceback" in text for _, text in answers.values())
    assert "bad  cannot be read: /ELECTION/x/jobs/bad is not a job's ledger: " in answers["jobs"][1]
    await place.write(ELECTION, deep)
    await until(lambda: all(one.status().state in ("blocked", "queued") for one in place.elections))
    told = await asyncio.gather(*(run(name, *there) for name in ("status", "doctor")))
    assert [(code, "leader-async doctor --repair" in text) for code, text in told] == [(1, True), (1, True)]
    assert serve.returncode is None
    serve.send_signal(signal.SIGTERM)
    async with asyncio.timeout(30):
        _, log = await serve.communicate()
    assert serve.returncode == 0
    assert "Traceback" not in log.decode()
    code, text = await run("doctor", *there, "--repair", "--yes", "--lease", "3")
    assert (code, "is put right; somebody leads in about 3.3 s" in text) == (0, True)
    await place.works()
