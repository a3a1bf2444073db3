"""Who may do what with a znode: ZooKeeper's access lists, with the schemes `world`, `auth`, `digest` and `ip`. Pure.

A null id makes a request unreadable, except where the id is not used: under `auth`, and under an unknown scheme.
"""

from __future__ import annotations

import ipaddress
from typing import TypeAlias

from ..zookeeper.messages import Access, Permission, is_null

Proofs: TypeAlias = tuple[tuple[str, str], ...]
"""The identities that a client has proved: pairs of scheme and id."""


class NullField(Exception):
    """A field is null that must not be."""


def settle(access: tuple[Access, ...], proofs: Proofs) -> tuple[Access, ...] | None:
    """The list to store: `auth` stands for all that the client has proved. None if it cannot be stored.

    Raises a NullField if an id is null.
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
    """Whether a client with these proofs has one of the wanted permissions."""
    return any(entry.permissions & wanted and _matches(entry, proofs) for entry in access)


def masked(access: tuple[Access, ...], proofs: Proofs) -> tuple[Access, ...]:
    """The list as it may be shown: only a client that administers the znode sees the hashes in it."""
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
