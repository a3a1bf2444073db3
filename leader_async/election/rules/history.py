"""The history: who led, when, and why that ended. Pure. It is bounded and for people: no rule reads it.

It stands in two places. The record, which each change of leaders writes anyway, has the latest terms. The persistent
znode `history` below the election's has the others, as a JSON list, oldest first; `history_writer` writes it. This file
has what a process can report of a term, and how reports of several processes are merged.

Rules:
1. Several may report one term: its holder, the guardian of its dead process, and its successor. Their reports are
   merged, in whatever order they arrive. Of two ends the holder's counts before the guardian's, and that before the
   successor's.
2. Only what is known is reported. A successor that found the holder's znode gone knows when that one had stopped
   leading at the latest, so the time without a leader that it reports is a lower bound.
3. Times are wall-clock times by ZooKeeper's leader: those of the write that gave the lead and of the write that ended
   it. A holder whose lease ran out could write nothing then; it reports that later, and counts from its term's
   beginning by its own clock.
4. It never grows beyond `TERMS` and `LARGEST`: the oldest terms are forgotten.
5. Each write of the record passes on the terms of the one before, and reports the term that it ends: a handover costs
   no request for the history's sake. Once `FULL` terms are passed on, a holder writes them into the znode.

It does not promise to be complete: who claims without reading the record does not know what it reported.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

from ... import stored
from ...stored import Garbage
from . import ends
from . import record as r
from .ends import End, Why

NAME = "history"
"""The znode's name below the election's; no candidate's name looks like it."""

TERMS = 100
"""Terms that are kept."""

LARGEST = 64 * 1024
"""Bytes that are kept: far below ZooKeeper's jute limit of 1 MiB."""

FULL = 8
"""Terms that the record has before they are written into the history's znode."""


class Teller(enum.StrEnum):
    """Who reports a term's end; the last of these is believed."""

    NOBODY = ""
    SUCCESSOR = "successor"
    GUARDIAN = "guardian"
    HOLDER = "holder"


_RANK = {teller.value: rank for rank, teller in enumerate(Teller)}


@dataclass(frozen=True, slots=True)
class Succession:
    """How a holder came to what it holds, as it saw it.

    Attributes:
        began: wall-clock time of the write that made it the holder, by ZooKeeper's clock.
        known_at: the holder's own clock when it knew of that.
        before: the record that the claim rested on, None if nothing was read; the appointment itself after one.
        before_at: wall-clock time at which that had been written, by ZooKeeper's clock.
        before_token: the token of its term.
        appointed: somebody else gave it the lead, by name.
        waited: seconds between learning that the former holder's znode was gone and claiming; 0.0 if that was not so.
        predecessor: who held the lead before, as far as it was known.
    """

    began: float
    known_at: float
    before: r.Record | None
    before_at: float
    before_token: int
    appointed: bool
    waited: float
    predecessor: r.Record | None


@dataclass(frozen=True, slots=True)
class TermEntry:
    """One term in the history.

    Attributes:
        term: its number.
        token: its fencing token, 0 if it is not known.
        identity: who led, "" if it is not known.
        address: where that one was reached.
        began: wall-clock time at which it was given the lead, by ZooKeeper's clock; 0.0 if it is not known.
        ended: wall-clock time at which it had stopped leading, by ZooKeeper's clock; at the latest then, if its
            successor tells. None if it has not, or if it is not known.
        why: why it ended, one of `Why`; "" if `ended` is None.
        detail: more about that, in words.
        told_by: who said that it had ended, one of `Teller`: `holder`, `guardian` or `successor`; "" if nobody has,
            and only the next claim shows it.
        leaderless_ms: milliseconds from its end until the next term began, None if either is not known. Not counted
            is how long its work took to end before a graceful handover, and the few milliseconds until the next leader
            knew that it leads.
        at_least: `leaderless_ms` is a lower bound.
    """

    term: int
    token: int = 0
    identity: str = ""
    address: str = ""
    began: float = 0.0
    ended: float | None = None
    why: str = ""
    detail: str = ""
    told_by: str = ""
    leaderless_ms: int | None = None
    at_least: bool = False

    @property
    def put_right(self) -> bool:
        """Nobody led: the record was put right, and a lease was waited out."""
        return (self.identity, self.detail) == (r.NOBODY, r.PUT_RIGHT)


