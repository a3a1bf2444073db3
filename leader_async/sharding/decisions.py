"""What a member does next about its partitions: take part, announce, hand over. Pure.

A partition is handed over, not dropped: who holds it, or waits for it, gives up its place in that election's queue only
when the partition's owner stands in the same queue. Each member *announces* in its own znode the partitions in whose
queues it stands, so that the others read one znode of each owner, and not one queue of each partition.

Rules:
1. We begin to take part in what is assigned to us, so many at a time, and in nothing else.
2. What we announce is true: a place is announced after it was taken, and withdrawn before it is given up.
3. A place of which another member is the owner is given up in three steps: the owner announces the partition, which
   we read with a watch; we withdraw ours; when that is answered, no event has shown a change of the owner's. (Events
   come in the order of the changes: ZooKeeper guide, "Watches". So what the owner announced stood at that instant.) If
   one has, we read again, and if need be announce ours again and wait.
4. Who leaves withdraws everything by deleting its member znode, and does the same; alone, it has nobody to wait for.

So rule 3 never empties a queue. Proof: of the members that give up a place of one partition, let Z be the last that
withdrew, and X the member for which it did. X's announcement stood when Z withdrew, hence after all of them had
withdrawn. So X is none of them, and by rule 2 it stands in the queue. A member that stands there without an
announcement may go: no place was given up for it. (Members need not agree on the owner: the proof does not name it.)

It does not promise that a queue stays filled when processes or sessions die: then the assignment changes, and the new
owner joins. Nor does it say who leads: a partition that stands in two views is still one election.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from .assignment import NOBODY

PACE = 32
"""Queues that one member joins at a time, so that a large share does not hold the session up."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What one member knows.

    Attributes:
        me: name of its member znode, "" without one.
        leaving: it wants no partition any more.
        alone: no other member is there.
        owners: of each partition, by the last assignment read.
        running: partitions in whose elections it takes part and means to go on.
        ending: those in which it is on its way out.
        joining: those of `running` in whose queues it does not stand yet.
        announced: the partitions that its znode announces.
        said: what other members' znodes announce, for those that were read and of which no event has shown a change.
    """

    me: str
    leaving: bool
    alone: bool
    owners: tuple[str, ...]
    running: Set[int]
    ending: Set[int]
    joining: Set[int]
    announced: Set[int]
    said: Mapping[str, Set[int]]


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do.

    Attributes:
        begin: partitions in whose elections to take part.
        end: partitions in whose elections to take part no more.
        announce: what the own znode should announce.
        ask: whose znodes to read, with a watch.
    """

    begin: frozenset[int]
    end: frozenset[int]
    announce: frozenset[int]
    ask: frozenset[str]


def decide(now: Situation) -> Decision:
    """What this member does next."""
    standing = now.running - now.joining
    mine = {p for p, owner in enumerate(now.owners) if owner == now.me} if now.me and not now.leaving else set()
    owners = {p: now.owners[p] if now.owners else NOBODY for p in now.running - mine}
    deserted = now.leaving and now.alone
    released = {
        p for p, owner in owners.items() if p in now.joining or deserted or p in now.said.get(owner, frozenset())
    }
    begin = sorted(mine - now.running - now.ending)[: max(0, PACE - len(now.joining))]
    return Decision(
        begin=frozenset(begin),
        end=frozenset(released - now.announced),
        announce=frozenset(standing - released),
        ask=frozenset(set(owners.values()) - now.said.keys() - {NOBODY, now.me}),
    )
