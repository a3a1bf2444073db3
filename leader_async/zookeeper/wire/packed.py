"""The requests and replies of elections, packed and unpacked by `struct`.

aiozk's classes take several times as long, and a handover waits for them. `codecs` uses them for everything else.

Rules: the bytes are the same as those of aiozk's classes; `tests/properties` compares them. Bytes that cannot be
unpacked raise a `ProtocolError`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from aiozk import protocol as zk

from ...errors import ProtocolError
from .. import messages as m
from .codecs import EPHEMERAL, ERROR, MULTI, SEQUENTIAL
from .frames import INT, OPERATION, REQUEST_HEADER, text

_STAT = struct.Struct("!qqqqiiiqiiq")
_FLAG = b"\0", b"\1"
_EVENT = struct.Struct("!iii")
_END = OPERATION.pack(ERROR, True, -1)
_OPEN = struct.pack("!iii5si6s", 1, int(m.Permission.ALL), 5, b"world", 6, b"anyone")


# -- requests ----------------------------------------------------------------------------------------------------------


def serialize(xid: int, request: m.Request) -> bytes | None:
    """A request without its length before it, None if it must go aiozk's way.

    Raises:
        struct.error, UnicodeEncodeError: it holds something that the protocol cannot carry.
    """
    if type(request) is m.Multi:
        parts = [REQUEST_HEADER.pack(xid, MULTI)]
        for operation in request.operations:
            packer = _PACKERS.get(type(operation))
            if packer is None or (packed := packer(operation)) is None:
                return None
            parts += OPERATION.pack(packed[0], False, -1), packed[1]
        parts.append(_END)
        return b"".join(parts)
    packer = _PACKERS.get(type(request))
    if packer is None or (packed := packer(request)) is None:
        return None
    return REQUEST_HEADER.pack(xid, packed[0]) + packed[1]


def _access(access: tuple[m.Access, ...]) -> bytes:
    if access == m.OPEN:
        return _OPEN
    entries = [INT.pack(one.permissions) + text(one.scheme) + text(one.id) for one in access]
    return INT.pack(len(access)) + b"".join(entries)


def _create(request: m.Create) -> tuple[int, bytes] | None:
    if request.stat:
        return None
    flags = EPHEMERAL * request.ephemeral | SEQUENTIAL * request.sequential
    data = INT.pack(len(request.data)) + request.data
    return zk.CreateRequest.opcode, text(request.path) + data + _access(request.access) + INT.pack(flags)


def _delete(request: m.Delete) -> tuple[int, bytes]:
    return zk.DeleteRequest.opcode, text(request.path) + INT.pack(request.version)


def _check(request: m.Check) -> tuple[int, bytes]:
    return zk.CheckVersionRequest.opcode, text(request.path) + INT.pack(request.version)


def _set_data(request: m.SetData) -> tuple[int, bytes]:
    data = INT.pack(len(request.data)) + request.data
    return zk.SetDataRequest.opcode, text(request.path) + data + INT.pack(request.version)


def _get_data(request: m.GetData) -> tuple[int, bytes]:
    return zk.GetDataRequest.opcode, text(request.path) + _FLAG[request.watch]


def _get_children(request: m.GetChildren) -> tuple[int, bytes] | None:
    return None if request.stat else (zk.GetChildrenRequest.opcode, text(request.path) + _FLAG[request.watch])


_PACKERS: dict[type[Any], Callable[[Any], tuple[int, bytes] | None]] = {
    m.Create: _create,
    m.Delete: _delete,
    m.Check: _check,
    m.SetData: _set_data,
    m.GetData: _get_data,
    m.GetChildren: _get_children,
}


# -- replies -----------------------------------------------------------------------------------------------------------


_RESULTS: dict[type[Any], tuple[bytes, m.OperationReply | None]] = {
    m.Check: (OPERATION.pack(zk.CheckVersionRequest.opcode, False, 0), m.Checked()),
    m.Delete: (OPERATION.pack(zk.DeleteRequest.opcode, False, 0), m.Deleted()),
    m.SetData: (OPERATION.pack(zk.SetDataRequest.opcode, False, 0), None),
}
"""What stands before the result of an operation that happened, and the result if it says no more."""


def event(frame: bytes, offset: int) -> tuple[int, bytes]:
    """A watch event: the change, and the path.

    Raises:
        ProtocolError: it ends too early or too late.
    """
    if len(frame) - offset < _EVENT.size:
        raise ProtocolError(f"a watch event of {len(frame)} bytes")
    change, _, length = _EVENT.unpack_from(frame, offset)  # between them the connection's state
    path = frame[offset + _EVENT.size :]
    if len(path) != max(length, 0):
        raise ProtocolError(f"a path of {length} bytes in a watch event with {len(path)}")
    return change, path


def number(frame: bytes, offset: int) -> tuple[int, int]:
    """A number of 32 bits, and the offset behind it.

    Raises:
        ProtocolError: the frame ends before.
    """
    if len(frame) - offset < INT.size:
        raise ProtocolError(f"a frame of {len(frame)} bytes ends too early")
    return INT.unpack_from(frame, offset)[0], offset + INT.size


def sized(frame: bytes, offset: int) -> tuple[bytes | None, int]:
    """Bytes with their length before them, None for null, and the offset behind them.

    Raises:
        ProtocolError: there are none.
    """
    length, offset = number(frame, offset)
    if length == -1:
        return None, offset
    end = offset + length
    if length < 0 or end > len(frame):
        raise ProtocolError(f"{length} bytes at {offset} in a frame of {len(frame)}")
    return frame[offset:end], end


def string(frame: bytes, offset: int) -> tuple[str, int]:
    """A string, and the offset behind it.

    Raises:
        ProtocolError: there is none, or it is null.
    """
    encoded, offset = sized(frame, offset)
    if encoded is None:
        raise ProtocolError("a null string where a name must be")
    return decoded(encoded), offset


def decoded(encoded: bytes) -> str:
    """The string of these bytes.

    Raises:
        ProtocolError: they are not UTF-8.
    """
    try:
        return encoded.decode()
    except UnicodeDecodeError as problem:
        raise ProtocolError(f"a string that is not UTF-8: {problem}") from problem


def strings(frame: bytes, offset: int) -> tuple[tuple[str, ...], int]:
    """A list of strings, and the offset behind it.

    Raises:
        ProtocolError: there is none.
    """
    count, offset = number(frame, offset)
    if count < 0:
        raise ProtocolError(f"a list of {count} entries")
    found = []
    for _ in range(count):
        one, offset = string(frame, offset)
        found.append(one)
    return tuple(found), offset


def stat(frame: bytes, offset: int) -> tuple[m.Stat, int]:
    """A znode's metadata, and the offset behind it.

    Raises:
        ProtocolError: the frame ends before.
    """
    if len(frame) - offset < _STAT.size:
        raise ProtocolError(f"a frame of {len(frame)} bytes ends too early for a stat")
    (
        czxid, mzxid, ctime, mtime, version, cversion, aversion, owner, length, children, pzxid,
    ) = _STAT.unpack_from(frame, offset)  # fmt: skip
    times = ctime / 1000, mtime / 1000
    found = m.Stat(czxid, mzxid, version, owner, children, pzxid, *times, cversion, aversion, length)
    return found, offset + _STAT.size


def happened(operations: tuple[Any, ...], frame: bytes, offset: int) -> list[m.OperationReply] | None:
    """The results of a transaction that happened; None if it did not, or if it must be read part by part."""
    results: list[m.OperationReply] = []
    for one in operations:
        head, empty = _RESULTS.get(type(one), (None, None))
        if head is None or not frame.startswith(head, offset):
            return None
        offset += len(head)
        if empty is not None:
            results.append(empty)
        elif len(frame) - offset < _STAT.size:
            return None
        else:
            found, offset = stat(frame, offset)
            results.append(m.DataSet(found))
    return results if frame[offset:] == _END else None


def operation(frame: bytes, offset: int) -> tuple[int, bool, int]:
    """What stands before each result of a transaction: the operation's code, whether that was all, the offset behind.

    Raises:
        ProtocolError: the frame ends before.
    """
    if len(frame) - offset < OPERATION.size:
        raise ProtocolError(f"a frame of {len(frame)} bytes ends inside a transaction")
    code, done, _ = OPERATION.unpack_from(frame, offset)
    return code, done, offset + OPERATION.size