def ended(entry: TermEntry, end: End, at: float, told_by: Teller) -> TermEntry:
    """The entry of a term that has ended, as `told_by` says, `at` this wall-clock time of ZooKeeper's clock."""
    # Plain strings, as they come back from ZooKeeper.
    return replace(entry, ended=round(at, 3), why=end.why.value, detail=r.detail_of(end), told_by=told_by.value)


def predecessor(number: int, how: Succession) -> TermEntry | None:
    """What the holder of term `number` can report of the term before, None if there was none."""
    before = how.before
    if number <= 1 or (before is not None and before.state is r.LeadState.NONE):
        return None
    known = how.predecessor
    if before is not None and not how.appointed and before.identity:
        known = before
    entry = TermEntry(number - 1)
    if known is not None and known.term == number - 1:
        entry = replace(entry, identity=known.identity, address=known.address)
    if before is None:
        # A claim on v + 1 that was not read: it can only have been a leave, some time before.
        return ended(entry, ends.LEFT, how.began, Teller.SUCCESSOR)
    if how.appointed or before.state is r.LeadState.LEFT:
        return _given_up(entry, before, how.before_at)
    # Its znode was gone, and then its lease was waited out: it led for one lease more at the most.
    surely = how.began - max(0.0, how.waited - before.lease)
    return ended(entry, ends.PUT_RIGHT if before.put_right else ends.LOST, surely, Teller.SUCCESSOR)


def _given_up(entry: TermEntry, record: r.Record, at: float) -> TermEntry:
    """The entry of the term that this write of the record, at this wall-clock time, has ended."""
    end = record.end or ends.LEFT
    return ended(entry, end, at, Teller.GUARDIAN if end.why is Why.PROCESS_DIED else Teller.HOLDER)


# -- the record --------------------------------------------------------------------------------------------------------


def in_record(record: r.Record, token: int, written: float, identity: str = "", address: str = "") -> list[TermEntry]:
    """What the record reports: the terms that it passes on, and its own.

    Args:
        record: the record.
        token: the token of its term, if that is held.
        written: wall-clock time at which it was written.
        identity, address: its holder's, if the record does not have them.
    """
    if record.state is r.LeadState.NONE:
        return []
    terms = {entry.term: entry for row in record.past if (entry := _entry(row)) is not None}
    appointed = record.state is r.LeadState.HELD and not record.identity
    last = record.term - 1 if record.state is r.LeadState.HELD else record.term
    if record.state is r.LeadState.LEFT or appointed:
        terms[last] = _given_up(terms.get(last, TermEntry(last)), record, written)
    elif last in terms and terms[last].ended is None:
        # The claimant had read it as held, and waited it out: it reports more when it has time to.
        terms[last] = replace(terms[last], ended=round(written, 3), why=Why.LOST.value)
    if record.state is r.LeadState.HELD:
        who = record.identity or identity, record.address or address
        detail = r.PUT_RIGHT if record.put_right else ""
        terms[record.term] = TermEntry(record.term, token, *who, round(written, 3), detail=detail)
    return merged(terms.values())


def of_term(number: int, token: int, identity: str, address: str, how: Succession) -> tuple[TermEntry, ...]:
    """What the holder of a term can report, of the terms before and of its own."""
    told = in_record(how.before, how.before_token, how.before_at) if how.before is not None else []
    before, own = predecessor(number, how), TermEntry(number, token, identity, address, round(how.began, 3))
    return tuple(merged(told, [own] if before is None else [before, own]))


