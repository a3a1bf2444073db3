"""Where one process stands in an election: what it knows, and the small steps that `candidacy` is made of.

Facts about a connection (`session_id`, `listed`, `armed`, `before`, `view`, `pending`) are forgotten with it; facts
about a join (`znode`, `queue`, `behind`, `hold`, `warm`, `gone`) are forgotten with that. Pure; what is done about the
lead itself is in `holding`, what answers mean is in `answers`, and the rules are in `candidacy`.
"""

from __future__ import annotations

import enum
import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ...errors import NoAuth, RecordError
from ...zookeeper import messages as m
from . import history
from . import queue as q
from . import record as r
from .candidate_data import NO_DATA, CandidateData
from .effects import Command, Denied, Left, Note, Purpose, Send
from .ends import End
from .lease import Hold

LEASE = 3.0
"""Seconds of a lease, unless another one is given."""
WAIT_OUT = 1.1
"""Times the holder's lease: the lease, and a tenth for ending work and for clocks (rates within a factor of 1.05)."""
CONFIRMS = 5
"""Confirms a lease. An unanswered one costs two fifths of the lease; three are left to renew it elsewhere."""
AUDIT = 4.0, 2.0
"""Session timeouts between audits: at least, and what the jitter adds at most."""
HOLD_OFF = 1.0
"""Seconds to wait after the server refused something that it should not refuse."""

REJOIN = 0.005
"""Seconds before one who has given its place up queues again: its create, a quorum write, would hold up the reads of
those whose turn it is, and nobody waits for it."""

