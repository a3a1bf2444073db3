"""The requests and replies of elections, packed and unpacked by `struct`.

aiozk's classes take several times as long, and a handover waits for them. `codecs` uses them for the rare requests.

Rules: the bytes are the same as those of aiozk's classes; `tests/properties` compares them. Bytes that cannot be
unpacked raise a `ProtocolError`. What unpacks takes an offset, and returns the one behind.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, TypeVar

from ...errors import ProtocolError
from .. import messages as m
from .codecs import EPHEMERAL, SEQUENTIAL, Code
from .frames import INT, OPERATION, REQUEST_HEADER, blob, text, unpack

T = TypeVar("T")

_STAT = struct.Struct("!qqqqiiiqiiq")
_FLAG = b"\0", b"\1"
_EVENT = struct.Struct("!iii")
END = OPERATION.pack(Code.ERROR, True, -1)
"""What stands behind the last operation of a transaction, and behind its result."""
_OPEN = struct.pack("!iii5si6s", 1, int(m.Permission.ALL), 5, b"world", 6, b"anyone")


# -- requests ----------------------------------------------------------------------------------------------------------


def serialize(xid: int, request: m.Request) -> bytes | None:
    """A request without its length before it, None if it must go aiozk's way.

    Raises:
        struct.error, UnicodeEncodeError: it holds something that the protocol cannot carry.
    """
    if type(request) is m.Multi:
        parts = [REQUEST_HEADER.pack(xid, Code.MULTI)]
        for operation in request.operations:
            code, fields = _PACKERS[type(operation)](operation)
            parts += OPERATION.pack(code, False, -1), fields
        parts.append(END)
        return b"".join(parts)
    packer = _PACKERS.get(type(request))
    if packer is None:
        return None
    code, fields = packer(request)
    return REQUEST_HEADER.pack(xid, code) + fields


def pack_access(access: tuple[m.Access, ...]) -> bytes:
    """An access list."""
    if access == m.OPEN:
        return _OPEN
    entries = [INT.pack(one.permissions) + text(one.scheme) + text(one.id) for one in access]
    return INT.pack(len(access)) + b"".join(entries)


def pack_stat(of: m.Stat) -> bytes:
    """A znode's metadata."""
    times = round(of.ctime * 1000), round(of.mtime * 1000)
    versions = of.version, of.cversion, of.aversion
    return _STAT.pack(of.czxid, of.mzxid, *times, *versions, of.ephemeral_owner, of.length, of.children, of.pzxid)


def _create(request: m.Create) -> tuple[int, bytes]:
    flags = EPHEMERAL * request.ephemeral | SEQUENTIAL * request.sequential
    fields = text(request.path) + blob(request.data) + pack_access(request.access) + INT.pack(flags)
    return Code.CREATE_WITH_STAT if request.stat else Code.CREATE, fields


def _delete(request: m.Delete) -> tuple[int, bytes]:
    return Code.DELETE, text(request.path) + INT.pack(request.version)


def _check(request: m.Check) -> tuple[int, bytes]:
    return Code.CHECK, text(request.path) + INT.pack(request.version)


def _set_data(request: m.SetData) -> tuple[int, bytes]:
    return Code.SET_DATA, text(request.path) + blob(request.data) + INT.pack(request.version)


def _get_data(request: m.GetData) -> tuple[int, bytes]:
    return Code.GET_DATA, text(request.path) + _FLAG[request.watch]


def _exists(request: m.Exists) -> tuple[int, bytes]:
    return Code.EXISTS, text(request.path) + _FLAG[request.watch]


def _get_children(request: m.GetChildren) -> tuple[int, bytes]:
    return Code.LIST_WITH_STAT if request.stat else Code.LIST, text(request.path) + _FLAG[request.watch]


_PACKERS: dict[type[Any], Callable[[Any], tuple[int, bytes]]] = {
    m.Create: _create,
    m.Delete: _delete,
    m.Check: _check,
    m.SetData: _set_data,
    m.GetData: _get_data,
    m.Exists: _exists,
    m.GetChildren: _get_children,
}


# -- replies -----------------------------------------------------------------------------------------------------------


_RESULTS: dict[type[Any], tuple[bytes, m.OperationReply | None]] = {
    m.Check: (OPERATION.pack(Code.CHECK, False, 0), m.Checked()),
    m.Delete: (OPERATION.pack(Code.DELETE, False, 0), m.Deleted()),
    m.SetData: (OPERATION.pack(Code.SET_DATA, False, 0), None),
}
"""What stands before the result of an operation that happened, and the result if it says no more."""


def event(frame: bytes, offset: int) -> tuple[int, bytes]:
    """A watch event: the change, and the path."""
    if len(frame) - offset < _EVENT.size:
        raise ProtocolError(f"a watch event of {len(frame)} bytes")
    change, _, length = _EVENT.unpack_from(frame, offset)  # between them the connection's state
    path = frame[offset + _EVENT.size :]
    if len(path) != max(length, 0):
        raise ProtocolError(f"a path of {length} bytes in a watch event with {len(path)}")
    return change, path


def number(frame: bytes, offset: int) -> tuple[int, int]:
    """A number of 32 bits, and the offset behind it."""
    (value,) = unpack(INT, frame, offset)
    return value, offset + INT.size


def sized(frame: bytes, offset: int) -> tuple[bytes | None, int]:
    """Bytes with their length before them, None for null, and the offset behind them."""
    length, offset = number(frame, offset)
    if length == -1:
        return None, offset
    end = offset + length
    if length < 0 or end > len(frame):
        raise ProtocolError(f"{length} bytes at {offset} in a frame of {len(frame)}")
    return frame[offset:end], end


def string(frame: bytes, offset: int) -> tuple[str, int]:
    """A string, and the offset behind it."""
    encoded, offset = sized(frame, offset)
    if encoded is None:
        raise ProtocolError("a null string where a name must be")
    return decoded(encoded), offset


def decoded(encoded: bytes) -> str:
    """The string of these bytes."""
    try:
        return encoded.decode()
    except UnicodeDecodeError as problem:
        raise ProtocolError(f"a string that is not UTF-8: {problem}") from problem


def many(one: Callable[[bytes, int], tuple[T, int]], frame: bytes, offset: int) -> tuple[tuple[T, ...], int]:
    """A list of what `one` reads, and the offset behind it."""
    count, offset = number(frame, offset)
    if count < 0:
        raise ProtocolError(f"a list of {count} entries")
    found = []
    for _ in range(count):
        value, offset = one(frame, offset)
        found.append(value)
    return tuple(found), offset


def access(frame: bytes, offset: int) -> tuple[m.Access, int]:
    """An entry of an access list, and the offset behind it."""
    permissions, offset = number(frame, offset)
    scheme, offset = string(frame, offset)
    id_, offset = string(frame, offset)
    return m.Access(permissions, scheme, id_), offset


def stat(frame: bytes, offset: int) -> tuple[m.Stat, int]:
    """A znode's metadata, and the offset behind it."""
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
    return results if frame[offset:] == END else None


def operation(frame: bytes, offset: int) -> tuple[int, bool, int]:
    """What stands before each result of a transaction: its code, whether that was all, and the offset behind."""
    if len(frame) - offset < OPERATION.size:
        raise ProtocolError(f"a frame of {len(frame)} bytes ends inside a transaction")
    code, done, _ = OPERATION.unpack_from(frame, offset)
    return code, done, offset + OPERATION.size
