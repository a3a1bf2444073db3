"""A candidate: the rules of one election, for one process, without I/O, clocks or chance.

Events go in (`connected`, `answered`, `watched`, `tick`, …), commands come out (`next_command`). Each input changes
what is known, then `_advance` asks for whatever is missing; nothing is remembered of a connection that has ended, so
the same few lines serve the first join and every recovery.

    joining ──► queued ──► waiting out ──► claiming ──► leading ◄──► suspended      (lease ran out / confirmed again)
       ▲           │             │             │           │             │
       │           ▼             ▼             ▼           ▼             ▼
       │◄────── leaving ◄────────┴─────────────┴──────── ending (until the work has ended)
      idle

Safety rests on the record (`record`), not on ZooKeeper's sessions:
 1. We lead at `now` if and only if we hold a version of the record and `now < until`. `until` is L after the instant at
    which a claim or confirm that was answered "ok" had been *sent*.
 2. A claim on `left` or `none` may be sent at once. A claim on `held` by another only 1.1 of its leases (the record
    tells) after we learnt that the holder's znode is gone. That start is kept for each holder's znode.
 3. An error on a confirm ends the term for good, and so does our leave. No late answer revives it.
 4. Our leave is sent, and a new place is taken, only after the work has ended. No claim before either.

Order rests on the queue (`queue`): one listing after the join, then one watch on the predecessor.
 5. The heir (one candidate ahead) reads the record. If that says `held` at v by the very predecessor that then goes,
    the claim goes out at once on v + 1, an odd version, which can only be that term's leave.
 6. A lost reply is resolved by looking, never by sending again: `uncertain` until a listing behind a `sync` has shown
    what is there. (Without the `sync` a lagging server could hide a create that is still on its way.)
 7. Every few session timeouts everything is read again; a difference that no event told of is healed, counted, logged.

It does not promise that the work obeys: work that does not end keeps the znode. Better no leader than two.
"""

from __future__ import annotations

import enum
import json
import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import RecordError, server_error
from ..zookeeper import messages as m
from . import queue as q
from . import record as r
from .commands import Command, ConfirmNow, Hold, Left, Note, Purpose, Send, StartWork, StopWork

WAIT_OUT = 1.1
"""Times the holder's lease: the lease, and a tenth for ending work and for clocks (rates within a factor of 1.05)."""
CONFIRMS = 5
"""Confirms a lease. An unanswered one costs two fifths of the lease; three are left to renew it elsewhere."""
AUDIT = 4.0, 2.0
"""Session timeouts between audits: at least, and what the jitter adds at most."""
HOLD_OFF = 1.0
"""Seconds to wait after the server refused something that it should not refuse."""

