"""The requests, replies and events between a client and a server, as values. Pure.

Requests have the names of ZooKeeper's operations, replies are past participles, a failed operation is `Failed`. Paths
are absolute, data is bytes, times are seconds, versions are ZooKeeper's 32-bit data versions.

It does not promise that a value fits on the wire: `wire` raises when it encodes one that does not.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TypeAlias

from ..errors import NoAuth, ServerError, server_error

ANY_VERSION = -1
"""For `Check` and `Delete`: the znode must exist, whatever its version."""


@dataclass(frozen=True, slots=True)
class Stat:
    """A znode's metadata (ZooKeeper guide, "ZooKeeper Stat Structure").

    Attributes:
        czxid: zxid of the transaction that created it.
        mzxid: zxid of the last change of its data.
        version: how often its data was set.
        ephemeral_owner: the session with which it ends, 0 for a persistent znode.
        children: how many children it has.
        pzxid: zxid of the last change of its children.
        ctime, mtime: wall-clock times of its creation and of the last change of its data, in seconds.
        cversion: how often children came or went.
        aversion: how often its access list was set.
        length: how many bytes of data it has.
    """

    czxid: int = 0
    mzxid: int = 0
    version: int = 0
    ephemeral_owner: int = 0
    children: int = 0
    pzxid: int = 0
    ctime: float = 0.0
    mtime: float = 0.0
    cversion: int = 0
    aversion: int = 0
    length: int = 0


class Permission(enum.IntFlag):
    """What an entry of an access list allows."""

    READ = 1
    WRITE = 2
    CREATE = 4
    DELETE = 8
    ADMIN = 16
    ALL = 31


@dataclass(frozen=True, slots=True)
class Access:
    """One entry of a znode's access list (an ACL): an identity, and what it may do.

    Attributes:
        permissions: the bits of `Permission`.
        scheme: how a client proves the identity: `world`, `digest`, `ip`, or in a request `auth`.
        id: the identity, as the scheme writes it: `anyone`, `user:base64(sha1(user:password))`, an address.
    """

    permissions: int
    scheme: str
    id: str


class _NullData(bytes):
    """Data that is not there."""


class _NullText(str):
    """A string that is not there."""


NULL_DATA: bytes = _NullData()
NULL_TEXT: str = _NullText()
"""The wire's null. Only a server tells it from what is empty; all others may treat it as empty."""


def is_null(value: bytes | str) -> bool:
    """Whether this is the wire's null."""
    return isinstance(value, _NullData | _NullText)


OPEN = (Access(int(Permission.ALL), "world", "anyone"),)
"""The access list that allows everything to everybody."""


# -- requests ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connect:
    """The first frame of a connection: begin a session (`session_id` 0) or resume one."""

    last_zxid: int
    timeout: float
    session_id: int
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Create:
    """Create a znode; a sequential one gets ten digits behind `path`. With `stat` the reply has its metadata."""

    path: str
    data: bytes = b""
    ephemeral: bool = False
    sequential: bool = False
    access: tuple[Access, ...] = OPEN
    stat: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a znode if its version is the expected one."""

    path: str
    version: int = ANY_VERSION


@dataclass(frozen=True, slots=True)
class SetData:
    """Set a znode's data if its version is the expected one."""

    path: str
    data: bytes
    version: int


@dataclass(frozen=True, slots=True)
class Check:
    """Inside a `Multi`: fail unless the znode exists at this version."""

    path: str
    version: int = ANY_VERSION


@dataclass(frozen=True, slots=True)
class GetData:
    """Read a znode; `watch` asks for one event when its data changes or it is deleted."""

    path: str
    watch: bool = False


@dataclass(frozen=True, slots=True)
class GetChildren:
    """List a znode's children; `watch` asks for one event when they change or it is deleted."""

    path: str
    watch: bool = False
    stat: bool = False


@dataclass(frozen=True, slots=True)
class Exists:
    """Ask whether a znode exists; `watch` asks for one event when it is created, changed or deleted."""

    path: str
    watch: bool = False


@dataclass(frozen=True, slots=True)
class GetAccess:
    """Read a znode's access list."""

    path: str


@dataclass(frozen=True, slots=True)
class SetAccess:
    """Set a znode's access list if the version of that list is the expected one."""

    path: str
    access: tuple[Access, ...]
    version: int = ANY_VERSION


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Prove an identity, for the rest of this connection. The credentials are never shown."""

    scheme: str
    credentials: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SetWatches:
    """Set watches again after a reconnect; those whose znode has changed since `zxid` fire at once."""

    zxid: int
    data: tuple[str, ...] = ()
    exists: tuple[str, ...] = ()
    children: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sync:
    """Bring the server up to what the ensemble's leader had proposed when this request reached that leader."""

    path: str


@dataclass(frozen=True, slots=True)
class Ping:
    """A sign of life."""


@dataclass(frozen=True, slots=True)
class Close:
    """End the session, and its ephemeral znodes with it."""


Operation: TypeAlias = Create | Delete | SetData | Check


@dataclass(frozen=True, slots=True)
class Multi:
    """A transaction: all of its operations happen, or none does."""

    operations: tuple[Operation, ...]


Read: TypeAlias = GetData | GetChildren | Exists | GetAccess
Request: TypeAlias = Operation | Read | SetAccess | Authenticate | SetWatches | Sync | Multi | Ping | Close


# -- replies -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to `Connect`. A `session_id` other than the asked one means that the asked one has expired."""

    session_id: int
    timeout: float
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Created:
    """The znode now exists, at this path."""

    path: str
    stat: Stat | None = None


