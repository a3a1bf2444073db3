"""Every exception that leader_async raises. Pure.

    LeaderAsyncError
    ├── UsageError (also a ValueError)      an argument or a call that cannot work
    ├── TermEnded                           the term is over
    ├── StaleToken                          a resource has seen a higher token
    ├── CommandFailed                       a command ended with another status than 0
    ├── SlotTaken                           a slot was claimed before; stays inside the library
    ├── StoredError                         a znode holds data that this library did not write:
    │   └── RecordError, LedgerError, AssignmentError
    └── ZooKeeperError
        ├── NotConnected                    nothing was sent
        ├── ConnectionLost                  sent, and no answer came: it may have happened
        ├── SessionClosed                   this client was closed
        ├── ProtocolError                   a server sent bytes that are not ZooKeeper's protocol
        └── ServerError                     the server answered with an error code:
            ├── NoNode, NodeExists, BadVersion, NotEmpty, NoAuth, AuthFailed, QuotaExceeded
            └── SessionExpired, SessionMoved, NoChildrenForEphemerals

Rules:
- The message or the class says what to do.
- `definite` says whether the outcome is known. Definite: the request had no effect. Indefinite: it may have had its
  effect, or may still have it. Read what is there before you repeat it.
"""

from __future__ import annotations

from collections.abc import Sequence


class LeaderAsyncError(Exception):
    """The base of all errors of this library.

    Attributes:
        definite: True if the operation certainly had no effect, False if it may have had one.
    """

    definite: bool = True


class UsageError(LeaderAsyncError, ValueError):
    """An argument or a call that no server could make work. The message says what to give or to call instead."""


class TermEnded(LeaderAsyncError):
    """A term was used after its end: this process no longer leads under its token. Let the work end."""


class StaleToken(LeaderAsyncError):
    """A resource refused a write because it has seen a higher token. Nothing was written. Let the work end.

    Attributes:
        resource: the resource that refused.
        token: the token that was refused.
        seen: the highest token that the resource has seen.
    """

    def __init__(self, resource: str, token: int, seen: int) -> None:
        self.resource, self.token, self.seen = resource, token, seen
        super().__init__(
            f"{resource}: token {token} is refused, {seen} has been here: end the work, a newer leader does it"
        )


class CommandFailed(LeaderAsyncError):
    """A command ended with another status than 0. It may have had its effect, or half of it; see its output.

    Attributes:
        command: the command and its arguments.
        status: its status as shells have it: 126 or 127 if it could not be run, 128 and the number of a signal that
            ended it; 71 if its supervisor was killed, which kills the command.
    """

    definite = False

    def __init__(self, command: Sequence[str], status: int, why: str = "") -> None:
        self.command, self.status = tuple(command), status
        super().__init__(f"{self.command[0]} ended with status {status}{why and ': '}{why}")


class StoredError(LeaderAsyncError):
    """A znode holds data that this library did not write. Only its subject stops; the message says what to do.

    Attributes:
        path: the znode's path.
        why: what is wrong with the data.
        what: what they should be.
        remedy: what to do.
    """

    what: str = "what this library writes"
    remedy: str = ""

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__("; ".join(filter(None, [f"{path} is not {self.what}: {why}", self.remedy])))


class RecordError(StoredError):
    """An election's znode holds no record, so no replica may lead."""

    what = "an election's record"
    remedy = "nobody leads until `leader-async doctor --repair` has put it right"


class LedgerError(StoredError):
    """A job's znode holds no ledger, so its slots that were run are unknown."""

    what = "a job's ledger"
    remedy = "this job does not run until `leader-async jobs NAME --reset` has begun it anew"


class SlotTaken(LeaderAsyncError):
    """A claim of a slot that was claimed or skipped before: the job does not run it."""


class AssignmentError(StoredError):
    """The znode of partitions holds no assignment, so the members' shares are unknown."""

    what = "an assignment of partitions"
    remedy = "the first member writes it anew"


class ZooKeeperError(LeaderAsyncError):
    """The base of all errors between this client and ZooKeeper."""


class NotConnected(ZooKeeperError):
    """No server is connected: nothing was sent, nothing is queued. Await `wait_connected()`, then try again."""


class ConnectionLost(ZooKeeperError):
    """The connection ended between the request and its answer. Read whether it happened before you repeat it."""

    definite = False


class SessionClosed(ZooKeeperError):
    """The client was closed, and cannot be used again. Open another connection."""


class ProtocolError(ZooKeeperError):
    """A server sent bytes that are not ZooKeeper's protocol, so its connection was dropped. Check the address."""

    definite = False


class ServerError(ZooKeeperError):
    """The server answered with an error code: the request had no effect.

    Attributes:
        code: ZooKeeper's number (`KeeperException.Code`), below zero.
        remedy: what to do, "" if that depends on the request.
    """

    code: int = 0
    remedy: str = ""

    def __init__(self, code: int | None = None, about: str = "") -> None:
        self.code = self.code if code is None else code
        kind = _NAMES.get(self.code, type(self).__name__)
        text = f"{kind} (ZooKeeper error {self.code})" + (f": {about}" if about else "")
        super().__init__(f"{text}; {self.remedy}" if self.remedy else text)


class NoNode(ServerError):
    """The znode does not exist."""

    code = -101


class NoAuth(ServerError):
    """A znode's access list does not allow this to this session."""

    code = -102
    remedy = "give the credentials of its creator (auth=, --zookeeper-auth-file), or change its access list"


class BadVersion(ServerError):
    """The znode's version is not the expected one: another client wrote. Read it again before you write."""

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
    """The session is over, and its ephemeral znodes are deleted. The connection opens another session."""

    code = -112


class AuthFailed(ServerError):
    """The server does not accept the credentials, or demands some. This client no longer connects."""

    code = -115
    remedy = "check auth=, --zookeeper-auth-file"


class SessionMoved(ServerError):
    """The session uses another connection now."""

    code = -118


class QuotaExceeded(ServerError):
    """The write would exceed a quota of the znode or of one above it."""

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
"""ZooKeeper's names of the codes that have no class here (3.9, `KeeperException.Code`)."""

_BY_CODE = {error.code: error for error in ServerError.__subclasses__()}


def server_error(code: int, about: str = "") -> ServerError:
    """The exception for an error code of ZooKeeper's; `about` is what was asked, for the message."""
    return _BY_CODE.get(code, ServerError)(code, about)
