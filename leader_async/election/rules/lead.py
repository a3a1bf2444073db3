"""Safety: coming to the lead, and holding it. Pure.

Safety rests on the record (`record`), not on ZooKeeper's sessions, and not on the order of the queue:
 1. We lead at `now` if and only if we hold a version of the record and `now < until` (`lease.Hold.leads`). `until` is
    L after we *sent* the last claim or confirm that succeeded. The success proves that our znode still existed when we
    sent it. So nobody can have begun to wait our lease out (rule 2) earlier. A confirm that we sent as the heir proves
    the same. We lead by the last of these once we know that we were appointed: by the notice, or from the record.
    Broken by: "the lease counts from the answer's instant", "a claim's lease counts from the answer's instant", "the
    lease does not end", "pings are trusted: any answer renews the lease", "answers of a dropped connection count: a
    lost confirm renews", "who was appointed leads from when it reads so, or gets notice, without a confirm", "a lost
    claim is taken up as soon as the record names anybody's term at that version".
 2. A claim on `left` or `none` may be sent at once. A claim on `held` by another waits 1.1 of its leases
    (`state.WAIT_OUT`; the record has the lease) from when we learnt that the holder's znode is gone. That start is kept
    for each holder's znode. `none` after we have seen a term means that the election's znode was deleted and made anew.
    The last leader may not know that yet. So we wait 1.1 of the last lease that we know, from when we first saw it so.
    Broken by: "a claim on `held` does not wait the lease out", "what is waited out is a little less than the lease",
    "waiting out begins with the reading of the record, not with the end of the znode", "an election's znode that was
    made anew is claimed at once", "no version parity: the heir's blind v + 1, after a stale read of `none`, meets a
    term".
 3. An error on a confirm ends the term for good, and so does our leave. No late answer revives it. After a refused
    confirm the work stops; then our znode is deleted, and `left` is not written, as the record may be another's. The
    other elections of that round are confirmed again at once (`confirm_rounds`, rule 2). A confirm that was refused to
    an heir ends nothing: the heir lists the queue anew.
    Broken by: "a refused confirm does not end the term", "a suspended term is revived by an answer that came after its
    end", "ok is read from the header of a failed transaction".

The field calls a confirm a renewal of the lease. Giving the lead away, rule 4, is for `handover`. A candidate's data
decide nothing here but what to ask next.
"""

from __future__ import annotations

from collections.abc import Callable

from ...errors import BadVersion, NoNode, RecordError
from ...zookeeper import messages as m
from . import ends
from . import record as r
from .candidate_data import CandidateData
from .effects import ConfirmNow, Purpose, Remark, Send
from .handover import Handover
from .lease import Hold, Stake
from .place import Place
from .state import CONFIRMS, NO_NODE, WAIT_OUT, Role, Standing, View
from .story import Story


