"""Scenarios of bytes: what this library's client never says, but others do."""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable

from .scenarios import Stage
from .talking import Talker

INT = struct.Struct("!i")
END = struct.pack("!i?i", -1, True, -1)
STAT = 68
"""Bytes of a znode's metadata."""
NO_STAT = 4  # bytes of an answer that has a stat behind these


def text(value: str | None) -> bytes:
    return data(None if value is None else value.encode())


def data(value: bytes | None) -> bytes:
    return INT.pack(-1) if value is None else INT.pack(len(value)) + value


def access(*entries: tuple[int, str | None, str | None]) -> bytes:
    return INT.pack(len(entries)) + b"".join(INT.pack(p) + text(scheme) + text(id_) for p, scheme, id_ in entries)


OPEN = access((31, "world", "anyone"))


def create(path: str | None, value: bytes | None = b"", acl: bytes = OPEN, flags: int = 0) -> bytes:
    return text(path) + data(value) + acl + INT.pack(flags)


def multi(*operations: tuple[int, bytes]) -> bytes:
    return b"".join(struct.pack("!i?i", code, False, -1) + body for code, body in operations) + END


def read(path: str | None, *, watch: bool = False) -> bytes:
    return text(path) + struct.pack("!?", watch)


async def null_and_empty(stage: Stage) -> None:
    talker, p = await stage.talker(), stage.path
    for name, value in (("null", None), ("empty", b""), ("some", b"x")):
        await talker.raw(1, create(p(name), value))
        await talker.raw(4, read(p(name)), show=NO_STAT)
    await talker.raw(5, text(p("some")) + data(None) + INT.pack(-1), show=0)
    await talker.raw(4, read(p("some")), show=NO_STAT)
    await talker.raw(14, multi((1, create(p("in-multi"), None))))
    await talker.raw(4, read(p("in-multi")), show=NO_STAT)
    # Null paths, each kind of request.
    await talker.raw(1, create(None))
    await talker.raw(2, text(None) + INT.pack(-1))
    await talker.raw(5, text(None) + data(b"") + INT.pack(-1))
    await talker.raw(7, text(None) + OPEN + INT.pack(-1))
    for opcode in (3, 4, 8, 12):
        await talker.raw(opcode, read(None))
    await talker.raw(6, text(None))
    await talker.raw(9, text(None))
    await talker.raw(3, text(p("a\0b")) + b"\0")
    # Access lists: `auth` does not look at the id.
    for entry in (("auth", None), ("world", None), ("digest", None), ("ip", None), (None, "x"), (None, None),
                  ("", "x"), ("unheard-of", None)):  # fmt: skip
        await talker.raw(1, create(p("list"), acl=access((31, *entry))))
        await talker.raw(7, text(stage.base) + access((31, *entry)) + INT.pack(-1))
    await talker.raw(14, multi((1, create(p("list"), acl=access((31, "world", None))))))
    for count in (-1, -2, 0):
        await talker.raw(1, create(p("list"), acl=INT.pack(count)))
    await talker.raw(3, read(stage.base), show=0)


async def trailing_bytes(stage: Stage) -> None:
    talker, p = await stage.talker(), stage.path
    await talker.raw(3, read(stage.base) + b"more", show=0)
    await talker.raw(1, create(p("a")) + b"more")
    await talker.raw(11, b"more", xid=-2)
    await talker.raw(14, multi((2, text(p("a")) + INT.pack(-1))) + b"more")
    await talker.raw(3, b"\0\0\0\3/\xff\xfe\0")
    await talker.raw(1, b"\0\0\0\3/\xff\xfe" + data(b"") + OPEN + INT.pack(0))
    for flags in (5, 6, 7, -1):  # with a time to live, and no mode at all
        await talker.raw(1, create(p("a"), flags=flags))
    await talker.raw(21, create(p("a"), flags=5) + struct.pack("!q", 1000))
    await talker.raw(19, create(p("container"), flags=4), show=0)


async def unreadable(stage: Stage) -> None:
    talker, p = await stage.talker(), stage.path
    for opcode in (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15, 17, 18, 22, 101, 104, 105, 106):
        for body in (b"", INT.pack(2**31 - 1), INT.pack(-7) + b"xxxx"):
            await talker.raw(opcode, body)
    await talker.raw(14, multi((1, create(None))))
    await talker.raw(14, multi((13, text(None) + INT.pack(0))))
    await talker.raw(14, multi((99, b"")))
    await talker.raw(14, multi((4, read(stage.base))))
    await talker.raw(14, multi((1, create(p("x"))), (1, create(p("y"), flags=9))))
    await talker.raw(101, struct.pack("!qiii", 0, -1, -1, -1), xid=-8)
    await talker.raw(101, struct.pack("!qi", 0, 1) + text(None) + INT.pack(0) * 2, xid=-8)
    for opcode in (17, 18, 106):
        await talker.raw(opcode, text(stage.base) + INT.pack(9))
    await talker.raw(3, read(stage.base), show=0)
    await talker.raw(13, text(stage.base) + INT.pack(-1))
    stage.notes.append(await talker.hung_up())


