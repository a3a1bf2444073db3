"""What can be seen of an election: this process's own status, and the queue as ZooKeeper has it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..errors import NoNode, RecordError, UsageError
from ..zookeeper import messages as m
from ..zookeeper.client import Client
from .rules import queue as q
from .rules import record as r
from .rules.candidate_data import Card
from .rules.candidate_data import decode as decode_card
from .rules.state import Appointee

STATES = (
    "idle", "joining", "queued", "waiting out", "claiming", "blocked", "leading", "suspended", "ending", "leaving"
)  # fmt: skip
"""Where a process may stand in an election; see the drawing in `candidacy`."""

LATEST = 16
"""How many of the queue's last ones are asked when they started: of thousands the leader need not read all cards."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate in the queue, as ZooKeeper has it.

    Attributes:
        identity: who it is.
        address: where it is reached.
        znode: name of its znode.
        started_at: wall-clock time at which it started, seconds since the epoch (0.0: unknown).
        position: its place in the queue, 0 for the first.
        is_leader: the record names its znode as the holder. Its lease may have run out: only it knows.
        term: the number of its term, None if it does not lead.
        token: the fencing token of its term, None if it does not lead.
        ghost: its znode belongs to no session, so to no process. It never goes by itself, and who stands behind it
            never leads, until somebody evicts it.
    """

    identity: str
    address: str
    znode: str
    started_at: float
    position: int
    is_leader: bool
    term: int | None
    token: int | None
    ghost: bool = False


class Read(NamedTuple):
    """A candidate's znode, as it was read.

    Attributes:
        card: what it says.
        ghost: it belongs to no session.
    """

    card: Card
    ghost: bool


@dataclass(frozen=True, slots=True)
class Status:
    """What this process knows of itself in the election, from memory.

    Attributes:
        election: the election's name.
        identity: who this process is.
        address: where it is reached.
        state: one of `STATES`.
        is_leader: whether it leads, at the instant of the call.
        in_queue: it has a znode.
        position: how many may stand before it, None when unknown.
        predecessor: name of the znode that it watches.
        term: the number of its term, None without one.
        token: the fencing token of its term.
        lease: the lease in seconds.
        lease_left: seconds until the lease ends unless it is renewed, 0.0 when it does not lead.
        leader: identity of the holder when the record was last read.
        leader_address: address of that holder.
        leader_seen: wall-clock time of that reading.
        overdue: seconds that the work runs past the end of its lease, normally 0.0.
        healed: how often a periodic look found something that no event had told of.
        since: wall-clock time of the last change of `state`.
        alive: False when the candidacy has died of a bug.
        problem: why nobody can tell who leads, and what to do: what the record was when it was last read is not this
            library's. "" if it could be read.
    """

    election: str
    identity: str
    address: str
    state: str
    is_leader: bool
    in_queue: bool
    position: int | None
    predecessor: str | None
    term: int | None
    token: int | None
    lease: float
    lease_left: float
    leader: str | None
    leader_address: str | None
    leader_seen: float | None
    overdue: float
    healed: int
    since: float
    alive: bool
    problem: str = ""


class Queue(NamedTuple):
    """An election, as ZooKeeper has it.

    Attributes:
        candidates: in the order of the queue, or only the one that holds the lead.
        problem: why nobody can tell who does.
        lost: the record, if it is held by a znode that is gone: its lease is waited out.
    """

    candidates: list[Candidate]
    problem: RecordError | None
    lost: r.Record | None


def waited_out(lost: r.Record) -> str:
    """What is waited for while the record is held by a znode that is gone, for people."""
    lease = f"whoever is first in the queue waits out a lease of {lost.lease:g} s"
    if not lost.put_right:
        return f"the record is held by {lost.holder}, which is gone: {lease}"
    remedy = (
        "if no replica was given one that long, `leader-async doctor --repair --lease SECONDS` writes a shorter one"
    )
    return f"the record was put right: {lease}; {remedy}"


async def read_queue(client: Client, parent: str, *, all_candidates: bool = True) -> Queue:
    """The queue, all of it or only who holds the lead.

    Raises:
        ZooKeeperError: ZooKeeper cannot be asked.
    """
    try:
        children, data = await asyncio.gather(client.request(m.GetChildren(parent)), client.request(m.GetData(parent)))
    except NoNode:
        return Queue([], None, None)
    assert isinstance(children, m.Children)
    assert isinstance(data, m.Data)
    record, problem = r.Record(), None
    try:
        record = r.decode(data.data, data.stat.version, parent)
    except RecordError as error:
        problem = error
    holder = record.holder if record.state is r.State.HELD else None
    names = q.in_order(children.names)
    wanted = [name for name in names if all_candidates or name == holder]
    cards = await asyncio.gather(*(read_card(client, parent, name) for name in wanted))
    known = {name: read for name, read in zip(wanted, cards, strict=True) if read is not None}
    lost = record if holder is not None and holder not in names else None
    return Queue(in_queue(names, known, record, r.token_of(record, data.stat.mzxid)), problem, lost)


def in_queue(names: list[str], known: Mapping[str, Read], record: r.Record, token: int) -> list[Candidate]:
    """The candidates that are known, in the order of the queue.

    Args:
        names: all that stand in the queue, in its order.
        known: those of their znodes that were read.
        record: the record.
        token: the token of the term that it tells of.
    """
    holder = record.holder if record.state is r.State.HELD else None
    return [
        Candidate(
            identity=known[name].card.identity,
            address=known[name].card.address,
            znode=name,
            started_at=known[name].card.started_at,
            position=position,
            is_leader=name == holder,
            term=record.term if name == holder else None,
            token=token if name == holder else None,
            ghost=known[name].ghost,
        )
        for position, name in enumerate(names)
        if name in known
    ]


async def read_card(client: Client, parent: str, name: str) -> Read | None:
    """A candidate's znode, None if it has gone."""
    try:
        data = await client.request(m.GetData(f"{parent}/{name}"))
    except NoNode:
        return None
    assert isinstance(data, m.Data)
    card = decode_card(data.data)
    # One without an identity may not be ours to refuse: it stands in the queue.
    return Read(card if card.identity else replace(card, identity=name), not data.stat.ephemeral_owner)


