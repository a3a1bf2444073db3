"""The server's side of a connection, for the embedded server: the handshake's request in, replies and events out.

`asked` reads the requests that follow the handshake.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from aiozk import protocol as zk

from .. import foreign
from .. import messages as m
from .asked import decode_request
from .client import REPLY_HEADER
from .codecs import WATCH_XID, Code
from .frames import INT, OPERATION, at_end, blob, parse, text
from .packed import END, pack_access, pack_stat

__all__ = ["Hello", "decode_connect", "decode_request", "encode_accepted", "encode_reply", "encode_watched"]

_VERSION, _CONNECTED_STATE = 0, 3
_ACCEPTED = struct.Struct("!iiq")
_NULL = INT.pack(-1)
# As clients before 3.4 send it; newer ones add one byte.
_HANDSHAKE: Any = type("ConnectRequest", (zk.ConnectRequest,), {"parts": zk.ConnectRequest.parts[:-1]})


@dataclass(frozen=True, slots=True)
class Hello:
    """The handshake's request; a `modern` one has the byte for read-only servers, and expects it in the answer."""

    connect: m.Connect
    modern: bool


# -- from the client ---------------------------------------------------------------------------------------------------


def decode_connect(frame: bytes) -> Hello:
    """The handshake's request."""
    part, offset = parse(_HANDSHAKE, frame, 0)
    modern = len(frame) - offset == 1
    if not modern:
        at_end(frame, offset)
    return Hello(m.Connect(part.last_seen_zxid, part.timeout / 1000, part.session_id, part.password or b""), modern)


# -- to the client -----------------------------------------------------------------------------------------------------


def encode_accepted(accepted: m.Accepted, *, modern: bool) -> bytes:
    """The handshake's answer."""
    head = _ACCEPTED.pack(_VERSION, round(accepted.timeout * 1000), accepted.session_id)
    return blob(head + blob(accepted.password) + (b"\0" if modern else b""))


def encode_watched(event: m.Watched, zxid: int = -1) -> bytes:
    """A watch event; zxid is that of the change, -1 if it is unknown."""
    head = REPLY_HEADER.pack(WATCH_XID, zxid, 0) + INT.pack(event.change) + INT.pack(_CONNECTED_STATE)
    return blob(head + text(event.path))


def encode_reply(xid: int, zxid: int, reply: m.Reply | foreign.Reply) -> bytes:
    """The reply to the request with this xid; zxid is the last transaction that this server has applied."""
    if isinstance(reply, m.Failed):
        return blob(REPLY_HEADER.pack(xid, zxid, reply.code))
    return blob(REPLY_HEADER.pack(xid, zxid, 0) + _body(reply))


def _body(reply: m.Reply | foreign.Reply) -> bytes:
    match reply:
        case m.Created(path, None):
            return text(path)
        case m.Created(path, m.Stat() as stat):
            return text(path) + pack_stat(stat)
        case m.DataSet(stat) | m.Found(stat) | m.AccessSet(stat):
            return pack_stat(stat)
        case m.Data(data, stat):
            return (_NULL if m.is_null(data) else blob(data)) + pack_stat(stat)
        case m.Children(names, None) | foreign.Listed(names):
            return _texts(names)
        case m.Children(names, m.Stat() as stat):
            return _texts(names) + pack_stat(stat)
        case m.AccessList(access, stat):
            return pack_access(access) + pack_stat(stat)
        case m.Synced(path):
            return _NULL if m.is_null(path) else text(path)
        case m.Transacted(results):
            return _results(results)
        case foreign.ManyRead(answers):
            return _results(answers)
        case foreign.WatchAdded():
            return INT.pack(0)
        case foreign.Counted(number):
            return INT.pack(number)
        case foreign.YouAre(identities):
            return INT.pack(len(identities)) + b"".join(text(one) for pair in identities for one in pair)
        case _:  # those without fields
            return b""


def _texts(values: tuple[str, ...]) -> bytes:
    return INT.pack(len(values)) + b"".join(map(text, values))


def _results(results: tuple[m.OperationReply | m.Data | m.Children, ...]) -> bytes:
    parts = []
    for result in results:
        if isinstance(result, m.Failed):
            parts += [OPERATION.pack(Code.ERROR, False, result.code), INT.pack(result.code)]
        else:
            parts += [OPERATION.pack(_code(result), False, 0), _body(result)]
    return b"".join([*parts, END])


def _code(result: m.OperationReply | m.Data | m.Children) -> int:
    if isinstance(result, m.Created):
        return Code.CREATE if result.stat is None else Code.CREATE_WITH_STAT
    return _CODES[type(result)]


_CODES: dict[type[m.OperationReply | m.Data | m.Children], int] = {
    m.Deleted: Code.DELETE,
    m.DataSet: Code.SET_DATA,
    m.Checked: Code.CHECK,
    m.Data: Code.GET_DATA,
    m.Children: Code.LIST,
}
