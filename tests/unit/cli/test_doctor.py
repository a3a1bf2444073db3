"""`leader-async doctor`: what it makes of what it finds, and itself as a process."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from leader_async import Candidate, connect
from leader_async.cli import checks
from leader_async.cli.checks import FAIL, OK, WARN, Finding
from leader_async.cli.doctor import _listing
from leader_async.election.rules import record as r
from leader_async.election.rules.ends import PUT_RIGHT
from leader_async.testing import ZooKeeper, zookeeper
from leader_async.zookeeper import messages as m
from leader_async.zookeeper.messages import OPEN, Access

from ...support.waiting import until
from .test_asking import command, idle

__all__ = ["zookeeper"]
pytestmark = pytest.mark.timeout(60)


def levels(findings: list[Finding]) -> list[str]:
    return [finding.level for finding in findings]


def candidate(znode: str, identity: str, *, ghost: bool = False) -> Candidate:
    return Candidate(identity, "", znode, 0.0, 0, is_leader=False, term=None, token=None, ghost=ghost)


def test_the_session_timeout_and_the_lease() -> None:
    assert levels(checks.session(6.0, 6.0, 3.0)) == [OK, OK]
    assert levels(checks.session(6.0, 4.0, 5.0)) == [WARN, WARN]


def test_a_server_s_settings() -> None:
    def about(answer: str | None) -> tuple[str, str]:
        (found,) = checks.server("zk:2181", answer, 6.0)
        return found.level, found.text

    assert about("clientPort=2181\ntickTime=500\nsyncLimit=10\n")[0] == OK
    assert about("tickTime=500\n")[0] == OK, "alone"
    assert about("tickTime=2000\nsyncLimit=5\n")[0] == WARN
    assert about("tickTime=1000\nsyncLimit=20\n")[0] == WARN
    for unknown in ("clientPort=2181\n", "tickTime=soon\n"):
        level, text = about(unknown)
        assert (level, text) == (WARN, "its conf is not understood: look at tickTime and syncLimit yourself")


def test_a_server_that_does_not_tell_its_settings() -> None:
    refused = "conf is not executed because it is not in the whitelist.\n"
    for answer, text in (
        (refused, "tickTime and syncLimit were not checked, it does not allow conf: add conf to its "),
        ("", "tickTime and syncLimit were not checked, it answers nothing to conf: add conf to its "),
        (None, "does not answer: start it, "),
    ):
        (found,) = checks.server("zk:2181", answer, 6.0)
        assert found.level == WARN
        assert found.text.startswith(text)


def test_encryption_and_access_lists() -> None:
    assert checks.encryption("TLSv1.3").level == OK
    assert checks.encryption(None).level == WARN
    own = (Access(31, "digest", "app:hash"),)
    readable = (*own, Access(1, "world", "anyone"))
    for entries in (own, readable):
        assert checks.access("x", "/a", entries, secured=True).level == OK
    assert checks.access("x", "/a", OPEN, secured=False).level == WARN
    assert checks.access("x", "/a", OPEN, secured=True, above=True).level == WARN
    joining = checks.access("x", "/a", (*own, Access(4, "world", "anyone")), secured=True)
    assert joining.level == FAIL
    assert "everybody may create below /a" in joining.text


def test_ghosts_in_the_queue() -> None:
    a, b = candidate("u-n_1", "a"), candidate("v-n_2", "b")
    held, none = r.Record(1, "u-n_1", r.LeadState.HELD, 86400.0, "a"), r.Record()
    assert levels(checks.queue([a, b], held)) == [OK]
    (found,) = checks.queue([b], held)
    lease = "the first in the queue waits out a lease of 86400 s"
    assert (found.level, found.text) == (WARN, f"the record is held by u-n_1, which is gone: {lease}")
    (found,) = checks.queue([b], replace(held, identity=r.NOBODY, end=PUT_RIGHT))
    assert found.text.startswith(f"the record was put right: {lease}; if no replica was given one that long, ")
    assert levels(checks.queue([], held)) == [FAIL], "and nobody is there to wait"
    (found,) = checks.queue([a, candidate("w-n_3", "c", ghost=True)], none)
    assert (found.level, found.text[-24:]) == (FAIL, "leader-async evict w-n_3")
    assert levels(checks.queue([a, candidate("v-n_2", "a")], none)) == [WARN], "two of one name"


def test_what_stands_below_an_election() -> None:
    places = [f"{'a' * 32}-n_{number:010}" for number in range(3)]
    assert checks.listing("/e", 5, [*places, "history", "jobs", "members", "notice:a"]) == []
    (strange,) = checks.listing("/e", 4, [*places, "x" * 99])
    assert strange.level == WARN
    assert strange.text.startswith(f"1 znodes below /e are nobody's place in the queue, as '{'x' * 60}': delete ")
    (long,) = checks.listing("/e", 30_000, places * 10_000)
    assert (long.level, long.text[:52]) == (WARN, "the list of the 30000 znodes below /e has 1.4 MiB: e")
    (endless,) = checks.listing("/e", 300_000, None)
    assert (endless.level, "300000 znodes below it" in endless.text, "16 MiB" in endless.text) == (FAIL, True, True)


async def test_a_list_that_is_too_long_is_told_of(zookeeper: ZooKeeper) -> None:
    zk = connect(zookeeper.address)
    zk.client._session._frame_limit = 2000
    async with zk:
        await zk.wait_connected()
        for path in ("/e", *(f"/e/{'x' * 500}{number}" for number in range(4))):
            await zk.client.request(m.Create(path))
        assert levels(await _listing(zk, "/e", 4)) == [FAIL]
        assert zk.client.connected


def test_delays() -> None:
    assert checks.times("x", [0.001] * 99 + [0.5], 0.6, "do").level == OK
    assert checks.times("x", [0.001] * 90 + [0.5] * 10, 0.6, "do").level == WARN
    finding = checks.times("x", [0.7] * 100, 0.6, "do something")
    assert (finding.level, finding.text) == (FAIL, "700.0 ms median, 700.0 ms p99 of 100, of 600 ms: do something")


async def test_a_deployment_is_looked_at(zookeeper: ZooKeeper) -> None:
    there = ("doctor", "--zookeeper", zookeeper.address, "--session-timeout", "1", "--json")
    code, out, err = await command(*there)
    assert (code, err) == (0, ""), "no election yet is a warning"
    assert "there is no election" in out
    async with connect(zookeeper.address) as zk:
        election = zk.election("leader", identity="a", lease=0.5)
        running = asyncio.create_task(election.run(idle))
        await until(lambda: election.is_leader)
        code, out, _ = await command(*there)
        found = {each["about"]: each for each in json.loads(out)}
        assert code in (0, 1), "delays are this machine's"
        assert found["leader"]["text"].startswith("a leads, term 1, since ")
        assert found["session timeout"]["level"] == found["queue"]["level"] == "ok"
        assert found["lease"]["level"] == "warn", "three seconds are more than the session timeout"
        assert {"event loop lag", "round trip", "confirm (quorum write)", "clock", "ZooKeeper"} <= found.keys()
        running.cancel()
        await asyncio.wait([running])
    code, out, _ = await command(*there[:-1])
    assert code == 1
    assert "fail  leader: nobody leads, and nobody stands in the queue: start a replica" in out


async def test_delays_are_measured_where_the_root_may_not_be_read(zookeeper: ZooKeeper) -> None:
    """ZooKeeper 3.9 refuses even `exists` there; 3.8 answers it."""
    async with connect(zookeeper.address) as zk:
        await zk.wait_connected()
        await zk.client.request(m.Create("/app"))
        await zk.client.request(m.SetAccess("/", (Access(int(m.Permission.CREATE), "world", "anyone"),)))
    where = ("--zookeeper", zookeeper.address, "--root", "/app/leaders", "--session-timeout", "1")
    code, out, err = await command("doctor", *where, "--json")
    assert code in (0, 1), err
    assert "round trip" in {each["about"] for each in json.loads(out)}


async def test_a_record_that_cannot_be_read_is_told_of_and_put_right(zookeeper: ZooKeeper) -> None:
    there = ("--zookeeper", zookeeper.address, "--session-timeout", "1")
    async with connect(zookeeper.address) as one, connect(zookeeper.address) as zk:
        election = one.election("leader", identity="a", lease=0.5)
        running = asyncio.create_task(election.run(idle))
        await until(lambda: election.is_leader)
        await zk.wait_connected()
        code, _, err = await command("doctor", *there, "--repair", "--yes")
        assert code == 1
        assert "held, term 1; there is nothing to put right" in err
        await zk.client.request(m.SetData("/ELECTION/leader", b"[" * 99_999, -1))
        await until(lambda: election.status().state == "blocked")
        words = "is not an election's record: it is not JSON that this library writes (version 3); nobody leads until "
        words += "`leader-async doctor --repair` has put it right"
        asked = ("status", "candidates", "history", "why")
        answers = await asyncio.gather(command("doctor", *there), *(command(name, *there) for name in asked))
        assert [code for code, _, _ in answers] == [1, 1, 0, 0, 0]
        assert all(words in out + err for _, out, err in answers)
        assert "fail  record: /ELECTION/leader" in answers[0][1]
        assert answers[1][1].startswith("nobody leads leader; 1 in the queue; ")
        assert "  1  a" in answers[2][1]
        code, _, err = await command("doctor", *there, "--repair", "--lease", "0.1")
        assert (code, "Write it? [y/N]" in err) == (1, True), "nobody has said yes"
        assert election.status().state == "blocked"
        code, out, err = await command("doctor", *there, "--repair", "--lease", "0.2", "--yes", "--json")
        assert code == 0
        told = json.loads(out)
        assert (told["term"], told["version"], told["lease"], told["waits"]) == (2, 3, 0.2, 0.22)
        assert (told["why"], told["identity"]) == ("the record could not be read, and was put right", "nobody")
        fields = {"term", "holder", "state", "lease", "identity", "address", "behind", "why", "token", "past"}
        assert {*told} == fields | {"path", "version", "waits"}
        assert "a lease of 0.2 s, the longest that is known" in err
        await until(lambda: election.is_leader)
        assert election.status().problem == ""
        running.cancel()
        await asyncio.wait([running])


async def test_a_lease_that_a_stranger_s_record_names_need_not_be_waited_out(zookeeper: ZooKeeper) -> None:
    there = ("--zookeeper", zookeeper.address, "--session-timeout", "1")
    async with connect(zookeeper.address) as zk:
        await zk.wait_connected()
        for path in ("/ELECTION", "/ELECTION/leader"):
            await zk.client.request(m.Create(path))
        await zk.client.request(m.SetData("/ELECTION/leader", b'{"lease":86400}', -1))
        code, out, err = await command("doctor", *there, "--repair", "--yes")
        assert (code, "somebody leads in about 95040 s" in out) == (0, True)
        assert "the spoilt record says so; give --lease if no replica was given that" in err
        election = zk.election("leader", identity="a", lease=0.5)
        running = asyncio.create_task(election.run(idle))
        await until(lambda: election.status().state == "waiting out")
        waits = "the record was put right: the first in the queue waits out a lease of 86400 s"
        names = ("doctor", "status", "history", "why")
        answers = await asyncio.gather(*(command(name, *there) for name in names))
        told = dict(zip(names, (out + err for _, out, err in answers), strict=True))
        assert f"warn  record: {waits}" in told["doctor"]
        assert told["status"].startswith(f"nobody leads leader; 1 in the queue; {waits}")
        assert "the record could not be read, and was put right; a lease is waited out" in told["history"]
        assert f"nobody leads now: {waits}" in told["why"]
        assert "nobody leads from" not in told["why"]
        code, _, err = await command("doctor", *there, "--repair", "--yes")
        assert (code, "a lease of 86400 s is waited out; give --lease" in err) == (1, True)
        code, out, err = await command("doctor", *there, "--repair", "--yes", "--lease", "0.5")
        assert (code, "somebody leads in about 0.55 s" in out) == (0, True)
        assert "was put right before, with a lease of 86400 s" in err
        await until(lambda: election.is_leader)
        while len(await election.history()) < 2:
            await asyncio.sleep(0.02)
        (_, history, _), (_, why, _) = await asyncio.gather(command("history", *there), command("why", *there))
        assert "put right; a lease was waited out" in history
        assert "nobody led, and a lease was waited out. a leads from" in why
        running.cancel()
        await asyncio.wait([running])
