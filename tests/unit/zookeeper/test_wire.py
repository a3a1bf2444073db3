"""Frames as bytes; what is true of all of them is in tests/properties/test_wire.py."""

from __future__ import annotations

import struct

import pytest
from aiozk import protocol as zk

from leader_async.errors import ProtocolError, UsageError
from leader_async.zookeeper import foreign, wire
from leader_async.zookeeper import messages as m
from leader_async.zookeeper.wire import server
from leader_async.zookeeper.wire.asked import Asked


def header(error: int = 0, xid: int = 1, zxid: int = 7) -> bytes:
    return struct.pack("!iqi", xid, zxid, error)


STAT = struct.pack("!qqqqiiiqiiq", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
PARSED = m.Stat(
    czxid=1,
    mzxid=2,
    ctime=0.003,
    mtime=0.004,
    version=5,
    cversion=6,
    aversion=7,
    ephemeral_owner=8,
    length=9,
    children=10,
    pzxid=11,
)
ACCESS = struct.pack("!ii", 1, 31) + struct.pack("!i5si6s", 5, b"world", 6, b"anyone")


def text(value: str) -> bytes:
    return struct.pack("!i", len(value)) + value.encode()


REPLIES: list[tuple[m.Request, bytes, m.Reply]] = [
    (m.Create("/a"), text("/a"), m.Created("/a")),
    (m.Delete("/a"), b"", m.Deleted()),
    (m.SetData("/a", b"x", 1), STAT, m.DataSet(PARSED)),
    (m.Check("/a", 1), b"", m.Checked()),
    (m.GetData("/a"), text("data") + STAT, m.Data(b"data", PARSED)),
    (m.GetData("/a"), struct.pack("!i", -1) + STAT, m.Data(b"", PARSED)),
    (m.GetChildren("/a"), struct.pack("!i", 2) + text("b") + text("c"), m.Children(("b", "c"))),
    (m.Exists("/a"), STAT, m.Found(PARSED)),
    (m.Sync("/a"), text("/a"), m.Synced("/a")),
    (m.Create("/a", stat=True), text("/a") + STAT, m.Created("/a", PARSED)),
    (m.GetChildren("/a", stat=True), struct.pack("!i", 1) + text("b") + STAT, m.Children(("b",), PARSED)),
    (m.GetAccess("/a"), ACCESS + STAT, m.AccessList(m.OPEN, PARSED)),
    (m.SetAccess("/a", m.OPEN), STAT, m.AccessSet(PARSED)),
    (m.Authenticate("digest", b"a:b"), b"", m.Authenticated()),
    (m.SetWatches(1), b"", m.WatchesSet()),
    (m.Ping(), b"", m.Ponged()),
    (m.Close(), b"", m.Closed()),
]


@pytest.mark.parametrize(("request_", "body", "reply"), REPLIES, ids=lambda value: type(value).__name__)
def test_replies(request_: m.Request, body: bytes, reply: m.Reply) -> None:
    assert wire.decode_reply(request_, header() + body) == reply


def test_null_is_not_empty_to_a_server() -> None:
    null, empty = struct.pack("!i", -1), struct.pack("!i", 0)
    for sent, is_null in ((null, True), (empty, False)):
        _, create = server.decode_request(struct.pack("!ii", 7, 1) + sent + sent + struct.pack("!ii", 0, 0))
        assert create == m.Create("", b"", access=())
        assert isinstance(create, m.Create)
        assert m.is_null(create.path) is m.is_null(create.data) is is_null
    nothing = m.Data(m.NULL_DATA, m.Stat()), m.Data(b"", m.Stat())
    assert [server.encode_reply(1, 7, reply)[20:24] for reply in nothing] == [null, empty]
    assert server.encode_reply(1, 7, m.Synced(m.NULL_TEXT))[20:] == null


def test_a_transaction_may_create_with_an_access_list_of_its_own() -> None:
    own = m.Create("/a", b"x", access=(m.Access(m.Permission.READ, "digest", "me:hash"),))
    told = m.Create("/b", access=(*own.access, *m.OPEN), stat=True)
    for last in (m.Delete("/c"), told):
        request = m.Multi((m.Check("/b", 1), own, last))
        assert server.decode_request(wire.encode_request(5, request)[4:]) == (5, request)


@pytest.mark.parametrize("request_", [entry[0] for entry in REPLIES], ids=lambda value: type(value).__name__)
def test_an_error_in_the_header_fails_any_request(request_: m.Request) -> None:
    assert wire.decode_reply(request_, header(-101)) == m.Failed(-101)


def part(kind: int, done: bool = False, error: int = 0) -> bytes:
    return struct.pack("!i?i", kind, done, error)


END = part(-1, True, -1)
TRANSACTION = m.Multi((m.Check("/a/b"), m.SetData("/a", b"x", 1)))


def test_a_transaction_that_happened() -> None:
    reply = wire.decode_reply(TRANSACTION, header() + part(13) + part(5) + STAT + END)
    assert reply == m.Transacted((m.Checked(), m.DataSet(PARSED)))
    assert isinstance(reply, m.Transacted)
    assert reply.ok
    assert reply.failure is None


def test_a_refused_transaction_answers_in_its_body_with_header_error_0() -> None:
    failed = b"".join(part(-1, False, code) + struct.pack("!i", code) for code in (0, -103))
    reply = wire.decode_reply(TRANSACTION, header() + failed + END)
    assert isinstance(reply, m.Transacted)
    assert not reply.ok
    assert reply.failure == (1, -103)


@pytest.mark.parametrize(
    ("codes", "failure"),
    [((0, -103, -2), (1, -103)), ((-101, -2, -2), (0, -101)), ((0, 0, -110), (2, -110)), ((-2, -2, -2), (0, -2))],
)
def test_the_culprit_is_neither_the_rolled_back_nor_the_inconsistent(
    codes: tuple[int, ...], failure: tuple[int, int]
) -> None:
    assert m.Transacted(tuple(map(m.Failed, codes))).failure == failure


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (part(13) + part(13) + END, "a result of type 13 for SetData"),
        (part(13) + END, "1 results for 2"),
        (part(13) + part(5) + STAT + part(13) + END, "more results"),
        (part(-1), "ends too early"),
        (part(13) + part(5) + STAT, "inside a transaction"),
        (part(13) + part(5) + STAT[:-1], "too early for a stat"),
    ],
)
def test_transactions_that_do_not_answer_what_was_asked(body: bytes, complaint: str) -> None:
    with pytest.raises(ProtocolError, match=complaint):
        wire.decode_reply(TRANSACTION, header() + body)


