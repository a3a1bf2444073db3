"""Putting a record right that cannot be read: what `leader-async doctor --repair` does.

What is written says that the lead is `held` by a znode that nobody has or ever had. So who is first in the queue does
what it does about every holder that was lost: it waits 1.1 of the lease that the record names out, and claims.

Rules:
1. Only a record that cannot be read is written over, and only at the version at which it was read. A record that can be
   read has a holder that may live, or needs no help.
2. It is written once at an odd version and twice at an even one, in one transaction: `held` stands at even versions.
3. The lease is the longest that is known: the one that was asked for, and all that are found in cards and in what is
   left of the record. So whoever led before has stopped when the next one claims: its last confirm that was answered
   was sent before the record was spoilt, hence before anybody could read what is written here.
4. The term is one more than the highest that is known. Tokens rise by themselves.

It does not promise anything if a lease was longer than every one that is known: so `--lease` asks for it. Where neither
history nor card tells of the last term, a number comes twice, under other tokens.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from .. import stored
from ..errors import BadVersion, NoNode, RecordError, UsageError
from ..stored import Garbage
from ..zookeeper import messages as m
from ..zookeeper.client import Client
from . import historian
from . import queue as q
from . import record as r
from .standing import WAIT_OUT
from .views import read_card

IDENTITY, WHY = "nobody", "the record could not be read, and was put right"
"""For the history: who held the lead then, and why that ended."""
TERMS = stored.INT
"""Terms beyond this are not believed: each costs a version of the record, and those end there."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What is going to be done.

    Attributes:
        parent: path of the election's znode.
        why: why its record cannot be read.
        version: the record's version that is written over.
        record: what is written.
    """

    parent: str
    why: str
    version: int
    record: r.Record

    @property
    def waits(self) -> float:
        """Seconds that the next leader waits from then on."""
        return WAIT_OUT * self.record.lease

    @property
    def request(self) -> m.Multi:
        """The transaction."""
        return m.Multi(r.held(self.parent, self.record, self.version))


async def plan(client: Client, parent: str, lease: float) -> Repair:
    """Find out what to do about an election's record.

    Args:
        client: through whom to read.
        parent: path of the election's znode.
        lease: the longest lease that the replicas were given, in seconds, as far as it is known.

    Raises:
        UsageError: there is nothing to put right.
        ZooKeeperError: ZooKeeper cannot be asked.
    """
    await client.request(m.Sync(parent))
    try:
        data = await client.request(m.GetData(parent))
    except NoNode as error:
        raise UsageError(f"there is no election {parent}, so nothing to put right; look at --election") from error
    assert isinstance(data, m.Data)
    try:
        record = r.decode(data.data, data.stat.version, parent)
    except RecordError as error:
        why = error.why
    else:
        who = f": {record.state}, term {record.term}" if record.term else ""
        raise UsageError(f"the record of {parent} can be read{who}; there is nothing to put right")
    terms, leases = [0], [lease]
    with suppress(Garbage):
        left = stored.Fields(stored.parse(data.data, r.LIMIT))
        terms += _known(left, "term")
        leases += _leases(left)
        for row in left.rows("past", []):
            terms += _known(stored.Fields(row), "term")
    entries, _ = await historian.read(client, parent)
    terms += [entry.term for entry in entries]
    children = await client.request(m.GetChildren(parent))
    assert isinstance(children, m.Children)
    for name in q.in_order(children.names):
        read = await read_card(client, parent, name)
        if read is not None:
            terms.append(read.card.term)
            leases.append(read.card.lease)
    term = max(term for term in terms if term < TERMS) + 1
    holder = f"{q.prefix(uuid.uuid4().hex)}{0:010}"
    record = r.Record(term, holder, r.State.HELD, max(leases), IDENTITY, why=WHY)
    return Repair(parent, why, data.stat.version, record)


def _known(said: stored.Fields, name: str) -> Iterator[int]:
    with suppress(Garbage):
        yield said.whole(name, 1, TERMS)


def _leases(said: stored.Fields) -> Iterator[float]:
    with suppress(Garbage):
        yield said.number("lease", *stored.LEASE)


async def carry_out(client: Client, repair: Repair) -> bool:
    """Write it; False if somebody has written the record meanwhile, and nothing was done.

    Raises:
        ZooKeeperError: ZooKeeper cannot be asked, or does not let us.
    """
    answer = await client.request(repair.request)
    assert isinstance(answer, m.Transacted)
    if answer.failure is None:
        return True
    error = m.refusal(answer.failure[1], repair.request.operations[0])
    if isinstance(error, BadVersion):
        return False
    raise error
