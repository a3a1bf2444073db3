"""The lease: what a candidate holds, and what it puts at stake in a confirm (the field says: renews). Pure.

Rule: `Hold.leads` computes from the lease's end whether this process leads; nothing stores it. How long the others wait
stands in `lead`, rule 2.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...zookeeper.messages import Operation
from .ends import End


@dataclass(slots=True, eq=False)
class Hold:
    """A version of the record that is ours, and the lease on it.

    Attributes:
        holder: name of our znode, as the record names it.
        version: the record's version that we hold.
        number: the term's number.
        token: the term's fencing token, see `record`.
        lease: L of this term, in seconds, as it is in the record.
        until: reading of the clock at which the lease ends.
        end: why the term is over for good, None while it is not.
        forfeited: the record is, or may be, no longer ours to write.
        read: the record was read since it is ours; False after a notice until then.
    """

    holder: str
    version: int
    number: int
    token: int
    lease: float
    until: float = float("-inf")
    end: End | None = None
    forfeited: bool = False
    read: bool = False

    def leads(self, now: float) -> bool:
        """Whether this process leads by it: computed when asked, never stored."""
        return self.end is None and now < self.until

    @property
    def over(self) -> bool:
        """Whether the term is over for good."""
        return self.end is not None


@dataclass(frozen=True, slots=True)
class Stake:
    """What a candidate wants the next confirm to prove; it changes nothing but, at times, the candidate's own data.

    Attributes:
        operations: the parts of the transaction; the first one is about the own znode.
        hold: the term whose lease it renews, None for an heir that is not a leader yet.
        data: what is published with it as the candidate's data, b"" for none.
    """

    operations: tuple[Operation, ...]
    hold: Hold | None
    data: bytes = b""
