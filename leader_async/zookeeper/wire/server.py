"""What a server hears from a client, and what it says back: the other direction, for the embedded server.

An operation that this server does not know is `Unknown`, so that it can be refused like ZooKeeper refuses it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from aiozk import protocol as zk

from .. import messages as m
from .client import REPLY_HEADER
from .frames import INT, at_end, frame_of, parse, unpack
from .parts import BY_OPCODE, ERROR, MULTI, WATCH_XID, MultiHeader, pack_access, pack_stat

_REQUEST_HEADER = struct.Struct("!ii")
_CONNECTED_STATE = 3
_OPERATIONS = (m.Create, m.Delete, m.SetData, m.Check)
# As clients before 3.4 send it; newer ones add one byte.
_HANDSHAKE: Any = type("ConnectRequest", (zk.ConnectRequest,), {"parts": zk.ConnectRequest.parts[:-1]})


@dataclass(frozen=True, slots=True)
class Unknown:
    """A request that this server cannot carry out."""

    reason: str


@dataclass(frozen=True, slots=True)
class Hello:
    """The handshake's request; `modern` if it says whether a read-only server would do, and so expects to be told."""

    connect: m.Connect
    modern: bool


# -- from the client ---------------------------------------------------------------------------------------------------


def decode_connect(frame: bytes) -> Hello:
    """The handshake's request.

    Raises:
        ProtocolError: it is not one.
    """
    part, offset = parse(_HANDSHAKE, frame, 0)
    modern = len(frame) - offset == 1
    if not modern:
        at_end(frame, offset)
    return Hello(m.Connect(part.last_seen_zxid, part.timeout / 1000, part.session_id, part.password or b""), modern)


def decode_request(frame: bytes) -> tuple[int, m.Request | Unknown]:
    """A request and its xid.

    Raises:
        ProtocolError: it is malformed.
    """
    xid, opcode = unpack(_REQUEST_HEADER, frame, 0)
    offset = _REQUEST_HEADER.size
    try:
        if opcode == MULTI:
            request, offset = _multi(frame, offset)
        elif opcode in BY_OPCODE:
            request, offset = _request(opcode, frame, offset)
        else:
            return xid, Unknown(f"operation {opcode} is not known here")
    except _Unsupported as problem:
        return xid, Unknown(str(problem))
    at_end(frame, offset)
    return xid, request


class _Unsupported(Exception):
    """A well-formed request for something that is not had here."""


def _request(opcode: int, frame: bytes, offset: int) -> tuple[Any, int]:
    codec = BY_OPCODE[opcode]
    part, end = parse(codec.part, frame, offset)
    try:
        return codec.take(part), end
    except ValueError as problem:
        raise _Unsupported(str(problem)) from problem


def _multi(frame: bytes, offset: int) -> tuple[m.Multi, int]:
    operations: list[m.Operation] = []
    header, offset = parse(MultiHeader, frame, offset)
    while not header.done:
        if header.type not in BY_OPCODE:
            raise _Unsupported(f"operation {header.type} in a transaction is not known here")
        operation, offset = _request(header.type, frame, offset)
        if not isinstance(operation, _OPERATIONS):
            raise _Unsupported(f"{type(operation).__name__} in a transaction is not known here")
        operations.append(operation)
        header, offset = parse(MultiHeader, frame, offset)
    return m.Multi(tuple(operations)), offset


# -- to the client -----------------------------------------------------------------------------------------------------


def encode_accepted(accepted: m.Accepted, *, modern: bool) -> bytes:
    """The handshake's answer."""
    part = zk.ConnectResponse(
        protocol_version=0,
        timeout=round(accepted.timeout * 1000),
        session_id=accepted.session_id,
        password=accepted.password,
    )
    return frame_of(_bytes(part) + (b"\0" if modern else b""))


def encode_watched(event: m.Watched) -> bytes:
    """A watch event."""
    part = zk.WatchEvent(type=int(event.change), state=_CONNECTED_STATE, path=event.path)
    return frame_of(REPLY_HEADER.pack(WATCH_XID, -1, 0) + _bytes(part))


def encode_reply(xid: int, zxid: int, reply: m.Reply) -> bytes:
    """A reply.

    Args:
        xid: that of the request.
        zxid: up to which transaction this server has come.
        reply: what to say.
    """
    if isinstance(reply, m.Failed):
        return frame_of(REPLY_HEADER.pack(xid, zxid, reply.code))
    return frame_of(REPLY_HEADER.pack(xid, zxid, 0) + _body(reply))


def _body(reply: m.Reply) -> bytes:
    match reply:
        case m.Created(path, None):
            return _bytes(zk.CreateResponse(path=path))
        case m.Created(path, m.Stat() as stat):
            return _bytes(zk.Create2Response(path=path, stat=pack_stat(stat)))
        case m.DataSet(stat):
            return _bytes(zk.SetDataResponse(stat=pack_stat(stat)))
        case m.Data(data, stat):
            return _bytes(zk.GetDataResponse(data=data, stat=pack_stat(stat)))
        case m.Children(names, None):
            return _bytes(zk.GetChildrenResponse(children=names))
        case m.Children(names, m.Stat() as stat):
            return _bytes(zk.GetChildren2Response(children=names, stat=pack_stat(stat)))
        case m.Found(stat):
            return _bytes(zk.ExistsResponse(stat=pack_stat(stat)))
        case m.AccessList(access, stat):
            return _bytes(zk.GetACLResponse(acl=pack_access(access), stat=pack_stat(stat)))
        case m.AccessSet(stat):
            return _bytes(zk.SetACLResponse(stat=pack_stat(stat)))
        case m.Synced(path):
            return _bytes(zk.SyncResponse(path=path))
        case m.Transacted(results):
            return _results(results)
        case _:  # those that only say that it was done
            return b""


def _results(results: tuple[m.OperationReply, ...]) -> bytes:
    parts = []
    for result in results:
        if isinstance(result, m.Failed):
            parts += [_bytes(MultiHeader(type=ERROR, done=False, error=result.code)), INT.pack(result.code)]
        else:
            parts += [_bytes(MultiHeader(type=_opcode(result), done=False, error=0)), _body(result)]
    return b"".join([*parts, _bytes(MultiHeader(type=ERROR, done=True, error=-1))])


def _opcode(result: m.Created | m.Deleted | m.DataSet | m.Checked) -> int:
    match result:
        case m.Created(stat=None):
            return int(zk.CreateRequest.opcode)
        case m.Created():
            return int(zk.Create2Request.opcode)
        case m.Deleted():
            return int(zk.DeleteRequest.opcode)
        case m.DataSet():
            return int(zk.SetDataRequest.opcode)
        case _:
            assert isinstance(result, m.Checked)
            return int(zk.CheckVersionRequest.opcode)


def _bytes(part: Any) -> bytes:
    form, values = part.render()
    return struct.pack("!" + form, *values)
