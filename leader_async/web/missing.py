"""Candidates that have left the queue, for people who look for a replica that they had. Pure.

Rules:
1. One is missing since it was last known to stand in the queue. While the queue is followed that is when it left; one
   that left while no listener followed it was last seen when the following ended. A leader whose process or session
   was lost is in the history, too.
2. A candidate that is back, under the same identity, is not missing; the others are forgotten after `FORGET` seconds,
   and the oldest beyond `MOST`.

It does not promise to know why: a replica that was stopped on purpose leaves the queue as one that has died.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..election.rules.ends import Why
from ..election.rules.history import TermEntry

FORGET = 900.0
MOST = 20

_DIED = {Why.PROCESS_DIED, Why.LOST, Why.SESSION_EXPIRED, Why.PLACE_LOST}


@dataclass(frozen=True, slots=True)
class Missed:
    """One candidate that is missing.

    Attributes:
        identity: who.
        address: where people reached it, "" if it gave none.
        since: when it was last known to stand in the queue, wall-clock seconds since the epoch.
    """

    identity: str
    address: str
    since: float


class Missing:
    """See the module's docstring. All times are wall-clock seconds since the epoch."""

    def __init__(self) -> None:
        self._there: dict[str, str] = {}
        self._gone: dict[str, Missed] = {}
        self._until: float | None = None

    def stands(self, queue: Iterable[tuple[str, str]], now: float) -> None:
        """The queue is followed, and these stand in it: identity and address of each."""
        there, since = dict(queue), now if self._until is None else self._until
        for identity, address in self._there.items():
            if identity not in there:
                self._gone[identity] = Missed(identity, address, since)
        for identity in there:
            self._gone.pop(identity, None)
        self._there, self._until = there, None

    def unknown(self, now: float) -> None:
        """The queue is followed no more, or cannot be for now."""
        if self._until is None:
            self._until = now

    def read(self, terms: Iterable[TermEntry]) -> None:
        """The history, oldest first: its leaders stood in the queue until their terms ended."""
        for term in terms:
            if term.ended is not None and term.why in _DIED and term.identity not in {"", *self._there, *self._gone}:
                self._gone[term.identity] = Missed(term.identity, term.address, term.ended)

    def now(self, now: float) -> list[Missed]:
        """Who is missing, longest first; the rest is forgotten."""
        recent = sorted((one for one in self._gone.values() if now - one.since < FORGET), key=lambda one: one.since)
        self._gone = {one.identity: one for one in recent[-MOST:]}
        return [*self._gone.values()]
