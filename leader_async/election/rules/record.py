"""The record: who holds the lead, written where every candidate reads it. Pure.

It is the data of the election's parent znode, a few bytes of JSON. Its ZooKeeper version v carries meaning:

    version     state                 next by a claim        next by a leave        next by an appointment
    0           none (as created)     setData twice, v + 2   -                      -
    even > 0    held                  setData twice, v + 2   setData once, v + 1    setData twice, v + 2
    odd         left                  setData once,  v + 1   -                      -

Rules:
1. `held` stands at even versions and `left` at odd ones, so that a claim sent blindly on v + 1 (by the heir that saw
   `held` at v) can only meet the leave of the very term it saw: not a claim, and not an appointment.
   Broken by: "an appointment leaves the record at an odd version".
2. A claim checks the claimant's own znode in the same transaction, and an appointment the heir's. So no candidate holds
   that is not in the queue.
   Broken by: "a claim does not check the own znode", "a confirm checks the record but not the own znode".
3. Version -1 is never sent for the record.
4. An appointment gives notice: it creates and deletes a znode whose name says whom it appoints, and to what. The heir
   that awaits the creation of just this znode knows by the event alone that it leads: nothing else ever creates it.
5. A term's token is the zxid of its claim. An appointment has to name the token beforehand: one more than the token
   before. Tokens rise all the same: a token never exceeds the zxid of its own write, and the next claim's is higher.
   Broken by: "who is appointed goes on with the token of the term before".

It does not promise anything about who may claim when: that is for `lead`.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, fields
from typing import TypeAlias

from ... import stored
from ...errors import RecordError
from ...stored import Garbage
from ...zookeeper.messages import Check, Create, Delete, Multi, Operation, SetData
from . import ends, queue
from .ends import End, Why
from .words import detail

Row: TypeAlias = dict[str, stored.Scalar]
"""One term of the past, as it is stored."""
ROW = "term", "token", "identity", "address", "began", "ended", "why", "detail", "told_by"
"""The fields of a row."""
ROWS = 16
"""Rows that a record has at most: it is read by everybody."""
LIMIT = 512 * 1024
"""Bytes of the largest record that is read. The largest that is written has less, whatever it says."""


class LeadState(enum.StrEnum):
    """What the record says of the lead."""

    NONE = "none"
    HELD = "held"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Record:
    """The record's contents.

    Attributes:
        term: counts the terms of this election, from 1.
        holder: name (not path) of the holder's znode.
        state: whether the holder holds the lead or has left it.
        lease: the holder's lease in seconds, for the whole term.
        identity: who the holder is, for people; "" after an appointment: the holder's znode has it.
        address: where the holder is reached, for people; as `identity`.
        behind: the znodes that stood behind the holder when it was appointed, next first, as far as they were known.
        end: why the term ended that this write ends, for people; None for a claim. Nothing is decided by it. Its JSON
            field is called `why`, see `text_of`.
        token: the fencing token of a term that began by an appointment, 0 for others: the zxid of the claim.
        past: the terms before that may not be in the history's znode yet, as `history` has them. Nothing is decided by
            them.
    """

    term: int = 0
    holder: str = ""
    state: LeadState = LeadState.NONE
    lease: float = 0.0
    identity: str = ""
    address: str = ""
    behind: tuple[str, ...] = ()
    end: End | None = None
    token: int = 0
    past: tuple[Row, ...] = ()

    @property
    def put_right(self) -> bool:
        """Whether `repair` wrote it: then nobody holds, and a lease is waited out."""
        return self.state is LeadState.HELD and (self.identity, self.end) == (NOBODY, ends.PUT_RIGHT)


NOTICE = "notice:"
"""How the name of a notice begins; see `notice`."""

NOBODY, PUT_RIGHT = "nobody", "the record could not be read, and was put right"
"""What `repair` writes: who holds the lead, and why. No claim has a why, so no candidate can be taken for it."""

WHY_LIMIT = 200
"""Characters of `why`: the record is read by everybody, and an error's text may be long."""

