"""Coming to the lead, holding it, and giving it to the next by name: the small steps about what a candidate holds.

Rules:
- Whoever is appointed leads by the last confirm of its own znode that it had sent as the heir (rule 1 of `candidacy`),
  whether it reads that the record names it or gets notice of that.
- A holder's data say no more than what it will do; nothing is safe because of what they say.
- What is told of terms decides nothing.

Pure, as `standing` is; the rules for when any of it is done are in `candidacy`.
"""

from __future__ import annotations

from dataclasses import replace

from ...zookeeper import messages as m
from . import ends, history
from . import record as r
from .candidate_data import NO_DATA, CandidateData
from .effects import ConfirmNow, Purpose
from .history import Succession, TermEntry
from .lease import Hold, Stake
from .state import WAIT_OUT, Appointee, Standing, View

PASSED_ON = 8
"""Znodes behind it that a holder passes on to the one that it appoints, which then need not list the queue."""


class Holding(Standing):
    """See the module's docstring, and `Standing`."""

    # -- coming to the lead --------------------------------------------------------------------------------------------

    def adopt(self, view: View, now: float) -> None:
        """The record names us: we were appointed, or a claim of ours had succeeded though its reply was lost."""
        record = view.record
        assert record is not None
        until = self.warm + record.lease  # rule 1
        self.hold = Hold(record.holder, view.version, record.term, view.token, record.lease, until)
        self.read_of(self.hold, view, now)
        if self.departing:
            self.hold.end = ends.APPOINTED_LATE

    def take_notice(self, name: str, now: float) -> None:
        """This znode was created: we were appointed, to just what its name says, if it is the one that we await.

        Our znode was there, and so the lease is that of `adopt`. How the record reads besides is found out later.
        """
        promised = self.promised()
        if promised is None or name != self.awaited or name != _notice(promised) or self.asking(Purpose.CLAIM):
            return  # if it was for us all the same, the record says so
        assert self.armed is not None
        self.hold, self.awaited = promised, ""
        self.learn_gone(self.armed, now)  # in the same transaction
        if not self.hold.leads(now):
            self.commands.append(ConfirmNow())

    def read_of(self, hold: Hold, view: View, now: float) -> None:
        """The record was read that tells of what we hold."""
        record, own = view.record, self.settings
        if view.version < hold.version:
            return  # it was on its way when we got notice: it is asked for again
        if record is None or view.version != hold.version:
            self.claimed_on = None
            hold.how = self.succession(now, float("-inf"), now)  # another one's: a confirm will be refused
            return
        if self.behind is None:
            self.behind = record.behind or None
        hold.how = self.succession(view.mtime, float("-inf"), now, appointed=record if not record.identity else None)
        self.heard_of(r.signed(record, own.identity, own.address), now)
        if not self.departing:
            self.commands.append(ConfirmNow())
            self.know_heir()

    def succession(self, began: float, sent: float, now: float, appointed: r.Record | None = None) -> Succession:
        """How we came to what we hold, for the history.

        Args:
            began: wall-clock time of the write that made us the holder, by ZooKeeper's clock.
            sent: the clock's reading before that was asked for; -inf if it is not known any more.
            now: the time at which we know.
            appointed: the record, if somebody else wrote that.
        """
        view = self.claimed_on
        before = view.record if view is not None and appointed is None else appointed
        since = self.gone.get(before.holder) if before is not None else None
        return Succession(
            began=began,
            known_at=now,
            before=before,
            before_at=began if appointed is not None else view.mtime if view is not None else 0.0,
            before_token=before.token if appointed is not None and before else view.token if view is not None else 0,
            appointed=appointed is not None,
            waited=0.0 if before is None or since is None else max(sent - since, WAIT_OUT * before.lease),
            predecessor=self.seen[0] if self.seen is not None else None,
        )

    @property
    def untold(self) -> tuple[TermEntry, ...]:
        """The terms, ours the last, that may not be in the history's znode, as far as we know."""
        hold, own = self.hold, self.settings
        if hold is None or hold.how is None or not own.history:
            return ()
        if hold.untold is None:
            hold.untold = history.of_term(hold.number, hold.token, own.identity, own.address, hold.how)
        return hold.untold

    def past(self) -> tuple[r.Row, ...]:
        """What the record that we write is to pass on."""
        hold = self.hold
        if self.settings.history or hold is None or hold.how is None or hold.how.before is None:
            return history.rows(self.untold)
        return hold.how.before.past  # who wants no history keeps the others' all the same

    def know_heir(self) -> None:
        """A holder must know who stands behind it, to hand over by name."""
        if self.behind is None:
            self.ask(Purpose.LIST, m.GetChildren(self.settings.parent), "behind")
        elif not self.behind and not self.told_of_joins:
            # Nobody does: be told when somebody comes. Who has an heir is not woken by what happens behind that one.
            self.ask(Purpose.LIST, m.GetChildren(self.settings.parent, watch=True), "alone")

    # -- what others may know of us, and we of them --------------------------------------------------------------------

    @property
    def named(self) -> bool:
        """Whether the holder right before us has said that it will hand over to us by name."""
        before = self.before
        return bool(before.version) and before.by_name and before.heir == self.znode and self.hold is None

    def promised(self) -> Hold | None:
        """What we shall hold when the holder right before us appoints us; None if that is not to be expected."""
        before = self.before
        if not (self.named and before.token and before.lease > 0) or self.departing or self.znode is None:
            return None
        until = self.warm + before.lease
        return Hold(self.znode, before.version + 2, before.term + 1, before.token + 1, before.lease, until)

    @property
    def notice(self) -> str:
        """The name of the znode whose creation would say that we hold what is promised; "" if nothing is."""
        promised = self.promised()
        return "" if promised is None else _notice(promised)

    @property
    def has_stake(self) -> bool:
        """Whether a confirm is of use to us: we hold, or are named."""
        return bool(self.session_id) and not (self.departing or self.dead) and (self.hold is not None or self.named)

    def stake(self, *, publish: bool = True) -> Stake:
        """What our part in the next confirm is, if we have one; with new data of ours only if there is room for it."""
        hold = self.hold
        if hold is None:
            assert self.znode is not None
            return Stake((m.Check(self.path(self.znode)),), None)
        own, record = r.confirm(self.settings.parent, hold.holder, hold.version)
        data = self.data(hold)
        if not publish or self.behind is None or data == self.published:
            return Stake((own, record), hold)
        return Stake((m.SetData(own.path, data, m.ANY_VERSION), record), hold, data)

    def data(self, hold: Hold) -> bytes:
        """What our znode is to say while we hold; it is kept, as thousands of elections ask for it at every confirm."""
        made_from = hold.version, self.behind and self.behind[0], self.by_name
        if self.said is None or self.said[0] != made_from:
            own = self.settings
            heir = self.behind[0] if self.behind and self.in_turn else ""
            by_name = bool(heir) and self.by_name
            said = own.identity, own.address, own.started_at, hold.number, hold.version, hold.token, hold.lease
            data = CandidateData(*said, heir, by_name)
            self.said = made_from, data.encode()
        return self.said[1]

    @property
    def in_turn(self) -> bool:
        """Whether we hold, and nobody stands ahead of us who would be passed over."""
        return self.hold is not None and not self.queue.position

    @property
    def by_name(self) -> bool:
        """Whether we shall hand over by name."""
        # A term under the lease of who appointed us is followed by a claim, so that leases which were configured anew
        # come into use.
        return self.in_turn and self.hold is not None and self.hold.lease == self.settings.lease

    def appointment(self) -> m.Multi | None:
        """How the lead is handed over by name; None if there is nobody to name.

        It is kept: asked for after each confirm, it is at hand when it is wanted.
        """
        hold, to = self.hold, self.appointee
        assert hold is not None
        behind = self.behind or ()
        if to is None:
            if not behind or not self.by_name:
                return None
            to = Appointee(behind[0])
        end = hold.end or ends.RESIGNED
        made_from = hold.version, hold.holder, behind, to, end, self.notifies, self.untold
        if self.prepared is not None and self.prepared[0] == made_from:
            return self.prepared[1]
        rest = behind[behind.index(to.znode) + 1 :] if to.znode in behind else ()
        number, token = hold.number + 1, hold.token + 1
        record = r.Record(
            number, to.znode, r.State.HELD, hold.lease,
            behind=rest[:PASSED_ON], end=end, token=token, past=self.past(),
        )  # fmt: skip
        wake = None
        # Who is next watches our end; but if others are ahead of us, it cannot tell from that how we went.
        if to.through and not (to.through == hold.holder and self.in_turn):
            data = replace(to.data or NO_DATA, appointed=to.znode).encode()
            wake = m.SetData(self.path(to.through), data, m.ANY_VERSION)
        # Our data have told our heir, and nobody else, what to wait for.
        notified = self.notifies and self.by_name and to.znode in behind[:1]
        request = r.appointment(self.settings.parent, hold.holder, record, hold.version, wake, notified=notified)
        self.prepared = made_from, request
        return request


def _notice(hold: Hold) -> str:
    return r.notice(hold.holder, hold.version, hold.number, hold.token, hold.lease)