async def credentials(stage: Stage) -> None:
    talker, p = await stage.talker(), stage.path
    for scheme in ("ip", "digest"):
        for secret in (b"", b"1.2.3.4", b"nocolon", b"a:b:c"):
            await talker.raw(100, INT.pack(0) + text(scheme) + data(secret), xid=-4)
    await talker.raw(100, INT.pack(0) + text("digest") + data(b"me:too") + b"more", xid=50)
    await talker.raw(1, create(p("mine"), acl=access((31, "auth", ""))))
    listed = await talker.raw(6, text(p("mine")), show=0)
    stage.notes.append(sorted(listed[:-STAT]))  # a set, in no order
    proofs: list[tuple[str | None, bytes | None]]
    proofs = [("digest", None), ("world", b""), ("auth", b""), ("", b""), (None, b"")]
    for unproved, nothing in proofs:
        refused = await stage.talker()
        await refused.raw(100, INT.pack(0) + text(unproved) + data(nothing), xid=-4)
        stage.notes.append(await refused.hung_up())
    for body in (b"", INT.pack(0) + text("digest")):
        broken = await stage.talker()
        broken.write(INT.pack(8 + len(body)) + struct.pack("!ii", -4, 100) + body)
        stage.notes.append(await broken.hung_up())


async def unknown_operations(stage: Stage) -> None:
    for opcode in (10, 23, 108, 9999, 0, -1):
        talker = await stage.talker()
        await talker.raw(opcode, b"")
        stage.notes.append(await talker.hung_up())


async def sizes(stage: Stage) -> None:
    """A request of 1 MiB is too large by a byte."""
    path = stage.path("large")
    room = 2**20 - 1 - 8 - len(create(path))
    talker = await stage.talker()
    await talker.raw(1, create(path, bytes(room)))
    await talker.raw(4, read(path), show=NO_STAT)
    body = create(path, bytes(room + 1))
    talker.write(struct.pack("!iii", 8 + len(body), 9, 1) + body)
    stage.notes.append(await talker.hung_up())


async def persistent_watches(stage: Stage) -> None:
    one, two, p = await stage.talker(), await stage.talker(), stage.path
    await two.raw(1, create(p("a")))
    await one.raw(106, text(p("a")) + INT.pack(0))
    await one.raw(106, text(p("missing")) + INT.pack(0))
    await one.raw(106, text(p("deep")) + INT.pack(1))
    await changes(one, two, stage)


async def watches_of_every_kind(stage: Stage) -> None:
    """All on one path: each change is told once."""
    one, two, p = await stage.talker(), await stage.talker(), stage.path
    await two.raw(1, create(p("a")))
    await one.raw(106, text(p("a")) + INT.pack(0))
    await one.raw(4, read(p("a"), watch=True), show=0)
    await one.raw(8, read(p("a"), watch=True))
    await one.raw(106, text(p("a")) + INT.pack(1))
    await changes(one, two, stage)


async def changes(one: Talker, two: Talker, stage: Stage) -> None:
    p = stage.path
    for _ in range(2):
        await two.raw(5, text(p("a")) + data(b"1") + INT.pack(-1), show=0)
        await two.raw(1, create(p("a/x")))
        await two.raw(1, create(p("missing")))
        await two.raw(1, create(p("deep")))
        await two.raw(1, create(p("deep/er")))
        await two.raw(
            14, multi((1, create(p("deep/er/x"))), (5, text(p("deep/er/x")) + data(b"") + INT.pack(-1))), show=0
        )
        await two.raw(1, create(p("deeper")))
        await one.raw(9, text(stage.base))
        for name in ("deep/er/x", "deep/er", "deep", "deeper", "missing", "a/x", "a"):
            await two.raw(2, text(p(name)) + INT.pack(-1))
        await two.raw(1, create(p("a")))
        await one.raw(9, text(stage.base))


async def watches_taken_back(stage: Stage) -> None:
    talker, other, p = await stage.talker(), await stage.talker(), stage.path
    await other.raw(1, create(p("a")))
    await other.raw(106, text(p("a")) + INT.pack(1))
    for kind in (1, 2, 3, 4, 5):
        await talker.raw(4, read(p("a"), watch=True), show=0)
        await talker.raw(8, read(p("a"), watch=True))
        await talker.raw(106, text(p("a")) + INT.pack(0))
        await talker.raw(106, text(p("a")) + INT.pack(1))
        await talker.raw(18, text(p("a")) + INT.pack(kind))
        for asked in (1, 2, 3, 4, 5):
            await talker.raw(17, text(p("a")) + INT.pack(asked))
        await talker.raw(18, text(p("a")) + INT.pack(kind))
        await other.raw(5, text(p("a")) + data(b"") + INT.pack(-1), show=0)
        await other.raw(1, create(p("a/x")))
        await other.raw(2, text(p("a/x")) + INT.pack(-1))
        await talker.raw(9, text(stage.base))
        await talker.raw(18, text(p("a")) + INT.pack(3))
    await talker.raw(18, text(p("nothing")) + INT.pack(3))


