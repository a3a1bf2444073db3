"""What is true of every frame: it comes back as it was sent, and nothing else does anything but a typed error."""

from __future__ import annotations

import struct
from typing import Any

from aiozk import protocol as zk
from aiozk.protocol.acl import ACL, ID
from aiozk.protocol.stat import Stat
from hypothesis import given
from hypothesis import strategies as st

from leader_async.errors import ProtocolError
from leader_async.zookeeper import messages as m
from leader_async.zookeeper import wire
from leader_async.zookeeper.session import Session

int32, int64 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
names = st.text(max_size=20)
blobs = st.binary(max_size=50)

accesses = st.lists(st.builds(m.Access, int32, names, names), max_size=3).map(tuple)
operations = st.one_of(
    st.builds(m.Create, names, blobs, st.booleans(), st.booleans()),
    st.builds(m.Create, names, blobs, access=accesses),
    st.builds(m.Delete, names, int32),
    st.builds(m.SetData, names, blobs, int32),
    st.builds(m.Check, names, int32),
)
requests: st.SearchStrategy[m.Request] = st.one_of(
    operations,
    st.builds(m.GetData, names, st.booleans()),
    st.builds(m.GetChildren, names, st.booleans()),
    st.builds(m.Exists, names, st.booleans()),
    st.builds(m.Sync, names),
    st.builds(m.Multi, st.lists(operations, max_size=4).map(tuple)),
    st.just(m.Ping()),
    st.just(m.Close()),
)
PARTS: dict[type[Any], Any] = {
    m.Create: zk.CreateRequest,
    m.Delete: zk.DeleteRequest,
    m.SetData: zk.SetDataRequest,
    m.Check: zk.CheckVersionRequest,
    m.GetData: zk.GetDataRequest,
    m.GetChildren: zk.GetChildrenRequest,
    m.Exists: zk.ExistsRequest,
    m.Sync: zk.SyncRequest,
}
SHARED = ("path", "data", "version", "watch")


def part_of(request: m.Request) -> Any:
    """The request as aiozk has it."""
    match request:
        case m.Multi(operations):
            part = zk.TransactionRequest()
            for operation in operations:
                part.add(part_of(operation))
            return part
        case m.Ping():
            return zk.PingRequest()
        case m.Close():
            return zk.CloseRequest()
    fields = {name: getattr(request, name) for name in SHARED if hasattr(request, name)}
    if isinstance(request, m.Create):
        fields["acl"] = [ACL(perms=one.permissions, id=ID(scheme=one.scheme, id=one.id)) for one in request.access]
        fields["flags"] = request.ephemeral + 2 * request.sequential
    return PARTS[type(request)](**fields)


@given(int32, requests)
def test_the_bytes_are_those_of_aiozk(xid: int, request: m.Request) -> None:
    payload = wire.encode_request(xid, request)[4:]
    assert payload == part_of(request).serialize(xid)


@given(int32, requests)
def test_requests_arrive_as_they_were_sent(xid: int, request: m.Request) -> None:
    frame = wire.encode_request(xid, request)
    (payload,) = wire.FrameReader().feed(frame)
    assert struct.unpack_from("!i", payload) == (xid,)
    if type(request) in PARTS:
        part, end = PARTS[type(request)].parse(payload, 8)
        assert end == len(payload)
        for name in SHARED:
            if hasattr(request, name):
                assert getattr(part, name) == getattr(request, name)


stats = st.builds(m.Stat, int64, int64, int32, int64, int32)


def stat_part(stat: m.Stat) -> Any:
    return Stat(
        created_zxid=stat.czxid,
        last_modified_zxid=stat.mzxid,
        created=0,
        modified=0,
        version=stat.version,
        child_version=0,
        acl_version=0,
        ephemeral_owner=stat.ephemeral_owner,
        data_length=0,
        num_children=stat.children,
        last_modified_children=0,
    )


