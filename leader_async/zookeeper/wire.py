"""Messages to frames and back; the only module that knows aiozk.

Rules:
- Any byte that is not ZooKeeper's protocol is a `ProtocolError`, never another exception: aiozk's codecs raise
  `struct.error` and `UnicodeDecodeError`, take a vector of length -1 for an empty one and ignore trailing bytes.
- No allocation of what a length says: a frame is kept only as far as it has arrived, and only below the limit.
- Milliseconds exist here only; everything above counts seconds.

It does not promise order or sense: what may follow what is `session`'s.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

from aiozk import protocol as zk
from aiozk.protocol.transaction import MultiHeader

from ..errors import ProtocolError, UsageError
from . import messages as m

FRAME_LIMIT = 0xFFFFF + 1024
"""Bytes of the largest frame taken: ZooKeeper's default `jute.maxbuffer` plus slack for the header."""

WATCH_XID, PING_XID = zk.WATCH_XID, zk.PING_XID

_LENGTH = struct.Struct("!i")
_REPLY_HEADER = struct.Struct("!iqi")
_INT = struct.Struct("!i")


class FrameReader:
    """Cuts a stream of bytes into frames."""

    def __init__(self, limit: int = FRAME_LIMIT) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes and give the frames that are complete.

        Raises:
            ProtocolError: a length below zero or above the limit; the stream cannot be followed any further.
        """
        self._buffer += data
        start = 0
        try:
            while len(self._buffer) - start >= 4:
                (length,) = _LENGTH.unpack_from(self._buffer, start)
                if not 0 <= length <= self._limit:
                    raise ProtocolError(f"a frame of {length} bytes (the limit is {self._limit})")
                if len(self._buffer) - start - 4 < length:
                    break
                frame = bytes(self._buffer[start + 4 : start + 4 + length])
                start += 4 + length
                yield frame
        finally:
            del self._buffer[:start]

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished frame are kept."""
        return len(self._buffer)


def _frame(payload: bytes) -> bytes:
    return _LENGTH.pack(len(payload)) + payload


# -- client to server --------------------------------------------------------------------------------------------------


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
    return _frame(part.serialize())


def encode_request(xid: int, request: m.Request) -> bytes:
    """A request's frame.

    Raises:
        UsageError: the request holds something that the protocol cannot carry.
    """
    try:
        payload: bytes = _part(request).serialize(xid)
    except (struct.error, UnicodeEncodeError) as error:
        raise UsageError(f"{request} cannot be sent: {error}") from error
    if len(payload) > FRAME_LIMIT:
        raise UsageError(f"{type(request).__name__} of {len(payload)} bytes: a frame holds {FRAME_LIMIT} at most")
    return _frame(payload)


def _create(request: m.Create) -> Any:
    part = zk.CreateRequest(path=request.path, data=request.data, acl=[zk.UNRESTRICTED_ACCESS])
    part.set_flags(ephemeral=request.ephemeral, sequential=request.sequential)
    return part


def _multi(request: m.Multi) -> Any:
    part = zk.TransactionRequest()
    for operation in request.operations:
        part.add(_part(operation))
    return part


_PARTS: dict[type[Any], Callable[[Any], Any]] = {
    m.Create: _create,
    m.Delete: lambda r: zk.DeleteRequest(path=r.path, version=r.version),
    m.SetData: lambda r: zk.SetDataRequest(path=r.path, data=r.data, version=r.version),
    m.Check: lambda r: zk.CheckVersionRequest(path=r.path, version=r.version),
    m.GetData: lambda r: zk.GetDataRequest(path=r.path, watch=r.watch),
    m.GetChildren: lambda r: zk.GetChildrenRequest(path=r.path, watch=r.watch),
    m.Exists: lambda r: zk.ExistsRequest(path=r.path, watch=r.watch),
    m.Sync: lambda r: zk.SyncRequest(path=r.path),
    m.Multi: _multi,
    m.Ping: lambda r: zk.PingRequest(),
    m.Close: lambda r: zk.CloseRequest(),
}

_OPCODES: dict[type[Any], int] = {
    m.Create: zk.CreateRequest.opcode,
    m.Delete: zk.DeleteRequest.opcode,
    m.SetData: zk.SetDataRequest.opcode,
    m.Check: zk.CheckVersionRequest.opcode,
}


def _part(request: m.Request) -> Any:
    return _PARTS[type(request)](request)


# -- server to client --------------------------------------------------------------------------------------------------


def decode_accepted(frame: bytes) -> m.Accepted:
    """The handshake's answer.

    Raises:
        ProtocolError: it is not one.
    """
    part, offset = _parse(zk.ConnectResponse, frame, 0)
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
        xid, zxid, error = _REPLY_HEADER.unpack_from(frame)
    except struct.error as problem:
        raise ProtocolError(f"a frame of {len(frame)} bytes has no reply header") from problem
    return xid, zxid, error