async def find_appointee(client: Client, parent: str, own: str | None, to: str) -> Appointee:
    """The candidate to hand over to, and how it is told.

    Args:
        client: through whom to read.
        parent: path of the election's znode.
        own: name of the znode that holds the lead.
        to: the identity of the wanted candidate, or the name of its znode.

    Raises:
        UsageError: there is none, or several have this identity.
        ZooKeeperError: ZooKeeper cannot be asked.
    """
    standing = [one for one in await _read_appointees(client, parent) if one[0].znode != own]
    found = [appointee for appointee, card in standing if to in (card.identity, appointee.znode)]
    if not found:
        others = sorted({card.identity for _, card in standing})
        raise UsageError(f"no candidate {to!r} stands in the queue; there are: {', '.join(others) or 'no others'}")
    if len(found) > 1:
        znodes = ", ".join(appointee.znode for appointee in found)
        raise UsageError(f"{len(found)} candidates are called {to!r}; give the znode of one of them: {znodes}")
    return found[0]


async def find_newest(client: Client, parent: str, own: str | None, since: float) -> Appointee | None:
    """The candidate that started last, if that was after `since`; among the last ones in the queue.

    Args:
        client: through whom to read.
        parent: path of the election's znode.
        own: name of the znode that holds the lead.
        since: wall-clock time.

    Raises:
        ZooKeeperError: ZooKeeper cannot be asked.
    """
    newest = None
    for appointee, card in await _read_appointees(client, parent, LATEST):
        if appointee.znode != own and card.started_at > since:
            newest, since = appointee, card.started_at
    return newest


async def _read_appointees(client: Client, parent: str, last: int | None = None) -> list[tuple[Appointee, Card]]:
    """Who stands in the queue, first first, how each would be told that it is appointed, and its card; no ghosts.

    Args:
        client: through whom to read.
        parent: path of the election's znode.
        last: only so many, the last ones; None for all.

    Raises:
        ZooKeeperError: ZooKeeper cannot be asked.
    """
    children = await client.request(m.GetChildren(parent))
    assert isinstance(children, m.Children)
    names = q.in_order(children.names)
    wanted = names if last is None else names[-last:]
    # One more: whoever stands right before the first of them.
    asked = names if last is None else names[-last - 1 :]
    cards = await asyncio.gather(*(read_card(client, parent, name) for name in asked))
    found, before, before_card = [], "", Card()
    for name, read in zip(asked, cards, strict=True):
        if read is None:
            continue
        if name in wanted and not read.ghost:
            found.append((Appointee(name, before, before_card), read.card))
        before, before_card = name, read.card
    return found


@dataclass(frozen=True, slots=True)
class Change:
    """What `Election.watch` gives: an election as it is now, and in what that differs from the last time.

    Attributes:
        what: which of `leader`, `queue`, `status` and `connected` have changed; all of them at first.
        leader: who holds the lead, as ZooKeeper has it; None if nobody alive does.
        queue: all candidates in the order of the queue, as ZooKeeper has it.
        status: what this process knows of itself; if it does not take part, that it does not.
        connected: a server serves the session. If not, `leader` and `queue` are what was known before.
        problem: why nobody can tell who leads, and what to do; "" if that can be told.
    """

    what: tuple[str, ...]
    leader: Candidate | None
    queue: tuple[Candidate, ...]
    status: Status
    connected: bool
    problem: str = ""


async def watch_record(client: Client, parent: str) -> None:
    """See to it that the record's next change is told, or its creation if there is none yet."""
    try:
        await client.request(m.GetData(parent, watch=True))
    except NoNode:
        with contextlib.suppress(NoNode):
            await client.request(m.Exists(parent, watch=True))
