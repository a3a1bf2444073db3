"""What `Election` returns: this process's own status, the candidates as ZooKeeper has them, changes of both. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from .rules.state import State


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
        ghost: its znode belongs to no session, so to no process. It stays, and the candidates behind it never lead,
            until somebody evicts it.
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


@dataclass(frozen=True, slots=True)
class Status:
    """What this process knows of itself in the election, from memory.

    Attributes:
        election: the election's name.
        identity: who this process is.
        address: where it is reached.
        state: where it stands, one of `State`: a string, `queued` for one.
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
        healed: how often a periodic look found a change that no event had reported.
        since: wall-clock time of the last change of `state`.
        alive: False when the candidacy has died of a bug.
        problem: why nobody can tell who leads, and what to do: what the record was when it was last read is not this
            library's. "" if it could be read.
    """

    election: str
    identity: str
    address: str
    state: State
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
