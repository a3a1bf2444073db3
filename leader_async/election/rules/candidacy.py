"""A candidate: the rules of one election, for one process, without I/O, clocks or chance.

Events go in (`connected`, `answered`, `watched`, `tick`, …), commands come out (`next_command`). Each input changes
what is known, then `_advance` asks for whatever is missing; nothing is remembered of a connection that has ended, so
the same few lines serve the first join and every recovery.

    joining ──► queued ──► waiting out ──► claiming ──► leading ◄──► suspended      (lease ran out / confirmed again)
       ▲           │             │             │           │             │
       │           ▼             ▼             ▼           ▼             ▼
       │◄────── leaving ◄────────┴─────────────┴──────── ending (until the work has ended)
      idle                   (`blocked` instead of these two while the record cannot be read)

Safety rests on the record (`record`), not on ZooKeeper's sessions:
 1. We lead at `now` if and only if we hold a version of the record and `now < until`. `until` is L after the instant at
    which a claim or confirm that was answered "ok" had been *sent*. What that proves is that our znode lived at or
    after that instant, so that nobody can have learnt of its end before. A confirm that we sent as the heir proves the
    same, so who was appointed leads by its last one as soon as it knows: by the notice, or by reading the record.
 2. A claim on `left` or `none` may be sent at once. A claim on `held` by another only 1.1 of its leases (the record
    tells) after we learnt that the holder's znode is gone. That start is kept for each holder's znode. `none` after we
    have heard of a term means that the election's znode was deleted and made anew, which whoever led may not know yet:
    then 1.1 of the last lease that we know are waited out, from when we first saw it so.
 3. An error on a confirm ends the term for good, and so does our leave. No late answer revives it.
 4. Our leave (an appointment is one) is sent, and a new place is taken, only after the work has ended. No claim before
    either.

Order rests on the queue (`queue`): one listing after the join, then one watch on the predecessor.
 5. A holder knows who stands behind it, by one listing or from who appointed it, and says so in its data, with the
    version that it holds. So the heir (the next one) knows by one event and one read that it is, and what comes when
    that znode goes. If it is to be appointed, it keeps a confirm of its own znode warm and awaits notice: then it leads
    at once, and reads the record afterwards. Should it hear only of the znode's end, it reads first. If it is not to be
    appointed, it claims at once on v + 1, an odd version, which can only be that term's leave.
 6. A lost reply is resolved by looking, never by sending again: `uncertain` until a listing behind a `sync` has shown
    what is there. (Without the `sync` a lagging server could hide a create that is still on its way.) What is found
    under this join's uuid is this session's (CURATOR-498): no join outlives its session, and each has its own uuid.
 7. Every few session timeouts everything is read again; a difference that no event told of is healed, counted, logged.

A bug:
 8. A candidacy that has raised an error knows nothing for certain: it leads no more at once, has no stake in any
    confirm, and wants nothing more. What is left of it in ZooKeeper is cleared away by others (`remains`).

It does not promise that the work obeys: work that does not end keeps the znode. Better no leader than two.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from ...zookeeper import messages as m
from . import ends
from . import queue as q
from . import record as r
from .candidate_data import NO_DATA
from .effects import Command, ConfirmNow, Purpose, Send, StartWork, StopWork
from .ends import End
from .lead import Holding
from .lease import Stake
from .place import TAKERS
from .state import CHANGES, REJOIN, Appointee, Role, State, Work


class Candidacy(Holding):
    """One process's part in one election; see the module's docstring and `Holding`."""

    # -- what the process wants ----------------------------------------------------------------------------------------

    def join(self, now: float) -> None:
        """Be in the queue from now on, joining again whenever the place is lost."""
        self.wanted = True
        self._advance(now)

    def resign(self, now: float, end: End = ends.RESIGNED) -> None:
        """Give the lead, or the place in the queue, up; join again at the back unless `leave` was called."""
        if self.wanted:
            self.end_join(end)
        self._advance(now)

    def transfer(self, to: Appointee, now: float) -> None:
        """Give the lead to this candidate, as `resign` gives it to the next one."""
        if self.is_leader(now):
            self.favour(to, now)
            self.resign(now, ends.TRANSFERRED)

    def favour(self, to: Appointee, now: float) -> None:
        """Give the lead to this candidate instead of the next one, whenever this place is given up."""
        if self.is_leader(now):
            self.appointee = to

    def leave(self, now: float, end: End = ends.STOPPED) -> None:
        """Give the place up and stay out. `Left` follows."""
        if self.wanted:
            self.wanted = False
            self.end_join(end)
        self._advance(now)

    def work_ended(self, now: float, leaving: End | None = None) -> None:
        """The work that `StartWork` began has ended, for whatever reason.

        Args:
            now: the time.
            leaving: why no further term is wanted: leave, as `leave` does. None if one is.
        """
        self.work = Work.NONE
        if leaving is not None and not self.dead:
            self.leave(now, leaving)
        else:
            self._advance(now)

    def die(self, *, working: bool) -> None:
        """It has a bug: nothing of what it knows counts any more; rule 8.

        Args:
            working: work was started and has not ended; `work_ended` will tell.
        """
        self.dead, self.wanted = True, False
        self.work = Work.STOPPING if working else Work.NONE
        self.commands.clear()
        if self.hold is not None:
            self.hold.end = self.hold.end or ends.BUG

    # -- what is asked of it -------------------------------------------------------------------------------------------

    def is_leader(self, now: float) -> bool:
        """Whether this process leads at `now` (rule 1)."""
        hold = self.hold  # read once: other threads may ask
        return hold is not None and hold.leads(now)

    @property
    def idle(self) -> bool:
        """Nothing of it is in ZooKeeper, and nothing is wanted there."""
        return not (self.wanted or self.departing or self.pending)

    @property
    def position(self) -> int | None:
        """How many may stand before us; None while that is not known."""
        return self.queue.position if self.queue.known else None

    @property
    def predecessor(self) -> str | None:
        """Name of the znode right before ours; None if there is none, or it is not known."""
        return self.queue.predecessor

    @property
    def working(self) -> bool:
        """Work was started and has not ended."""
        return self.work is not Work.NONE

    def deadline(self) -> float | None:
        """When `tick` wants to be called."""
        due: list[float] = []
        if self.work is Work.RUNNING and self.hold is not None:
            due.append(self.hold.until)
        if self.hold_off:
            due.append(self.hold_off)
        elif self.session_id and self.listed and not self.departing:
            due.append(self.audit_at)
            if (end := self.wait_out_end()) is not None:
                due.append(end)
        return min(due, default=None)

    def next_command(self) -> Command | None:
        """The oldest command not yet taken."""
        return self.commands.popleft() if self.commands else None

    def state(self, now: float) -> State:
        """Where this process stands, see the drawing above."""
        if self.dead:
            return State.ENDING if self.working else State.IDLE
        if self.departing:
            return State.ENDING if self.working else State.LEAVING
        if self.hold is not None:
            return State.LEADING if self.hold.leads(now) else State.SUSPENDED
        if not self.wanted:
            return State.IDLE
        if self.znode is None or not self.queue.known:
            return State.JOINING
        if self.queue.position:
            return State.QUEUED
        if self.unreadable is not None:
            return State.BLOCKED
        held = self.view is not None and self.view.record is not None and self.view.record.state is r.State.HELD
        return State.WAITING_OUT if held or self.made_anew else State.CLAIMING

    # -- what happens --------------------------------------------------------------------------------------------------

    def connected(self, session_id: int, timeout: float, now: float) -> None:
        """A server serves the session; a new one is preceded by `expired` if there was one before."""
        self.session_id, self.timeout = session_id, timeout
        if self.hold is not None and self.hold.end is None:
            self.commands.append(ConfirmNow())
        self._advance(now)

    def disconnected(self, now: float) -> None:
        """The connection is gone. The lease runs on; `Lost` answers follow."""
        self.session_id = 0
        self.listed = self.told_of_joins = False
        self.armed = self.view = self.audited = None
        self.before, self.awaited = NO_DATA, ""
        self.hold_off = 0.0
        self._advance(now)

    def expired(self, now: float) -> None:
        """The session is over, and this join with it.

        Our znode should be gone too, but the departure makes sure of that: a ZooKeeper leader that was cut off tells of
        ends that its quorum never hears of, and then the znode would stand in everybody's way until the timeout.
        """
        if self.wanted or self.departing:
            self.end_join(ends.SESSION_EXPIRED, forfeited=True)
        self._advance(now)

    def confirmed(self, stake: Stake, sent: float, now: float) -> None:
        """A confirm with this stake in it, sent at `sent`, was answered "ok"."""
        hold = stake.hold
        if hold is None:
            if self.named and stake == self.stake():  # for this znode, not that of an earlier join
                self.warm = sent
        elif hold is self.hold and hold.end is None:
            hold.until = max(hold.until, sent + hold.lease)
            self.published = stake.data or self.published
            self.appointment()
        self._advance(now)

    def refused(self, stake: Stake, part: int, code: int, now: float) -> None:
        """A confirm with this stake in it was refused: that part of it failed, with this error code."""
        if stake.hold is None:
            # The listing will tell that our znode is gone.
            self.listed, self.armed, self.before = False, None, NO_DATA
        elif stake.hold is self.hold and stake.hold.end is None:
            self.end_join(ends.refused(part, code), forfeited=True)
        self._advance(now)

    def watched(self, event: m.Watched, now: float) -> None:
        """A watch of this election's fired."""
        name = event.path.rpartition("/")[2]
        if event.path == self.settings.parent:
            if event.change is m.EventType.CHILDREN:
                self.told_of_joins = False
                if self.hold is not None and not self.departing:
                    self.ask(Purpose.LIST, m.GetChildren(self.settings.parent), "behind")
            else:
                self.view = self.audited = None
        elif event.change is m.EventType.CREATED:
            self.take_notice(name, now)
        elif event.change is m.EventType.DELETED:
            self.learn_gone(name, now)
        elif name == self.armed:
            self.armed, self.before = None, NO_DATA  # to be read again
        self._advance(now)

    def answered(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        """The answer to a `Send` came.

        Args:
            asked: the command.
            answer: what came, `Lost` if the connection ended before.
            sent: the clock's reading before the request was encoded.
            now: the time.
        """
        self.pending.discard((asked.purpose, asked.about))
        if not isinstance(answer, m.Lost):
            TAKERS[asked.purpose](self, asked, answer, sent, now)
        elif asked.purpose in CHANGES:
            self.uncertain = True
        self._advance(now)

    def unsent(self, asked: Send) -> None:
        """A `Send` could not be sent: nothing was asked. `disconnected` follows."""
        self.pending.discard((asked.purpose, asked.about))

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self.hold_off and now >= self.hold_off:
            self.hold_off = 0.0
        if self.session_id and self.listed and not self.departing and now >= self.audit_at:
            self.listed = False
            self.audited, self.view = self.view, None
        self._advance(now)

    # -- deciding what to do next --------------------------------------------------------------------------------------

    def _advance(self, now: float) -> None:
        if self.dead:
            return
        leads = self.is_leader(now)
        if leads and self.work is Work.NONE:
            assert self.hold is not None
            self.work = Work.RUNNING
            self.commands.append(StartWork(self.hold))
        elif not leads and self.work is Work.RUNNING:
            self.work = Work.STOPPING
            end = self.hold.end if self.hold is not None else None
            self.commands.append(StopWork(end or ends.LEASE_RAN_OUT))
        if self.departing:
            self._depart()
        if self.session_id and not self.hold_off and not self.departing and self.wanted:
            self._take_part(now)

    def _depart(self) -> None:
        """Give up this join, step by step; rule 4."""
        if self.working or self.asking(*CHANGES, Purpose.CLAIM):
            return
        if self.znode is None and not self.uncertain:
            if not self.pending:  # no answer that this join asked for may reach the next one
                self.over()
        elif not self.session_id or self.hold_off:
            return
        elif self.uncertain:
            self.look()
        elif self.hold is not None and not self.hold.forfeited:
            if self.hold.how is None:
                self.read_record(Role.FOLLOWER)  # we got notice just now: what to pass on, and to whom, is there
                return
            if (appointment := self.appointment()) is not None:
                self.ask(Purpose.APPOINT, appointment)
                return
            left = self.record(self.hold.number, self.hold.holder, r.State.LEFT)
            left = replace(left, end=self.hold.end, past=self.past())
            self.ask(Purpose.LEAVE, r.leave(self.settings.parent, left, self.hold.version))
        elif self.hold is None and self.named_at:
            # Our predecessor may be handing over to us just now.
            assert self.znode is not None
            request = r.withdrawal(self.settings.parent, self.znode, self.named_at)
            self.ask(Purpose.WITHDRAW, request, self.znode)
        elif not self.asking(Purpose.RECORD):
            assert self.znode is not None
            self.ask(Purpose.DELETE, m.Delete(self.path(self.znode)), self.znode)

    def _take_part(self, now: float) -> None:
        if self.znode is None and self.uncertain:
            self.look()
        elif self.znode is None:
            if not self.working and not self.asking(Purpose.CREATE, Purpose.PARENT):
                path = self.path(q.prefix(self.uuid))
                create = m.Create(path, self.plain, ephemeral=True, sequential=True)
                self.ask(Purpose.CREATE, create, pause=REJOIN if self.places_given_up else 0.0)
        elif not self.listed:
            if not self.queue.known and self.view is None:
                self.read_record(Role.FOLLOWER)  # in front of the listing, not behind it
            self.ask(Purpose.LIST, m.GetChildren(self.settings.parent))
        elif self.hold is not None:
            if self.hold.how is None:
                self.read_record(Role.FOLLOWER)
        elif self.queue.predecessor is not None:
            self.watch(self.queue.predecessor)
            self._follow()
            if (notice := self.notice) and notice != self.awaited:
                self.ask(Purpose.NOTICE, m.Exists(self.path(notice), watch=True), notice)
        elif not self.asking(Purpose.CLAIM):
            self._take_lead(now)

    def _follow(self) -> None:
        """Somebody is ahead of us: know who leads, were it ourselves. The holder's heir is told by its data."""
        told = self.queue.position == 1 and (self.armed is None or self.before.version)
        if self.view is None and not told:
            self.read_record(Role.FOLLOWER)

    def _take_lead(self, now: float) -> None:
        """Nobody is ahead of us: hold, wait out, or claim; rule 2."""
        view = self.view
        if view is None:
            self.read_record(Role.FIRST)
            return
        record = view.record
        if view.role is not Role.FIRST and (record is None or record.state is r.State.HELD or self.made_anew):
            self.read_record(Role.FIRST)  # to be told when that changes
            return
        if record is None:
            return
        if record.state is r.State.HELD and record.holder not in self.gone:
            self.watch(record.holder)
            return
        if self.made_anew and (self.anew is None or self.anew[0] != view.mzxid):
            self.anew = view.mzxid, now
            text = "somebody deleted the election's znode: the lease of whoever may lead by it is waited out"
            self.note(logging.WARNING, "made_anew", text)
        end = self.wait_out_end()
        if end is not None and now < end:
            return
        self.claim(record.term + 1, view.version)