class Lead:
    """See the module's docstring.

    Args:
        own: where we stand.
        place: our place in the queue.
        handover: how the lead will be given away.
        story: what is remembered for people.

    Attributes:
        unreadable: why the record could not be read when it last was, None if it could.
    """

    def __init__(self, own: Standing, place: Place, handover: Handover, story: Story) -> None:
        self._own, self._place, self._handover, self._story = own, place, handover, story
        self.unreadable: RecordError | None = None
        self._last_lease = 0.0  # of the last term that we have seen, in any join; 0.0 if in none
        self._anew: tuple[int, float] | None = None  # the znode made anew: by which zxid, and when we first saw it so

    # -- claiming: rule 2 ------------------------------------------------------------------------------------------

    def take(self, now: float) -> None:
        """Nobody stands before us: claim once that is safe, and learn until then when it will be."""
        own, sight = self._own, self._own.sight
        gone_with, sight.gone_with = sight.gone_with, None
        if gone_with is not None and self._claim_unread(gone_with):
            return
        view = sight.view
        if view is None:
            own.read_record(Role.FIRST)
            return
        record = view.record
        if view.role is not Role.FIRST and (record is None or record.state is r.LeadState.HELD or self.made_anew):
            own.read_record(Role.FIRST)  # with a watch, for when that changes
            return
        if record is None:
            return
        if record.state is r.LeadState.HELD and record.holder not in own.join.gone:
            self._place.watch(record.holder)
            return
        if self.made_anew and (self._anew is None or self._anew[0] != view.mzxid):
            self._anew = view.mzxid, now
            own.note(Remark.MADE_ANEW)
        end = self.wait_out_end()
        if end is None or now >= end:
            self._claim(record.term + 1, view.version)

    def wait_out_end(self) -> float | None:
        """When a leader whose znode is gone must have stopped; None if nothing is waited out."""
        join, view = self._own.join, self._own.sight.view
        if view is None or view.record is None or view.role is not Role.FIRST or join.hold is not None:
            return None
        if self._own.asking(Purpose.CLAIM):
            return None
        if self.made_anew:
            return None if self._anew is None else self._anew[1] + WAIT_OUT * self._last_lease
        since = join.gone.get(view.record.holder)
        if since is None or view.record.state is not r.LeadState.HELD:
            return None
        return since + WAIT_OUT * view.record.lease

    @property
    def made_anew(self) -> bool:
        """Whether the record that we see has no holder although there was a term: somebody has deleted it."""
        view = self._own.sight.view
        nobody = view is not None and view.record is not None and view.record.state is r.LeadState.NONE
        return nobody and bool(self._last_lease)

    def _claim_unread(self, before: CandidateData) -> bool:
        """Our predecessor is gone, and this is what it said last: claim at once if it may only have left; rule 5."""
        # An even version only, whatever a candidate's data say: v + 1 is then a `left`, or it is not there.
        # It overwrites what nobody has read; such a holder has not left it to us to write its terms down.
        heir = before.heir == self._own.join.znode and not before.by_name
        if not (heir and before.version and before.version % 2 == 0):
            return False
        self._claim(before.term + 1, before.version + 1)
        return True

    def _claim(self, term: int, version: int) -> None:
        """Ask for the lead, resting on this version of the record."""
        own = self._own
        znode = own.join.znode
        assert znode is not None
        record = own.record(term, znode, r.LeadState.HELD, past=self._story.claiming(own.sight.view))
        within = own.settings.lease / CONFIRMS
        own.ask(Purpose.CLAIM, r.claim(own.settings.parent, record, version), f"{znode} {term} {version}", within)

    def _take_claim(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        own, join = self._own, self._own.join
        own.sight.view = None
        failure = answer.failure if isinstance(answer, m.Transacted) else None
        if isinstance(answer, m.Transacted) and failure is None:
            written = answer.results[-1]
            assert isinstance(written, m.DataSet)
            holder, term, version = asked.about.split()
            lease, version_held = own.settings.lease, r.version_after_claim(int(version))
            join.hold = Hold(
                holder, version_held, int(term), written.stat.mzxid, lease, until=sent + lease, read=True
            )  # fmt: skip
            self._story.begin(join.hold, written.stat.mtime, sent, now)
            self._saw(own.record(int(term), holder, r.LeadState.HELD), now)
            if join.departing:
                own.end_join(ends.RESIGNED_WHILE_CLAIMING)
                return
            if now >= join.hold.until:
                # We were stopped for longer than the lease: the term is suspended before it has begun, and nothing but
                # a confirm brings it to life.
                own.commands.append(ConfirmNow())
            self._place.know_heir()
        elif failure is not None and failure[1] == NoNode.code:
            own.sight.listed = False  # the listing will show that our znode is gone
        elif failure is None or failure[1] != BadVersion.code:
            own.trouble(asked, answer, now)

    # -- being appointed: rule 1 -----------------------------------------------------------------------------------

    @property
    def named(self) -> bool:
        """Whether the holder right before us has said that it will hand over to us by name."""
        before, join = self._own.sight.before, self._own.join
        return bool(before.version) and before.by_name and before.heir == join.znode and join.hold is None

    def _promised(self) -> Hold | None:
        """What we shall hold when the holder right before us appoints us; None if that is not to be expected."""
        before, join = self._own.sight.before, self._own.join
        if not (self.named and before.token and before.lease > 0) or join.departing or join.znode is None:
            return None
        until = join.warm + before.lease
        return Hold(join.znode, before.version + 2, before.term + 1, before.token + 1, before.lease, until)

    @property
    def notice(self) -> str:
        """The name of the znode whose creation would say that we hold what is promised; "" if nothing is."""
        promised = self._promised()
        return "" if promised is None else _notice(promised)

    def await_notice(self) -> None:
        """Watch for the notice by which the holder right before us will appoint us, if it will."""
        own, notice = self._own, self.notice
        if notice and notice != own.sight.awaited:
            own.ask(Purpose.NOTICE, m.Exists(own.path(notice), watch=True), notice)

    def _take_awaited(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        if answer != NO_NODE and not isinstance(answer, m.Found):
            self._own.trouble(asked, answer, now)
        elif asked.about == self.notice:
            self._own.sight.awaited = asked.about

    def take_notice(self, name: str, now: float) -> None:
        """This znode was created: we were appointed, to just what its name says, if it is the one that we await.

        Our znode was there, and so the lease is that of `adopt`. How the record reads besides is found out later.
        """
        own, sight = self._own, self._own.sight
        promised = self._promised()
        if promised is None or name != sight.awaited or name != _notice(promised) or own.asking(Purpose.CLAIM):
            return  # if it was for us all the same, the record says so
        assert sight.armed is not None
        own.join.hold, sight.awaited = promised, ""
        self._place.learn_gone(sight.armed, now)  # in the same transaction
        if not promised.leads(now):
            own.commands.append(ConfirmNow())

    def adopt(self, view: View, now: float) -> None:
        """The record names us: we were appointed, or our claim had succeeded though its reply was lost."""
        record, join = view.record, self._own.join
        assert record is not None
        until = join.warm + record.lease  # rule 1
        join.hold = Hold(record.holder, view.version, record.term, view.token, record.lease, until)
        self._read_of(join.hold, view, now)
        if join.departing:
            join.hold.end = ends.APPOINTED_LATE

    # -- what the record says --------------------------------------------------------------------------------------

    def _saw(self, record: r.Record, now: float) -> None:
        """This is what the record says, or must say."""
        self._story.seen = record, now
        self._last_lease = record.lease or self._last_lease

    def _take_record(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        own, join, sight = self._own, self._own.join, self._own.sight
        if isinstance(answer, m.Data):
            record = self._readable(answer, now)
            view = View(record, answer.stat.version, answer.stat.mzxid, Role(asked.about), answer.stat.mtime)
            sight.view = view
            if view.held_by(join.znode) and join.hold is None and not own.asking(Purpose.CLAIM):
                self.adopt(view, now)
            elif join.hold is not None:
                self._read_of(join.hold, view, now)
            elif record is not None and record.state is r.LeadState.HELD and not (record.identity or join.departing):
                own.ask(Purpose.HOLDER, m.GetData(own.path(record.holder)), record.holder)
            before, sight.audited = sight.audited, None
            watched = before is not None and before.role is view.role is Role.FIRST
            if before is not None and watched and before.version != view.version:
                self._story.heal(Remark.RECORD_HEALED, before.version, view.version)
        elif answer == NO_NODE:
            sight.listed = False  # our znode must be gone as well; the listing will show it
            if join.departing and join.hold is not None:
                join.hold.forfeited = True
        else:
            own.trouble(asked, answer, now)

    def _readable(self, answer: m.Data, now: float) -> r.Record | None:
        """The record, None if it cannot be read. That is logged once, and so is its end."""
        own, before, record = self._own, self.unreadable, None
        try:
            record = r.decode(answer.data, answer.stat.version, own.settings.parent)
            self._saw(record, now)
            self.unreadable = None
        except RecordError as error:
            self._story.seen, self.unreadable = None, error
            if before is None:
                own.note(Remark.RECORD_UNREADABLE, error)
        if before is not None and record is not None:
            own.note(Remark.RECORD_READABLE)
        return record

    def _read_of(self, hold: Hold, view: View, now: float) -> None:
        """The record was read, and we hold a version of it."""
        record, own = view.record, self._own
        if view.version < hold.version:
            return  # it was on its way when we got notice: it is asked for again
        hold.read = True
        if record is None or view.version != hold.version:
            self._story.lost(hold, now)  # another one's: a confirm will be refused
            return
        if own.join.behind is None:
            own.join.behind = record.behind or None
        self._story.read(hold, view, now)
        self._saw(r.signed(record, own.settings.identity, own.settings.address), now)
        if not own.join.departing:
            own.commands.append(ConfirmNow())
            self._place.know_heir()

    def _take_holder(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        if isinstance(answer, m.Data):
            self._story.read_holder(asked.about, CandidateData.decode(answer.data))
        elif answer != NO_NODE:
            self._own.trouble(asked, answer, now)

    def _take_watch(self, asked: Send, answer: m.Answer, sent: float, now: float) -> None:
        """What the znode before ours says of the lead."""
        own, join = self._own, self._own.join
        if not self._place.take_watch(asked, answer, now):
            return
        before = own.sight.before
        if before.version:
            held = r.Record(before.term, asked.about, r.LeadState.HELD, before.lease, before.identity, before.address)
            self._saw(held, now)
        if self.named:
            join.named_at = before.version
        if before.appointed and before.appointed == join.znode and join.hold is None:
            own.read_record(Role.FOLLOWER)

    # -- confirming: rules 1 and 3 ---------------------------------------------------------------------------------

    @property
    def has_stake(self) -> bool:
        """Whether a confirm is of use: we hold, or are named."""
        own, join = self._own, self._own.join
        return bool(own.link.session_id) and not (join.departing or own.dead) and (join.hold is not None or self.named)

    def stake(self, *, publish: bool = True) -> Stake:
        """Our part in the next confirm; with new data for our znode only if there is room for that."""
        own, join = self._own, self._own.join
        hold = join.hold
        if hold is None:
            assert join.znode is not None
            return Stake((m.Check(own.path(join.znode)),), None)
        znode, record = r.confirm(own.settings.parent, hold.holder, hold.version)
        data = self._handover.data(hold)
        if not publish or join.behind is None or data == join.published:
            return Stake((znode, record), hold)
        return Stake((m.SetData(znode.path, data, m.ANY_VERSION), record), hold, data)

    def confirmed(self, stake: Stake, sent: float) -> None:
        """A confirm with this stake in it, sent at `sent`, was answered "ok"."""
        join, hold = self._own.join, stake.hold
        if hold is None:
            if self.named and stake == self.stake():  # for this znode, not that of an earlier join
                join.warm = sent
        elif hold is join.hold and hold.end is None:
            hold.until = max(hold.until, sent + hold.lease)
            join.published = stake.data or join.published
            self._handover.appointment(hold)

    def refused(self, stake: Stake, part: int, code: int) -> None:
        """A confirm with this stake in it was refused: that part of it failed, with this error code."""
        if stake.hold is None:
            self._own.sight.listed = False  # the listing will show that our znode is gone
            self._place.unsure()
        elif stake.hold is self._own.join.hold and stake.hold.end is None:
            self._own.end_join(ends.refused(part, code), forfeited=True)


def _notice(hold: Hold) -> str:
    return r.notice(hold.holder, hold.version, hold.number, hold.token, hold.lease)


TAKERS: dict[Purpose, Callable[[Lead, Send, m.Answer, float, float], None]] = {
    Purpose.WATCH: Lead._take_watch,
    Purpose.RECORD: Lead._take_record,
    Purpose.HOLDER: Lead._take_holder,
    Purpose.CLAIM: Lead._take_claim,
    Purpose.NOTICE: Lead._take_awaited,
}
"""What the answer to each of these requests means. (The others are for `place` and `handover`.)

A failed transaction answers inside its body, so only its results count. An error that no rule expects is logged, and
everything waits a moment before it is tried again. `Lost` never comes here.
"""
