"""What each answer means for where we stand; one function for each `Purpose`.

Rules: a failed transaction answers inside its body, so only its results tell; an error that no rule expects is logged,
and everything waits a moment before it is tried again. `Lost` never comes here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from ...errors import BadVersion, NoAuth, NodeExists, NoNode, RecordError
from ...zookeeper import messages as m
from . import ends
from . import queue as q
from . import record as r
from .candidate_data import NO_DATA, CandidateData
from .effects import ConfirmNow, Purpose, Send
from .lead import Holding
from .lease import Hold
from .state import AUDIT, Role, View

_NO_NODE = m.Failed(NoNode.code)


def _take_parent(own: Holding, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
    code = answer.code if isinstance(answer, m.Failed) else NodeExists.code
    if code == NoNode.code and asked.about == own.settings.parent:
        # What is above it is missing too: only then are more writes needed than one.
        parts, own.barred = own.settings.parent.split("/")[1:], None
        for depth in range(len(parts)):
            path = "/" + "/".join(parts[: depth + 1])
            own.ask(Purpose.PARENT, m.Create(path), path if depth + 1 < len(parts) else "all")
    elif code == NoAuth.code and asked.about not in (own.settings.parent, "all"):
        own.barred = asked  # asked of a znode that exists, too: whether that matters the next one tells
    elif code == NoNode.code and own.barred is not None:
        own.trouble(own.barred, m.Failed(NoAuth.code), now)
    elif code != NodeExists.code:
        own.trouble(asked, answer, now)


def _take_created(own: Holding, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
    if isinstance(answer, m.Created):
        own.znode = answer.path.rpartition("/")[2]
    elif answer == _NO_NODE:
        own.ask(Purpose.PARENT, m.Create(own.settings.parent), own.settings.parent)
    else:
        own.trouble(asked, answer, now)


def _take_synced(own: Holding, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
    if isinstance(answer, m.Failed) and answer.code != NoNode.code:
        own.trouble(asked, answer, now)


def _take_listed(own: Holding, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
    names: tuple[str, ...] = ()
    if isinstance(answer, m.Children):
        names = answer.names
    elif answer != _NO_NODE:
        own.trouble(asked, answer, now)
        return
    everybody = q.in_order(names)
    own.queue_length = len(everybody)
    mine = [name for name in everybody if name.startswith(q.prefix(own.uuid))]
    if asked.about == "look":
        _take_look(own, mine)
    elif own.departing:
        pass  # it was for a join that is over
    elif own.znode not in names:
        own.znode = None
        own.end_join(ends.DELETED, forfeited=True)
        own.note(logging.WARNING, "place_lost", "our znode is not in the queue: somebody deleted it; joining again")
    elif asked.about:
        own.told_of_joins |= asked.about == "alone"
        _take_behind(own, names)
    else:
        _take_queue(own, names, mine, now)


def _take_behind(own: Holding, names: tuple[str, ...]) -> None:
    """Who stands behind a holder; the first of them is told with the next confirm."""
    if own.hold is None or own.znode is None:
        return
    in_order = q.in_order(names)
    was, own.behind = own.behind, tuple(in_order[in_order.index(own.znode) + 1 :])
    if was is None or was[:1] != own.behind[:1]:
        own.commands.append(ConfirmNow())
    own.know_heir()


def _take_look(own: Holding, mine: list[str]) -> None:
    """What a lost reply left behind; rule 6."""
    own.uncertain = False
    own.znode = mine[0] if mine else None
    if own.hold is not None:
        if own.hold.holder in mine:
            own.znode = own.hold.holder
        own.hold.forfeited |= own.hold.holder not in mine
    own.delete_twins(mine)


def _take_queue(own: Holding, names: tuple[str, ...], mine: list[str], now: float) -> None:
    if own.hold is None and not own.asking(Purpose.CLAIM):
        own.znode = mine[0]  # of twins the lowest is kept
    own.delete_twins(mine)
    assert own.znode is not None
    # A watch event carries no zxid, so another server may be behind what one has told us: what is gone stays gone.
    names = tuple(name for name in names if name not in own.gone)
    known = own.queue.known
    gone, unexplained = own.queue.listed(names, own.znode)
    if own.armed in gone or unexplained:
        own.heal(f"the queue had changed unseen: {sorted(unexplained) or own.armed}")
    for name in gone:
        own.gone.setdefault(name, now)
    if own.armed in gone:
        own.armed, own.before = None, NO_DATA
    own.listed = own.let_in = True
    if own.view is not None and own.view.role is not Role.FIRST and known:
        own.view = None  # as old as the last listing
    _take_behind(own, names)
    own.audit_at = now + own.timeout * (AUDIT[0] + AUDIT[1] * own.jitter)


def _take_watch(own: Holding, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
    if isinstance(answer, m.Data):
        own.armed, own.before = asked.about, CandidateData.decode(answer.data)
        _take_before(own, now)
    elif answer == _NO_NODE:
        own.learn_gone(asked.about, now)
        if own.queue.position:
            own.listed = False  # more may have gone unseen: one listing instead of a walk through the dead
    else:
        own.trouble(asked, answer, now)


def _take_before(own: Holding, now: float) -> None:
    """What the znode before ours says."""
    before = own.before
    if before.version and own.armed is not None:
        held = r.Record(before.term, own.armed, r.State.HELD, before.lease, before.identity, before.address)
        own.heard_of(held, now)
    if before.version and before.heir == own.znode and own.armed is not None:
        own.queue.last_but(own.armed)
    if own.named:
        own.named_at = before.version
    if before.appointed and before.appointed == own.znode and own.hold is None:
        own.read_record(Role.FOLLOWER)


def _take_notice(own: Holding, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
    if answer != _NO_NODE and not isinstance(answer, m.Found):
        own.trouble(asked, answer, now)
    elif asked.about == own.notice:
        own.awaited = asked.about


def _take_holder(own: Holding, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
    if isinstance(answer, m.Failed) and answer != _NO_NODE:
        own.trouble(asked, answer, now)
    elif isinstance(answer, m.Data) and own.seen is not None and own.seen[0].holder == asked.about:
        said = CandidateData.decode(answer.data)
        own.seen = replace(own.seen[0], identity=said.identity, address=said.address), own.seen[1]


def _readable(own: Holding, answer: m.Data, now: float) -> r.Record | None:
    """The record, None if it cannot be read. That is said once, and so is its end."""
    before, record = own.unreadable, None
    try:
        record = r.decode(answer.data, answer.stat.version, own.settings.parent)
        own.heard_of(record, now)
        own.unreadable = None
    except RecordError as error:
        own.seen, own.unreadable = None, error
        if before is None:
            own.note(logging.ERROR, "record_unreadable", str(error))
    if before is not None and record is not None:
        own.note(logging.WARNING, "record_readable", "the record can be read again")
    return record


def _take_record(own: Holding, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
    if isinstance(answer, m.Data):
        record = _readable(own, answer, now)
        own.view = View(record, answer.stat.version, answer.stat.mzxid, Role(asked.about), answer.stat.mtime)
        if own.view.held_by(own.znode) and own.hold is None and not own.asking(Purpose.CLAIM):
            own.adopt(own.view, now)
        elif own.hold is not None:
            own.read_of(own.hold, own.view, now)
        elif record is not None and record.state is r.State.HELD and not (record.identity or own.departing):
            own.ask(Purpose.HOLDER, m.GetData(own.path(record.holder)), record.holder)
        before, own.audited = own.audited, None
        watched = before is not None and before.role is own.view.role is Role.FIRST
        if before is not None and watched and before.version != own.view.version:
            own.heal(f"the record had changed unseen, from version {before.version} to {own.view.version}")
    elif answer == _NO_NODE:
        own.listed = False  # our znode must be gone as well; the listing will tell
        if own.departing and own.hold is not None:
            own.hold.forfeited = True
    else:
        own.trouble(asked, answer, now)


def _take_claim(own: Holding, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
    own.view = None
    failure = answer.failure if isinstance(answer, m.Transacted) else None
    if isinstance(answer, m.Transacted) and failure is None:
        written = answer.results[-1]
        assert isinstance(written, m.DataSet)
        holder, term, version = asked.about.split()
        how = own.succession(written.stat.mtime, sent, now)
        own.heard_of(own.record(int(term), holder, r.State.HELD), now)
        lease = own.settings.lease
        now_at, until = r.version_after_claim(int(version)), sent + lease
        own.hold = Hold(holder, now_at, int(term), written.stat.mzxid, lease, until, how=how)
        if own.departing:
            own.end_join(ends.RESIGNED_WHILE_CLAIMING)
            return
        if now >= own.hold.until:
            # We were stopped for longer than the lease: the term is suspended before it has begun, and nothing but a
            # confirm brings it to life.
            own.commands.append(ConfirmNow())
        own.know_heir()
    elif failure is not None and failure[1] == NoNode.code:
        own.listed = False  # the listing will tell that our znode is gone
    elif failure is None or failure[1] != BadVersion.code:
        own.trouble(asked, answer, now)


def _take_appointed(own: Holding, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
    failure = answer.failure if isinstance(answer, m.Transacted) else None
    gave_notice = isinstance(asked.request, m.Multi) and isinstance(asked.request.operations[1], m.Create)
    if gave_notice and failure is not None and failure[0] == 1 and failure[1] != NoNode.code:
        own.notifies = False  # no znode may be created here, for a quota perhaps: it goes without notice
    elif failure is None or failure[1] != NoNode.code:
        _take_left(own, asked, answer, sent, now)
    else:
        # Who was named is gone, or we are: a plain leave follows, which finds out.
        own.behind, own.appointee = (), None


def _take_withdrawn(own: Holding, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
    failure = answer.failure if isinstance(answer, m.Transacted) else None
    if isinstance(answer, m.Transacted) and (failure is None or failure == (1, NoNode.code)):
        own.znode = None
    elif failure is not None:
        own.named_at = 0
        own.read_record(Role.FOLLOWER)  # it may be ours by now: then it must be left, not only abandoned
    else:
        own.trouble(asked, answer, now)


def _take_left(own: Holding, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
    failure = answer.failure if isinstance(answer, m.Transacted) else None
    if isinstance(answer, m.Transacted) and failure is None:
        own.znode = None
    elif failure is not None and failure == (0, NoNode.code):
        own.znode = None
    elif failure is not None and own.hold is not None:
        own.hold.forfeited = True  # refused for its version: a plain delete follows
    else:
        own.trouble(asked, answer, now)


def _take_deleted(own: Holding, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
    if isinstance(answer, m.Failed) and answer.code != NoNode.code:
        own.trouble(asked, answer, now)
    elif asked.about == own.znode:
        own.znode = None


TAKERS: dict[Purpose, Callable[[Holding, Send, m.Answer, float, float], None]] = {
    Purpose.PARENT: _take_parent,
    Purpose.CREATE: _take_created,
    Purpose.SYNC: _take_synced,
    Purpose.LIST: _take_listed,
    Purpose.WATCH: _take_watch,
    Purpose.RECORD: _take_record,
    Purpose.CLAIM: _take_claim,
    Purpose.NOTICE: _take_notice,
    Purpose.HOLDER: _take_holder,
    Purpose.LEAVE: _take_left,
    Purpose.APPOINT: _take_appointed,
    Purpose.WITHDRAW: _take_withdrawn,
    Purpose.DELETE: _take_deleted,
}