@dataclass(frozen=True, slots=True)
class Deleted:
    """The znode is gone."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """The data was set; `stat.mzxid` is the zxid of this very transaction."""

    stat: Stat


@dataclass(frozen=True, slots=True)
class Checked:
    """The check held."""


@dataclass(frozen=True, slots=True)
class Data:
    """A znode's data."""

    data: bytes
    stat: Stat


@dataclass(frozen=True, slots=True)
class Children:
    """The names (not paths) of a znode's children, in no order."""

    names: tuple[str, ...]
    stat: Stat | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The znode exists."""

    stat: Stat


@dataclass(frozen=True, slots=True)
class AccessList:
    """A znode's access list."""

    access: tuple[Access, ...]
    stat: Stat


@dataclass(frozen=True, slots=True)
class AccessSet:
    """The access list was set."""

    stat: Stat


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The proof was accepted."""


@dataclass(frozen=True, slots=True)
class WatchesSet:
    """The watches are set."""


@dataclass(frozen=True, slots=True)
class Synced:
    """The server has caught up."""

    path: str = ""


@dataclass(frozen=True, slots=True)
class Ponged:
    """The server lives; nothing else follows from it."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The session has ended."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The server refused with this error code: nothing happened."""

    code: int


OperationReply: TypeAlias = Created | Deleted | DataSet | Checked | Failed

ROLLED_BACK = 0
RUNTIME_INCONSISTENCY = -2


@dataclass(frozen=True, slots=True)
class Transacted:
    """The answer to a `Multi`, one result an operation.

    A failed transaction has header error 0 too: only the results differ. Those before the culprit are `ROLLED_BACK`,
    those behind it `RUNTIME_INCONSISTENCY` (seen on ZooKeeper 3.8).
    """

    results: tuple[OperationReply, ...]

    @property
    def ok(self) -> bool:
        """Whether every part of it happened."""
        for result in self.results:  # a loop, not `any`: each confirm of a thousand elections is asked this
            if isinstance(result, Failed):
                return False
        return True

    @property
    def failure(self) -> tuple[int, int] | None:
        """Index and error code of the operation that refused, None when all happened."""
        failed = [(index, result.code) for index, result in enumerate(self.results) if isinstance(result, Failed)]
        real = [entry for entry in failed if entry[1] not in (ROLLED_BACK, RUNTIME_INCONSISTENCY)]
        return next(iter(real or failed), None)


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection ended before the answer: it may have happened."""


ReadReply: TypeAlias = Data | Children | Found | AccessList
Reply: TypeAlias = (
    OperationReply | ReadReply | AccessSet | Authenticated | WatchesSet | Synced | Transacted | Ponged | Closed
)
Answer: TypeAlias = Reply | Lost


# -- events ------------------------------------------------------------------------------------------------------------


class EventType(enum.IntEnum):
    """What a watch saw; ZooKeeper's `Watcher.Event.EventType`."""

    CREATED = 1
    DELETED = 2
    DATA = 3
    CHILDREN = 4


@dataclass(frozen=True, slots=True)
class Watched:
    """A watch fired; it is used up."""

    change: EventType
    path: str


@dataclass(frozen=True, slots=True)
class Connected:
    """A server serves the session, a new one or the old one `resumed`, and has granted this timeout in seconds."""

    session_id: int
    timeout: float
    resumed: bool


class Cause(enum.StrEnum):
    """Why a connection ended, or could not be made: the label of the metric. `session` decides it, or as named."""

    CLOSED = "closed"
    """by ourselves"""
    NO_ANSWER = "no answer"
    """to a request, a dial (`dialling`) or a TLS handshake (`tls.explain`), in time"""
    END_OF_STREAM = "end of stream"
    """the server, or a machine on the way, hung up (in a TLS handshake: `tls.explain`)"""
    REFUSED = "refused"
    """by ZooKeeper, or by its TLS (`tls.explain`); a refused TCP connection is a `NETWORK` error"""
    PROTOCOL = "protocol broken"
    """bytes that are not ZooKeeper's, or TLS on one side only (`tls.explain`)"""
    TLS = "TLS failed"
    """our files cannot be used (`dialling`), or the server's certificate was not verified (`tls.explain`)"""
    UNKNOWN_NAME = "unknown name"
    """the name service does not know the server (`dialling`)"""
    NETWORK = "network error"
    """any other error of the socket: of a dial (`dialling`), later `client.stream_lost`"""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone, the session perhaps not. Each request without a reply is `Lost`.

    The reason is for people, the cause for programs.
    """

    reason: str
    cause: Cause


@dataclass(frozen=True, slots=True)
class Expired:
    """The session has expired, by a server's answer."""

    session_id: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is over for this side; nothing follows.

    Attributes:
        confirmed: the server has answered the close. If not, the session may live until its timeout.
        refused: why the server refuses this client, for people; None if the client ended the session.
    """

    confirmed: bool = False
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to the request with this xid, in the order of the requests."""

    xid: int
    answer: Answer = field(default_factory=Lost)


SessionEvent: TypeAlias = Connected | Disconnected | Expired | Ended
Event: TypeAlias = SessionEvent | Watched | Answered


def refusal(code: int, request: Request) -> ServerError:
    """The exception for a request that was refused; a `NoAuth` names the znode whose access list refused it.

    It shows no data: those are the caller's.
    """
    path: str = getattr(request, "path", "")
    if code != NoAuth.code:
        return server_error(code, f"{type(request).__name__} {path}".rstrip())
    decides = path.rpartition("/")[0] or "/" if isinstance(request, Create | Delete) else path
    return NoAuth(about=f"the access list of {decides} does not allow {type(request).__name__} to this session")