@pytest.mark.parametrize(
    ("request_", "body", "complaint"),
    [
        (m.Delete("/a"), b"x", "1 bytes too many"),
        (m.Create("/a"), struct.pack("!i", -1), "null string"),
        (m.Create("/a"), struct.pack("!i", -7), "bytes at 20"),
        (m.Create("/a"), struct.pack("!i", 2) + b"\xff\xff", "not UTF-8"),
        (m.GetChildren("/a"), struct.pack("!i", -1), "a list of -1 entries"),
        (m.GetAccess("/a"), struct.pack("!i", -1), "a list of -1 entries"),
        (m.GetChildren("/a"), b"", "ends too early"),
        (m.GetChildren("/a"), struct.pack("!i", 2**31 - 1), "ends too early"),
        (m.Exists("/a"), STAT[:-1], "too early for a stat"),
    ],
)
def test_malformed_replies(request_: m.Request, body: bytes, complaint: str) -> None:
    with pytest.raises(ProtocolError, match=complaint):
        wire.decode_reply(request_, header() + body)


def test_a_frame_without_a_header() -> None:
    with pytest.raises(ProtocolError, match="no reply header"):
        wire.decode_header(b"123")


@pytest.mark.parametrize("tail", [b"", b"\x00"])
def test_the_handshake_with_and_without_its_read_only_byte(tail: bytes) -> None:
    frame = struct.pack("!iiq", 0, 4000, 99) + struct.pack("!i", 2) + b"pw" + tail
    assert wire.decode_accepted(frame) == m.Accepted(99, 4.0, b"pw")
    with pytest.raises(ProtocolError, match="too many"):
        wire.decode_accepted(frame + b"xx")


def watch_event(kind: int, path: bytes = b"\x00\x00\x00\x02/a") -> bytes:
    return header(0, -1, -1) + struct.pack("!ii", kind, 3) + path


def test_watch_events() -> None:
    assert wire.decode_watched(watch_event(2)) == m.Watched(m.EventType.DELETED, "/a")
    assert wire.decode_watched(watch_event(-1)) is None
    assert wire.decode_watched(watch_event(3, struct.pack("!i", -1))) == m.Watched(m.EventType.DATA, "")
    with pytest.raises(ProtocolError, match="of type 77"):
        wire.decode_watched(watch_event(77))
    with pytest.raises(ProtocolError, match="a path of 2 bytes in a watch event with 1"):
        wire.decode_watched(watch_event(2)[:-1])


def test_requests_are_what_aiozk_reads() -> None:
    frame = wire.encode_request(5, m.Create("/a", b"x", ephemeral=True, sequential=True))
    length, xid, opcode = struct.unpack_from("!iii", frame)
    assert (length, xid, opcode) == (len(frame) - 4, 5, 1)
    part, offset = zk.CreateRequest.parse(frame, 12)
    assert (part.path, part.data, part.flags, offset) == ("/a", b"x", 3, len(frame))
    assert wire.encode_request(5, m.Close())[4:] == struct.pack("!ii", 5, -11)
    connect = wire.encode_connect(m.Connect(9, 6.0, 3, b"pw"))
    part, offset = zk.ConnectRequest.parse(connect, 4)
    assert (part.last_seen_zxid, part.timeout, part.session_id, part.password) == (9, 6000, 3, b"pw")


