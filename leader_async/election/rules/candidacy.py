"""A candidacy: what one process does next in one election. Pure.

Events go in (`connected`, `answered`, `watched`, `tick`, …), commands come out (`next_command`). Each input changes
what is known, then `_advance` asks for whatever is missing; nothing is remembered of a connection that has ended, so
the same few lines serve the first join and every recovery.

    joining ──► queued ──► waiting out ──► claiming ──► leading ◄──► suspended      (lease ran out / confirmed again)
       ▲           │             │             │           │             │
       │           ▼             ▼             ▼           ▼             ▼
       │◄────── leaving ◄────────┴─────────────┴──────── ending (until the work has ended)
      idle                   (`blocked` instead of these two while the record cannot be read)

The rules, and the module in which each one stands in full, with who breaks it:
 1. We lead while a confirm is not older than a lease, counted from when it was sent (`lead`; `lease` computes it).
 2. A claim on `held` waits 1.1 leases from when we learnt that the holder's znode is gone (`lead`).
 3. An error on a confirm ends the term for good (`lead`).
 4. Our leave is sent, and a new place is taken, only after the work has ended (`handover`; kept by `_depart`).
 5. The heir knows what to do when the znode before it goes (`place`).
 6. A lost reply is resolved by looking, never by sending again (`place`).
 7. Every few session timeouts everything is read again (`place`).
 8. A candidacy that has raised an error knows nothing for certain: it leads no more at once, has no stake in any
    confirm, and wants nothing more. What is left of it in ZooKeeper is cleared away by others (`remains`).
    Broken by: "a candidacy that has died of a bug goes on confirming".

It does not promise that the work obeys: work that does not end keeps the znode. Better no leader than two.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

from ...errors import RecordError
from ...zookeeper import messages as m
from . import ends, handover, lead, place
from . import record as r
from .effects import Command, ConfirmNow, Purpose, Send, StartWork, StopWork
from .ends import End
from .handover import Handover
from .lead import Lead
from .lease import Hold, Stake
from .place import Place
from .state import CHANGES, Appointee, Role, Settings, Standing, State, Work
from .story import Story


class Candidacy:
    """One process's part in one election; see the module's docstring.

    Args:
        settings: what does not change.
        uuids: a new one for each join.
        jitter: from 0 to 1, spreads the audits of many candidates.

    Attributes:
        own: where it stands: facts of its connection and of its join.
        place: its place in the queue; order.
        lead: what it holds; safety.
        handover: how it gives that away.
        story: what it remembers for people.
    """

    def __init__(self, settings: Settings, uuids: Iterator[str], jitter: float) -> None:
        self.settings = settings
        self.own = Standing(settings, uuids)
        self.story = Story(self.own)
        self.place = Place(self.own, self.story, jitter)
        self.handover = Handover(self.own, self.story)
        self.lead = Lead(self.own, self.place, self.handover, self.story)

    # -- what the process wants ------------------------------------------------------------------------------------

    def join(self, now: float) -> None:
        """Be in the queue from now on, joining again whenever the place is lost."""
        self.own.wanted = True
        self._advance(now)

    def resign(self, now: float, end: End = ends.RESIGNED) -> None:
        """Give the lead, or the place in the queue, up; join again at the back unless `leave` was called."""
        if self.own.wanted:
            self.own.end_join(end)
        self._advance(now)

    def transfer(self, to: Appointee, now: float) -> None:
        """Give the lead to this candidate, as `resign` gives it to the next one."""
        if self.is_leader(now):
            self.favour(to, now)
            self.resign(now, ends.TRANSFERRED)

    def favour(self, to: Appointee, now: float) -> None:
        """Give the lead to this candidate instead of the next one, whenever this place is given up."""
        if self.is_leader(now):
            self.own.join.appointee = to

    def leave(self, now: float, end: End = ends.STOPPED) -> None:
        """Give the place up and stay out. `Left` follows."""
        if self.own.wanted:
            self.own.wanted = False
            self.own.end_join(end)
        self._advance(now)

    def work_ended(self, now: float, leaving: End | None = None) -> None:
        """The work that `StartWork` began has ended; `leaving` is why no further term is wanted, None if one is."""
        self.own.work = Work.NONE
        if leaving is not None and not self.own.dead:
            self.leave(now, leaving)
        else:
            self._advance(now)

    def die(self, *, working: bool) -> None:
        """It has a bug: nothing of what it knows counts any more; rule 8. `work_ended` will be called if `working`."""
        own = self.own
        own.dead, own.wanted = True, False
        own.work = Work.STOPPING if working else Work.NONE
        own.commands.clear()
        if (hold := own.join.hold) is not None:
            hold.end = hold.end or ends.BUG

    # -- what is asked of it: all that others read -----------------------------------------------------------------

    def is_leader(self, now: float) -> bool:
        """Whether this process leads at `now` (rule 1)."""
        hold = self.own.join.hold  # read once: other threads may ask
        return hold is not None and hold.leads(now)

    @property
    def hold(self) -> Hold | None:
        """The version of the record that it holds, None while it holds none; other threads may ask."""
        return self.own.join.hold

    @property
    def idle(self) -> bool:
        """Nothing of it is in ZooKeeper, and nothing is wanted there."""
        return not (self.own.wanted or self.own.join.departing or self.own.asked)

    @property
    def working(self) -> bool:
        """Work was started and has not ended."""
        return self.own.work is not Work.NONE

    @property
    def uuid(self) -> str:
        """How the name of its znode begins."""
        return self.own.join.uuid

    @property
    def znode(self) -> str | None:
        """Name of its znode, None while there is none."""
        return self.own.join.znode

    @property
    def position(self) -> int | None:
        """How many may stand before us; None while that is not known."""
        queue = self.own.join.queue
        return queue.position if queue.known else None

    @property
    def predecessor(self) -> str | None:
        """Name of the znode right before ours; None if there is none, or it is not known."""
        return self.own.join.queue.predecessor

    @property
    def gone(self) -> Mapping[str, float]:
        """When this join learnt of each znode's end."""
        return self.own.join.gone

    @property
    def places_given_up(self) -> int:
        """Counts the joins that are over."""
        return self.own.places_given_up

    @property
    def unreadable(self) -> RecordError | None:
        """Why the record could not be read when it last was, None if it could."""
        return self.lead.unreadable

    @property
    def has_stake(self) -> bool:
        """Whether a confirm is of use to it."""
        return self.lead.has_stake

    def state(self, now: float) -> State:
        """Where this process stands, see the drawing above."""
        own, join = self.own, self.own.join
        if own.dead:
            return State.ENDING if self.working else State.IDLE
        if join.departing:
            return State.ENDING if self.working else State.LEAVING
        if join.hold is not None:
            return State.LEADING if join.hold.leads(now) else State.SUSPENDED
        if not own.wanted:
            return State.IDLE
        if join.znode is None or not join.queue.known:
            return State.JOINING
        if join.queue.position:
            return State.QUEUED
        if self.lead.unreadable is not None:
            return State.BLOCKED
        view = own.sight.view
        held = view is not None and view.record is not None and view.record.state is r.LeadState.HELD
        return State.WAITING_OUT if held or self.lead.made_anew else State.CLAIMING

    def deadline(self) -> float | None:
        """When `tick` wants to be called."""
        own, hold, due = self.own, self.own.join.hold, []
        if own.work is Work.RUNNING and hold is not None:
            due.append(hold.until)
        if own.link.hold_off:
            due.append(own.link.hold_off)
        elif own.link.session_id and own.sight.listed and not own.join.departing:
            due.append(own.sight.audit_at)
            if (end := self.lead.wait_out_end()) is not None:
                due.append(end)
        return min(due, default=None)

    @property
    def commands(self) -> deque[Command]:
        """What is to be carried out, the oldest first."""
        return self.own.commands

    def next_command(self) -> Command | None:
        """The oldest command not yet taken."""
        return self.own.commands.popleft() if self.own.commands else None

    # -- what happens ----------------------------------------------------------------------------------------------

    def connected(self, session_id: int, timeout: float, now: float) -> None:
        """A server serves the session; a new one is preceded by `expired` if there was one before."""
        own, hold = self.own, self.own.join.hold
        own.link.session_id, own.link.timeout = session_id, timeout
        if hold is not None and hold.end is None:
            own.commands.append(ConfirmNow())
        self._advance(now)

    def disconnected(self, now: float) -> None:
        """The connection is gone. The lease runs on; `Lost` answers follow."""
        self.own.disconnected()
        self._advance(now)

    def expired(self, now: float) -> None:
        """The session is over, and this join with it.

        Our znode should be gone too, but the departure makes sure of that: a ZooKeeper leader that was cut off reports
        ends that its quorum never learns of, and then the znode would stand in everybody's way until the timeout.
        """
        if self.own.wanted or self.own.join.departing:
            self.own.end_join(ends.SESSION_EXPIRED, forfeited=True)
        self._advance(now)

    def confirmed(self, stake: Stake, sent: float, now: float) -> None:
        """A confirm with this stake in it, sent at `sent`, was answered "ok"."""
        self.lead.confirmed(stake, sent)
        self._advance(now)

    def refused(self, stake: Stake, part: int, code: int, now: float) -> None:
        """A confirm with this stake in it was refused: that part of it failed, with this error code."""
        self.lead.refused(stake, part, code)
        self._advance(now)

    def watched(self, event: m.Watched, now: float) -> None:
        """A watch of this election's fired."""
        sight, name = self.own.sight, event.path.rpartition("/")[2]
        if event.path == self.settings.parent:
            if event.change is m.EventType.CHILDREN:
                self.place.somebody_joined()
            else:
                sight.view = sight.audited = None
        elif event.change is m.EventType.CREATED:
            self.lead.take_notice(name, now)
        elif event.change is m.EventType.DELETED:
            self.place.learn_gone(name, now)
        elif name == sight.armed:
            self.place.unsure()
        self._advance(now)

    def answered(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        """This answer to a `Send` came, which was encoded after `sent`; `Lost` if the connection ended before."""
        purpose = asked.purpose
        self.own.asked.discard((purpose, asked.about))
        if isinstance(answer, m.Lost):
            self.own.join.uncertain |= purpose in CHANGES
        elif purpose in lead.TAKERS:
            lead.TAKERS[purpose](self.lead, asked, answer, sent, now)
        elif purpose in place.TAKERS:
            place.TAKERS[purpose](self.place, asked, answer, sent, now)
        else:
            handover.TAKERS[purpose](self.handover, asked, answer, sent, now)
        self._advance(now)

    def unsent(self, asked: Send) -> None:
        """A `Send` could not be sent: nothing was asked. `disconnected` follows."""
        self.own.asked.discard((asked.purpose, asked.about))

    def tick(self, now: float) -> None:
        """Time has passed."""
        link, sight = self.own.link, self.own.sight
        if link.hold_off and now >= link.hold_off:
            link.hold_off = 0.0
        if link.session_id and sight.listed and not self.own.join.departing and now >= sight.audit_at:
            sight.listed = False
            sight.audited, sight.view = sight.view, None
        self._advance(now)

    # -- deciding what to do next ----------------------------------------------------------------------------------

    def _advance(self, now: float) -> None:
        own, hold = self.own, self.own.join.hold
        if own.dead:
            return
        leads = hold is not None and hold.leads(now)
        if hold is not None and leads and own.work is Work.NONE:
            own.work = Work.RUNNING
            own.commands.append(StartWork(hold))
        elif not leads and own.work is Work.RUNNING:
            own.work = Work.STOPPING
            end = hold.end if hold is not None else None
            own.commands.append(StopWork(end or ends.LEASE_RAN_OUT))
        if own.join.departing:
            self._depart()
        if own.link.session_id and not own.link.hold_off and not own.join.departing and own.wanted:
            self._take_part(now)

    def _depart(self) -> None:
        """Give up this join, step by step; rule 4."""
        own, join = self.own, self.own.join
        if own.work is not Work.NONE or own.asking(*CHANGES, Purpose.CLAIM):
            return
        if join.znode is None and not join.uncertain:
            if not own.asked:  # no answer that this join asked for may reach the next one
                own.over()
        elif not own.link.session_id or own.link.hold_off:
            return
        elif join.uncertain:
            self.place.look()
        elif join.hold is not None and not join.hold.forfeited:
            self.handover.give_up(join.hold)
        elif join.hold is None and join.named_at:
            self.handover.withdraw()
        elif not own.asking(Purpose.RECORD):
            self.place.give_up()

    def _take_part(self, now: float) -> None:
        """Be in the queue, know who stands before us and behind, and lead when it is our turn."""
        own, join, sight = self.own, self.own.join, self.own.sight
        if join.znode is None and join.uncertain:
            self.place.look()
        elif join.znode is None:
            if own.work is Work.NONE and not own.asking(Purpose.CREATE, Purpose.PARENT):
                self.place.queue_up()
        elif not sight.listed:
            if not join.queue.known and sight.view is None:
                own.read_record(Role.FOLLOWER)  # in front of the listing, not behind it
            self.place.list_queue()
        elif join.hold is not None:
            if not join.hold.read:
                own.read_record(Role.FOLLOWER)
        elif join.queue.predecessor is not None:
            self.place.watch(join.queue.predecessor)
            self._follow()
            self.lead.await_notice()
        elif not own.asking(Purpose.CLAIM):
            self.lead.take(now)

    def _follow(self) -> None:
        """Others are ahead of us: read which candidate leads, if the predecessor's data do not say it. It may be us."""
        sight = self.own.sight
        knows = self.own.join.queue.position == 1 and (sight.armed is None or sight.before.version)
        if sight.view is None and not knows:
            self.own.read_record(Role.FOLLOWER)