_CODES = {
    Why.TRANSFERRED: "handed over by name",
    Why.STOPPED: "left",
    Why.CONNECTION_CLOSED: "the connection was closed",
    Why.WORK_DONE: "the work is done",
    Why.WORK_FAILED: "the work failed",
    Why.WORK_CANCELLED: "the work was cancelled",
    Why.PROCESS_DIED: "the process died",
    Why.LEASE_RAN_OUT: "the lease ran out",
    Why.SESSION_EXPIRED: "the session expired",
    Why.PLACE_LOST: "our znode was deleted",
}
"""How `why` begins where that is not the value itself: every version reads these, so they are never reworded."""
_WHYS = {_CODES.get(why, why.value): why for why in Why if why not in (Why.LEFT, Why.LOST)}
"""All but what no record says: those two are concluded where it says nothing."""
_WHOLE = {code: End(why) for code, why in _WHYS.items()}
_WHOLE |= {PUT_RIGHT: ends.PUT_RIGHT, "resigned while claiming": ends.RESIGNED_WHILE_CLAIMING}
"""What is read as a whole; only older versions write the last one."""


def text_of(end: End) -> str:
    """An end as `why` of the record: what every version reads, and behind a colon what there is to say besides."""
    code, text = _CODES.get(end.why, end.why.value), detail_of(end) if end.detail or end.text else ""
    return text if text == PUT_RIGHT else first_line(f"{code}: {text}") if text else code


def end_of(text: str) -> End | None:
    """The end that `why` of a record tells of, whichever version wrote it; None for "", as in a claim."""
    if not text or text in _WHOLE:  # as nearly always: this is on the way of every handover
        return _WHOLE.get(text)
    code, _, said = text.partition(":")
    why = _WHYS.get(code)
    return End(Why.OTHER, text=text) if why is None else End(why, text=said.strip())


def detail_of(end: End) -> str:
    """What there is to say of an end besides the word for why, as it stands in ZooKeeper."""
    return PUT_RIGHT if end == ends.PUT_RIGHT else first_line(detail(end))


def first_line(text: str) -> str:
    """What of a text fits into a record."""
    line = stored.line(text.strip().partition("\n")[0].rstrip())
    return line if len(line) <= WHY_LIMIT else line[: WHY_LIMIT - 1] + "…"


_ROW = frozenset(ROW)
_encode = json.JSONEncoder(separators=(",", ":")).encode
_STATES = {state.value: state for state in LeadState}
_FIELDS = tuple(field.name for field in fields(Record) if field.name not in ("end", "token", "past"))


def encode(record: Record) -> bytes:
    """The record as the znode's data."""
    # Not `asdict`, which copies: this is on the way of every handover.
    contents = {name: getattr(record, name) for name in _FIELDS}
    if record.end is not None:
        contents["why"] = text_of(record.end)
    if record.token:
        contents["token"] = record.token
    if record.past:
        contents["past"] = record.past
    return _encode(contents).encode()


def decode(data: bytes, version: int, path: str) -> Record:
    """The record that stands in the znode at this version.

    Args:
        data: the znode's data.
        version: its version.
        path: its path, for the error.

    Raises:
        RecordError: this library did not write it: it cannot be read, or its state stands at the wrong parity.
    """
    if version == 0:
        return Record()
    try:
        record = _read(stored.Fields(stored.parse(data, LIMIT)))
        if record.state is not (LeadState.LEFT if version % 2 else LeadState.HELD):
            raise Garbage(f"`{record.state}` does not stand at version {version}")
    except Garbage as error:
        raise RecordError(path, f"{error} (version {version})") from error
    return record


