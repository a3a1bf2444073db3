"""Requests and metadata, each next to the class of aiozk that carries it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiozk import protocol as zk
from aiozk.protocol.acl import ACL, ID
from aiozk.protocol.stat import Stat
from aiozk.protocol.transaction import MultiHeader

from .. import messages as m

WATCH_XID, PING_XID, AUTH_XID, SET_WATCHES_XID = zk.WATCH_XID, zk.PING_XID, zk.AUTH_XID, -8
"""Reserved xids; -8 is Java's `ClientCnxn.SET_WATCHES_XID`."""

ERROR, MULTI = -1, zk.TransactionRequest.opcode
"""Operation codes of a failed part of a transaction, and of a transaction."""

EPHEMERAL, SEQUENTIAL = zk.CreateRequest.EPHEMERAL_FLAG, zk.CreateRequest.SEQUENTIAL_FLAG
__all__ = ["AUTH_XID", "ERROR", "MULTI", "PING_XID", "SET_WATCHES_XID", "WATCH_XID", "MultiHeader"]


@dataclass(frozen=True, slots=True)
class Codec:
    """How one kind of request is sent.

    Attributes:
        part: aiozk's class, which knows the operation's code.
        pack: a request's fields, as the part names them.
    """

    part: Any
    pack: Callable[[Any], dict[str, Any]]

    @property
    def opcode(self) -> int:
        """The operation's code."""
        return int(self.part.opcode)


def _create_fields(request: m.Create) -> dict[str, Any]:
    flags = EPHEMERAL * request.ephemeral | SEQUENTIAL * request.sequential
    return {"path": request.path, "data": request.data, "acl": pack_access(request.access), "flags": flags}


def _path(request: Any) -> dict[str, Any]:
    return {"path": request.path}


def _watched(request: Any) -> dict[str, Any]:
    return {"path": request.path, "watch": request.watch}


def _versioned(request: Any) -> dict[str, Any]:
    return {"path": request.path, "version": request.version}


CODECS: tuple[tuple[type[Any], Codec], ...] = (
    (m.Create, Codec(zk.CreateRequest, _create_fields)),
    (m.Create, Codec(zk.Create2Request, _create_fields)),
    (m.Delete, Codec(zk.DeleteRequest, _versioned)),
    (m.Check, Codec(zk.CheckVersionRequest, _versioned)),
    (m.SetData, Codec(zk.SetDataRequest, lambda r: {"path": r.path, "data": r.data, "version": r.version})),
    (m.GetData, Codec(zk.GetDataRequest, _watched)),
    (m.GetChildren, Codec(zk.GetChildrenRequest, _watched)),
    (m.GetChildren, Codec(zk.GetChildren2Request, _watched)),
    (m.Exists, Codec(zk.ExistsRequest, _watched)),
    (m.GetAccess, Codec(zk.GetACLRequest, _path)),
    (
        m.SetAccess,
        Codec(zk.SetACLRequest, lambda r: {"path": r.path, "acl": pack_access(r.access), "version": r.version}),
    ),
    (m.Authenticate, Codec(zk.AuthRequest, lambda r: {"type": 0, "scheme": r.scheme, "auth": r.credentials})),
    (
        m.SetWatches,
        Codec(
            zk.SetWatchesRequest,
            lambda r: {
                "relative_zxid": r.zxid,
                "data_watches": r.data,
                "exist_watches": r.exists,
                "child_watches": r.children,
            },
        ),
    ),
    (m.Sync, Codec(zk.SyncRequest, _path)),
    (m.Ping, Codec(zk.PingRequest, lambda r: {})),
    (m.Close, Codec(zk.CloseRequest, lambda r: {})),
)

_PLAIN = dict(reversed(CODECS))
_WITH_STAT = dict(CODECS)


def codec_of(request: m.Request) -> Codec:
    """How this request is sent."""
    wants_stat = isinstance(request, m.Create | m.GetChildren) and request.stat
    return (_WITH_STAT if wants_stat else _PLAIN)[type(request)]


def part_of(request: m.Request) -> Any:
    """The request as aiozk has it."""
    if isinstance(request, m.Multi):
        part = zk.TransactionRequest()
        for operation in request.operations:
            part.add(part_of(operation))
        return part
    codec = codec_of(request)
    return codec.part(**codec.pack(request))


def pack_access(access: tuple[m.Access, ...]) -> list[Any]:
    """An access list, as aiozk has it."""
    return [ACL(perms=entry.permissions, id=ID(scheme=entry.scheme, id=entry.id)) for entry in access]


def take_access(parts: list[Any]) -> tuple[m.Access, ...]:
    """The access list that aiozk has read."""
    return tuple(m.Access(part.perms, part.id.scheme or "", part.id.id or "") for part in parts)


def pack_stat(stat: m.Stat) -> Any:
    """A znode's metadata, as aiozk has it."""
    return Stat(
        created_zxid=stat.czxid,
        last_modified_zxid=stat.mzxid,
        created=round(stat.ctime * 1000),
        modified=round(stat.mtime * 1000),
        version=stat.version,
        child_version=stat.cversion,
        acl_version=stat.aversion,
        ephemeral_owner=stat.ephemeral_owner,
        data_length=stat.length,
        num_children=stat.children,
        last_modified_children=stat.pzxid,
    )


def take_stat(part: Any) -> m.Stat:
    """The metadata that aiozk has read."""
    return m.Stat(
        czxid=part.created_zxid,
        mzxid=part.last_modified_zxid,
        version=part.version,
        ephemeral_owner=part.ephemeral_owner,
        children=part.num_children,
        pzxid=part.last_modified_children,
        ctime=part.created / 1000,
        mtime=part.modified / 1000,
        cversion=part.child_version,
        aversion=part.acl_version,
        length=part.data_length,
    )
