"""What clients do to a server, and thereby what the embedded one is held to. Each works below a znode of its own.

A scenario gets a `Stage`, which opens talkers; what those have heard is what is compared.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable

from leader_async.zookeeper import messages as m
from leader_async.zookeeper import wire

from .talking import Talker

Open = Callable[..., Awaitable[Talker]]


class Stage:
    """What a scenario works with.

    Args:
        base: the path of its own znode.
        open_talker: makes one more client; `other=True` on another server, if there are several.
        tick: seconds of the server's tick.
    """

    def __init__(self, base: str, open_talker: Open, tick: float) -> None:
        self.base, self._open, self.tick = base, open_talker, tick
        self.notes: list[object] = []

    async def talker(self, *, other: bool = False, greet: bool = True, timeout: float = 10.0) -> Talker:
        talker = await self._open(other=other)
        if greet:
            assert await talker.greet(timeout=timeout) is not None
        return talker

    def path(self, name: str) -> str:
        return f"{self.base}/{name}"


async def creating(stage: Stage) -> None:
    talker = await stage.talker()
    p = stage.path
    for request in (
        m.Create(p("a"), b"data"),
        m.Create(p("a")),
        m.Create(p("a"), stat=True),
        m.Create(p("missing/b")),
        m.Create(p("a/b"), b"x", stat=True),
        m.Create(p("e"), b"mine", ephemeral=True, stat=True),
        m.Create(p("e/child")),
        m.Create(p("s-"), sequential=True),
        m.Create(p("s-"), sequential=True, ephemeral=True, stat=True),
        m.Create(p("a/"), sequential=True),
        m.Delete(p("s-0000000002")),
        m.Create(p("s-"), sequential=True),
        m.Create(p("bücher-☃"), "schön".encode()),
        m.Create(p("empty"), b"", stat=True),
        m.Create("/"),
        m.GetChildren(stage.base, stat=True),
        m.Exists(stage.base),
        m.GetData(p("e")),
        m.GetData(p("bücher-☃")),
    ):
        await talker.ask(request)


async def bad_paths(stage: Stage) -> None:
    talker = await stage.talker()
    for end in ("/", "//x", "/./x", "/../x", "/a\x01b", "/a\u0085b", "/\ufff5"):
        path = stage.base + end
        await talker.ask(m.Create(path))
        await talker.ask(m.SetData(path, b"", -1))
        await talker.ask(m.Exists(path))
        await talker.ask(m.GetData(path))
        await talker.ask(m.Delete(path))


async def changing(stage: Stage) -> None:
    talker = await stage.talker()
    p = stage.path
    for request in (
        m.Create(p("a"), b"0"),
        m.SetData(p("a"), b"1", 0),
        m.SetData(p("a"), b"2", 0),
        m.SetData(p("a"), b"longer", -1),
        m.GetData(p("a")),
        m.SetData(p("missing"), b"", -1),
        m.Create(p("a/b")),
        m.Exists(p("a")),
        m.Delete(p("a")),
        m.Delete(p("a"), 1),
        m.Delete(p("a/b"), 1),
        m.Exists(p("a")),
        m.Delete(p("a/b"), 0),
        m.Exists(p("a")),
        m.Delete(p("a"), 2),
        m.Delete(p("a")),
        m.Exists(p("a")),
        m.GetData(p("a")),
        m.GetChildren(p("a")),
        m.GetChildren(p("a"), stat=True),
        m.Exists(stage.base),
        m.Delete("/"),
        m.Sync(stage.base),
        m.Sync(p("missing")),
    ):
        await talker.ask(request)


async def transactions(stage: Stage) -> None:
    talker = await stage.talker()
    p = stage.path
    await talker.ask(m.Create(p("a"), b"0"))
    for operations in (
        (),
        (m.Check(p("a")), m.Check(p("a"), 0)),
        (m.Check(p("a"), 1),),
        (m.Check(p("missing")), m.Create(p("x"))),
        (m.Create(p("b")), m.SetData(p("b"), b"1", 0), m.SetData(p("b"), b"2", 1), m.Check(p("b"), 2)),
        (m.Create(p("c")), m.Delete(p("c")), m.Create(p("c")), m.Create(p("c/d"), ephemeral=True)),
        (m.Create(p("t"), sequential=True), m.Create(p("t"), sequential=True), m.Check(p("missing")), m.Delete(p("a"))),
        (m.Delete(p("a")), m.SetData(p("a"), b"", -1)),
        (m.SetData(p("a"), b"1", 0), m.SetData(p("a"), b"2", 0), m.SetData(p("a"), b"3", 0)),
        (m.Create(p("t"), sequential=True),),
        (m.Create(p("b")), m.Create(p("z"))),
        (m.Delete(p("c")),),
        (m.Delete(p("c/d")), m.Delete(p("c"))),
    ):
        await talker.ask(m.Multi(operations))
    await talker.ask(m.GetChildren(stage.base, stat=True))
    await talker.ask(m.GetData(p("a")))
    await talker.ask(m.GetData(p("b")))


async def watching(stage: Stage) -> None:
    """Two clients on the same server: events come once, before what shows the change, in the order of the changes."""
    one, two = await stage.talker(), await stage.talker()
    p = stage.path
    await two.ask(m.Create(p("a")))
    await one.ask(m.GetData(p("a"), watch=True), m.Exists(p("new"), watch=True), m.GetChildren(stage.base, watch=True))
    await one.ask(m.GetData(p("missing"), watch=True), m.GetChildren(p("missing"), watch=True))
    await two.ask(m.SetData(p("a"), b"1", -1))
    await two.ask(m.SetData(p("a"), b"2", -1))
    await two.ask(m.Create(p("new")))
    await two.ask(m.Create(p("missing")))
    await one.ask(m.Sync(stage.base), m.Ping())
    # Deleted with both kinds of watch: one event, and the parent's.
    await one.ask(
        m.GetData(p("a"), watch=True), m.GetChildren(p("a"), watch=True), m.GetChildren(stage.base, watch=True)
    )
    await two.ask(m.Delete(p("a")))
    await one.ask(m.Sync(stage.base), m.Ping())
    # One's own changes are told before their replies.
    await one.ask(m.GetChildren(p("new"), watch=True), m.Exists(p("new"), watch=True), m.Exists(p("new/x"), watch=True))
    await one.ask(m.SetData(p("new"), b"", -1))
    await one.ask(m.Create(p("new/x")))
    await one.ask(m.Exists(p("new/x"), watch=True), m.GetChildren(p("new/x"), watch=True), m.Delete(p("new/x")))
    # In a transaction, in its order; none of a failed one.
    await one.ask(m.Exists(p("m1"), watch=True), m.Exists(p("m2"), watch=True), m.GetChildren(stage.base, watch=True))
    await two.ask(m.Multi((m.Create(p("m2")), m.Check(p("nothing")))))
    await two.ask(m.Multi((m.Create(p("m2")), m.Create(p("m1")), m.SetData(p("m2"), b"", -1), m.Delete(p("m1")))))
    await one.ask(m.Sync(stage.base), m.Ping())


async def elsewhere(stage: Stage) -> None:
    """A change made at another server is told here, before a sync and a read show it."""
    one, two = await stage.talker(), await stage.talker(other=True)
    p = stage.path
    await two.ask(m.Create(p("a")))
    await one.ask(m.Sync(stage.base), m.GetChildren(p("a"), watch=True))
    await one.ask(m.Exists(p("b"), watch=True))
    await two.ask(m.Create(p("b"), ephemeral=True))
    await two.ask(m.Delete(p("a")))
    await one.ask(m.Sync(stage.base), m.GetChildren(stage.base))
    await one.ask(m.Exists(p("b"), watch=True))
    await two.leave()
    await one.event()
    await one.ask(m.Sync(stage.base), m.GetChildren(stage.base))


async def access_lists(stage: Stage) -> None:
    one, two = await stage.talker(), await stage.talker()
    p, everything = stage.path, int(m.Permission.ALL)
    await one.ask(m.Create(p("auth"), access=(m.Access(everything, "auth", ""),)))
    await one.ask(m.Authenticate("digest", b"user:secret"))
    secret = (m.Access(everything, "auth", ""),)
    await one.ask(m.Create(p("secret"), b"x", access=secret))
    await one.ask(m.GetAccess(p("secret")))
    await one.ask(m.GetAccess(stage.base))
    await one.ask(m.Create(p("secret/child")))
    await one.ask(m.Create(p("secret/own"), ephemeral=True, access=secret))
    for request in (
        m.Create(p("secret/child")),  # that it may not is said first, then that it is there
        m.Delete(p("secret/child")),
        m.Delete(p("secret/missing")),
        m.GetData(p("secret/own")),
        m.Multi((m.Check(p("secret/own")), m.Delete(p("secret/own")))),
        m.Multi((m.Delete(p("secret/child")), m.SetData(p("secret"), b"", 0))),
        m.GetData(p("secret")),
        m.GetChildren(p("secret")),
        m.SetData(p("secret"), b"", -1),
        m.GetAccess(p("secret")),
        m.SetAccess(p("secret"), m.OPEN),
        m.Create(p("secret/x")),
        m.Multi((m.Check(p("secret")),)),
        m.Multi((m.SetData(p("secret"), b"", -1), m.Create(p("y")))),
        m.GetAccess(p("missing")),
        m.SetAccess(p("missing"), m.OPEN),
    ):
        await two.ask(request)
    readable = (m.Access(int(m.Permission.READ), "world", "anyone"), m.Access(everything, "auth", ""))
    await one.ask(m.SetAccess(p("secret"), readable, 3))
    await one.ask(m.SetAccess(p("secret"), readable, 0))
    await two.ask(m.GetData(p("secret")))
    await two.ask(m.GetAccess(p("secret")))
    await two.ask(m.Delete(p("secret")))
    await one.ask(m.Delete(p("secret/child")))
    for access in (
        (),
        (m.Access(31, "world", "somebody"),),
        (m.Access(31, "digest", "nocolon"),),
        (m.Access(31, "ip", "nonsense"),),
        (m.Access(31, "unheard-of", "x"),),
        (m.Access(1, "ip", "127.0.0.0/8"), m.Access(1, "ip", "127.0.0.0/8")),
    ):
        await one.ask(m.Create(p("list"), access=access))
    await two.ask(m.Authenticate("digest", b"user:secret"))
    await two.ask(m.SetData(p("secret"), b"now", -1))


async def bad_credentials(stage: Stage) -> None:
    one = await stage.talker()
    one.write(wire.encode_request(wire.AUTH_XID, m.Authenticate("unheard-of", b"x")))
    frame = await one.frame()
    assert frame is not None
    stage.notes.append(wire.decode_header(frame)[2])
    stage.notes.append(await one.hung_up())


async def watches_set_again(stage: Stage) -> None:
    one, two = await stage.talker(), await stage.talker()
    p = stage.path
    for name in ("same", "changed", "gone", "children", "old"):
        await one.ask(m.Create(p(name)))
    seen = one.zxid
    await one.ask(m.SetData(p("changed"), b"", -1))
    await one.ask(m.Delete(p("gone")))
    await one.ask(m.Create(p("children/x")))
    await one.ask(m.Create(p("made")))
    await two.ask(m.Sync(stage.base))
    await two.ask(
        m.SetWatches(
            seen,
            data=(p("same"), p("changed"), p("gone")),
            exists=(p("made"), p("not-yet")),
            children=(p("children"), p("same"), p("gone")),
        )
    )
    await one.ask(m.Create(p("not-yet")))
    await one.ask(m.SetData(p("same"), b"", -1))
    await one.ask(m.Create(p("same/x")))
    await two.ask(m.Sync(stage.base), m.Ping())


async def sessions(stage: Stage) -> None:
    """Resuming, with the right and with the wrong password; whoever resumes takes the session away."""
    first = await stage.talker()
    await first.ask(m.Create(stage.path("e"), ephemeral=True))
    again = await stage.talker(greet=False)
    accepted = await again.greet(session=first.session, password=first.password, zxid=first.zxid)
    assert accepted is not None
    stage.notes.append(accepted.session_id == first.session)
    stage.notes.append(await first.hung_up())
    await again.ask(m.Exists(stage.path("e")))
    wrong = await stage.talker(greet=False)
    refused = await wrong.greet(session=first.session, password=bytes(16))
    assert refused is not None
    # The right one is hung up on all the same.
    stage.notes.append((refused.session_id, refused.timeout, await wrong.hung_up(), await again.hung_up()))
    unknown = await stage.talker(greet=False)
    refused = await unknown.greet(session=77, password=first.password)
    assert refused is not None
    stage.notes.append((refused.session_id, refused.timeout, await unknown.hung_up()))
    ahead = await stage.talker(greet=False)
    stage.notes.append(await ahead.greet(zxid=2**62) is None)
    old = await stage.talker(greet=False)
    accepted = await old.greet(old=True)
    stage.notes.append(accepted is not None and accepted.session_id != 0)
    await old.ask(m.Exists(stage.path("e")))
    back = await stage.talker(greet=False)
    assert await back.greet(session=first.session, password=first.password) is not None
    await back.leave()
    await old.ask(m.Exists(stage.path("e")))


async def timeouts(stage: Stage) -> None:
    for asked in (0.001, 5 * stage.tick, 3600.0):
        talker = await stage.talker(greet=False)
        accepted = await talker.greet(timeout=asked)
        assert accepted is not None
        stage.notes.append(round(accepted.timeout / stage.tick, 6))


async def silence(stage: Stage) -> None:
    """A session that is silent for too long ends, with its ephemeral znodes; others are told."""
    watcher = await stage.talker(timeout=20 * stage.tick)
    silent = await stage.talker(timeout=2 * stage.tick)
    await silent.ask(m.Create(stage.path("e"), ephemeral=True))
    await watcher.ask(m.GetChildren(stage.path("e"), watch=True))
    stage.notes.append(await silent.hung_up())
    await watcher.event()
    again = await stage.talker(greet=False)
    refused = await again.greet(session=silent.session, password=silent.password)
    assert refused is not None
    stage.notes.append(refused.session_id)


async def closing(stage: Stage) -> None:
    one, two = await stage.talker(), await stage.talker()
    await one.ask(m.Create(stage.path("e"), ephemeral=True))
    await two.ask(m.GetData(stage.path("e"), watch=True), m.GetChildren(stage.base, watch=True))
    await one.leave()
    stage.notes.append(await one.hung_up())
    await two.event()
    await two.event()
    # Gone without a word: the session lives on.
    three = await stage.talker()
    await three.ask(m.Create(stage.path("f"), ephemeral=True))
    three.close()
    await two.ask(m.Exists(stage.path("f")))


async def pipelined(stage: Stage) -> None:
    """Many requests in one write, and bytes one by one: answers in order."""
    talker = await stage.talker()
    p = stage.path
    await talker.ask(
        m.Create(p("a")), m.GetData(p("a"), watch=True), m.SetData(p("a"), b"1", 0), m.GetData(p("a")), m.Ping(),
        m.Multi((m.Check(p("a"), 1), m.Delete(p("a")))), m.Exists(p("a")), m.Sync(p("a")), m.Create(p("a")),
    )  # fmt: skip
    for byte in wire.encode_request(900, m.Exists(p("a"))):
        talker.write(bytes([byte]))
        await asyncio.sleep(0)
    frame = await talker.frame()
    assert frame is not None
    stage.notes.append(wire.decode_header(frame)[0])


async def nonsense(stage: Stage) -> None:
    """What is no request is hung up on; what is not known is refused."""
    talker = await stage.talker()
    talker.write(struct.pack("!iii", 8, 5, 9999))
    frame = await talker.frame()
    stage.notes.append(None if frame is None else wire.decode_header(frame)[2])
    large = await stage.talker()
    large.write(struct.pack("!i", 2**30))
    stage.notes.append(await large.hung_up())
    negative = await stage.talker()
    negative.write(struct.pack("!i", -5))
    stage.notes.append(await negative.hung_up())
    silent = await stage.talker(greet=False)
    silent.write(struct.pack("!ii", 4, 7))
    stage.notes.append(await silent.hung_up())


async def words(stage: Stage) -> None:
    talker = await stage.talker(greet=False)
    talker.write(b"ruok")
    assert talker._reader is not None
    stage.notes.append(await talker._reader.read(-1))
    talker = await stage.talker(greet=False)
    talker.write(b"srvr")
    assert talker._reader is not None
    told = (await talker._reader.read(-1)).decode()
    stage.notes.append(sorted({line.partition(":")[0] for line in told.splitlines()} & {"Zxid", "Mode", "Node count"}))


SCENARIOS: tuple[Callable[[Stage], Awaitable[None]], ...] = (
    creating, bad_paths, changing, transactions, watching, elsewhere, access_lists, bad_credentials, watches_set_again,
    sessions, timeouts, silence, closing, pipelined, nonsense, words,
)  # fmt: skip
