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
from .codecs import ERROR, WATCH_XID, MultiHeader, pack_access, pack_stat
from .frames import INT, at_end, frame_of, parse, text

__all__ = ["Hello", "decode_connect", "decode_request", "encode_accepted", "encode_reply", "encode_watched"]

_CONNECTED_STATE = 3
# As clients before 3.4 send it; newer ones add one byte.
_HANDSHAKE: Any = type("ConnectRequest", (zk.ConnectRequest,), {"parts": zk.ConnectRequest.parts[:-1]})


@dataclass(frozen=True, slots=True)
class Hello:
    """The handshake's request; a `modern` one has the byte for read-only servers, and expects it in the answer."""

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


def encode_watched(event: m.Watched, zxid: int = -1) -> bytes:
    """A watch event; zxid is that of the change, -1 if it is unknown."""
    part = zk.WatchEvent(type=int(event.change), state=_CONNECTED_STATE, path=event.path)
    return frame_of(REPLY_HEADER.pack(WATCH_XID, zxid, 0) + _bytes(part))


def encode_reply(xid: int, zxid: int, reply: m.Reply | foreign.Reply) -> bytes:
    """A reply.

    Args:
        xid: that of the request.
        zxid: the last transaction that this server has applied.
        reply: the answer.
    """
    if isinstance(reply, m.Failed):
        return frame_of(REPLY_HEADER.pack(xid, zxid, reply.code))
    return frame_of(REPLY_HEADER.pack(xid, zxid, 0) + _body(reply))


def _body(reply: m.Reply | foreign.Reply) -> bytes:
    match reply:
        case m.Created(path, None):
            return _bytes(zk.CreateResponse(path=path))
        case m.Created(path, m.Stat() as stat):
            return _bytes(zk.Create2Response(path=path, stat=pack_stat(stat)))
        case m.DataSet(stat):
            return _bytes(zk.SetDataResponse(stat=pack_stat(stat)))
        case m.Data(data, stat):
            return _bytes(zk.GetDataResponse(data=_or_none(data), stat=pack_stat(stat)))
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
            return _bytes(zk.SyncResponse(path=_or_none(path)))
        case m.Transacted(results):
            return _results(results)
        case foreign.ManyRead(answers):
            return _results(answers)
        case foreign.WatchAdded():
            return INT.pack(0)
        case foreign.Counted(number):
            return INT.pack(number)
        case foreign.Listed(paths):
            return _bytes(zk.GetChildrenResponse(children=paths))
        case foreign.YouAre(identities):
            return INT.pack(len(identities)) + b"".join(text(one) for pair in identities for one in pair)
        case _:  # those without fields
            return b""


def _results(results: tuple[m.OperationReply | m.Data | m.Children, ...]) -> bytes:
    parts = []
    for result in results:
        if isinstance(result, m.Failed):
            parts += [_bytes(MultiHeader(type=ERROR, done=False, error=result.code)), INT.pack(result.code)]
        else:
            parts += [_bytes(MultiHeader(type=_opcode(result), done=False, error=0)), _body(result)]
    return b"".join([*parts, _bytes(MultiHeader(type=ERROR, done=True, error=-1))])


def _opcode(result: m.OperationReply | m.Data | m.Children) -> int:
    match result:
        case m.Created(stat=None):
            return int(zk.CreateRequest.opcode)
        case m.Created():
            return int(zk.Create2Request.opcode)
        case m.Deleted():
            return int(zk.DeleteRequest.opcode)
        case m.DataSet():
            return int(zk.SetDataRequest.opcode)
        case m.Data():
            return int(zk.GetDataRequest.opcode)
        case m.Children():
            return int(zk.GetChildrenRequest.opcode)
        case _:
            assert isinstance(result, m.Checked)
            return int(zk.CheckVersionRequest.opcode)


def _bytes(part: Any) -> bytes:
    form, values = part.render()
    return struct.pack("!" + form, *values)


def _or_none(value: Any) -> Any:
    return None if m.is_null(value) else value
