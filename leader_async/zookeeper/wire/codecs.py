"""aiozk's numbers, and its classes for the requests that `packed` leaves to them."""

from __future__ import annotations

import enum
from typing import Any

from aiozk import protocol as zk
from aiozk.protocol.acl import ACL, ID

from .. import messages as m

WATCH_XID, PING_XID, AUTH_XID, SET_WATCHES_XID = zk.WATCH_XID, zk.PING_XID, zk.AUTH_XID, -8
"""Reserved xids; -8 is Java's `ClientCnxn.SET_WATCHES_XID`."""

EPHEMERAL, SEQUENTIAL = zk.CreateRequest.EPHEMERAL_FLAG, zk.CreateRequest.SEQUENTIAL_FLAG
"""Flags of a create."""


class Code(enum.IntEnum):
    """Codes of operations, and of a failed part of a transaction."""

    ERROR = -1
    CREATE = zk.CreateRequest.opcode
    CREATE_WITH_STAT = zk.Create2Request.opcode
    DELETE = zk.DeleteRequest.opcode
    CHECK = zk.CheckVersionRequest.opcode
    SET_DATA = zk.SetDataRequest.opcode
    GET_DATA = zk.GetDataRequest.opcode
    EXISTS = zk.ExistsRequest.opcode
    LIST = zk.GetChildrenRequest.opcode
    LIST_WITH_STAT = zk.GetChildren2Request.opcode
    MULTI = zk.TransactionRequest.opcode


def part_of(request: m.Request) -> Any:
    """The request as aiozk has it."""
    match request:
        case m.GetAccess(path):
            return zk.GetACLRequest(path=path)
        case m.SetAccess(path, access, version):
            entries = [ACL(perms=one.permissions, id=ID(scheme=one.scheme, id=one.id)) for one in access]
            return zk.SetACLRequest(path=path, acl=entries, version=version)
        case m.Authenticate(scheme, credentials):
            return zk.AuthRequest(type=0, scheme=scheme, auth=credentials)
        case m.SetWatches(zxid, data, exists, children):
            return zk.SetWatchesRequest(
                relative_zxid=zxid, data_watches=data, exist_watches=exists, child_watches=children
            )
        case m.Sync(path):
            return zk.SyncRequest(path=path)
        case m.Ping():
            return zk.PingRequest()
        case _:
            assert isinstance(request, m.Close)
            return zk.CloseRequest()