def decode_watched(frame: bytes) -> m.Watched | None:
    """A watch event; None for one that only repeats the connection's state.

    Raises:
        ProtocolError: it is malformed.
    """
    part, offset = _parse(zk.WatchEvent, frame, _REPLY_HEADER.size)
    _at_end(frame, offset)
    if part.type == -1:
        return None
    try:
        return m.Watched(m.Change(part.type), part.path or "")
    except ValueError as problem:
        raise ProtocolError(f"a watch event of type {part.type}") from problem


def decode_reply(request: m.Request, frame: bytes) -> m.Reply:
    """The answer to `request`, whose header has been read already.

    Raises:
        ProtocolError: it is malformed, or not an answer to such a request.
    """
    _, _, error = decode_header(frame)
    offset = _REPLY_HEADER.size
    if error != 0:
        _at_end(frame, offset)
        return m.Failed(error)
    reply, offset = _reply(request, frame, offset)
    _at_end(frame, offset)
    return reply


def _reply(request: m.Request, frame: bytes, offset: int) -> tuple[m.Reply, int]:
    match request:
        case m.Create():
            part, offset = _parse(zk.CreateResponse, frame, offset)
            return m.Created(_text(part.path)), offset
        case m.Delete():
            return m.Deleted(), offset
        case m.SetData():
            part, offset = _parse(zk.SetDataResponse, frame, offset)
            return m.DataSet(_stat(part.stat)), offset
        case m.Check():
            return m.Checked(), offset
        case m.GetData():
            part, offset = _parse(zk.GetDataResponse, frame, offset)
            return m.Data(part.data or b"", _stat(part.stat)), offset
        case m.GetChildren():
            (count,) = _unpack(_INT, frame, offset)
            if count < 0:
                raise ProtocolError(f"a list of {count} names")
            part, offset = _parse(zk.GetChildrenResponse, frame, offset)
            return m.Children(tuple(map(_text, part.children))), offset
        case m.Exists():
            part, offset = _parse(zk.ExistsResponse, frame, offset)
            return m.Found(_stat(part.stat)), offset
        case m.Sync():
            _, offset = _parse(zk.SyncResponse, frame, offset)
            return m.Synced(), offset
        case m.Multi():
            return _transacted(request, frame, offset)
        case m.Ping():
            return m.Ponged(), offset
        case _:
            assert isinstance(request, m.Close)
            return m.Closed(), offset


def _transacted(request: m.Multi, frame: bytes, offset: int) -> tuple[m.Transacted, int]:
    results: list[m.OperationReply] = []
    header, offset = _parse(MultiHeader, frame, offset)
    while not header.done:
        if len(results) == len(request.operations):
            raise ProtocolError("more results than the transaction has operations")
        operation = request.operations[len(results)]
        if header.type == -1:
            (code,) = _unpack(_INT, frame, offset)
            results.append(m.Failed(code))
            offset += _INT.size
        elif header.type != _OPCODES[type(operation)]:
            raise ProtocolError(f"a result of type {header.type} for {type(operation).__name__}")
        else:
            result, offset = _reply(operation, frame, offset)
            assert isinstance(result, m.Created | m.Deleted | m.DataSet | m.Checked)
            results.append(result)
        header, offset = _parse(MultiHeader, frame, offset)
    if len(results) != len(request.operations):
        raise ProtocolError(f"{len(results)} results for {len(request.operations)} operations")
    return m.Transacted(tuple(results)), offset


def _parse(part: Any, frame: bytes, offset: int) -> tuple[Any, int]:
    try:
        value, end = part.parse(frame, offset)
    except (struct.error, UnicodeDecodeError, MemoryError, OverflowError) as problem:
        raise ProtocolError(f"a malformed {part.__name__}: {problem}") from problem
    return value, end


def _unpack(form: struct.Struct, frame: bytes, offset: int) -> tuple[int]:
    try:
        (value,) = form.unpack_from(frame, offset)
    except struct.error as problem:
        raise ProtocolError(f"a frame of {len(frame)} bytes ends too early") from problem
    return (value,)


def _at_end(frame: bytes, offset: int) -> None:
    if offset != len(frame):
        raise ProtocolError(f"{len(frame) - offset} bytes too many behind a reply")


def _text(value: str | None) -> str:
    if value is None:
        raise ProtocolError("a null string where a name must be")
    return value


def _stat(part: Any) -> m.Stat:
    return m.Stat(
        czxid=part.created_zxid,
        mzxid=part.last_modified_zxid,
        version=part.version,
        ephemeral_owner=part.ephemeral_owner,
        children=part.num_children,
    )
