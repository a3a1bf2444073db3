"""Credentials, access lists and TLS towards a real ZooKeeper, which demands a client's certificate on its TLS port."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import leader_async
from leader_async import TLS, AuthFailed, Connection, Digest, NoAuth, Term, connect
from leader_async.election.history_writer import write
from leader_async.zookeeper import messages as m
from leader_async.zookeeper.client import Client

from ..support.readme import example
from ..support.zookeeper import Server, free_ports
from .conftest import QUICK
from .playing import idle, leads, running, until
from .securing import Secured, Terminator

OWN, OTHER = Digest("app", "geheim-7391"), Digest("app", "geraten-1")


@asynccontextmanager
async def stranger(secured: Secured, auth: Digest | None = None) -> AsyncIterator[Connection]:
    async with connect(secured.plain, timeout=4.0, auth=auth) as zk:
        await zk.wait_connected()
        yield zk


async def why(secured: Secured, address: str, tls: TLS | ssl.SSLContext | None) -> str:
    """Why no connection to this address can be had, as a person reads it in `/status`."""
    async with connect(address, timeout=4.0, tls=tls) as zk:
        await until(lambda: zk.client.status().last_error)
        assert not zk.client.connected
        return zk.client.status().last_error


# -- TLS ---------------------------------------------------------------------------------------------------------------


async def test_an_election_over_tls(secured: Secured, name: str) -> None:
    context = ssl.create_default_context(cafile=secured.good.ca)
    context.load_cert_chain(secured.mine.both)
    for tls in (secured.tls, context):
        async with connect(f"localhost:{secured.secure}", timeout=4.0, tls=tls) as zk:
            election = zk.election(name, root=f"/{name}")
            async with running(election):
                await leads(election)
                assert str(zk.client.status().encryption).startswith("TLSv1.")


async def test_the_example_of_the_page(secured: Secured, name: str, tmp_path: Path) -> None:
    (tmp_path / "zookeeper").write_text("geheim-7391\n")
    code = example("Credentials and TLS").replace("zk1:2281,zk2:2281,zk3:2281", f"localhost:{secured.secure}")
    for page, here in {
        "/run/secrets": tmp_path, "/etc/zookeeper/ca.pem": secured.good.ca, "/etc/zookeeper/me.pem": secured.mine.cert,
        "/etc/zookeeper/me-key.pem": secured.mine.key,
    }.items():  # fmt: skip
        assert page in code
        code = code.replace(page, str(here))
    names: dict[str, Any] = {}
    exec(code, names)
    async with names["zk"] as zk:
        election = zk.election(name, root=f"/{name}")
        async with running(election):
            await leads(election)
            assert str(zk.client.status().encryption).startswith("TLSv1.")
        async with stranger(secured) as other:
            with pytest.raises(NoAuth):
                await other.election(name, root=f"/{name}").candidates()


async def test_what_is_said_when_the_two_do_not_fit(secured: Secured) -> None:
    mine, good, other = secured.mine, str(secured.good.ca), str(secured.other.ca)
    foreign = secured.other.issue("foreign", "app")
    at = secured.address
    found = await asyncio.gather(
        why(secured, at, TLS(other, str(mine.cert), str(mine.key))),
        why(secured, f"127.0.0.2:{secured.secure}", secured.tls),
        why(secured, at, TLS(good)),
        why(secured, at, TLS(good, str(foreign.cert), str(foreign.key))),
        why(secured, at, None),
        why(secured, secured.plain, secured.tls),
    )
    authority, address, nothing, unknown, plain, tls = found
    assert authority.startswith(f"{at}: its certificate cannot be trusted: ")
    assert authority.endswith("give the certificate of the CA that has signed it (ca=, --zookeeper-ca)")
    assert "not valid for '127.0.0.2'; dial a name that it is for" in address
    for refused in (nothing, unknown):
        assert refused.startswith(f"{at}: it refuses us (")
        assert refused.endswith("give a certificate of ours that it trusts (cert=, --zookeeper-cert)")
    assert plain.endswith("it does not serve, or speaks TLS on this port (tls=, --zookeeper-tls)")
    assert tls.startswith(f"{secured.plain}: it hung up on the TLS handshake; is this its secureClientPort")
    unchecked = TLS(good, str(mine.cert), str(mine.key), check_hostname=False)
    async with connect(f"127.0.0.2:{secured.secure}", timeout=4.0, tls=unchecked) as zk:
        await zk.wait_connected()


async def test_a_server_that_refuses_us_behind_its_own_handshake(secured: Secured, terminator: Terminator) -> None:
    # As TLS 1.3 has it: to the client the handshake is over by then. This one does not even say why.
    text = await why(secured, terminator.address, TLS(str(secured.good.ca)))
    assert text.endswith("it does not serve, or wants a certificate of ours that it trusts (cert=, --zookeeper-cert)")


async def test_a_server_that_cannot_be_verified_costs_the_others_nothing(secured: Secured) -> None:
    both = f"127.0.0.2:{secured.secure},127.0.0.1:{secured.secure}"
    for _ in range(8):  # in whatever order they are dialled
        async with connect(both, timeout=4.0, tls=secured.tls) as zk:
            await zk.wait_connected()
            assert zk.client.status().server == secured.address


async def test_rotated_certificates_are_used_at_the_next_dial(secured: Secured, terminator: Terminator) -> None:
    rotating = secured.good.issue("rotating", "first.example")
    tls = TLS(str(secured.good.ca), str(rotating.cert), str(rotating.key))
    async with connect(terminator.address, timeout=4.0, tls=tls) as zk:
        await zk.wait_connected()
        session = zk.client.session_id
        secured.good.issue("rotating", "second.example")
        terminator.hang_up()
        await until(lambda: terminator.names[-1] == "second.example" and zk.client.connected)
        # The server's expires, and is renewed: the session and what it leads live through that.
        terminator.show(secured.good.issue("terminator", "127.0.0.1", expired=True))
        terminator.hang_up()
        await until(lambda: "certificate has expired; give the server another one" in zk.client.status().last_error)
        rotating.key.write_text("half of a rotation")
        await until(lambda: "is not there in PEM" in zk.client.status().last_error)
        secured.good.issue("rotating", "third.example")
        terminator.show(secured.good.issue("terminator", "127.0.0.1"))
        await until(lambda: zk.client.connected)
        assert zk.client.session_id == session
        assert terminator.names[-1] == "third.example"


# -- credentials and access lists --------------------------------------------------------------------------------------


async def test_a_stranger_can_do_nothing_to_an_election(secured: Secured, name: str) -> None:
    parent = f"/{name}/x"  # the root is made here as well
    async with connect(secured.address, timeout=4.0, auth=OWN, tls=secured.tls) as one:
        elections = [one.election("x", identity="leader", root=f"/{name}")]
        async with connect(secured.plain, timeout=4.0, auth=OWN) as two:
            elections.append(two.election("x", identity="heir", root=f"/{name}"))
            async with running(*elections):
                await leads(elections[0])
                await until(lambda: elections[1].candidacy.own.sight.armed)
                assert await write(one.client, elections[0].candidacy, await elections[0].history())
                znodes = [f"{parent}/{one.znode}" for one in await elections[0].candidates()]
                assert len(znodes) == 2
                for auth in (None, OTHER):
                    async with stranger(secured, auth) as zk:
                        await nothing_is_allowed(zk, parent, znodes)
                assert elections[0].is_leader
                heir = elections[1].candidacy.own
                await until(lambda: heir.sight.awaited and heir.join.warm > 0)
                events: list[m.Watched] = []
                two.client.listen(parent, Listening(events))
                await elections[0].resign()
                await leads(elections[1])
                assert events[0].change is m.EventType.CREATED, "it may be told of the notice"
                await until(lambda: elections[0].status().position == 1)
                assert [election.candidacy.story.healed for election in elections] == [0, 0]


class Listening:
    """Keeps what its client is told."""

    def __init__(self, events: list[m.Watched]) -> None:
        self._events = events

    def session_event(self, event: m.SessionEvent) -> None:
        """See `client.Listener`."""

    def watch_event(self, event: m.Watched) -> None:
        """See `client.Listener`."""
        self._events.append(event)


async def nothing_is_allowed(zk: Connection, parent: str, znodes: list[str]) -> None:
    root = parent.rpartition("/")[0]
    for request in (
        *(operation(path) for path in znodes for operation in (m.Delete, m.GetData, m.GetChildren)),
        *(m.SetData(path, b"", -1) for path in (*znodes, parent, root, f"{parent}/history")),
        m.Delete(f"{parent}/history"), m.Create(f"{parent}/me-n_", ephemeral=True, sequential=True),
        m.GetData(parent), m.GetChildren(parent), m.GetData(f"{parent}/history"), m.GetAccess(parent),
        m.SetAccess(parent, m.OPEN), m.SetAccess(root, m.OPEN), m.Delete(parent), m.Create(f"{root}/y"),
    ):  # fmt: skip
        with pytest.raises(NoAuth, match="the access list of /"):
            await zk.client.request(request)
    for operations in ((m.Check(parent),), (m.Delete(znodes[0]), m.SetData(parent, b"", -1))):
        answer = await zk.client.request(m.Multi(operations))
        assert isinstance(answer, m.Transacted)
        assert answer.failure == (0, NoAuth.code)
    election = zk.election("x", root=root)
    with pytest.raises(NoAuth, match=f"the access list of {parent} does not allow Create to this session; give the"):
        await election.run(idle)
    with pytest.raises(NoAuth, match=f"the access list of {parent} does not allow Get"):
        await election.leader()


async def test_everything_that_is_made_is_its_creator_s(secured: Secured, name: str) -> None:
    ran = asyncio.Event()
    # Over TLS, where ZooKeeper takes the certificate's subject for an identity too: that gets nothing.
    async with connect(secured.address, timeout=4.0, auth=OWN, tls=secured.tls) as zk:
        jobs = leader_async.Schedule(zk.election("x", root=f"/{name}"))

        @jobs.every(seconds=0.2)
        async def work(run: leader_async.JobRun) -> None:
            ran.set()

        parts = leader_async.partitions(zk, "shares", count=2, root=f"/{name}")

        async def forever(partition: int, term: Term) -> None:
            await idle(term)

        tasks = [asyncio.create_task(jobs.run()), asyncio.create_task(parts.run(forever))]
        await asyncio.wait_for(ran.wait(), 15)
        await until(lambda: len(parts.held) == 2)
        term = parts.election(0).term
        assert term is not None
        await term.transaction().create(f"/{name}/by-a-term").commit()
        found = [path async for path in tree(zk.client, f"/{name}")]
        for part in ("/x", "/x/jobs/work", "/shares/members", "/shares/shares-0001", "/by-a-term"):
            assert f"/{name}{part}" in found
        for path in found:
            (entry,) = (await zk.client.request(m.GetAccess(path))).access  # type: ignore[union-attr]
            assert (entry.scheme, entry.id.partition(":")[0], entry.permissions) == ("digest", "app", 31), path
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def tree(client: Client, path: str) -> AsyncIterator[str]:
    """All znodes from this one down."""
    yield path
    children = await client.request(m.GetChildren(path))
    assert isinstance(children, m.Children)
    for name in children.names:
        async for below in tree(client, f"{path}/{name}"):
            yield below


async def test_everybody_may_read_if_that_is_wanted(secured: Secured, name: str) -> None:
    open_book = Digest(OWN.user, OWN.password, readable=True)
    async with connect(secured.plain, timeout=4.0, auth=open_book) as one:
        election = one.election("x", identity="me", root=f"/{name}")
        async with running(election), stranger(secured) as zk:
            await leads(election)
            seen = zk.election("x", root=f"/{name}")
            leader = await seen.wait_for_leader()
            assert leader.identity == "me"
            assert await zk.client.request(m.GetChildren(f"/{name}/x", watch=True))
            with pytest.raises(NoAuth, match="does not allow Create"):
                await seen.run(idle)


async def test_a_server_that_serves_only_who_proves_who_they_are(tmp_path: Path, name: str) -> None:
    settings = [*QUICK, "enforce.auth.enabled=true", "enforce.auth.schemes=digest"]
    server = Server(tmp_path / "zk", port=free_ports(1)[0], settings=settings)
    try:
        await server.start_ready()
        async with connect(server.address, timeout=4.0, auth=OWN) as zk:
            election = zk.election(name)
            async with running(election):
                await leads(election)
        async with connect(server.address, timeout=4.0) as zk:
            parts = leader_async.partitions(zk, "shares", count=1)

            async def share(partition: int, term: Term) -> None:
                await idle(term)

            with pytest.raises(AuthFailed, match="serves only who proves who they are"):
                await zk.election(name).run(idle)
            for _ in range(2):
                with pytest.raises(AuthFailed, match="check auth=, --zookeeper-auth-file"):
                    await zk.wait_connected()
            with pytest.raises(AuthFailed):
                await parts.run(share)
            with pytest.raises(AuthFailed):
                await zk.election("another").wait_for_leader()
    finally:
        server.kill()


async def test_a_server_that_does_not_know_the_scheme(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = [*QUICK, "DigestAuthenticationProvider.enabled=false"]
    server = Server(tmp_path / "zk", port=free_ports(1)[0], settings=settings)
    try:
        await server.start_ready()
        async with connect(server.address, timeout=4.0, auth=OWN) as zk:
            running = asyncio.create_task(zk.election(name).run(idle))
            with pytest.raises(AuthFailed, match="the server does not accept the digest of user 'app'; check auth="):
                await zk.wait_connected()
            with pytest.raises(AuthFailed):
                await running
        assert caplog.text.count("no connection will be made again") == 1
        assert OWN.password not in caplog.text
    finally:
        server.kill()