def render(part: Any) -> bytes:
    form, values = part.render()
    return struct.pack("!" + form, *values)


def body(reply: m.Reply) -> bytes:
    match reply:
        case m.Created(path):
            return render(zk.CreateResponse(path=path))
        case m.DataSet(stat):
            return render(zk.SetDataResponse(stat=stat_part(stat)))
        case m.Data(data, stat):
            return render(zk.GetDataResponse(data=data, stat=stat_part(stat)))
        case m.Children(children):
            return render(zk.GetChildrenResponse(children=list(children)))
        case m.Found(stat):
            return render(zk.ExistsResponse(stat=stat_part(stat)))
        case _:
            return b""


exchanges: st.SearchStrategy[tuple[m.Request, m.Reply]] = st.one_of(
    st.tuples(st.just(m.Create("/a")), st.builds(m.Created, names)),
    st.tuples(st.just(m.Delete("/a")), st.just(m.Deleted())),
    st.tuples(st.just(m.SetData("/a", b"", 1)), st.builds(m.DataSet, stats)),
    st.tuples(st.just(m.GetData("/a")), st.builds(m.Data, blobs, stats)),
    st.tuples(st.just(m.GetChildren("/a")), st.builds(m.Children, st.lists(names, max_size=5).map(tuple))),
    st.tuples(st.just(m.Exists("/a")), st.builds(m.Found, stats)),
)


def frame_of(reply: m.Reply, xid: int = 1) -> bytes:
    return struct.pack("!iqi", xid, 5, 0) + body(reply)


@given(exchanges)
def test_replies_arrive_as_they_were_sent(exchange: tuple[m.Request, m.Reply]) -> None:
    request, reply = exchange
    assert wire.decode_reply(request, frame_of(reply)) == reply


@given(exchanges)
def test_every_prefix_of_every_frame_is_a_typed_error(exchange: tuple[m.Request, m.Reply]) -> None:
    request, reply = exchange
    frame = frame_of(reply)
    for end in range(len(frame)):
        try:
            wire.decode_reply(request, frame[:end])
        except ProtocolError:
            continue
        raise AssertionError(f"{frame[:end]!r} was taken for a whole frame")


@given(st.lists(exchanges, min_size=1, max_size=4), st.data())
def test_a_stream_cut_anywhere_gives_the_same_frames(exchanges: list[Any], data: st.DataObject) -> None:
    frames = [frame_of(reply) for _, reply in exchanges]
    stream = b"".join(struct.pack("!i", len(frame)) + frame for frame in frames)
    reader, found = wire.FrameReader(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += list(reader.feed(stream[:size]))
        stream = stream[size:]
    assert found == frames


@given(requests, st.binary(max_size=120))
def test_arbitrary_bytes_are_a_reply_or_a_typed_error(request: m.Request, junk: bytes) -> None:
    for decode in (wire.decode_accepted, wire.decode_header, wire.decode_watched):
        try:
            decode(junk)
        except ProtocolError:
            pass
    for error in (b"\0\0\0\0", junk[:4].ljust(4, b"\0")):
        try:
            wire.decode_reply(request, struct.pack("!iq", 1, 1) + error + junk)
        except ProtocolError:
            pass


@given(requests, st.lists(st.binary(max_size=60), max_size=6))
def test_a_session_lives_through_arbitrary_bytes_with_bounded_memory(request: m.Request, chunks: list[bytes]) -> None:
    session = Session(6.0, frame_limit=100)
    session.open(0.0, 1.0)
    session.receive_data(struct.pack("!iiiqi", 36, 0, 6000, 9, 16) + bytes(16), 0.0)
    session.send(request, 0.0)
    for chunk in chunks:
        session.receive_data(chunk, 0.1)
        assert session._frames.pending <= 104
    while session.next_event() is not None:
        pass
    session.drop("the end", m.Cause.NETWORK)
    session.open(1.0, 1.0)
