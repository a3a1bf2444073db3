"""Who a session is to ZooKeeper, and who may touch what it creates. Pure.

An identity becomes bytes here only: its `proof` for the server, its `access` list for the znodes, its `fields` for the
guardian. You add a kind of identity as a class here, in the union `Identity`; `fields` has to say which kind it is, for
`restore`. `connection.connect` and `cli/options.digest` have to accept it. If its proof takes several requests (SASL),
change `session` too (rule 10, `_receive_proved`), and add the requests to `messages` and `wire`.

Rules:
- A password is in no repr, no error and no log.
- A session with an identity creates znodes for that identity alone, with all permissions. So all participants of an
  election must give the same one: deleting a candidate's znode takes a permission on the election's, and a leader that
  hands over by name writes to its heir's.
- An access list names the identity. The scheme `auth` would not do: over TLS it stands for the subject of the client's
  certificate as well, which other certificates may share (seen on ZooKeeper 3.8).
- The access list of a znode that exists is left as it is.

It does not promise that the password stays hidden on the way: ZooKeeper's scheme sends it as it is. TLS hides it.
Servers that were set to another hash than SHA-1 (`digestAlg`) would let nobody in.
"""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeAlias

from ..errors import UsageError
from ..stored import Fields
from . import messages as m

LIMIT = 2**16
"""Characters of a stored name or password: no limit of ZooKeeper's."""

READABLE = m.Access(int(m.Permission.READ), "world", "anyone")


@dataclass(frozen=True, slots=True)
class Digest:
    """A user and a password, ZooKeeper's scheme `digest`: the same pair is the same identity.

    Attributes:
        user: the user; not registered anywhere, a name in the access lists.
        password: never shown.
        readable: let everybody read the znodes that are created, so that others can see who leads without the password.

    Raises:
        UsageError: ZooKeeper cannot take them.
    """

    user: str
    password: str = field(repr=False)
    readable: bool = False

    def __post_init__(self) -> None:
        if not self.user or ":" in self.user or not _plain(self.user):
            raise UsageError(f"the user {self.user!r} cannot be used: give printable ASCII without ':'")
        if not self.password or not _plain(self.password):
            raise UsageError(f"the password of user {self.user!r} cannot be used: give printable ASCII")

    @property
    def proof(self) -> m.Authenticate:
        """The first request on each connection."""
        return m.Authenticate("digest", f"{self.user}:{self.password}".encode())

    @property
    def access(self) -> tuple[m.Access, ...]:
        """The access list of the znodes that are created."""
        own = m.Access(int(m.Permission.ALL), "digest", digest_of(self.proof.credentials))
        return (own, READABLE) if self.readable else (own,)

    @property
    def label(self) -> str:
        """The identity, for people."""
        return f"the digest of user {self.user!r}"

    def fields(self) -> dict[str, Any]:
        """What `restore` makes it of again; with the password."""
        return asdict(self)

    def owning(self, request: m.Request) -> m.Request:
        """The request, with this access list for every znode that it creates without one of its own.

        Args:
            request: any.
        """
        match request:
            case m.Create(access=m.OPEN):
                return replace(request, access=self.access)
            case m.Multi(operations) if any(isinstance(operation, m.Create) for operation in operations):
                return m.Multi(tuple(map(self._owning, operations)))
        return request

    def _owning(self, operation: m.Operation) -> m.Operation:
        owned = self.owning(operation)
        assert isinstance(owned, m.Operation)
        return owned


def digest_of(credentials: bytes) -> str:
    """The id that `user:password` proves under the scheme `digest`; without a colon all of it is the user's name."""
    import hashlib  # not above: a candidate without credentials needs none of it, 0.8 MiB

    user = credentials.partition(b":")[0].decode(errors="replace")
    return f"{user}:{base64.b64encode(hashlib.sha1(credentials, usedforsecurity=False).digest()).decode()}"


Identity: TypeAlias = Digest
"""Who a session can be."""


def restore(fields: Fields) -> Identity:
    """The identity of these `fields`; raises a ValueError if they are none."""
    user, password = (fields.exact(name, most=LIMIT) for name in ("user", "password"))
    return Digest(user, password, fields.flag("readable"))


def _plain(text: str) -> bool:
    # A server decodes the rest in its machine's own way, and each server on its own.
    return text.isascii() and text.isprintable()