CHANGES = {Purpose.CREATE, Purpose.LEAVE, Purpose.APPOINT, Purpose.WITHDRAW, Purpose.DELETE}
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
        history: whether to tell of the terms that were.
    """

    parent: str
    identity: str
    address: str
    lease: float
    started_at: float
    history: bool = False


class State(enum.StrEnum):
    """Where a process stands in an election; see the drawing in `candidacy`."""

    IDLE = "idle"
    JOINING = "joining"
    QUEUED = "queued"
    WAITING_OUT = "waiting out"
    CLAIMING = "claiming"
    BLOCKED = "blocked"
    LEADING = "leading"
    SUSPENDED = "suspended"
    ENDING = "ending"
    LEAVING = "leaving"


class Role(enum.StrEnum):
    """In which role the record is read; the last one asks to be told when it changes."""

    FOLLOWER = "follower"
    FIRST = "first in the queue"


class Work(enum.Enum):
    """What has become of the work that was started."""

    NONE = "none"
    RUNNING = "running"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class View:
    """The record as last read on this connection; `role` is what we were when the read was sent."""

    record: r.Record | None
    version: int
    mzxid: int
    role: Role
    mtime: float = 0.0

    def held_by(self, name: str | None) -> bool:
        """Whether that znode holds the lead."""
        return self.record is not None and self.record.state is r.State.HELD and self.record.holder == name

    @property
    def token(self) -> int:
        """The token of the term that the record tells of."""
        return r.token_of(self.record, self.mzxid) if self.record is not None else 0


@dataclass(frozen=True, slots=True)
class Appointee:
    """Who is to get the lead by name, and how it is told.

    Attributes:
        znode: name of its znode.
        through: name of the znode right before it, whose data it watches; "" if it is first, and watches the record.
        data: what that znode said as it was read, None if there is none.
    """

    znode: str
    through: str = ""
    data: CandidateData | None = None


class Standing:
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
        self.queue_length: int | None = None  # at the last listing, for people
        self.healed = 0
        self.places_given_up = 0
        self.seen: tuple[r.Record, float] | None = None  # the last record read, and when
        self.last_lease = 0.0  # of the last term that we have heard of, in whatever join; 0.0 if of none
        self.anew: tuple[int, float] | None = None  # the znode made anew: by which zxid, and when we first saw it so
        self.unreadable: RecordError | None = None  # why that is none, if it could not be read
        self.uuids, self.jitter = uuids, jitter
        self.uuid = next(uuids)
        self.commands: deque[Command] = deque()
        self.claimed_on: View | None = None  # what our last claim rested on, None if nothing was read
        self.wanted = False  # to be in the queue
        self.barred: Send | None = None  # the lowest znode above the election's that we may not make
        self.let_in = False  # access lists have allowed us to read the queue that we had joined
        self.departing = False  # this join is over, its znode is not yet
        self.dead = False  # of a bug
        self.uncertain = False  # a change's reply was lost
        self.work = Work.NONE
        self.gone: dict[str, float] = {}  # when we learnt of each znode's end
        self.behind: tuple[str, ...] | None = None  # who stands behind us, next first; known to holders only
        self.plain = CandidateData(settings.identity, settings.address, settings.started_at).encode()  # without a term
        self.said: tuple[object, bytes] | None = None  # our data as bytes, and what it was made from
        self.published = b""  # our znode's data, while we hold
        self.appointee: Appointee | None = None  # to whom this departure gives the lead, if that was asked for
        self.prepared: tuple[object, m.Multi] | None = None  # the appointment, and what it was made from
        self.notifies = True  # appointments give notice
        self.named_at = 0  # the record's version at which our predecessor named us its heir
        self.warm = float("-inf")  # when the last confirm of our znode that was answered had been sent, as an heir
        self.hold_off = 0.0
        # Of this connection only:
        self.session_id = 0  # 0: not connected
        self.timeout = 0.0
        self.pending: set[tuple[Purpose, str]] = set()
        self.listed = False
        self.armed: str | None = None  # of whose end, or change, we shall be told
        self.before = NO_DATA  # what that znode says
        self.awaited = ""  # of which notice we shall be told
        self.told_of_joins = False  # we shall be told when somebody joins the queue
        self.view: View | None = None
        self.audited: View | None = None  # what an audit's read is compared with
        self.audit_at = 0.0

    def wait_out_end(self) -> float | None:
        """When whoever may lead without a znode must have stopped; None if nothing is waited out."""
        view = self.view
        if view is None or view.record is None or view.role is not Role.FIRST or self.hold is not None:
            return None
        if self.asking(Purpose.CLAIM):
            return None
        if self.made_anew:
            return None if self.anew is None else self.anew[1] + WAIT_OUT * self.last_lease
        since = self.gone.get(view.record.holder)
        if since is None or view.record.state is not r.State.HELD:
            return None
        return since + WAIT_OUT * view.record.lease

    @property
    def made_anew(self) -> bool:
        """Whether the record that we see tells of nobody, although somebody has led: somebody deleted it."""
        view = self.view
        nobody = view is not None and view.record is not None and view.record.state is r.State.NONE
        return nobody and bool(self.last_lease)

    def heard_of(self, record: r.Record, now: float) -> None:
        """This is how the record reads, or must read."""
        self.seen = record, now
        self.last_lease = record.lease or self.last_lease

    def end_join(self, end: End, *, forfeited: bool = False) -> None:
        """This join, and its term if there is one, is over for good; `forfeited` if the record is not ours any more."""
        self.departing = True
        if self.hold is not None:
            self.hold.end = self.hold.end or end
            self.hold.forfeited |= forfeited

    def over(self) -> None:
        """Nothing of this join is left: forget all that was known of it."""
        self.departing = False
        self.places_given_up += 1
        self.hold = None
        self.queue = q.Queue()
        self.uuid = next(self.uuids)
        self.gone.clear()
        self.listed = False
        self.armed = self.view = self.audited = None
        self.before, self.awaited = NO_DATA, ""
        self.behind = self.appointee = self.prepared = None
        self.named_at, self.published, self.warm = 0, b"", float("-inf")
        self.commands.append(Left())

    def claim(self, term: int, version: int) -> None:
        """Ask for the lead, resting on this version of the record."""
        assert self.znode is not None
        record = self.record(term, self.znode, r.State.HELD)
        within = self.settings.lease / CONFIRMS
        about = f"{self.znode} {term} {version}"
        self.claimed_on = view = self.view
        if view is not None and view.record is not None:
            past = view.record.past
            if self.settings.history:
                past = history.rows(history.in_record(view.record, view.token, view.mtime))
            record = replace(record, past=past)
        self.ask(Purpose.CLAIM, r.claim(self.settings.parent, record, version), about, within)

    def learn_gone(self, name: str, now: float) -> None:
        """This znode does not exist any more; an heir that is not to be appointed claims at once."""
        self.gone.setdefault(name, now)
        before, told = NO_DATA, self.armed == name
        if told:
            before, self.armed, self.before = self.before, None, NO_DATA
        if not self.queue.gone(name) or self.departing or self.hold is not None:
            return
        if self.queue.position:
            if before.version or not told:  # it led before its turn, or may have, and may have given the lead to us
                self.read_record(Role.FOLLOWER)
            return
        self.view = None
        # An even version only, whatever a candidate's data say: v + 1 is then a `left`, or it is not there (rule 5).
        # It overwrites what nobody has read; such a holder has not left it to us to write its terms down.
        heir = before.heir == self.znode and not before.by_name
        if heir and before.version and before.version % 2 == 0 and self.listed:
            self.claim(before.term + 1, before.version + 1)

    # -- small helpers -------------------------------------------------------------------------------------------------

    def asking(self, *purposes: Purpose) -> bool:
        """Whether a request for one of these purposes is unanswered."""
        for purpose, _ in self.pending:  # a loop, not `any`: this is asked at every step of a handover
            if purpose in purposes:
                return True
        return False

    def ask(
        self, purpose: Purpose, request: m.Request, about: str = "", within: float | None = None, pause: float = 0.0
    ) -> None:
        """Send a request, unless the same one is under way."""
        if (purpose, about) not in self.pending:
            self.pending.add((purpose, about))
            self.commands.append(Send(purpose, request, about, within, pause))

    def look(self) -> None:
        """Find out what a lost reply left behind, as of now and not of some time ago."""
        if not self.asking(Purpose.LIST):
            self.ask(Purpose.SYNC, m.Sync(self.settings.parent))
            self.ask(Purpose.LIST, m.GetChildren(self.settings.parent), "look")

    def watch(self, name: str) -> None:
        """Ask to be told of this znode's end."""
        # A missing znode leaves no watch behind. The data changes once a term, when its owner has taken the lead.
        if self.armed != name and not self.asking(Purpose.WATCH):
            self.ask(Purpose.WATCH, m.GetData(self.path(name), watch=True), name)

    def read_record(self, role: Role) -> None:
        """Read the record, with a watch where the role needs one."""
        if not self.asking(Purpose.RECORD):
            self.ask(Purpose.RECORD, m.GetData(self.settings.parent, watch=role is Role.FIRST), role)

    def delete_twins(self, mine: list[str]) -> None:
        """Delete what else this join created."""
        for name in mine:
            if name != self.znode:
                self.ask(Purpose.DELETE, m.Delete(self.path(name)), name)

    def path(self, name: str) -> str:
        """The path of a candidate's znode."""
        return f"{self.settings.parent}/{name}"

    def record(self, term: int, holder: str, state: r.State) -> r.Record:
        """A record of ours."""
        own = self.settings
        return r.Record(term, holder, state, own.lease, own.identity, own.address)

    def note(self, level: int, event: str, text: str) -> None:
        """A line for the log."""
        self.commands.append(Note(level, event, text))

    def heal(self, text: str) -> None:
        """Something was found that an event should have told: a bug of ours, or somebody's doing."""
        self.healed += 1
        self.note(logging.WARNING, "healed", f"healed: {text}")

    def trouble(self, asked: Send, answer: m.Answer, now: float) -> None:
        """The server refused what no rule expects it to refuse: wait a moment.

        Who was never let in has wrong credentials, or none, and is told. Lists that were changed under us may be put
        right.
        """
        request, code = asked.request, answer.code if isinstance(answer, m.Failed) else 0
        if isinstance(answer, m.Transacted) and isinstance(request, m.Multi) and answer.failure is not None:
            index, code = answer.failure
            request = request.operations[index]
        error = m.refusal(code, request)
        self.hold_off = now + HOLD_OFF
        if isinstance(error, NoAuth) and not self.let_in:
            self.commands.append(Denied(error))
        else:
            text = f"cannot {asked.purpose.value}: {error}; trying again in {HOLD_OFF:g} s"
            self.note(logging.ERROR, "refused", text)
