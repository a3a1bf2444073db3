"""A member's card: the data of its znode. Pure.

Rule: what cannot be read announces nothing, so nobody gives a place up for its sake.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

NOTHING: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Card:
    """What a member's znode tells.

    Attributes:
        identity: who it is, for people.
        address: where it is reached, for people.
        announced: the partitions in whose queues it stands.
    """

    identity: str
    address: str
    announced: frozenset[int] = NOTHING

    def encode(self) -> bytes:
        """The card as the znode's data."""
        bits = sum(1 << partition for partition in self.announced)
        return json.dumps({"identity": self.identity, "address": self.address, "announced": f"{bits:x}"}).encode()

    @classmethod
    def decode(cls, data: bytes) -> Card:
        """The card in a znode's data; an empty one if nobody of us wrote it."""
        try:
            fields = json.loads(data)
            bits = int(fields["announced"], 16)
            announced = frozenset(place for place in range(bits.bit_length()) if bits >> place & 1)
            return cls(str(fields["identity"]), str(fields["address"]), announced)
        except (ValueError, KeyError, TypeError):
            return cls("", "")
