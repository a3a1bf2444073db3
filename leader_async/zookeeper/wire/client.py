"""What a client says to a server, and what it hears back."""

from __future__ import annotations

import struct

from aiozk import protocol as zk

from ...errors import ProtocolError, UsageError
from .. import messages as m
from .frames import FRAME_LIMIT, INT, at_end, frame_of, parse, text, unpack, vector
from .parts import ERROR, MultiHeader, codec_of, part_of, take_access, take_stat

REPLY_HEADER = struct.Struct("!iqi")


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
    return frame_of(part.serialize())


def encode_request(xid: int, request: m.Request) -> bytes:
    """A request's frame.

    Raises:
        UsageError: the request holds something that the protocol cannot carry.
    """
    try:
        payload: bytes = part_of(request).serialize(xid)
    except (struct.error, UnicodeEncodeError) as error:
        raise UsageError(f"{request} cannot be sent: {error}") from error
    if len(payload) > FRAME_LIMIT:
        raise UsageError(f"{type(request).__name__} of {len(payload)} bytes: a frame holds {FRAME_LIMIT} at most")
    return frame_of(payload)


# -- from the server ---------------------------------------------------------------------------------------------------


def decode_accepted(frame: bytes) -> m.Accepted:
    """The handshake's answer.

    Raises:
        ProtocolError: it is not one.
    """
    part, offset = parse(zk.ConnectResponse, frame, 0)
    # Servers since 3.4 add one byte that tells whether they are read-only; older ones do not.
    if len(frame) - offset > 1:
        raise ProtocolError(f"{len(frame) - offset} bytes too many behind the handshake")
    return m.Accepted(part.session_id, part.timeout / 1000, part.password or b"")


def decode_header(frame: bytes) -> tuple[int, int, int]:
    """xid, zxid and error code of any frame behind the handshake.

    Raises:
        ProtocolError: it is too short.
    """
    try:
        xid, zxid, error = REPLY_HEADER.unpack_from(frame)
    except struct.error as problem:
        raise ProtocolError(f"a frame of {len(frame)} bytes has no reply header") from problem
    return xid, zxid, error


def decode_watched(frame: bytes) -> m.Watched | None:
    """A watch event; None for one that only repeats the connection's state.

    Raises:
        ProtocolError: it is malformed.
    """
    part, offset = parse(zk.WatchEvent, frame, REPLY_HEADER.size)
    at_end(frame, offset)
    if part.type == -1:
        return None
    try:
        return m.Watched(m.Change(part.type), part.path or "")
    except ValueError as problem:
        raise ProtocolError(f"a watch event of type {part.type}") from problem


def decode_reply(request: m.Request, frame: bytes) -> m.Reply:
    """The answer to `request`, whose header has been read already.

    Raises:
        ProtocolError: it is not an answer to it.
    """
    _, _, error = decode_header(frame)
    offset = REPLY_HEADER.size
    if error != 0:
        at_end(frame, offset)
        return m.Failed(error)
    reply, offset = _reply(request, frame, offset)
    at_end(frame, offset)
    return reply


def _reply(request: m.Request, frame: bytes, offset: int) -> tuple[m.Reply, int]:
    match request:
        case m.Create(stat=False):
            part, offset = parse(zk.CreateResponse, frame, offset)
            return m.Created(text(part.path)), offset
        case m.Create():
            part, offset = parse(zk.Create2Response, frame, offset)
            return m.Created(text(part.path), take_stat(part.stat)), offset
        case m.Delete():
            return m.Deleted(), offset
        case m.SetData():
            part, offset = parse(zk.SetDataResponse, frame, offset)
            return m.DataSet(take_stat(part.stat)), offset
        case m.Check():
            return m.Checked(), offset
        case m.Multi():
            return _transacted(request, frame, offset)
        case m.GetData() | m.GetChildren() | m.Exists() | m.GetAccess():
            return _read(request, frame, offset)
        case m.SetAccess():
            part, offset = parse(zk.SetACLResponse, frame, offset)
            return m.AccessSet(take_stat(part.stat)), offset
        case m.Authenticate():
            return m.Authenticated(), offset
        case m.SetWatches():
            return m.WatchesSet(), offset
        case m.Sync():
            part, offset = parse(zk.SyncResponse, frame, offset)
            return m.Synced(part.path or ""), offset
        case m.Ping():
            return m.Ponged(), offset
        case _:
            assert isinstance(request, m.Close)
            return m.Closed(), offset


def _read(request: m.Read, frame: bytes, offset: int) -> tuple[m.ReadReply, int]:
    match request:
        case m.GetData():
            part, offset = parse(zk.GetDataResponse, frame, offset)
            return m.Data(part.data or b"", take_stat(part.stat)), offset
        case m.GetChildren(stat=wanted):
            vector(frame, offset)
            part, offset = parse(zk.GetChildren2Response if wanted else zk.GetChildrenResponse, frame, offset)
            return m.Children(tuple(map(text, part.children)), take_stat(part.stat) if wanted else None), offset
        case m.Exists():
            part, offset = parse(zk.ExistsResponse, frame, offset)
            return m.Found(take_stat(part.stat)), offset
        case _:
            assert isinstance(request, m.GetAccess)
            vector(frame, offset)
            part, offset = parse(zk.GetACLResponse, frame, offset)
            return m.AccessList(take_access(part.acl), take_stat(part.stat)), offset


def _transacted(request: m.Multi, frame: bytes, offset: int) -> tuple[m.Transacted, int]:
    results: list[m.OperationReply] = []
    header, offset = parse(MultiHeader, frame, offset)
    while not header.done:
        if len(results) == len(request.operations):
            raise ProtocolError("more results than the transaction has operations")
        operation = request.operations[len(results)]
        if header.type == ERROR:
            (code,) = unpack(INT, frame, offset)
            results.append(m.Failed(code))
            offset += INT.size
        elif header.type != codec_of(operation).opcode:
            raise ProtocolError(f"a result of type {header.type} for {type(operation).__name__}")
        else:
            result, offset = _reply(operation, frame, offset)
            assert isinstance(result, m.Created | m.Deleted | m.DataSet | m.Checked)
            results.append(result)
        header, offset = parse(MultiHeader, frame, offset)
    if len(results) != len(request.operations):
        raise ProtocolError(f"{len(results)} results for {len(request.operations)} operations")
    return m.Transacted(tuple(results)), offset