def known_by_record(how: Succession) -> bool:
    """Whether the record has all of `of_term`: it lacks the end of a term that reported none, and what nobody read."""
    before = how.before
    return before is not None and (how.appointed or before.state is not r.LeadState.HELD)


def rows(entries: Iterable[TermEntry]) -> tuple[r.Row, ...]:
    """The entries as they are stored in the record: as many of the latest as it passes on."""
    return tuple(map(_row, [*entries][-r.ROWS :]))


# -- merging -----------------------------------------------------------------------------------------------------------


def _rank(entry: TermEntry) -> tuple[int, float, str, str]:
    # Behind the teller only so that the order of arrival never matters.
    return _RANK[entry.told_by], entry.ended or 0.0, entry.why, entry.detail


def _both(one: TermEntry, other: TermEntry) -> TermEntry:
    """What two report of one term."""
    if one.token and other.token and one.token != other.token:
        return max(one, other, key=lambda entry: entry.token)  # somebody has begun to count anew
    end = max(one, other, key=_rank)
    return replace(
        end,
        token=max(one.token, other.token),
        identity=max(one.identity, other.identity),
        address=max(one.address, other.address),
        began=max(one.began, other.began),
    )


def merged(*known: Iterable[TermEntry]) -> list[TermEntry]:
    """All that is known by all, oldest first, bounded."""
    terms: dict[int, TermEntry] = {}
    for entry in chain(*known):
        plain = replace(entry, leaderless_ms=None, at_least=False)
        terms[entry.term] = _both(terms[entry.term], plain) if entry.term in terms else plain
    return [terms[number] for number in sorted(terms)][-TERMS:]


def complete(*known: Iterable[TermEntry]) -> list[TermEntry]:
    """As `merged`, with the times without a leader."""
    entries = merged(*known)
    found = []
    for entry, after in zip_longest(entries, entries[1:]):
        gap = None
        if entry.ended is not None and after is not None and after.term == entry.term + 1 and after.began:
            gap = max(0, round((after.began - entry.ended) * 1000))
        surely = entry.told_by in (Teller.NOBODY, Teller.SUCCESSOR)
        found.append(replace(entry, leaderless_ms=gap, at_least=gap is not None and surely))
    return found


def encode(entries: Iterable[TermEntry]) -> bytes:
    """The history as the znode's data: as many of the latest terms as there is room for."""
    lines: list[str] = []
    size = 2
    for entry in reversed([*entries]):
        line = json.dumps(_row(entry), ensure_ascii=False)
        size += len(line.encode()) + 2
        if size > LARGEST or len(lines) == TERMS:
            break
        lines.append(line)
    return ("[" + ",\n".join(reversed(lines)) + "]").encode()


def decode(data: bytes) -> list[TermEntry]:
    """The history that stands in a znode; what cannot be read is left out."""
    try:
        rows = stored.parse(data, 2 * LARGEST)
    except Garbage:
        return []
    entries = [entry for row in (rows if isinstance(rows, list) else ()) if (entry := _entry(row)) is not None]
    return merged(entries)


def _row(entry: TermEntry) -> r.Row:
    return {name: value for name in r.ROW if (value := getattr(entry, name))}


def _entry(row: object) -> TermEntry | None:
    try:
        said = stored.Fields(row)
        return TermEntry(
            term=said.whole("term", 1, stored.WHOLE),
            token=said.whole("token", 0, stored.LONG, 0),
            identity=said.text("identity", ""),
            address=said.text("address", ""),
            began=said.number("began", stored.EARLIEST, stored.LATEST, 0.0),
            ended=(said.number("ended", stored.EARLIEST, stored.LATEST) or None) if "ended" in said else None,
            why=said.text("why", ""),
            detail=said.text("detail", ""),
            told_by=told_by if (told_by := said.text("told_by", "")) in _RANK else "",
        )
    except Garbage:
        return None
