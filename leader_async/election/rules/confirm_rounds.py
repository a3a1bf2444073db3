"""Confirm rounds: they renew the leases of all elections that one session leads, and keep its heirs' confirms warm.

Pure. Each round is `multi[check(own znode), check(record, v), …]`, the stakes of all candidates that have one: a quorum
write that changes nothing (but for a candidate's data, once a term). Rules:
1. A round counts from the instant at which it was *sent*, and only for the stakes that were in it.
2. One failed part fails them all. The first one that failed ends the term of its election (`lead`, rule 3). For
   the others the round counts for nothing, and is sent again at once without that part.
3. The period is a fifth of the shortest lease, and an answer may take no longer: an unanswered round means that the
   server is not to be trusted, so that the connection is dropped while three fifths of the lease are left.
4. A candidate that cannot wait for the period's end is hurried: a round of the hurried ones alone is sent at once. It
   renews no other lease.
5. A round is one transaction up to `LARGEST` bytes, several beyond that: ZooKeeper takes frames up to its jute limit.
6. A candidate that raises an error when it is asked for its stake, or gets an answer, has a bug. `broken` is called,
   so that it has no stake any more; the rounds and answers of the others are not affected.

It does not promise that a lease holds: without an answer it runs out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ...zookeeper.messages import Answer, Check, Multi, Operation, SetData, Transacted
from .candidacy import Candidacy
from .lease import Stake
from .state import CONFIRMS

LARGEST = 256 * 1024
"""Bytes of a transaction, about: a quarter of ZooKeeper's default jute limit."""

PUBLISHED = 200
"""Candidates' data that are published in one period: thousands at once would take longer than a confirm may."""

_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Round:
    """One confirm, for the stakes that there were when it was made.

    Attributes:
        request: the transaction.
        stakes: whose parts it has, in order.
        within: seconds in which it must be answered.
    """

    request: Multi
    stakes: tuple[tuple[Candidacy, Stake], ...]
    within: float

    def stake_of(self, index: int) -> tuple[Candidacy, Stake, int]:
        """Whose part stands at this place of the transaction, and which of its parts that is."""
        for candidate, stake in self.stakes:
            if index < len(stake.operations):
                return candidate, stake, index
            index -= len(stake.operations)
        raise IndexError(index)


def _raise(candidate: Candidacy, error: Exception) -> None:
    raise error


class ConfirmRounds:
    """See the module's docstring.

    Args:
        broken: called with each candidate that has a bug, and the error that it raised; rule 6.
    """

    def __init__(self, broken: Callable[[Candidacy, Exception], None] = _raise) -> None:
        self._broken = broken
        # In order, as a set is not: rounds are the same in every run.
        self._staked: dict[Candidacy, None] = {}
        self._hurried: dict[Candidacy, None] = {}
        self._due = _NEVER

    def note(self, candidate: Candidacy) -> None:
        """Something has happened to this candidate: it may have got a stake, or lost it."""
        if not candidate.lead.has_stake:
            self._staked.pop(candidate, None)
        elif candidate not in self._staked:
            self._staked[candidate] = None
            hold = candidate.hold
            # A claim is a confirm too: the lease says for itself when it was last renewed.
            renewed = hold.until - hold.lease if hold is not None else -_NEVER
            self._due = min(self._due, renewed + _period(candidate))

    def hurry(self, *candidates: Candidacy) -> None:
        """Send the next round of these, or of all if none is given, at once: they need one that is sent after now."""
        if candidates:
            self._hurried.update(dict.fromkeys(candidates))
        else:
            self._due = -_NEVER

    def due(self) -> float | None:
        """When `rounds` will give one, None while nothing is led."""
        if not self._staked:
            return None
        return -_NEVER if self._hurried else self._due

    def rounds(self, now: float) -> list[Round]:
        """What to send now, all of it; nothing if nothing is led or the period has not passed."""
        hurried, self._hurried = self._hurried, {}
        if not self._staked:
            self._due = _NEVER
            return []
        if now >= self._due:
            self._due = now + min(map(_period, self._staked))
            return list(self._cut(self._staked))
        chosen = [candidate for candidate in hurried if candidate in self._staked]
        return list(self._cut(chosen)) if chosen else []

    def _cut(self, candidates: Iterable[Candidacy]) -> Iterator[Round]:
        stakes: list[tuple[Candidacy, Stake]] = []
        size = published = 0
        for candidate in [*candidates]:
            try:
                stake = candidate.lead.stake(publish=published < PUBLISHED)
            except Exception as error:
                self._broken(candidate, error)
                continue
            published += bool(stake.data)
            more = sum(map(_size, stake.operations))
            if stakes and size + more > LARGEST:
                yield _round(stakes)
                stakes, size = [], 0
            stakes.append((candidate, stake))
            size += more
        if stakes:
            yield _round(stakes)

    def answered(self, sent_round: Round, answer: Answer, sent: float, now: float) -> bool:
        """The answer to a round came; the candidates learn what it means for them.

        Args:
            sent_round: what was sent.
            answer: what came.
            sent: the clock's reading before the round was encoded.
            now: the time.

        Returns:
            Whether it was answered "ok".
        """
        match answer:
            case Transacted() as transacted if transacted.ok:
                for candidate, stake in sent_round.stakes:
                    try:
                        candidate.confirmed(stake, sent, now)
                    except Exception as error:
                        self._broken(candidate, error)
                return True
            case Transacted(failure=(index, code)):
                candidate, stake, part = sent_round.stake_of(index)
                self._hurried.update((other, None) for other, _ in sent_round.stakes if other is not candidate)
                try:
                    candidate.refused(stake, part, code, now)
                except Exception as error:
                    self._broken(candidate, error)
                self.note(candidate)
        return False  # without an answer it counts for nothing; the period or the next connection brings the next one


def _round(stakes: list[tuple[Candidacy, Stake]]) -> Round:
    operations = tuple(operation for _, stake in stakes for operation in stake.operations)
    return Round(Multi(operations), tuple(stakes), min(_period(candidate) for candidate, _ in stakes))


def _period(candidate: Candidacy) -> float:
    hold = candidate.own.join.hold
    return (candidate.settings.lease if hold is None else hold.lease) / CONFIRMS


def _size(operation: Operation) -> int:
    assert isinstance(operation, Check | SetData)
    # A header of 9 bytes, lengths, a version.
    return 17 + len(operation.path) + (len(operation.data) + 4 if isinstance(operation, SetData) else 0)
