"""Where one process stands in an election: what it knows, and for how long that may be believed. Pure.

Three values hold it. Each is replaced as a whole, so that nothing in it outlives what it is about:

- `Link` is about one connection to a server. It is replaced when the connection ends.
- `Join` is about one join: from the create of a znode until nothing is left of it. Its successor has a new uuid.
- `Sight` is what this join has seen through this connection. It is replaced when either ends.

`Standing` has these three, and the few small steps that order (`place`) and safety (`lead`) share. Requests without an
answer (`asked`) are in none of the three: the end of a connection answers them with `Lost`, and a join ends only when
all are answered.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from ...errors import NoAuth, NoNode
from ...zookeeper import messages as m
from . import queue as q
from . import record as r
from .candidate_data import NO_DATA, CandidateData
from .effects import Command, Denied, Left, Note, Purpose, Remark, Send
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

NO_NODE = m.Failed(NoNode.code)
"""The answer about a znode that is not there."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What does not change for a candidate.

    Attributes:
        parent: path of the election's znode.
        identity: who we are, for people.
        address: where we are reached, for people.
        lease: L, in seconds.
        started_at: wall-clock time at which we started, for people.
        history: whether to keep a history of the terms.
    """

    parent: str
    identity: str
    address: str
    lease: float
    started_at: float
    history: bool


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
    """the lease ran out (Curator's SUSPENDED is another thing: a lost connection)"""
    ENDING = "ending"
    LEAVING = "leaving"


class Role(enum.StrEnum):
    """In which role the record is read; the last one sets a watch on it."""

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
        return self.record is not None and self.record.state is r.LeadState.HELD and self.record.holder == name

    @property
    def token(self) -> int:
        """The token of the term that the record tells of."""
        return r.token_of(self.record, self.mzxid) if self.record is not None else 0


@dataclass(frozen=True, slots=True)
class Appointee:
    """Who is to get the lead by name, and which znode it watches.

    Attributes:
        znode: name of its znode.
        through: name of the znode right before it, whose data it watches; "" if it is first, and watches the record.
        data: what that znode said as it was read, None if there is none.
    """

    znode: str
    through: str = ""
    data: CandidateData | None = None


@dataclass(slots=True)
class Link:
    """What a connection owns.

    Attributes:
        session_id: the session that a server serves, 0 while none does.
        timeout: that session's timeout in seconds, as granted.
        watches_joins: the queue is watched for a candidate that joins.
        hold_off: reading of the clock until which nothing is asked, after a refusal that no rule expects; 0.0: none.
    """

    session_id: int = 0
    timeout: float = 0.0
    watches_joins: bool = False
    hold_off: float = 0.0


@dataclass(slots=True)
class Sight:
    """What this join has seen through this connection.

    Attributes:
        listed: the queue was listed, and nothing has happened since that would need another listing.
        audit_at: reading of the clock at which all is read again.
        armed: name of the znode that is watched for its end or a change; None if none is.
        before: what that znode says.
        gone_with: what it said last, if it has gone and nobody stands before us any more; `lead` may claim by it, once.
        awaited: name of the notice that is watched for; "" if none is.
        view: the record as last read, None if it is to be read (again).
        audited: the view before an audit, with which the audit's is compared.
    """

    listed: bool = False
    audit_at: float = 0.0
    armed: str | None = None
    before: CandidateData = NO_DATA
    gone_with: CandidateData | None = None
    awaited: str = ""
    view: View | None = None
    audited: View | None = None


@dataclass(slots=True)
class Join:
    """What a join owns.

    Attributes:
        uuid: how the names of its znodes begin; no other join has it.
        queue: who stands before us.
        znode: name of our znode, None while there is none, as far as we know.
        gone: when we learnt of each znode's end.
        departing: this join is over, its znode is not yet.
        uncertain: the reply to a change was lost: what is there must be looked at.
        hold: the version of the record that we hold, None while we hold none.
        warm: as an heir: when the last confirm of our znode that was answered had been sent; -inf if none was.
        named_at: the record's version at which our predecessor named us its heir, 0 if it did not.
        behind: who stands behind us, next first; None while that is not known. Known to holders only.
        appointee: to whom this join's end gives the lead, None for the next one.
        said: what our znode is to say as a holder, and what that was made from.
        published: what our znode says, b"" before a confirm has changed it.
        prepared: the appointment that is at hand, and what it was made from.
    """

    uuid: str
    queue: q.Queue = field(default_factory=q.Queue)
    znode: str | None = None
    gone: dict[str, float] = field(default_factory=dict)
    departing: bool = False
    uncertain: bool = False
    hold: Hold | None = None
    warm: float = float("-inf")
    named_at: int = 0
    behind: tuple[str, ...] | None = None
    appointee: Appointee | None = None
    said: tuple[object, bytes] | None = None
    published: bytes = b""
    prepared: tuple[object, m.Multi] | None = None


class Standing:
    """See the module's docstring.

    Args:
        settings: what does not change.
        uuids: a new one for each join.

    Attributes:
        link, sight, join: what is forgotten with a connection, with either, with a join.
        asked: the purposes of requests that are not answered, and what each is about.
        commands: what is to be carried out, in order.
        wanted: the process wants to be in the queue.
        work: what has become of the work that was started.
        dead: of a bug; rule 8.
        let_in: access lists have allowed us to read the queue that we had joined.
        places_given_up: joins that are over.
    """

    def __init__(self, settings: Settings, uuids: Iterator[str]) -> None:
        self.settings, self.uuids = settings, uuids
        self.link, self.sight, self.join = Link(), Sight(), Join(next(uuids))
        self.asked: set[tuple[Purpose, str]] = set()
        self.commands: deque[Command] = deque()
        self.wanted = self.dead = self.let_in = False
        self.work = Work.NONE
        self.places_given_up = 0

    def disconnected(self) -> None:
        """The connection is gone."""
        self.link, self.sight = Link(), Sight()

    def end_join(self, end: End, *, forfeited: bool = False) -> None:
        """This join, and its term if there is one, is over for good; `forfeited` if the record is not ours any more."""
        self.join.departing = True
        if (hold := self.join.hold) is not None:
            hold.end = hold.end or end
            hold.forfeited |= forfeited

    def over(self) -> None:
        """Nothing of this join is left."""
        self.join, self.sight = Join(next(self.uuids)), Sight()
        self.places_given_up += 1
        self.commands.append(Left())

    # -- asking ----------------------------------------------------------------------------------------------------

    def asking(self, *purposes: Purpose) -> bool:
        """Whether a request for one of these purposes is unanswered."""
        for purpose, _ in self.asked:  # a loop, not `any`: this is asked at every step of a handover
            if purpose in purposes:
                return True
        return False

    def ask(
        self, purpose: Purpose, request: m.Request, about: str = "", within: float | None = None, pause: float = 0.0
    ) -> None:
        """Send a request, unless the same one is under way."""
        if (purpose, about) not in self.asked:
            self.asked.add((purpose, about))
            self.commands.append(Send(purpose, request, about, within, pause))

    def read_record(self, role: Role) -> None:
        """Read the record, with a watch where the role needs one."""
        if not self.asking(Purpose.RECORD):
            self.ask(Purpose.RECORD, m.GetData(self.settings.parent, watch=role is Role.FIRST), role)

    def path(self, name: str) -> str:
        """The path of a candidate's znode."""
        return f"{self.settings.parent}/{name}"

    def record(
        self, term: int, holder: str, state: r.LeadState, *, end: End | None = None, past: tuple[r.Row, ...] = ()
    ) -> r.Record:
        """A record of ours."""
        own = self.settings
        return r.Record(term, holder, state, own.lease, own.identity, own.address, end=end, past=past)

    # -- saying ----------------------------------------------------------------------------------------------------

    def note(self, remark: Remark, *about: object) -> None:
        """A line for the log."""
        self.commands.append(Note(remark, about))

    def trouble(self, asked: Send, answer: m.Answer, now: float) -> None:
        """The server refused what no rule expects it to refuse: wait a moment.

        A process that was never let in has wrong credentials, or none: its caller gets the error. Access lists that
        were changed under us may be put right.
        """
        request, code = asked.request, answer.code if isinstance(answer, m.Failed) else 0
        if isinstance(answer, m.Transacted) and isinstance(request, m.Multi) and answer.failure is not None:
            index, code = answer.failure
            request = request.operations[index]
        error = m.refusal(code, request)
        self.link.hold_off = now + HOLD_OFF
        if isinstance(error, NoAuth) and not self.let_in:
            self.commands.append(Denied(error))
        else:
            self.note(Remark.REFUSED, asked.purpose, error, HOLD_OFF)
