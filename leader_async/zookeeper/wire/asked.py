"""Requests as a server reads them, from this library's client and from others (Java, kazoo).

Rules, all of them ZooKeeper's (jute's `BinaryInputArchive`, `MultiOperationRecord` of 3.9):
1. Null is not empty: it is `NULL_DATA` or `NULL_TEXT`; a list that is null is empty.
2. Bytes behind the last field are ignored. A request that ends before it is `Unreadable`; a transaction that does
   takes its place in the order of writes all the same.
3. Text that is not UTF-8 gets replacement characters.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias, TypeVar

from ...errors import ProtocolError
from .. import foreign
from .. import messages as m
from ..foreign import BAD_ARGUMENTS, UNIMPLEMENTED, UNREADABLE
from .frames import INT, OPERATION, REQUEST_HEADER, unpack

MULTI, MULTI_READ, AUTHENTICATE = 14, 22, 100
"""Codes of operations (`ZooDefs.OpCode`)."""

EPHEMERAL, SEQUENTIAL, CONTAINER, TIMED = 1, 2, 4, 6
"""Flags of a create: two bits, then modes of their own; the last are those with a time to live."""

_LONG = struct.Struct("!q")
_NULL = INT.pack(-1)

Asked: TypeAlias = m.Request | foreign.Request
T = TypeVar("T")


class _Ended(Exception):
    """The frame ends inside a field, or a field makes no sense."""


class _Fields:
    """The fields of a request, one after the other."""

    def __init__(self, frame: bytes, offset: int) -> None:
        self._frame, self._offset = frame, offset

    def _next(self, form: struct.Struct) -> tuple[Any, ...]:
        if len(self._frame) - self._offset < form.size:
            raise _Ended
        values = form.unpack_from(self._frame, self._offset)
        self._offset += form.size
        return values

    def _sized(self) -> bytes | None:
        length = self.number()
        if length == -1:
            return None
        start, self._offset = self._offset, self._offset + length
        if length < 0 or self._offset > len(self._frame):
            raise _Ended
        return self._frame[start : self._offset]

    def number(self) -> int:
        return int(self._next(INT)[0])

    def long(self) -> int:
        return int(self._next(_LONG)[0])

    def flag(self) -> bool:
        return bool(self._next(struct.Struct("!b"))[0])

    def operation(self) -> tuple[int, bool]:
        code, done, _ = self._next(OPERATION)
        return code, done

    def data(self) -> bytes:
        found = self._sized()
        return m.NULL_DATA if found is None else found

    def text(self) -> str:
        found = self._sized()
        return m.NULL_TEXT if found is None else found.decode(errors="replace")

    def many(self, one: Callable[[], T]) -> tuple[T, ...]:
        return tuple(one() for _ in range(self.number()))

    def paths(self) -> tuple[str, ...]:
        """A list that is not null, and has nothing null in it."""
        start = self._offset
        found = self.many(self.text)
        if any(map(m.is_null, found)) or self._frame.startswith(_NULL, start):
            raise _Ended
        return found

    def access(self) -> tuple[m.Access, ...]:
        return self.many(lambda: m.Access(self.number(), self.text(), self.text()))


def decode_request(frame: bytes) -> tuple[int, Asked]:
    """A request and its xid.

    Raises:
        ProtocolError: it is too short for any, or it is a proof of identity that cannot be read.
    """
    xid, code = unpack(REQUEST_HEADER, frame, 0)
    read = _REQUESTS.get(code)
    if read is None:
        return xid, foreign.Unknown()
    try:
        return xid, read(_Fields(frame, REQUEST_HEADER.size))
    except _Ended as problem:
        if code == AUTHENTICATE:
            raise ProtocolError("a proof of identity that ends too early") from problem
        return xid, foreign.Impossible(UNREADABLE) if code == MULTI else foreign.Unreadable()


def _create(fields: _Fields, *, stat: bool) -> m.Create | foreign.Impossible:
    path, data, access, flags = fields.text(), fields.data(), fields.access(), fields.number()
    if not 0 <= flags <= CONTAINER:
        return foreign.Impossible(UNIMPLEMENTED if CONTAINER < flags <= TIMED else BAD_ARGUMENTS)
    bits = 0 if flags == CONTAINER else flags  # a container is taken for a persistent one
    return m.Create(path, data, bool(bits & EPHEMERAL), bool(bits & SEQUENTIAL), access, stat)


def _create_timed(fields: _Fields) -> foreign.Impossible:
    _create(fields, stat=True)
    fields.long()
    return foreign.Impossible(UNIMPLEMENTED)


def _set_watches(fields: _Fields) -> m.SetWatches:
    return m.SetWatches(fields.long(), fields.paths(), fields.paths(), fields.paths())


def _add_watch(fields: _Fields) -> foreign.AddWatch:
    path, mode = fields.text(), fields.number()
    if mode not in (0, 1):
        raise _Ended
    return foreign.AddWatch(path, recursive=mode == 1)


def _kind(fields: _Fields) -> foreign.Kind:
    try:
        return foreign.Kind(fields.number())
    except ValueError as problem:
        raise _Ended from problem


def _authenticate(fields: _Fields) -> m.Authenticate:
    fields.number()
    return m.Authenticate(fields.text(), fields.data())


_WRITES: Mapping[int, Callable[[_Fields], m.Operation | foreign.Impossible]] = {
    1: lambda f: _create(f, stat=False),
    15: lambda f: _create(f, stat=True),
    19: lambda f: _create(f, stat=True),  # a container
    21: _create_timed,
    2: lambda f: m.Delete(f.text(), f.number()),
    5: lambda f: m.SetData(f.text(), f.data(), f.number()),
}
_IN_MULTI = {**_WRITES, 13: lambda f: m.Check(f.text(), f.number())}
_IN_MULTI_READ: Mapping[int, Callable[[_Fields], m.GetData | m.GetChildren]] = {
    4: lambda f: m.GetData(f.text(), f.flag()),
    8: lambda f: m.GetChildren(f.text(), f.flag()),
}


def _inside(fields: _Fields, known: Mapping[int, Callable[[_Fields], T]]) -> Iterator[T]:
    code, done = fields.operation()
    while not done:
        if code not in known:
            raise _Ended
        yield known[code](fields)
        code, done = fields.operation()


def _multi(fields: _Fields) -> m.Multi:
    operations: list[m.Operation] = []
    for operation in _inside(fields, _IN_MULTI):
        if isinstance(operation, foreign.Impossible):  # alone it is refused; in a transaction it makes all unreadable
            raise _Ended
        operations.append(operation)
    return m.Multi(tuple(operations))


_REQUESTS: Mapping[int, Callable[[_Fields], Asked]] = {
    **_WRITES,
    **_IN_MULTI_READ,
    MULTI: _multi,
    MULTI_READ: lambda f: foreign.ReadMany(tuple(_inside(f, _IN_MULTI_READ))),
    3: lambda f: m.Exists(f.text(), f.flag()),
    6: lambda f: m.GetAccess(f.text()),
    7: lambda f: m.SetAccess(f.text(), f.access(), f.number()),
    9: lambda f: m.Sync(f.text()),
    11: lambda f: m.Ping(),
    12: lambda f: m.GetChildren(f.text(), f.flag(), stat=True),
    17: lambda f: foreign.CheckWatches(f.text(), _kind(f)),
    18: lambda f: foreign.RemoveWatches(f.text(), _kind(f)),
    AUTHENTICATE: _authenticate,
    101: _set_watches,
    103: lambda f: foreign.ListEphemerals(f.text()),
    104: lambda f: foreign.CountBelow(f.text()),
    105: lambda f: foreign.SetEveryWatch(_set_watches(f), f.paths(), f.paths()),
    106: _add_watch,
    107: lambda f: foreign.WhoAmI(),
    -11: lambda f: m.Close(),
}
"""How the request with this operation's code is read (`ZooDefs.OpCode`)."""
