"""Frames to spoil: well-formed ones of every kind, what can be done to them, and everything that decodes them.

Both the tests of this folder and the fuzzer take theirs from here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from leader_async.errors import ProtocolError, UsageError
from leader_async.zookeeper import messages as m
from leader_async.zookeeper import wire
from leader_async.zookeeper.wire import server

T = TypeVar("T")

INT = struct.Struct("!i")
EXTREMES = (0, 1, -1, -2, 4, 0x7FFF, 2**31 - 1, -(2**31), wire.FRAME_LIMIT, wire.FRAME_LIMIT + 1)
"""What a length, a count, a type or an error code is set to."""

STAT = m.Stat(
    czxid=1, mzxid=2, version=3, ephemeral_owner=4, children=5, pzxid=6, ctime=7.0, mtime=8.0, cversion=9, aversion=10,
    length=11,
)  # fmt: skip
ACCESS = (*m.OPEN, m.Access(1, "digest", "user:secret"))

# Every kind of request, each with an answer that it may get.
SIMPLE: tuple[tuple[m.Request, m.Reply], ...] = (
    (m.Create("/a/b-", b"data", ephemeral=True, sequential=True), m.Created("/a/b-0000000001")),
    (m.Create("/a", stat=True), m.Created("/a", STAT)),
    (m.Delete("/a", 3), m.Deleted()),
    (m.SetData("/a", b"new data", 4), m.DataSet(STAT)),
    (m.GetData("/a", watch=True), m.Data(b"old data", STAT)),
    (m.GetChildren("/a"), m.Children(("b", "", "\N{SNOWMAN}"))),
    (m.GetChildren("/a", stat=True), m.Children(("b", "c"), STAT)),
    (m.Exists("/a", watch=True), m.Found(STAT)),
    (m.GetAccess("/a"), m.AccessList(ACCESS, STAT)),
    (m.SetAccess("/a", ACCESS, 2), m.AccessSet(STAT)),
    (m.Authenticate("digest", b"user:secret"), m.Authenticated()),
    (m.SetWatches(7, ("/a",), ("/b", "/c"), ()), m.WatchesSet()),
    (m.Sync("/a"), m.Synced("/a")),
)
OPERATIONS: tuple[m.Operation, ...] = (m.Check("/a"), m.Create("/b", b"x"), m.Delete("/c"), m.SetData("/d", b"y", 1))
RESULTS: tuple[m.OperationReply, ...] = (m.Checked(), m.Created("/b"), m.Deleted(), m.DataSet(STAT))
TRANSACTIONS: tuple[tuple[m.Request, m.Reply], ...] = (
    (m.Multi(()), m.Transacted(())),
    (m.Multi(OPERATIONS), m.Transacted(RESULTS)),
    (m.Multi(OPERATIONS[:2]), m.Transacted((m.Failed(0), m.Failed(-110)))),
)
EXCHANGES = SIMPLE + TRANSACTIONS
REQUESTS = tuple(request for request, _ in EXCHANGES)
WATCHED = tuple(m.Watched(change, "/a") for change in m.EventType)
ACCEPTED = m.Accepted(0x1234, 6.0, bytes(range(16)))
CONNECT = m.Connect(7, 6.0, 0x1234, bytes(range(16)))


def payload(frame: bytes) -> bytes:
    """A frame without its length."""
    return frame[INT.size :]


FROM_SERVER: tuple[bytes, ...] = (
    *(payload(server.encode_reply(1, 2, reply)) for _, reply in EXCHANGES),
    payload(server.encode_reply(1, 2, m.Failed(-101))),
    *(payload(server.encode_watched(event)) for event in WATCHED),
    payload(server.encode_accepted(ACCEPTED, modern=True)),
    payload(server.encode_accepted(ACCEPTED, modern=False)),
)
FROM_CLIENT: tuple[bytes, ...] = (
    *(payload(wire.encode_request(1, request)) for request in REQUESTS),
    payload(wire.encode_request(wire.PING_XID, m.Ping())),
    payload(wire.encode_request(1, m.Close())),
    payload(wire.encode_connect(CONNECT)),
)


class Spoiling(Enum):
    """What is done to bytes."""

    FLIP = "a bit is flipped"
    CUT = "the rest is missing"
    NUMBER = "four bytes are a number that is too large, too small or a trap"
    REPEAT = "what is behind here comes twice"
    INSERT = "bytes are put in"


@dataclass(frozen=True, slots=True)
class Spoil:
    """One spoiling; its numbers fit bytes of any length."""

    kind: Spoiling
    place: int
    value: int

    def __call__(self, data: bytes) -> bytes:
        """The bytes, spoilt."""
        place = self.place % (len(data) + 1)
        before, behind = data[:place], data[place:]
        match self.kind:
            case Spoiling.FLIP:
                return before + bytes(byte ^ 1 << self.value % 8 for byte in behind[:1]) + behind[1:]
            case Spoiling.CUT:
                return before
            case Spoiling.NUMBER:
                return before + INT.pack(EXTREMES[self.value % len(EXTREMES)]) + behind[INT.size :]
            case Spoiling.REPEAT:
                return data + behind
            case Spoiling.INSERT:
                return before + bytes([self.value % 256]) * (self.value % 13) + behind


def _replies(frame: bytes) -> None:
    for request in REQUESTS:
        _decode(lambda: wire.decode_reply(request, frame))  # noqa: B023  called at once


def _requests(frame: bytes) -> None:
    """What a server understands, it understands again when a client says it."""
    understood = _decode(lambda: server.decode_request(frame))
    if understood is not None and isinstance(understood[1], m.Request):
        try:
            said = wire.encode_request(understood[0], understood[1])
        except UsageError:
            return  # a replacement character makes three bytes of one, and a frame too large
        assert server.decode_request(payload(said)) == understood


def _decode(decode: Callable[[], T]) -> T | None:
    try:
        return decode()
    except ProtocolError:
        return None


DECODERS: dict[str, Callable[[bytes], object]] = {
    "accepted": lambda frame: _decode(lambda: wire.decode_accepted(frame)),
    "header": lambda frame: _decode(lambda: wire.decode_header(frame)),
    "watched": lambda frame: _decode(lambda: wire.decode_watched(frame)),
    "reply": _replies,
    "connect": lambda frame: _decode(lambda: server.decode_connect(frame)),
    "request": _requests,
}
"""Each takes a frame and raises nothing, unless there is a bug."""


def stream(data: bytes, cuts: list[int], limit: int) -> None:
    """Feed a stream in pieces: what is kept never exceeds the limit by more than a length."""
    reader = wire.FrameReader(limit)
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        try:
            for frame in reader.feed(data[start:end]):
                assert len(frame) <= limit
        except ProtocolError:
            return
        assert reader.pending < limit + INT.size