async def every_watch_set_again(stage: Stage) -> None:
    one, two, p = await stage.talker(), await stage.talker(), stage.path
    await two.raw(1, create(p("a")))
    seen = struct.pack("!q", two.zxid)
    await two.raw(5, text(p("a")) + data(b"") + INT.pack(-1), show=0)
    await one.raw(9, text(stage.base))
    none, some, more = INT.pack(0), INT.pack(1) + text(p("a")), INT.pack(1) + text(p("b"))
    await one.raw(105, seen + some + none + none + some + more, xid=-8)
    await one.raw(101, seen + none + none + some, xid=-8)
    for _ in range(2):
        await two.raw(1, create(p("a/x")))
        await two.raw(1, create(p("b")))
        await two.raw(1, create(p("b/x")))
        for name in ("b/x", "b", "a/x"):
            await two.raw(2, text(p(name)) + INT.pack(-1))
        await one.raw(9, text(stage.base))


async def zxids_of_events(stage: Stage) -> None:
    one, two, p = await stage.talker(), await stage.talker(), stage.path
    one.tells_zxids = True
    await one.raw(106, text(stage.base) + INT.pack(1))
    await two.raw(1, create(p("a")))
    await two.raw(14, multi((1, create(p("b"))), (2, text(p("a")) + INT.pack(-1))), show=0)
    await one.raw(9, text(stage.base))
    await one.raw(101, struct.pack("!qi", 1, 1) + text(stage.base) + INT.pack(0) * 2, xid=-8)


async def reading_together(stage: Stage) -> None:
    talker, p = await stage.talker(), stage.path
    await talker.raw(1, create(p("a"), b"some"))
    await talker.raw(1, create(p("a/x")))
    await talker.raw(22, multi())
    await talker.raw(22, multi((8, read(p("a"), watch=True)), (8, read(p("missing"))), (4, read(p("missing")))))
    await talker.raw(22, multi((8, read(p("a"))), (4, read(p("a"), watch=True))), show=35)
    await talker.raw(5, text(p("a")) + data(b"") + INT.pack(-1), show=0)


async def asking(stage: Stage) -> None:
    talker, p = await stage.talker(), stage.path
    await talker.raw(103, text("/"))
    await talker.raw(1, create(p("mine"), flags=1))
    await talker.raw(1, create(p("ours")))
    for prefix in ("", "/", " ", None, stage.base, p("m"), p("x")):
        await talker.raw(103, text(prefix))
    for path in (stage.base, p("mine"), p("missing"), None):
        await talker.raw(104, text(path))
    await talker.raw(107, b"")
    another = await stage.talker()
    await another.raw(1, create(p("mine/not"), acl=access((31, "ip", "10.0.0.1"))))
    await another.raw(1, create(p("hidden"), acl=access((31, "ip", "10.0.0.1"))))
    await another.raw(104, text(p("hidden")))
    await another.raw(100, INT.pack(0) + text("digest") + data(b"me:too"), xid=-4)
    who = await another.raw(107, b"", show=0)
    stage.notes.append(sorted((b"digest" in who, b"\0\0\0\2me" in who, b"127.0.0.1" in who, len(who))))


async def reading_what_one_may_not(stage: Stage) -> None:
    talker, p = await stage.talker(), stage.path
    await talker.raw(1, create(p("a"), acl=access((30, "world", "anyone"))))
    await talker.raw(3, read(p("a"), watch=True), show=0)
    await talker.raw(5, text(p("a")) + data(b"") + INT.pack(-1), show=0)
    await talker.raw(1, create(p("b"), acl=access((31, "ip", "::1"))))


EVERYWHERE: tuple[Callable[[Stage], Awaitable[None]], ...] = (
    null_and_empty, trailing_bytes, credentials, unknown_operations, sizes, persistent_watches, reading_together,
    asking,
)  # fmt: skip
SINCE_3_9: tuple[Callable[[Stage], Awaitable[None]], ...] = (
    unreadable, watches_of_every_kind, watches_taken_back, every_watch_set_again, zxids_of_events,
    reading_what_one_may_not,
)  # fmt: skip
"""Where 3.8 is another: a request that cannot be read counts among the writes, one connection has one kind of watch on
a path, an event does not say which transaction it tells of, `exists` asks for no permission, and an address of IPv6 is
none.
"""
