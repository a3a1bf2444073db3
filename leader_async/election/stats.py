"""Counts and durations of one process in an election, and of the confirms of a connection. Pure.

Rules:
- Each side of a change of leaders counts what it sees itself, by one clock: who hands over, from its last instant as
  the leader until ZooKeeper has answered that the lead is given up; who takes over, from learning that the former
  leader was gone until it leads. Neither knows how long nobody led in all: `history` does, by ZooKeeper's clock.
- A term is counted when it begins and once more when it is over, with the word that the history has for why.

Nothing is decided by these numbers. An end that comes with the process is not counted.
"""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass, field

from ..histogram import CHANGEOVERS, MOMENTS, Histogram
from ..zookeeper.messages import Answer, Lost
from .rules import record as r
from .rules.candidacy import Candidacy
from .rules.ends import PROCESS_DIED, Why
from .rules.lease import Hold


class Changeover(enum.StrEnum):
    """How the lead had become free."""

    HANDOVER = "handover"
    FAILOVER = "failover"


ENDS = tuple(why for why in Why if why not in (Why.PROCESS_DIED, Why.LEFT, Why.LOST))
"""Why a term of this process may end: all but what only others can know."""


@dataclass(slots=True)
class ElectionStats:
    """Numbers of this process in one election.

    Attributes:
        terms: its terms that have begun.
        ended: its terms that are over, by why.
        suspended: how often a lease ran out; such a term may have gone on.
        handovers: seconds from leading no more until the lead was given up.
        takeovers: seconds from learning that the former leader was gone until leading, by how it had gone.
    """

    terms: int = 0
    ended: Counter[Why] = field(default_factory=Counter)
    suspended: int = 0
    handovers: Histogram = field(default_factory=lambda: Histogram(CHANGEOVERS))
    takeovers: dict[Changeover, Histogram] = field(
        default_factory=lambda: {one: Histogram(CHANGEOVERS) for one in Changeover}
    )
    _hold: Hold | None = None
    _ran_out: bool = False

    def began(self, own: Candidacy, hold: Hold, now: float) -> tuple[Changeover, float] | None:
        """Work begins under this term, or begins again.

        Returns:
            How many seconds the takeover took, and from what; None if that is not known, or there was none.
        """
        self._ran_out = False
        if hold is self._hold:
            return None
        self._hold = hold
        self.terms += 1
        if (found := free_since(own, hold)) is not None:
            self.takeovers[found[0]].observe(now - found[1])
        return found and (found[0], now - found[1])

    def ran_out(self) -> None:
        """The lease ran out, and nothing else has ended the term."""
        self._ran_out = True
        self.suspended += 1

    def over(self, hold: Hold, stopped_at: float, now: float) -> Why | None:
        """The place was given up at `now`; this process led last at `stopped_at`.

        Returns:
            Why the term ended, None if that is counted already.
        """
        if hold is not self._hold or hold.end is None:
            return None
        self._hold = None
        why = Why.LEASE_RAN_OUT if hold.forfeited and self._ran_out else hold.end.why
        self.ended[why] += 1
        if not hold.forfeited:
            self.handovers.observe(now - stopped_at)
        return why


def free_since(own: Candidacy, hold: Hold) -> tuple[Changeover, float] | None:
    """How the lead that this process has just got became free, and when it learnt of that; None if it never did."""
    how = own.story.how(hold)
    if how is None or how.appointed:  # by a notice, or as the record says
        # Who handed over to its heir stood right before it, and its end was the last one that the heir has learnt of.
        return None if own.position or not own.gone else (Changeover.HANDOVER, max(own.gone.values()))
    before = how.before
    former = before or how.predecessor
    since = own.gone.get(former.holder) if former is not None else None
    if since is None:
        return None
    crashed = before is not None and (before.state is r.LeadState.HELD or before.end == PROCESS_DIED)
    return Changeover.FAILOVER if crashed else Changeover.HANDOVER, since


@dataclass(slots=True)
class ConfirmStats:
    """What became of the confirms of one connection.

    Attributes:
        seconds: how long those took that were answered "ok".
        refused: those that were answered otherwise.
        lost: those whose connection ended before an answer came.
    """

    seconds: Histogram = field(default_factory=lambda: Histogram(MOMENTS))
    refused: int = 0
    lost: int = 0

    def answered(self, answer: Answer, seconds: float, *, ok: bool) -> None:
        """An answer came, after so long; `ok` if it renewed the leases."""
        if ok:
            self.seconds.observe(seconds)
        elif isinstance(answer, Lost):
            self.lost += 1
        else:
            self.refused += 1