def _read(said: stored.Fields) -> Record:
    state = _STATES.get(said.text("state"))
    if state is None:
        raise Garbage("its state is unknown")
    names = said.name("holder"), *said.names("behind", [])
    try:
        list(map(queue.order, names))
    except ValueError as error:
        raise Garbage(str(error)) from error
    rows = (stored.scalars(row, _ROW) for row in said.rows("past", [])[-ROWS:])
    return Record(
        term=said.whole("term", 1, stored.WHOLE),
        holder=names[0],
        state=state,
        lease=said.number("lease", *stored.LEASE),
        identity=said.text("identity"),
        address=said.text("address"),
        behind=names[1:],
        end=end_of(said.text("why", "")),
        token=said.whole("token", 0, stored.LONG - 1, 0),
        past=tuple(row for row in rows if row is not None),
    )


def signed(record: Record, identity: str, address: str) -> Record:
    """The record with who its holder is."""
    # Not `replace`, which takes four times as long: this is on the way of every handover.
    own = record
    return Record(
        own.term, own.holder, own.state, own.lease, identity, address, own.behind, own.end, own.token, own.past
    )  # fmt: skip


def token_of(record: Record, mzxid: int) -> int:
    """The token of the term that a record tells of; `mzxid` is the zxid of the write that made it so (rule 5)."""
    return record.token or mzxid


def notice(holder: str, version: int, term: int, token: int, lease: float) -> str:
    """The name of the znode whose creation says that this candidate holds this version, under just this term."""
    return f"{NOTICE}{holder}:{version}:{term}:{token}:{lease!r}"


def claim(parent: str, record: Record, version: int) -> Multi:
    """The transaction that takes the lead by this record, `held` by the own znode; it rests on this version."""
    return Multi((Check(f"{parent}/{record.holder}"), *held(parent, record, version)))


def held(parent: str, record: Record, version: int) -> tuple[SetData, ...]:
    """The writes that end at an even version, as `held` must."""
    data = encode(record)
    once = SetData(parent, data, version)
    return (once,) if version % 2 else (once, SetData(parent, data, version + 1))


def appointment(
    parent: str, own: str, record: Record, version: int, wake: SetData | None = None, *, notified: bool = False
) -> Multi:
    """The transaction by which a holder gives its place away and the lead to another candidate, by name.

    Args:
        parent: path of the election's znode.
        own: name of the znode that holds the lead now.
        record: what to write, `held` by the appointed candidate.
        version: the version that is held now.
        wake: a change of the znode that the appointed one watches, if that is not `own`.
        notified: give notice.
    """
    data = encode(record)
    notices: tuple[Operation, ...] = ()
    if notified:
        # Before all else that fires a watch, so that this one fires first. Nobody ever sees the znode.
        name = notice(record.holder, version + 2, record.term, record.token, record.lease)
        notices = Create(f"{parent}/{name}"), Delete(f"{parent}/{name}")
    return Multi(
        (
            Check(f"{parent}/{record.holder}"),
            *notices,
            *(() if wake is None else (wake,)),
            Delete(f"{parent}/{own}"),
            SetData(parent, data, version),
            SetData(parent, data, version + 1),  # stay even
        )
    )


def withdrawal(parent: str, own: str, version: int) -> Multi:
    """The transaction by which a candidate leaves the queue unless it was appointed since the record's version."""
    return Multi((Check(parent, version), Delete(f"{parent}/{own}")))


def version_after_claim(version: int) -> int:
    """The record's version once a claim that rests on `version` has succeeded."""
    return version + (1 if version % 2 else 2)


def confirm(parent: str, holder: str, version: int) -> tuple[Check, Check]:
    """The checks that show a term to stand, for a transaction that changes nothing."""
    return Check(f"{parent}/{holder}"), Check(parent, version)


def leave(parent: str, record: Record, version: int) -> Multi:
    """The transaction by which the holder of this version gives the lead and its place away; the record says `left`."""
    return Multi((Delete(f"{parent}/{record.holder}"), SetData(parent, encode(record), version)))