def test_requests_that_cannot_be_sent() -> None:
    with pytest.raises(UsageError, match="cannot be sent"):
        wire.encode_request(1, m.SetData("/a", b"", 2**40))
    with pytest.raises(UsageError, match="cannot be sent"):
        wire.encode_request(1, m.Check("/\ud800"))
    with pytest.raises(UsageError, match="at most"):
        wire.encode_request(1, m.SetData("/a", bytes(2**20), 0))
    room = 2**20 - 1 - len(wire.encode_request(1, m.SetData("/a", b"", 0))[4:])
    assert len(wire.encode_request(1, m.SetData("/a", bytes(room), 0))) == 4 + 2**20 - 1
    with pytest.raises(UsageError, match="1048575 at most"):
        wire.encode_request(1, m.SetData("/a", bytes(room + 1), 0))


def test_a_stream_is_cut_into_frames() -> None:
    reader = wire.FrameReader(limit=10)
    assert list(reader.feed(struct.pack("!i", 3) + b"ab")) == []
    assert reader.pending == 6
    assert list(reader.feed(b"c" + struct.pack("!i", 0) + struct.pack("!i", 1))) == [b"abc", b""]
    assert list(reader.feed(b"x")) == [b"x"]
    assert reader.pending == 0


@pytest.mark.parametrize("length", [-1, 11, 2**31 - 1])
def test_lengths_below_zero_and_above_the_limit(length: int) -> None:
    with pytest.raises(ProtocolError, match=f"{length} bytes"):
        list(wire.FrameReader(limit=10).feed(struct.pack("!i", length)))


def test_a_server_knows_what_it_does_not_know() -> None:
    def of(opcode: int, body: bytes) -> Asked:
        xid, request = server.decode_request(struct.pack("!ii", 7, opcode) + body)
        assert xid == 7
        return request

    assert of(99, b"") == foreign.Unknown()
    for body in (part(4) + text("/a") + b"\0", part(99), part(1) + create(5)):
        assert of(14, body + END) == foreign.Impossible(foreign.UNREADABLE)
        assert of(22, body[:-1]) == foreign.Unreadable()
    assert of(1, create(5)) == of(21, create(5) + bytes(8)) == foreign.Impossible(foreign.UNIMPLEMENTED)
    assert of(1, create(7)) == of(1, create(-1)) == foreign.Impossible(foreign.BAD_ARGUMENTS)
    assert of(19, create(4)) == m.Create("/a", access=(), stat=True)
    for opcode in (17, 18, 106):
        assert of(opcode, text("/a") + struct.pack("!i", 6)) == foreign.Unreadable()
    for body in (b"", text("/a")[:-1], struct.pack("!i", -2), struct.pack("!i", 2**31 - 1)):
        for opcode in (1, 2, 3, 21, 101):
            assert of(opcode, body) == foreign.Unreadable()
        with pytest.raises(ProtocolError, match="ends too early"):
            of(100, body)


def create(flags: int) -> bytes:
    """The fields of a create."""
    return text("/a") + text("") + struct.pack("!ii", 0, flags)


@pytest.mark.parametrize(
    ("opcode", "body", "request_"),
    [
        (17, struct.pack("!i", 2), foreign.CheckWatches("/a", foreign.Kind.DATA)),
        (18, struct.pack("!i", 3), foreign.RemoveWatches("/a", foreign.Kind.ANY)),
        (103, b"", foreign.ListEphemerals("/a")),
        (104, b"", foreign.CountBelow("/a")),
        (106, struct.pack("!i", 0), foreign.AddWatch("/a", recursive=False)),
        (106, struct.pack("!i", 1) + b"more", foreign.AddWatch("/a", recursive=True)),
    ],
)
def test_what_other_clients_ask_is_heard(opcode: int, body: bytes, request_: foreign.Request) -> None:
    assert server.decode_request(struct.pack("!ii", 7, opcode) + text("/a") + body) == (7, request_)


def test_watches_are_set_and_read_together() -> None:
    some, none = struct.pack("!i", 1) + text("/a"), struct.pack("!i", 0)
    every = server.decode_request(struct.pack("!iiq", -8, 105, 9) + some + none + none + some + some)
    assert every == (-8, foreign.SetEveryWatch(m.SetWatches(9, ("/a",)), ("/a",), ("/a",)))
    reads = part(4) + text("/a") + b"\0" + part(8) + text("/b") + b"\0"
    asked = server.decode_request(struct.pack("!ii", 7, 22) + reads + END)
    assert asked == (7, foreign.ReadMany((m.GetData("/a"), m.GetChildren("/b"))))
    assert server.decode_request(struct.pack("!ii", 7, 107)) == (7, foreign.WhoAmI())


@pytest.mark.parametrize("request_", [entry[0] for entry in REPLIES], ids=lambda value: type(value).__name__)
def test_what_a_client_asks_a_server_hears(request_: m.Request) -> None:
    heard = server.decode_request(wire.encode_request(5, request_)[4:])
    assert heard == (5, foreign.Unknown() if isinstance(request_, m.Check) else request_)


@pytest.mark.parametrize(("request_", "body", "reply"), REPLIES, ids=lambda value: type(value).__name__)
def test_what_a_server_says_a_client_hears(request_: m.Request, body: bytes, reply: m.Reply) -> None:
    assert wire.decode_reply(request_, server.encode_reply(1, 7, reply)[4:]) == reply
