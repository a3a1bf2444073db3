"""The client's side of a connection: requests out, replies and events in."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from aiozk import protocol as zk

from ...errors import ProtocolError, UsageError
from .. import messages as m
from . import packed
from .codecs import Code, part_of
from .frames import REQUEST_LIMIT, at_end, blob, parse

REPLY_HEADER = struct.Struct("!iqi")
_CHANGES = {change.value: change for change in m.EventType}
Taker = Callable[[m.Request, bytes, int], tuple[m.Reply, int]]


# -- to the server -----------------------------------------------------------------------------------------------------


def encode_connect(request: m.Connect) -> bytes:
    """The handshake's frame."""
    part = zk.ConnectRequest(
        protocol_version=0,
        last_seen_zxid=request.last_zxid,
        timeout=round(request.timeout * 1000),
        session_id=request.session_id,
        password=request.password,
        read_only=False,
    )
    return blob(part.serialize())


def encode_request(xid: int, request: m.Request) -> bytes:
    """A request's frame.

    Raises:
        UsageError: the request holds something that the protocol cannot carry.
    """
    try:
        payload = packed.serialize(xid, request)
        if payload is None:
            payload = bytes(part_of(request).serialize(xid))
    except (struct.error, UnicodeEncodeError) as error:
        raise UsageError(f"{request} cannot be sent: {error}") from error
    if len(payload) > REQUEST_LIMIT:
        raise UsageError(f"{type(request).__name__} of {len(payload)} bytes: servers take {REQUEST_LIMIT} at most")
    return blob(payload)


# -- from the server ---------------------------------------------------------------------------------------------------


def decode_accepted(frame: bytes) -> m.Accepted:
    """The handshake's answer."""
    part, offset = parse(zk.ConnectResponse, frame, 0)
    # Servers since 3.4 add one byte, whether they are read-only; older ones do not.
    if len(frame) - offset > 1:
        raise ProtocolError(f"{len(frame) - offset} bytes too many behind the handshake")
    return m.Accepted(part.session_id, part.timeout / 1000, part.password or b"")


def decode_header(frame: bytes) -> tuple[int, int, int]:
    """xid, zxid and error code of any frame behind the handshake."""
    try:
        xid, zxid, error = REPLY_HEADER.unpack_from(frame)
    except struct.error as problem:
        raise ProtocolError(f"a frame of {len(frame)} bytes has no reply header") from problem
    return xid, zxid, error


def decode_watched(frame: bytes) -> m.Watched | None:
    """A watch event; None for one that only repeats the connection's state."""
    number, path = packed.event(frame, REPLY_HEADER.size)
    if number == -1:
        return None
    change = _CHANGES.get(number)
    if change is None:
        raise ProtocolError(f"a watch event of type {number}")
    return m.Watched(change, packed.decoded(path))


def decode_reply(request: m.Request, frame: bytes) -> m.Reply:
    """The answer to `request`, whose header has been read already."""
    _, _, error = decode_header(frame)
    offset = REPLY_HEADER.size
    if error != 0:
        at_end(frame, offset)
        return m.Failed(error)
    reply, offset = _REPLIES[type(request)](request, frame, offset)
    at_end(frame, offset)
    return reply


def _created(request: m.Create, frame: bytes, offset: int) -> tuple[m.Created, int]:
    path, offset = packed.string(frame, offset)
    if not request.stat:
        return m.Created(path), offset
    stat, offset = packed.stat(frame, offset)
    return m.Created(path, stat), offset


def _data(request: m.GetData, frame: bytes, offset: int) -> tuple[m.Data, int]:
    data, offset = packed.sized(frame, offset)
    stat, offset = packed.stat(frame, offset)
    return m.Data(data or b"", stat), offset


def _children(request: m.GetChildren, frame: bytes, offset: int) -> tuple[m.Children, int]:
    names, offset = packed.many(packed.string, frame, offset)
    if not request.stat:
        return m.Children(names), offset
    stat, offset = packed.stat(frame, offset)
    return m.Children(names, stat), offset


def _with_stat(reply: Callable[[m.Stat], m.Reply]) -> Taker:
    def take(request: m.Request, frame: bytes, offset: int) -> tuple[m.Reply, int]:
        stat, offset = packed.stat(frame, offset)
        return reply(stat), offset

    return take


def _empty(reply: m.Reply) -> Taker:
    return lambda request, frame, offset: (reply, offset)


def _access(request: m.GetAccess, frame: bytes, offset: int) -> tuple[m.AccessList, int]:
    access, offset = packed.many(packed.access, frame, offset)
    stat, offset = packed.stat(frame, offset)
    return m.AccessList(access, stat), offset


def _synced(request: m.Sync, frame: bytes, offset: int) -> tuple[m.Synced, int]:
    path, offset = packed.sized(frame, offset)
    return m.Synced(packed.decoded(path or b"")), offset


def _transacted(request: m.Multi, frame: bytes, offset: int) -> tuple[m.Transacted, int]:
    if (results_at_once := packed.happened(request.operations, frame, offset)) is not None:
        return m.Transacted(tuple(results_at_once)), len(frame)
    results: list[m.OperationReply] = []
    opcode, done, offset = packed.operation(frame, offset)
    while not done:
        if len(results) == len(request.operations):
            raise ProtocolError("more results than the transaction has operations")
        operation = request.operations[len(results)]
        if opcode == Code.ERROR:
            code, offset = packed.number(frame, offset)
            results.append(m.Failed(code))
        elif opcode != _code(operation):
            raise ProtocolError(f"a result of type {opcode} for {type(operation).__name__}")
        else:
            result, offset = _REPLIES[type(operation)](operation, frame, offset)
            assert isinstance(result, m.Created | m.Deleted | m.DataSet | m.Checked)
            results.append(result)
        opcode, done, offset = packed.operation(frame, offset)
    if len(results) != len(request.operations):
        raise ProtocolError(f"{len(results)} results for {len(request.operations)} operations")
    return m.Transacted(tuple(results)), offset


def _code(operation: m.Operation) -> int:
    if isinstance(operation, m.Create):
        return Code.CREATE_WITH_STAT if operation.stat else Code.CREATE
    return _CODES[type(operation)]


_CODES: dict[type[m.Operation], int] = {m.Delete: Code.DELETE, m.SetData: Code.SET_DATA, m.Check: Code.CHECK}
_REPLIES: dict[type[m.Request], Callable[[Any, bytes, int], tuple[m.Reply, int]]] = {
    m.Create: _created,
    m.Delete: _empty(m.Deleted()),
    m.SetData: _with_stat(m.DataSet),
    m.Check: _empty(m.Checked()),
    m.Multi: _transacted,
    m.GetData: _data,
    m.GetChildren: _children,
    m.Exists: _with_stat(m.Found),
    m.GetAccess: _access,
    m.SetAccess: _with_stat(m.AccessSet),
    m.Authenticate: _empty(m.Authenticated()),
    m.SetWatches: _empty(m.WatchesSet()),
    m.Sync: _synced,
    m.Ping: _empty(m.Ponged()),
    m.Close: _empty(m.Closed()),
}
