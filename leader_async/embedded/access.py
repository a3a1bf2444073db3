"""Who may do what with a znode: ZooKeeper's access lists, with the schemes `world`, `auth`, `digest` and `ip`.

An id that is null cannot be read, except where it is not looked at: under `auth`, and under a scheme that is not known.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from typing import TypeAlias

from ..zookeeper.messages import Access, Permission, is_null

Proofs: TypeAlias = tuple[tuple[str, str], ...]
"""Who a client has shown to be: pairs of scheme and id."""


class NullField(Exception):
    """Null stands where something must be."""


def digest_of(credentials: bytes) -> str:
    """The id that `user:password` proves under the scheme `digest`; without a colon all of it is the user's name."""
    user = credentials.partition(b":")[0]
    hashed = base64.b64encode(hashlib.sha1(credentials, usedforsecurity=False).digest()).decode()
    return f"{user.decode(errors='replace')}:{hashed}"


def settle(access: tuple[Access, ...], proofs: Proofs) -> tuple[Access, ...] | None:
    """The list to store: `auth` stands for all that the client has proved. None if it cannot be stored.

    Raises:
        NullField: an id is null.
    """
    settled: list[Access] = []
    for entry in access:
        if entry.scheme in ("world", "digest", "ip") and is_null(entry.id):
            raise NullField
        match entry.scheme:
            case "world":
                if entry.id != "anyone":
                    return None
                settled.append(entry)
            case "auth":
                mine = [Access(entry.permissions, scheme, id_) for scheme, id_ in proofs if scheme == "digest"]
                if not mine:
                    return None
                settled += mine
            case "digest":
                if entry.id.count(":") != 1:
                    return None
                settled.append(entry)
            case "ip":
                if _network(entry.id) is None:
                    return None
                settled.append(entry)
            case _:
                return None
    return tuple(dict.fromkeys(settled)) or None


def allows(access: tuple[Access, ...], proofs: Proofs, wanted: Permission) -> bool:
    """Whether one who has proved this may do that (any of the permissions, if several are given)."""
    return any(entry.permissions & wanted and _matches(entry, proofs) for entry in access)


def masked(access: tuple[Access, ...], proofs: Proofs) -> tuple[Access, ...]:
    """The list as it may be shown: only who administers a znode sees the hashes in it."""
    if allows(access, proofs, Permission.ADMIN):
        return access
    return tuple(
        Access(entry.permissions, entry.scheme, entry.id.partition(":")[0] + ":x")
        if entry.scheme == "digest"
        else entry
        for entry in access
    )


def _matches(entry: Access, proofs: Proofs) -> bool:
    if entry.scheme == "world":
        return True
    if entry.scheme == "ip":
        network = _network(entry.id)
        return network is not None and any(
            scheme == "ip" and ipaddress.ip_address(id_) in network for scheme, id_ in proofs
        )
    return (entry.scheme, entry.id) in proofs


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
