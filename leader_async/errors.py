"""Every exception that leader_async raises. Pure.

    LeaderAsyncError
    ├── UsageError (also a ValueError)      the caller asked for something that cannot be
    ├── TermEnded                           the term that was used is over
    ├── StaleToken                          a resource has seen a higher token
    ├── CommandFailed                       a command ended with another status than 0
    ├── RecordError                         the election's record holds something that no version of this library writes
    ├── LedgerError                         so does a job's ledger
    ├── SlotTaken                           a slot was to be claimed again; stays inside the library
    └── ZooKeeperError
        ├── NotConnected                    nothing was sent
        ├── ConnectionLost                  sent, and no answer: it may have happened
        ├── SessionClosed                   this client was closed
        ├── ProtocolError                   a server sent bytes that are not ZooKeeper's protocol
        └── ServerError                     the server answered with an error code
            ├── NoNode, NodeExists, BadVersion, NotEmpty, NoAuth, AuthFailed, QuotaExceeded
            └── SessionExpired, SessionMoved, NoChildrenForEphemerals

Rule: each class says by `definite` whether the outcome is known. Definite: the request had no effect. Indefinite: it
may have had its effect, or may still have it; whoever gets it must look before doing it again.
"""

from __future__ import annotations

from collections.abc import Sequence


class LeaderAsyncError(Exception):
    """The base of all errors of this library.

    Attributes:
        definite: True when the operation certainly had no effect, False when it may have had one.
    """

    definite: bool = True


class UsageError(LeaderAsyncError, ValueError):
    """An argument or a call that cannot work, whatever the servers do. The message says what to do instead."""


class TermEnded(LeaderAsyncError):
    """A term was used after it had ended: this process no longer leads under its token."""


class StaleToken(LeaderAsyncError):
    """A resource refused a write because it has seen a higher token: somebody else has led since. Nothing was written.

    Attributes:
        resource: what was to be written to.
        token: the one that was refused.
        seen: the highest that the resource has seen.
    """

    def __init__(self, resource: str, token: int, seen: int) -> None:
        self.resource, self.token, self.seen = resource, token, seen
        super().__init__(f"{resource}: token {token} is refused, {seen} has been here: somebody else has led since")


class CommandFailed(LeaderAsyncError):
    """A command that was run for a term ended with another status than 0. It may have had its effect, or half of it.

    Attributes:
        command: the command and its arguments.
        status: its status as shells have it: 126 or 127 if it could not be run, 128 and the number of a signal that
            ended it; 71 if its supervisor was killed, and it with that.
    """

    definite = False

    def __init__(self, command: Sequence[str], status: int, why: str = "") -> None:
        self.command, self.status = tuple(command), status
        super().__init__(f"{self.command[0]} ended with status {status}{why and ': '}{why}")


class StoredError(LeaderAsyncError):
    """A znode holds data that this library did not write. Only what it is about stops; the message says what to do.

    Attributes:
        path: the znode's.
        why: what is wrong with it.
        what: what it should be.
        remedy: what to do about it.
    """

    what: str = "what this library writes"
    remedy: str = ""

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__("; ".join(filter(None, [f"{path} is not {self.what}: {why}", self.remedy])))


class RecordError(StoredError):
    """An election's znode holds no record, so nobody can tell who may lead."""

    what = "an election's record"
    remedy = "nobody leads until `leader-async doctor --repair` has put it right"


class LedgerError(StoredError):
    """A job's znode holds no ledger, so nobody can tell what was run."""

    what = "a job's ledger"
    remedy = "this job does not run until `leader-async jobs NAME --reset` has begun it anew"


class SlotTaken(LeaderAsyncError):
    """A slot was to be claimed that is claimed or passed over already: that job does not run it."""


class AssignmentError(StoredError):
    """The znode of partitions holds no assignment, so nobody can tell who is to hold which."""

    what = "an assignment of partitions"
    remedy = "the first member writes it anew"


class ZooKeeperError(LeaderAsyncError):
    """The base of everything that goes wrong between this client and ZooKeeper."""


class NotConnected(ZooKeeperError):
    """Raised at once while no server is connected: nothing was sent, nothing is queued."""


class ConnectionLost(ZooKeeperError):
    """The connection ended between the request and its answer: it may have happened."""

    definite = False


class SessionClosed(ZooKeeperError):
    """The client was closed by its owner; it can not be used again."""


class ProtocolError(ZooKeeperError):
    """A server sent something that is not ZooKeeper's protocol; its connection is dropped."""

    definite = False


class ServerError(ZooKeeperError):
    """The server answered with an error code: the request had no effect.

    Attributes:
        code: ZooKeeper's number (`KeeperException.Code`), below zero.
        remedy: what to do about it, "" if that is not known.
    """

    code: int = 0
    remedy: str = ""

    def __init__(self, code: int | None = None, about: str = "") -> None:
        self.code = self.code if code is None else code
        kind = _NAMES.get(self.code, type(self).__name__)
        told = [f"{kind} (ZooKeeper error {self.code})" + (f": {about}" if about else "")]
        super().__init__("; ".join([*told, self.remedy] if self.remedy else told))


class NoNode(ServerError):
    """The znode does not exist."""

    code = -101


class NoAuth(ServerError):
    """A znode's access list does not allow this to this session."""

    code = -102
    remedy = "give the credentials of whoever created it (auth=, --zookeeper-auth-file), or change its access list"


class BadVersion(ServerError):
    """The znode's version is not the expected one."""

    code = -103


class NoChildrenForEphemerals(ServerError):
    """An ephemeral znode cannot have children."""

    code = -108


class NodeExists(ServerError):
    """The znode exists already."""

    code = -110


class NotEmpty(ServerError):
    """The znode has children."""

    code = -111


class SessionExpired(ServerError):
    """The session is over: its ephemeral znodes are gone or going."""

    code = -112


class AuthFailed(ServerError):
    """The server does not accept the credentials, or demands some; this client dials no more."""

    code = -115
    remedy = "check auth=, --zookeeper-auth-file"


class SessionMoved(ServerError):
    """The session lives on another connection now."""

    code = -118


class QuotaExceeded(ServerError):
    """The write would exceed a quota that is set on the znode or above it."""

    code = -125
    remedy = "raise the quota (setquota in zkCli.sh), or delete what is not needed below it"


_NAMES = {
    -1: "SystemError",
    -2: "RuntimeInconsistency",
    -3: "DataInconsistency",
    -5: "MarshallingError",
    -6: "Unimplemented",
    -7: "OperationTimeout",
    -8: "BadArguments",
    -114: "InvalidACL",
    -119: "NotReadOnly",
    -120: "EphemeralOnLocalSession",
    -121: "NoWatcher",
    -122: "RequestTimeout",
    -123: "ReconfigDisabled",
    -124: "SessionClosedRequireAuth",
    -127: "ThrottledOperation",
}
"""What ZooKeeper calls the codes that have no class here (3.9, `KeeperException.Code`)."""

_BY_CODE: dict[int, type[ServerError]] = {
    error.code: error
    for error in (
        NoNode,
        NoAuth,
        BadVersion,
        NoChildrenForEphemerals,
        NodeExists,
        NotEmpty,
        SessionExpired,
        AuthFailed,
        SessionMoved,
        QuotaExceeded,
    )
}


def server_error(code: int, about: str = "") -> ServerError:
    """The exception for an error code of ZooKeeper's.

    Args:
        code: the number in the reply.
        about: what was asked, for the message.
    """
    return _BY_CODE.get(code, ServerError)(code, about)
