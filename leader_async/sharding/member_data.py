"""A member's card: the data of its znode. Pure.

Rule: what cannot be read announces nothing, so nobody gives a place up for its sake.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from .. import stored
from ..stored import Garbage
from .assignment import PARTITIONS

NOTHING: frozenset[int] = frozenset()
LIMIT = 16 * 1024
"""Bytes of the largest card that is read. The largest that is written has less, whatever it says."""
_BITS = re.compile(f"[0-9a-f]{{1,{PARTITIONS // 4}}}")


@dataclass(frozen=True, slots=True)
class MemberData:
    """What a member's znode holds.

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
    def decode(cls, data: bytes) -> MemberData:
        """The card in a znode's data; an empty one if nobody of us wrote it."""
        try:
            said = stored.Fields(stored.parse(data, LIMIT))
            digits = said.text("announced")
            if _BITS.fullmatch(digits) is None:  # looked at before the bits are: not one for each bit of a long number
                raise Garbage("it announces more partitions than there can be")
            bits = int(digits, 16)
            announced = frozenset(place for place in range(bits.bit_length()) if bits >> place & 1)
            return cls(said.text("identity"), said.text("address"), announced)
        except Garbage:
            return cls("", "")
