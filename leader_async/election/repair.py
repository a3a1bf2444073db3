"""Putting a record right that cannot be read: what `leader-async doctor --repair` does.

What is written says that the lead is `held` by a znode that nobody has or ever had. So the first in the
queue waits 1.1 of the lease that the record names out, as for every holder that was lost, and claims.

Rules:
1. Only a record that cannot be read is written over, and only at the version at which it was read. A record that can be
   read has a holder that may live, or needs no help. But one that was written here may be written anew with another
   lease: as long as it stands nobody has claimed, and its holder's znode does not exist. The new one names another
   holder, so a candidate that waits begins anew: 1.1 of the new lease from learning that this one is gone. A claim on
   the former record, and this write, both check its version: only one of the two is done.
2. It is written once at an odd version and twice at an even one, in one transaction: `held` stands at even versions.
3. The lease is the longest that is known: the one that was asked for, and all that are found in candidates' data. If
   none was asked for, then also the one in what is left of the record: anybody may have written that, so the word of
   who asks counts more. So the former leader has stopped when the next one claims: its last confirm that was answered
   was sent before the record was spoilt, hence before anybody could read what is written here.
4. The term is one more than the highest that is known. Tokens rise with ZooKeeper's zxids.

It does not promise anything if a lease was longer than every one that is known: so `--lease` asks for it. Where neither
history nor a candidate's data name the last term, a number comes twice, under other tokens.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from .. import stored
from ..errors import BadVersion, RecordError, UsageError
from ..stored import Garbage
from ..zookeeper import messages as m
from ..zookeeper.client import Client
from ..zookeeper.reader import Reader, SyncedReader
from .queries import read_candidate_data, read_history
from .rules import queue as q
from .rules import record as r
from .rules.ends import PUT_RIGHT
from .rules.state import LEASE, WAIT_OUT

TERMS = stored.INT
"""Terms beyond this are not believed: each costs a version of the record, and those end there."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What is going to be done.

    Attributes:
        parent: path of the election's znode.
        why: what is wrong with its record.
        version: the record's version that is written over.
        record: what is written.
        source: where its lease, the longest, was found.
    """

    parent: str
    why: str
    version: int
    record: r.Record
    source: str

    @property
    def waits(self) -> float:
        """Seconds that the next leader waits from then on."""
        return WAIT_OUT * self.record.lease

    @property
    def request(self) -> m.Multi:
        """The transaction."""
        return m.Multi(r.held(self.parent, self.record, self.version))


async def plan(client: Client, parent: str, lease: float | None = None) -> Repair:
    """Find out what to do about an election's record.

    Args:
        client, parent: through whom to read, and the path of the election's znode.
        lease: the longest lease that the replicas were given, in seconds, whatever what is left of the record says.
            None: what is left of the record is believed.

    Raises:
        UsageError: there is nothing to put right.
        ZooKeeperError: ZooKeeper cannot be asked.
    """
    data = await SyncedReader(client).data(parent)
    if data is None:
        raise UsageError(f"there is no election {parent}, so nothing to put right; look at --election")
    terms, stands = [0], None
    leases = {"what replicas are given by default": LEASE} if lease is None else {"--lease says so": lease}
    try:
        stands = await _written_here(client, parent, r.decode(data.data, data.stat.version, parent), lease)
        why = f"{parent} was put right before, with a lease of {stands.lease:g} s"
        terms.append(stands.term - 1)  # nobody has led it
    except RecordError as error:
        why = f"{parent} is not an election's record: {error.why}"
        left, said = _left(data.data)
        terms += left
        if lease is None and said:
            leases["the spoilt record says so; give --lease if no replica was given that"] = said
    entries, _ = await read_history(Reader(client), parent)
    terms += [entry.term for entry in entries]
    await _ask_candidates(client, parent, terms, leases)
    source = max(leases, key=lambda one: leases[one])
    if stands is not None and stands.lease == leases[source]:
        raise UsageError(f"{why}, and that is the longest that is known ({source}); there is nothing to put right")
    term = max(term for term in terms if term < TERMS) + 1
    holder = f"{q.prefix(uuid.uuid4().hex)}{0:010}"
    record = r.Record(term, holder, r.LeadState.HELD, leases[source], r.NOBODY, end=PUT_RIGHT)
    return Repair(parent, why, data.stat.version, record, source)


async def _written_here(client: Client, parent: str, record: r.Record, lease: float | None) -> r.Record:
    """The record that can be read, if it may be written anew all the same (rule 1).

    Raises:
        UsageError: it may not.
    """
    if not record.put_right or await read_candidate_data(client, parent, record.holder) is not None:
        who = f": {record.state}, term {record.term}" if record.term else ""
        raise UsageError(f"the record of {parent} can be read{who}; there is nothing to put right")
    if lease is None:
        raise UsageError(
            f"the record of {parent} was put right already, and a lease of {record.lease:g} s is waited out; "
            "give --lease, the longest that a replica was given, to have another one waited out"
        )
    return record


async def _ask_candidates(client: Client, parent: str, terms: list[int], leases: dict[str, float]) -> None:
    """Add the terms and leases that the candidates' data name."""
    children = await client.request(m.GetChildren(parent))
    for name in q.in_order(children.names):
        read = await read_candidate_data(client, parent, name)
        if read is not None:
            terms.append(read.data.term)
            leases[f"the data of candidate {read.data.identity} ({name}) says so"] = read.data.lease


def _left(data: bytes) -> tuple[list[int], float]:
    """Terms that are in what is left of a record, and its lease, 0.0 if there is none."""
    terms: list[int] = []
    lease = 0.0
    with suppress(Garbage):
        said = stored.Fields(stored.parse(data, r.LIMIT))
        with suppress(Garbage):
            lease = said.number("lease", *stored.LEASE)
        terms += _term(said)
        for row in said.rows("past", []):
            terms += _term(stored.Fields(row))
    return terms, lease


def _term(said: stored.Fields) -> Iterator[int]:
    with suppress(Garbage):
        yield said.whole("term", 1, TERMS)


async def carry_out(client: Client, repair: Repair) -> bool:
    """Write it; False if somebody has written the record meanwhile, and nothing was done.

    Raises:
        ZooKeeperError: ZooKeeper cannot be asked, or does not let us.
    """
    answer = await client.request(repair.request)
    if answer.failure is None:
        return True
    error = m.refusal(answer.failure[1], repair.request.operations[0])
    if isinstance(error, BadVersion):
        return False
    raise error
