"""A candidate's data: the few bytes of JSON in its znode. Pure.

They say who the candidate is, and while it holds the lead what its heir has to know. The heir reads them with the watch
that it needs anyway, so it learns of a new holder by one event and one read, and nobody else learns anything.

Rule: they are a hint. Claims rest on the record's version and leases on confirms, whatever these data say. They need
not be true any more when they are read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields

from ... import stored
from ...stored import Garbage

AHEAD = 4
"""Versions of the record that a reader reckons with behind the one that a candidate's data have."""
LIMIT = 16 * 1024
"""Bytes of the largest data that are read. The largest that are written have less, whatever they say."""


@dataclass(frozen=True, slots=True)
class CandidateData:
    """What a candidate's znode says.

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

    def encode(self) -> bytes:
        """As the znode has it; what says nothing is left out."""
        # Not `asdict`, which copies: a leader writes its data each time that its heir changes.
        said = {name: value for name in _FIELDS if (value := getattr(self, name))}
        return _encode(said).encode()

    @classmethod
    def decode(cls, data: bytes) -> CandidateData:
        """What stands in a znode; `NO_DATA` if something else does."""
        try:
            said = stored.Fields(stored.parse(data, LIMIT))
            return cls(
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
            return NO_DATA


_FIELDS = tuple(field.name for field in fields(CandidateData))
_encode = json.JSONEncoder(separators=(",", ":")).encode
NO_DATA = CandidateData()
"""What is known of a znode that was not read."""
