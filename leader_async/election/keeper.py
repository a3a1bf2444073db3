"""The keeper: renews the leases of all elections that one session leads, with one transaction a period.

Pure. Each round is `multi[check(own znode), check(record, v), …]`, two checks for each term that stands: a quorum write
that changes nothing. Rules:
1. A round counts from the instant at which it was *sent*, and only for the terms that were in it.
2. One failed check fails them all. The first one that failed belongs to its election, whose term is over; for the
   others the round counts for nothing, and is sent again at once without it.
3. The period is a fifth of the shortest lease, and an answer may take no longer: an unanswered round means that the
   server is not to be trusted, so that the connection is dropped while three fifths of the lease are left.

It does not promise that a lease holds: without an answer it runs out, whatever the keeper does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from ..zookeeper.messages import Answer, Failed, Lost, Multi, Transacted
from . import record
from .candidacy import Candidacy
from .commands import Hold
from .standing import CONFIRMS

_Terms: TypeAlias = list[tuple[Candidacy, Hold]]


@dataclass(frozen=True, slots=True)
class Round:
    """One confirm, for every term that stood when it was made.

    Attributes:
        request: the transaction.
        terms: whose checks it has, two operations each, in order.
        within: seconds in which it must be answered.
    """

    request: Multi
    terms: tuple[tuple[Candidacy, Hold], ...]
    within: float


def _period(terms: _Terms) -> float:
    return min(candidate.settings.lease for candidate, _ in terms) / CONFIRMS


def _standing(candidates: Iterable[Candidacy]) -> _Terms:
    return [(c, c.hold) for c in candidates if c.hold is not None and not c.hold.over and c.session_id]


class Keeper:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._last = float("-inf")
        self._urgent = False

    def hurry(self) -> None:
        """Send the next round at once: a term needs one that is sent after now."""
        self._urgent = True

    def round(self, candidates: Iterable[Candidacy], now: float) -> Round | None:
        """The round to send now, None if nothing is led or the period has not passed.

        Args:
            candidates: all of the session's.
            now: the time.
        """
        terms = _standing(candidates)
        if not terms:
            self._urgent = False
            return None
        if now < self._due(terms):
            return None
        self._urgent = False
        self._last = now
        checks = [
            check
            for candidate, hold in terms
            for check in record.confirm(candidate.settings.parent, hold.holder, hold.version)
        ]
        return Round(Multi(tuple(checks)), tuple(terms), _period(terms))

    def due(self, candidates: Iterable[Candidacy]) -> float | None:
        """When `round` will give one, None while nothing is led."""
        terms = _standing(candidates)
        return self._due(terms) if terms else None

    def _due(self, terms: _Terms) -> float:
        if self._urgent:
            return float("-inf")
        # A claim is a confirm too: a lease says for itself when it was last renewed. One round at a time.
        renewed = min(hold.until - candidate.settings.lease for candidate, hold in terms)
        return max(self._last, renewed) + _period(terms)

    def answered(self, sent_round: Round, answer: Answer, sent: float, now: float) -> None:
        """The answer to a round came; tells the candidates what it means for them.

        Args:
            sent_round: what was sent.
            answer: what came.
            sent: the clock's reading before the round was encoded.
            now: the time.
        """
        match answer:
            case Transacted() as transacted if transacted.ok:
                for candidate, hold in sent_round.terms:
                    candidate.confirmed(hold, sent, now)
            case Transacted(failure=(index, code)):
                candidate, hold = sent_round.terms[index // 2]
                self.hurry()
                candidate.refused(hold, index % 2, code, now)
            case Failed() | Lost() | _:
                pass  # it counts for nothing; the period or the next connection brings the next one
