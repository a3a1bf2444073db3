"""Where one process stands in an election: what it knows, and the small steps that `candidacy` is made of.

Facts about a connection (`session_id`, `listed`, `armed`, `view`, `pending`) are forgotten with it; facts about a join
(`znode`, `queue`, `hold`, `gone`) are forgotten with that. Pure; the rules are in `candidacy`, what answers mean is in
`answers`.
"""

from __future__ import annotations

import enum
import json
import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import server_error
from ..zookeeper import messages as m
from . import queue as q
from . import record as r
from .commands import Command, Hold, Left, Note, Purpose, Send

WAIT_OUT = 1.1
"""Times the holder's lease: the lease, and a tenth for ending work and for clocks (rates within a factor of 1.05)."""
CONFIRMS = 5
"""Confirms a lease. An unanswered one costs two fifths of the lease; three are left to renew it elsewhere."""
AUDIT = 4.0, 2.0
"""Session timeouts between audits: at least, and what the jitter adds at most."""
HOLD_OFF = 1.0
"""Seconds to wait after the server refused something that it should not refuse."""

CHANGES = {Purpose.CREATE, Purpose.LEAVE, Purpose.DELETE}
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


class Role(enum.Enum):
    """In which role the record is read; the last two ask to be told when it changes."""

    FOLLOWER = "follower"
    HEIR = "heir"
    EARLY_HEIR = "heir of somebody who has not claimed yet"
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

    def held_by(self, name: str | None) -> bool:
        """Whether that znode holds the lead."""
        return self.record is not None and self.record.state is r.State.HELD and self.record.holder == name


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
        self.healed = 0
        self.places_given_up = 0
        self.seen: tuple[r.Record, float] | None = None  # the last record read, and when
        self.uuids, self.jitter = uuids, jitter
        self.uuid = next(uuids)
        self.commands: deque[Command] = deque()
        self.wanted = False  # to be in the queue
        self.departing = False  # this join is over, its znode is not yet
        self.uncertain = False  # a change's reply was lost
        self.work = Work.NONE
        self.gone: dict[str, float] = {}  # when we learnt of each znode's end
        self.hold_off = 0.0
        # Of this connection only:
        self.session_id = 0  # 0: not connected
        self.timeout = 0.0
        self.pending: set[tuple[Purpose, str]] = set()
        self.listed = False
        self.armed: str | None = None  # whose end we shall be told of
        self.view: View | None = None
        self.audited: View | None = None  # what an audit's read is compared with
        self.audit_at = 0.0

    def wait_out_end(self) -> float | None:
        """When the holder that is gone must have stopped leading; None if nothing is waited out."""
        view = self.view
        if view is None or view.record is None or view.role is not Role.FIRST or self.hold is not None:
            return None
        since = self.gone.get(view.record.holder)
        if since is None or view.record.state is not r.State.HELD or self.asking(Purpose.CLAIM):
            return None
        return since + WAIT_OUT * view.record.lease

    def end_join(self, reason: str, *, forfeited: bool = False) -> None:
        """This join, and its term if there is one, is over for good; `forfeited` if the record is not ours any more."""
        self.departing = True
        if self.hold is not None:
            self.hold.over = self.hold.over or reason
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
        self.commands.append(Left())

    def claim(self, term: int, version: int) -> None:
        """Ask for the lead, resting on this version of the record."""
        assert self.znode is not None
        record = self.record(term, self.znode, r.State.HELD)
        within = self.settings.lease / CONFIRMS
        about = f"{self.znode} {term} {version}"
        self.ask(Purpose.CLAIM, r.claim(self.settings.parent, record, version), about, within)

    def learn_gone(self, name: str, now: float) -> None:
        """This znode does not exist any more; the heir claims at once."""
        self.gone.setdefault(name, now)
        if self.armed == name:
            self.armed = None
        if not self.queue.gone(name) or self.queue.position or self.departing or self.hold is not None:
            return
        view, self.view = self.view, None
        if view is not None and view.role in (Role.HEIR, Role.EARLY_HEIR) and view.held_by(name) and self.listed:
            assert view.record is not None
            self.claim(view.record.term + 1, view.version + 1)  # rule 5

    # -- small helpers -------------------------------------------------------------------------------------------------

    def asking(self, *purposes: Purpose) -> bool:
        """Whether a request for one of these purposes is unanswered."""
        return any(purpose in purposes for purpose, _ in self.pending)

    def ask(self, purpose: Purpose, request: m.Request, about: str = "", within: float | None = None) -> None:
        """Send a request, unless the same one is under way."""
        if (purpose, about) not in self.pending:
            self.pending.add((purpose, about))
            self.commands.append(Send(purpose, request, about, within))

    def look(self) -> None:
        """Find out what a lost reply left behind, as of now and not of some time ago."""
        if not self.asking(Purpose.LIST):
            self.ask(Purpose.SYNC, m.Sync(self.settings.parent))
            self.ask(Purpose.LIST, m.GetChildren(self.settings.parent), "look")

    def watch(self, name: str) -> None:
        """Ask to be told of this znode's end."""
        # An ephemeral has no children: this watch fires only when the znode is deleted, and a missing znode leaves none
        # behind.
        if self.armed != name and not self.asking(Purpose.WATCH):
            self.ask(Purpose.WATCH, m.GetChildren(self.path(name), watch=True), name)

    def read_record(self, role: Role) -> None:
        """Read the record, with a watch where the role needs one."""
        if not self.asking(Purpose.RECORD):
            watch = role in (Role.FIRST, Role.EARLY_HEIR)
            self.ask(Purpose.RECORD, m.GetData(self.settings.parent, watch), role.value)

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

    def card(self) -> bytes:
        """Who we are, as our znode's data."""
        own = self.settings
        return json.dumps({"identity": own.identity, "address": own.address, "started_at": own.started_at}).encode()

    def note(self, level: int, text: str) -> None:
        """A line for the log."""
        self.commands.append(Note(level, text))

    def heal(self, text: str) -> None:
        """Something was found that an event should have told: a bug of ours, or somebody's doing."""
        self.healed += 1
        self.note(logging.WARNING, f"healed: {text}")

    def trouble(self, asked: Send, answer: m.Answer, now: float) -> None:
        """The server refused what no rule expects it to refuse: wait a moment."""
        failure = answer.failure if isinstance(answer, m.Transacted) else None
        code = failure[1] if failure is not None else answer.code if isinstance(answer, m.Failed) else 0
        self.note(logging.ERROR, f"cannot {asked.purpose.value}: {server_error(code)}; trying again in {HOLD_OFF:g} s")
        self.hold_off = now + HOLD_OFF
