"""What anybody reads of an election in ZooKeeper: the queue, who holds the lead, a candidate's data, the terms.

Rules:
1. Each answer is put together from several reads, so parts of it may be of different instants. A candidate that leaves
   in between is left out.
2. A znode of no session (a ghost) is read like any other, and is never appointed.

It does not promise that the holder it names leads: only that process knows whether its lease still runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from ..errors import RecordError, UsageError
from ..zookeeper import messages as m
from ..zookeeper.client import Client
from ..zookeeper.reader import Reader
from .rules import history
from .rules import queue as q
from .rules import record as r
from .rules.candidate_data import NO_DATA, CandidateData
from .rules.history import TermEntry
from .rules.state import Appointee
from .status import Candidate

LATEST = 16
"""How many of the queue's last ones are asked when they started: of thousands the leader need not read all of them."""


class Read(NamedTuple):
    """A candidate's znode, as it was read; a `ghost` belongs to no session."""

    data: CandidateData
    ghost: bool


class ElectionView(NamedTuple):
    """An election, as ZooKeeper has it.

    Attributes:
        candidates: in the order of the queue, or only the one that holds the lead.
        problem: why it is unknown which one does.
        lost: the record, if it is held by a znode that is gone: its lease is waited out.
    """

    candidates: list[Candidate]
    problem: RecordError | None
    lost: r.Record | None


async def read_queue(client: Client, parent: str, *, all_candidates: bool = True) -> ElectionView:
    """The queue, all of it or only who holds the lead.

    Raises:
        ZooKeeperError: ZooKeeper cannot be asked.
    """
    reader = Reader(client)
    children, data = await asyncio.gather(reader.children(parent), reader.data(parent))
    if children is None or data is None:
        return ElectionView([], None, None)
    record, token, problem = read_record(parent, data)
    holder = record.holder if record.state is r.LeadState.HELD else None
    names = q.in_order(children)
    wanted = [name for name in names if all_candidates or name == holder]
    found = await asyncio.gather(*(read_candidate_data(client, parent, name) for name in wanted))
    known = {name: read for name, read in zip(wanted, found, strict=True) if read is not None}
    lost = record if holder is not None and holder not in names else None
    return ElectionView(in_queue(names, known, record, token), problem, lost)


def read_record(parent: str, data: m.Data | None) -> tuple[r.Record, int, RecordError | None]:
    """An election's record, the token of its term, and the error if it cannot be read: then the record is empty."""
    if data is None:
        return r.Record(), 0, None
    try:
        record = r.decode(data.data, data.stat.version, parent)
    except RecordError as error:
        return r.Record(), 0, error
    return record, r.token_of(record, data.stat.mzxid), None


def in_queue(names: list[str], known: Mapping[str, Read], record: r.Record, token: int) -> list[Candidate]:
    """The candidates of the queue whose znodes are known; `token` is that of the record's term."""
    holder = record.holder if record.state is r.LeadState.HELD else None
    return [
        Candidate(
            identity=known[name].data.identity,
            address=known[name].data.address,
            znode=name,
            started_at=known[name].data.started_at,
            position=position,
            is_leader=name == holder,
            term=record.term if name == holder else None,
            token=token if name == holder else None,
            ghost=known[name].ghost,
        )
        for position, name in enumerate(names)
        if name in known
    ]


async def read_candidate_data(client: Client, parent: str, name: str) -> Read | None:
    """A candidate's znode, None if it has gone."""
    found = await Reader(client).data(f"{parent}/{name}")
    if found is None:
        return None
    said = CandidateData.decode(found.data)
    # One without an identity may not be ours to refuse: it stands in the queue.
    return Read(said if said.identity else replace(said, identity=name), not found.stat.ephemeral_owner)


async def find_appointee(client: Client, parent: str, own: str | None, to: str) -> Appointee:
    """The candidate to hand over to, by its identity or the name of its znode, and how it gets notice; not `own`.

    Raises:
        UsageError: there is none, or several have this identity.
        ZooKeeperError: ZooKeeper cannot be asked.
    """
    standing = [one for one in await _read_appointees(client, parent) if one[0].znode != own]
    found = [appointee for appointee, said in standing if to in (said.identity, appointee.znode)]
    if not found:
        others = sorted({said.identity for _, said in standing})
        raise UsageError(f"no candidate {to!r} stands in the queue; there are: {', '.join(others) or 'no others'}")
    if len(found) > 1:
        znodes = ", ".join(appointee.znode for appointee in found)
        raise UsageError(f"{len(found)} candidates are called {to!r}; give the znode of one of them: {znodes}")
    return found[0]


async def find_newest(client: Client, parent: str, own: str | None, since: float) -> Appointee | None:
    """The candidate that started last, after `since` (wall-clock time), among the `LATEST` of the queue; not `own`.

    Raises:
        ZooKeeperError: ZooKeeper cannot be asked.
    """
    newest = None
    for appointee, said in await _read_appointees(client, parent, LATEST):
        if appointee.znode != own and said.started_at > since:
            newest, since = appointee, said.started_at
    return newest


async def _read_appointees(
    client: Client, parent: str, last: int | None = None
) -> list[tuple[Appointee, CandidateData]]:
    """The queue without ghosts, or its `last` ones: how each would learn of its appointment, and its data."""
    children = await client.request(m.GetChildren(parent))
    names = q.in_order(children.names)
    wanted = names if last is None else names[-last:]
    # One more: the one that stands right before the first of them.
    asked = names if last is None else names[-last - 1 :]
    reads = await asyncio.gather(*(read_candidate_data(client, parent, name) for name in asked))
    found, before, before_data = [], "", NO_DATA
    for name, read in zip(asked, reads, strict=True):
        if read is None:
            continue
        if name in wanted and not read.ghost:
            found.append((Appointee(name, before, before_data), read.data))
        before, before_data = name, read.data
    return found


async def read_terms(reader: Reader, parent: str) -> list[TermEntry]:
    """What is known of an election's terms, by the history and by the record.

    Raises:
        ZooKeeperError: ZooKeeper cannot be asked.
    """
    data, (stored, _) = await asyncio.gather(reader.data(parent), read_history(reader, parent))
    if data is None:
        return history.complete(stored)
    record, token, _ = read_record(parent, data)
    holder = None
    if record.holder and not record.identity:
        holder = await read_candidate_data(reader.client, parent, record.holder)
    who = (holder.data.identity, holder.data.address) if holder is not None else ("", "")
    return history.complete(stored, history.in_record(record, token, data.stat.mtime, *who))


async def read_history(reader: Reader, parent: str) -> tuple[list[TermEntry], int | None]:
    """The entries of the history's znode, and the znode's version; None if there is none yet.

    Raises:
        ZooKeeperError: ZooKeeper cannot be asked.
    """
    found = await reader.data(f"{parent}/{history.NAME}")
    return ([], None) if found is None else (history.decode(found.data), found.stat.version)
