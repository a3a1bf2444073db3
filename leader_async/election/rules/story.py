"""The story: what a candidate remembers for people: for the history, the status and the log. Pure; it decides nothing.

Each write of the record passes on what is remembered here. Nothing else that a candidacy does depends on it.

It does not promise to be complete: see `history`.
"""

from __future__ import annotations

from dataclasses import replace

from . import history
from . import record as r
from .candidate_data import CandidateData
from .effects import Remark
from .history import Succession, TermEntry
from .lease import Hold
from .state import WAIT_OUT, Standing, View

_NEVER = float("-inf")


class Story:
    """See the module's docstring.

    Attributes:
        seen: what the record said last, and when we learnt that; None if it cannot be read.
        queue_length: how many stood in the queue when it was last listed, None before that.
        healed: differences that an audit found, and no event had shown.
    """

    def __init__(self, own: Standing) -> None:
        self._own = own
        self.seen: tuple[r.Record, float] | None = None
        self.queue_length: int | None = None
        self.healed = 0
        self._claimed_on: View | None = None  # what our last claim rested on, None if nothing was read
        # The last term of which we know how it began, how, and the terms that may not be in the history's znode.
        self._hold: Hold | None = None
        self._how: Succession | None = None
        self._untold: tuple[TermEntry, ...] | None = None

    # -- what happens ----------------------------------------------------------------------------------------------

    def heal(self, remark: Remark, *about: object) -> None:
        """Something was found that an event should have shown: a bug here, or somebody's doing."""
        self.healed += 1
        self._own.note(remark, *about)

    def read_holder(self, znode: str, data: CandidateData) -> None:
        """This znode was read; after an appointment the record does not say who its holder is."""
        if self.seen is not None and self.seen[0].holder == znode:
            self.seen = replace(self.seen[0], identity=data.identity, address=data.address), self.seen[1]

    def claiming(self, view: View | None) -> tuple[r.Row, ...]:
        """We claim, resting on this view of the record; returns what the record that we write is to pass on."""
        self._claimed_on = view
        if view is None or view.record is None:
            return ()
        if not self._own.settings.history:
            return view.record.past
        return history.rows(history.in_record(view.record, view.token, view.mtime))

    def read(self, hold: Hold, view: View, now: float) -> None:
        """The record was read, and we are its holder: we were appointed, or a claim's reply was lost."""
        record = view.record
        self.begin(hold, view.mtime, _NEVER, now, record if record is not None and not record.identity else None)

    def lost(self, hold: Hold, now: float) -> None:
        """The record was read, and another is its holder."""
        self._claimed_on = None
        self.begin(hold, now, _NEVER, now)

    def begin(self, hold: Hold, began: float, sent: float, now: float, appointed: r.Record | None = None) -> None:
        """Remember how we came to what we hold, by a claim or by an appointment.

        Args:
            hold: that.
            began: wall-clock time of the write that made us the holder, by ZooKeeper's clock.
            sent: the clock's reading before that was asked for; -inf if it is not known any more.
            now: the time at which we know.
            appointed: the record, if somebody else wrote that.
        """
        view, gone = self._claimed_on, self._own.join.gone
        before = view.record if view is not None and appointed is None else appointed
        since = gone.get(before.holder) if before is not None else None
        if hold is not self._hold:
            self._hold, self._untold = hold, None  # what is written stays written
        self._how = Succession(
            began=began,
            known_at=now,
            before=before,
            before_at=began if appointed is not None else view.mtime if view is not None else 0.0,
            before_token=before.token if appointed is not None and before else view.token if view is not None else 0,
            appointed=appointed is not None,
            waited=0.0 if before is None or since is None else max(sent - since, WAIT_OUT * before.lease),
            predecessor=self.seen[0] if self.seen is not None else None,
        )

    # -- what the history gets -------------------------------------------------------------------------------------

    def how(self, hold: Hold) -> Succession | None:
        """How this term began; None while that is not known, and when another has begun since."""
        return self._how if hold is self._hold else None

    def untold(self, hold: Hold) -> tuple[TermEntry, ...]:
        """The terms, this one the last, that may not be in the history's znode, as far as we know."""
        own = self._own.settings
        if hold is not self._hold or self._how is None or not own.history:
            return ()
        if self._untold is None:
            self._untold = history.of_term(hold.number, hold.token, own.identity, own.address, self._how)
        return self._untold

    def written(self, entries: list[TermEntry]) -> None:
        """These are in the history's znode now."""
        if self._untold:
            self._untold = tuple(entry for entry in self._untold if entry not in entries)

    def past(self, hold: Hold) -> tuple[r.Row, ...]:
        """What the record that ends this term is to pass on."""
        how = self.how(hold)
        if self._own.settings.history or how is None or how.before is None:
            return history.rows(self.untold(hold))
        return how.before.past  # who wants no history keeps the others' all the same