_NO_NODE, _NODE_EXISTS, _BAD_VERSION = -101, -110, -103
_CHANGES = {Purpose.CREATE, Purpose.LEAVE, Purpose.DELETE}
"""What leaves us uncertain when its reply is lost. (A claim's loss is resolved by reading the record.)"""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a candidate is told once.

    Attributes:
        parent: path of the election's znode.
        identity: who we are, for people.
        address: where we are reached, for people.
        lease: L, in seconds.
        started_at: wall-clock time at which we started, for people.
    """

    parent: str
    identity: str
    address: str
    lease: float
    started_at: float


class _Work(enum.Enum):
    NONE = "none"
    RUNNING = "running"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class _View:
    """The record as last read on this connection; `role` is what we were when the read was sent."""

    record: r.Record | None
    version: int
    mzxid: int
    role: str


class Candidacy:
    """See the module's docstring.

    Args:
        settings: what does not change.
        uuids: a new one for each join.
        jitter: from 0 to 1, spreads the audits of many candidates.
    """

    def __init__(self, settings: Settings, uuids: Iterator[str], jitter: float) -> None:
        self.settings = settings
        self.hold: Hold | None = None
        self.znode: str | None = None
        self.queue = q.Queue()
        self.healed = 0
        self.places_given_up = 0
        self.seen: tuple[r.Record, float] | None = None  # the last record read, and when
        self._uuids, self._jitter = uuids, jitter
        self._uuid = next(uuids)
        self._commands: deque[Command] = deque()
        self._wanted = False  # to be in the queue
        self._departing = False  # this join is over, its znode is not yet
        self._uncertain = False  # a change's reply was lost
        self._work = _Work.NONE
        self._gone: dict[str, float] = {}  # when we learnt of each znode's end
        self._hold_off = 0.0
        # Of this connection only:
        self._session_id = 0  # 0: not connected
        self._timeout = 0.0
        self._pending: set[tuple[Purpose, str]] = set()
        self._listed = False
        self._armed: str | None = None  # whose end we shall be told of
        self._view: _View | None = None
        self._audited: _View | None = None  # what an audit's read is compared with
        self._audit_at = 0.0

    # -- what the process wants ----------------------------------------------------------------------------------------

    def join(self, now: float) -> None:
        """Be in the queue from now on, joining again whenever the place is lost."""
        self._wanted = True
        self._advance(now)

    def resign(self, now: float, reason: str = "resigned") -> None:
        """Give the lead, or the place in the queue, up; join again at the back unless `leave` was called."""
        if self._wanted:
            self._end(reason)
        self._advance(now)

    def leave(self, now: float, reason: str = "left") -> None:
        """Give the place up and stay out. `Left` follows."""
        if self._wanted:
            self._wanted = False
            self._end(reason)
        self._advance(now)

    def work_ended(self, now: float) -> None:
        """The work that `StartWork` began has ended, for whatever reason."""
        self._work = _Work.NONE
        self._advance(now)

    # -- what is asked of it -------------------------------------------------------------------------------------------

    def is_leader(self, now: float) -> bool:
        """Whether this process leads at `now` (rule 1)."""
        return self.hold is not None and self.hold.leads(now)

    @property
    def idle(self) -> bool:
        """Nothing of it is in ZooKeeper, and nothing is wanted there."""
        return not (self._wanted or self._departing or self._pending)

    @property
    def working(self) -> bool:
        """Work was started and has not ended."""
        return self._work is not _Work.NONE

    def state(self, now: float) -> str:
        """Its state in the field's words, see the drawing above."""
        if self._departing:
            return "ending" if self.working else "leaving"
        if self.hold is not None:
            return "leading" if self.hold.leads(now) else "suspended"
        if not self._wanted:
            return "idle"
        if self.znode is None or not self.queue.known:
            return "joining"
        if self.queue.position:
            return "queued"
        held = self._view is not None and self._view.record is not None and self._view.record.state is r.State.HELD
        return "waiting out" if held else "claiming"

    def checks(self) -> tuple[m.Check, m.Check] | None:
        """What a confirm must check, None if there is no term to confirm."""
        if self.hold is None or self.hold.over or not self._session_id:
            return None
        return r.confirm(self.settings.parent, self.hold.holder, self.hold.version)

    def deadline(self) -> float | None:
        """When `tick` wants to be called."""
        due = [self._wait_out_end(), self._hold_off or None]
        if self._work is _Work.RUNNING and self.hold is not None:
            due.append(self.hold.until)
        if self._session_id and self._listed and not self._departing:
            due.append(self._audit_at)
        return min((instant for instant in due if instant is not None), default=None)

    def next_command(self) -> Command | None:
        """The oldest command not yet taken."""
        return self._commands.popleft() if self._commands else None

    # -- what happens --------------------------------------------------------------------------------------------------

    def connected(self, session_id: int, timeout: float, now: float) -> None:
        """A server serves the session; a new one is preceded by `expired` if there was one before."""
        self._session_id, self._timeout = session_id, timeout
        if self.checks() is not None:
            self._commands.append(ConfirmNow())
        self._advance(now)

    def disconnected(self, now: float) -> None:
        """The connection is gone. The lease runs on; `Lost` answers follow."""
        self._session_id = 0
        self._listed = False
        self._armed = self._view = self._audited = None
        self._hold_off = 0.0
        self._advance(now)

    def expired(self, now: float) -> None:
        """The session is over, and our znode with it."""
        self.znode = None
        self._uncertain = False
        if self._wanted or self._departing:
            self._end("the session expired", forfeited=True)
        self._advance(now)

    def confirmed(self, hold: Hold, sent: float, now: float) -> None:
        """A confirm of `hold`, sent at `sent`, was answered "ok"."""
        if hold is self.hold and not hold.over:
            hold.until = max(hold.until, sent + self.settings.lease)
        self._advance(now)

    def refused(self, hold: Hold, check: int, code: int, now: float) -> None:
        """A confirm of `hold` was refused: of its two checks that one failed, with this error code."""
        if hold is self.hold and not hold.over:
            what = "our znode is gone" if check == 0 else "the record is at another version"
            self._end(f"a confirm was refused: {what} ({server_error(code)})", forfeited=True)
        self._advance(now)

    def watched(self, event: m.Watched, now: float) -> None:
        """A watch of this election's fired."""
        if event.path == self.settings.parent:
            self._view = self._audited = None
        elif event.change is m.Change.DELETED:
            self._learn_gone(event.path.rpartition("/")[2], now)
        self._advance(now)

    def answered(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        """The answer to a `Send` came.

        Args:
            asked: the command.
            answer: what came, `Lost` if the connection ended before.
            sent: the clock's reading before the request was encoded.
            now: the time.
        """
        self._pending.discard((asked.purpose, asked.about))
        if not isinstance(answer, m.Lost):
            _TAKERS[asked.purpose](self, asked, answer, sent, now)
        elif asked.purpose in _CHANGES:
            self._uncertain = True
        self._advance(now)

    def unsent(self, asked: Send) -> None:
        """A `Send` could not be sent: nothing was asked. `disconnected` follows."""
        self._pending.discard((asked.purpose, asked.about))

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self._hold_off and now >= self._hold_off:
            self._hold_off = 0.0
        if self._session_id and self._listed and not self._departing and now >= self._audit_at:
            self._listed = False
            self._audited, self._view = self._view, None
        self._advance(now)

    # -- deciding what to do next --------------------------------------------------------------------------------------

    def _advance(self, now: float) -> None:
        leads = self.is_leader(now)
        if leads and self._work is _Work.NONE:
            assert self.hold is not None
            self._work = _Work.RUNNING
            self._commands.append(StartWork(self.hold))
        elif not leads and self._work is _Work.RUNNING:
            self._work = _Work.STOPPING
            reason = self.hold.over if self.hold is not None else ""
            self._commands.append(StopWork(reason or "the lease ran out before a confirm was answered"))
        if self._departing:
            self._depart()
        if self._session_id and not self._hold_off and not self._departing and self._wanted:
            self._take_part(now)

    def _end(self, reason: str, *, forfeited: bool = False) -> None:
        self._departing = True
        if self.hold is not None:
            self.hold.over = self.hold.over or reason
            self.hold.forfeited |= forfeited

    def _depart(self) -> None:
        """Give up this join, step by step; rule 4."""
        if self.working or self._asked(*_CHANGES, Purpose.CLAIM, Purpose.OWNER):
            return
        if self.znode is None and not self._uncertain:
            if not self._pending:  # no answer that this join asked for may reach the next one
                self._over()
        elif not self._session_id or self._hold_off:
            return
        elif self._uncertain:
            self._look()
        elif self.hold is not None and not self.hold.forfeited:
            left = self._record(self.hold.number, self.hold.holder, r.State.LEFT)
            self._ask(Purpose.LEAVE, r.leave(self.settings.parent, left, self.hold.version))
        else:
            assert self.znode is not None
            self._ask(Purpose.DELETE, m.Delete(self._path(self.znode)), self.znode)

    def _over(self) -> None:
        self._departing = False
        self.places_given_up += 1
        self.hold = None
        self.queue = q.Queue()
        self._uuid = next(self._uuids)
        self._gone.clear()
        self._listed = False
        self._armed = self._view = self._audited = None
        self._commands.append(Left())

    def _take_part(self, now: float) -> None:
        if self.znode is None and self._uncertain:
            self._look()
        elif self.znode is None:
            if not self.working and not self._asked(Purpose.CREATE, Purpose.PARENT):
                path = self._path(q.prefix(self._uuid))
                self._ask(Purpose.CREATE, m.Create(path, self._card(), ephemeral=True, sequential=True))
        elif not self._listed:
            self._ask(Purpose.LIST, m.GetChildren(self.settings.parent))
        elif self.hold is not None:
            return
        elif self.queue.predecessor is not None:
            self._watch(self.queue.predecessor)
            self._read_record("heir" if self.queue.position == 1 else "follower")
        elif not self._asked(Purpose.CLAIM):
            self._take_lead(now)

    def _take_lead(self, now: float) -> None:
        """Nobody is ahead of us: hold, wait out, or claim; rule 2."""
        self._read_record("first")
        view = self._view
        if view is None or view.role != "first" or view.record is None:
            return
        record = view.record
        if record.state is r.State.HELD and record.holder == self.znode:
            # A claim's reply was lost: it had succeeded. The lease begins with the next confirm.
            self.hold = Hold(record.holder, view.version, record.term, view.mzxid)
            self._commands.append(ConfirmNow())
            return
        if record.state is r.State.HELD:
            if record.holder not in self._gone:
                self._watch(record.holder)
                return
            end = self._wait_out_end()
            if end is not None and now < end:
                return
        self._claim(record.term + 1, view.version)

    def _wait_out_end(self) -> float | None:
        """When the holder that is gone must have stopped leading; None if nothing is waited out."""
        view = self._view
        if view is None or view.record is None or view.role != "first" or self.hold is not None:
            return None
        since = self._gone.get(view.record.holder)
        if since is None or view.record.state is not r.State.HELD or self._asked(Purpose.CLAIM):
            return None
        return since + WAIT_OUT * view.record.lease

    def _claim(self, term: int, version: int) -> None:
        assert self.znode is not None
        record = self._record(term, self.znode, r.State.HELD)
        within = self.settings.lease / CONFIRMS
        about = f"{self.znode} {term} {version}"
        self._ask(Purpose.CLAIM, r.claim(self.settings.parent, record, version), about, within)

    def _learn_gone(self, name: str, now: float) -> None:
        self._gone.setdefault(name, now)
        if self._armed == name:
            self._armed = None
        if not self.queue.gone(name) or self.queue.position or self._departing or self.hold is not None:
            return
        view, self._view = self._view, None
        if view is not None and view.record is not None and view.role == "heir" and self._listed:
            if view.record.state is r.State.HELD and view.record.holder == name:
                self._claim(view.record.term + 1, view.version + 1)  # rule 5

    # -- answers -------------------------------------------------------------------------------------------------------

    def _take_parent(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        if isinstance(answer, m.Failed) and answer.code != _NODE_EXISTS:
            self._trouble(asked, answer, now)

    def _take_created(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        if isinstance(answer, m.Created):
            self.znode = answer.path.rpartition("/")[2]
        elif answer == m.Failed(_NO_NODE):
            parts = self.settings.parent.split("/")[1:]
            for depth in range(len(parts)):
                path = "/" + "/".join(parts[: depth + 1])
                self._ask(Purpose.PARENT, m.Create(path), path)
        else:
            self._trouble(asked, answer, now)

    def _take_synced(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        if isinstance(answer, m.Failed) and answer.code != _NO_NODE:
            self._trouble(asked, answer, now)

    def _take_listed(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        names: tuple[str, ...] = ()
        if isinstance(answer, m.Children):
            names = answer.names
        elif answer != m.Failed(_NO_NODE):
            self._trouble(asked, answer, now)
            return
        mine = [name for name in q.in_order(names) if name.startswith(q.prefix(self._uuid))]
        if asked.about == "look":
            self._take_look(mine)
        elif self.znode not in names:
            self.znode = None
            self._end("our znode was deleted by somebody else", forfeited=True)
            self._note(logging.WARNING, "our znode is not in the queue: somebody deleted it; joining again")
        else:
            self._take_queue(names, mine, now)

    def _take_look(self, mine: list[str]) -> None:
        """What a lost reply left behind; rule 6."""
        if self._departing:
            self._uncertain = False
            self.znode = mine[0] if mine else None
            if self.hold is not None:
                if self.hold.holder in mine:
                    self.znode = self.hold.holder
                self.hold.forfeited |= self.hold.holder not in mine
            self._delete_twins(mine)
        elif mine:
            self._ask(Purpose.OWNER, m.GetData(self._path(mine[0])), mine[0])
        else:
            self._uncertain = False

    def _take_queue(self, names: tuple[str, ...], mine: list[str], now: float) -> None:
        if self.hold is None and not self._asked(Purpose.CLAIM):
            self.znode = mine[0]  # of twins the lowest is kept
        self._delete_twins(mine)
        assert self.znode is not None
        gone, unexplained = self.queue.listed(names, self.znode)
        if self._armed in gone or unexplained:
            self._heal(f"the queue had changed unseen: {sorted(unexplained) or self._armed}")
        for name in gone:
            self._gone.setdefault(name, now)
        if self._armed in gone:
            self._armed = None
        self._listed = True
        self._audit_at = now + self._timeout * (AUDIT[0] + AUDIT[1] * self._jitter)

    def _take_owner(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        if isinstance(answer, m.Data):
            self._uncertain = False
            if answer.stat.ephemeral_owner == self._session_id:
                self.znode = asked.about
            else:
                # CURATOR-498: it will die with a session that is not ours.
                self._uuid = next(self._uuids)
        elif answer != m.Failed(_NO_NODE):
            self._trouble(asked, answer, now)

    def _take_watch(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        if isinstance(answer, m.Children):
            self._armed = asked.about
        elif answer == m.Failed(_NO_NODE):
            self._learn_gone(asked.about, now)
            if self.queue.position:
                self._listed = False  # more may have gone unseen: one listing instead of a walk through the dead
        else:
            self._trouble(asked, answer, now)

    def _take_record(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        if isinstance(answer, m.Data):
            record: r.Record | None = None
            try:
                record = r.decode(answer.data, answer.stat.version)
                self.seen = record, now
            except RecordError as error:
                remedy = "nobody leads until it is put right or the election's znode is deleted with all below it"
                self._note(logging.ERROR, f"{error}; {remedy}")
            self._view = _View(record, answer.stat.version, answer.stat.mzxid, asked.about)
            before, self._audited = self._audited, None
            if before is not None and before.role == asked.about == "first" and before.version != self._view.version:
                self._heal(f"the record had changed unseen, from version {before.version} to {self._view.version}")
        elif answer == m.Failed(_NO_NODE):
            self._listed = False  # our znode must be gone as well; the listing will tell
        else:
            self._trouble(asked, answer, now)

    def _take_claim(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        self._view = None
        failure = answer.failure if isinstance(answer, m.Transacted) else None
        if isinstance(answer, m.Transacted) and failure is None:
            written = answer.results[-1]
            assert isinstance(written, m.DataSet)
            holder, term, version = asked.about.split()
            self.seen = self._record(int(term), holder, r.State.HELD), now
            self.hold = Hold(holder, r.version_after_claim(int(version)), int(term), written.stat.mzxid)
            self.hold.until = sent + self.settings.lease
            if self._departing:
                self._end("resigned while claiming")
        elif failure is not None and failure[1] == _NO_NODE:
            self._listed = False  # the listing will tell that our znode is gone
        elif failure is None or failure[1] != _BAD_VERSION:
            self._trouble(asked, answer, now)

    def _take_left(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        failure = answer.failure if isinstance(answer, m.Transacted) else None
        if isinstance(answer, m.Transacted) and failure is None:
            self.znode = None
        elif failure is not None and failure == (0, _NO_NODE):
            self.znode = None
        elif failure is not None and self.hold is not None:
            self.hold.forfeited = True  # refused for its version: a plain delete follows
        else:
            self._trouble(asked, answer, now)

    def _take_deleted(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        if isinstance(answer, m.Failed) and answer.code != _NO_NODE:
            self._trouble(asked, answer, now)
        elif asked.about == self.znode:
            self.znode = None

    # -- small helpers -------------------------------------------------------------------------------------------------

    def _asked(self, *purposes: Purpose) -> bool:
        return any(purpose in purposes for purpose, _ in self._pending)

    def _ask(self, purpose: Purpose, request: m.Request, about: str = "", within: float | None = None) -> None:
        if (purpose, about) not in self._pending:
            self._pending.add((purpose, about))
            self._commands.append(Send(purpose, request, about, within))

    def _look(self) -> None:
        if not self._asked(Purpose.LIST, Purpose.OWNER):
            self._ask(Purpose.SYNC, m.Sync(self.settings.parent))
            self._ask(Purpose.LIST, m.GetChildren(self.settings.parent), "look")

    def _watch(self, name: str) -> None:
        # An ephemeral has no children: this watch fires only when the znode is deleted, and a missing znode leaves none
        # behind.
        if self._armed != name and not self._asked(Purpose.WATCH):
            self._ask(Purpose.WATCH, m.GetChildren(self._path(name), watch=True), name)

    def _read_record(self, role: str) -> None:
        wanted = self._view is None or (role != "follower" and self._view.role != role)
        if wanted and not self._asked(Purpose.RECORD):
            self._ask(Purpose.RECORD, m.GetData(self.settings.parent, watch=role == "first"), role)

    def _delete_twins(self, mine: list[str]) -> None:
        for name in mine:
            if name != self.znode:
                self._ask(Purpose.DELETE, m.Delete(self._path(name)), name)

    def _path(self, name: str) -> str:
        return f"{self.settings.parent}/{name}"

    def _record(self, term: int, holder: str, state: r.State) -> r.Record:
        own = self.settings
        return r.Record(term, holder, state, own.lease, own.identity, own.address)

    def _card(self) -> bytes:
        own = self.settings
        return json.dumps({"identity": own.identity, "address": own.address, "started_at": own.started_at}).encode()

    def _note(self, level: int, text: str) -> None:
        self._commands.append(Note(level, text))

    def _heal(self, text: str) -> None:
        self.healed += 1
        self._note(logging.WARNING, f"healed: {text}")

    def _trouble(self, asked: Send, answer: m.Answer, now: float) -> None:
        failure = answer.failure if isinstance(answer, m.Transacted) else None
        code = failure[1] if failure is not None else answer.code if isinstance(answer, m.Failed) else 0
        self._note(logging.ERROR, f"cannot {asked.purpose.value}: {server_error(code)}; trying again in {HOLD_OFF:g} s")
        self._hold_off = now + HOLD_OFF


_TAKERS = {
    Purpose.PARENT: Candidacy._take_parent,
    Purpose.CREATE: Candidacy._take_created,
    Purpose.SYNC: Candidacy._take_synced,
    Purpose.LIST: Candidacy._take_listed,
    Purpose.OWNER: Candidacy._take_owner,
    Purpose.WATCH: Candidacy._take_watch,
    Purpose.RECORD: Candidacy._take_record,
    Purpose.CLAIM: Candidacy._take_claim,
    Purpose.LEAVE: Candidacy._take_left,
    Purpose.DELETE: Candidacy._take_deleted,
}
