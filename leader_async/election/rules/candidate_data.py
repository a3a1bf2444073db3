"""The card: what a candidate's znode says of it, to those who read it.

It is the znode's data, a few bytes of JSON: who the candidate is, and, while it holds the lead, what its heir has to
know. The one behind reads it with the watch that it needs anyway, so the heir learns of a new holder by one event and
one read, and nobody else learns anything.

Rule: a card is a hint. Nothing is safe because of what a card says, and nothing breaks for what it says: claims rest on
the record's version, leases on confirms.

It does not promise to be true by the time it is read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields

from ... import stored
from ...stored import Garbage

AHEAD = 4
"""Versions of the record that whoever believes a card reckons with behind the one that it tells."""
LIMIT = 16 * 1024
"""Bytes of the largest card that is read. The largest that is written has less, whatever it says."""


@dataclass(frozen=True, slots=True)
class Card:
    """A card's contents.

    Attributes:
        identity: who the candidate is, for people.
        address: where it is reached, for people.
        started_at: wall-clock time at which it started, seconds since the epoch (0.0: unknown).
        term: number of the term that it holds, 0 for none.
        version: the record's version that it holds.
        token: the token of that term.
        lease: the lease of that term, in seconds.
        heir: znode right behind it, as far as it knows, if nobody stands before it.
        by_name: it will hand over to that one by name.
        appointed: znode right behind this one that has just been given the lead by somebody before it.
    """

    identity: str = ""
    address: str = ""
    started_at: float = 0.0
    term: int = 0
    version: int = 0
    token: int = 0
    lease: float = 0.0
    heir: str = ""
    by_name: bool = False
    appointed: str = ""


_FIELDS = tuple(field.name for field in fields(Card))
_encode = json.JSONEncoder(separators=(",", ":")).encode
NO_CARD = Card()
"""What is known of a znode that was not read."""


def encode(card: Card) -> bytes:
    """The card as the znode's data; what says nothing is left out."""
    # Not `asdict`, which copies: a leader writes its card each time that its heir changes.
    said = {name: value for name in _FIELDS if (value := getattr(card, name))}
    return _encode(said).encode()


def decode(data: bytes) -> Card:
    """The card that stands in a znode; an empty one if something else does."""
    try:
        said = stored.Fields(stored.parse(data, LIMIT))
        return Card(
            identity=said.text("identity", ""),
            address=said.text("address", ""),
            started_at=said.number("started_at", stored.EARLIEST, stored.LATEST, 0.0),
            term=said.whole("term", 0, stored.WHOLE, 0),
            version=said.whole("version", 0, stored.INT - AHEAD, 0),
            token=said.whole("token", 0, stored.LONG - 1, 0),
            lease=said.number("lease", *stored.LEASE) if "lease" in said else 0.0,
            heir=said.name("heir", ""),
            by_name=said.flag("by_name", False),
            appointed=said.name("appointed", ""),
        )
    except Garbage:
        return NO_CARD
