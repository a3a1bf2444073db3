"""What an election logs and counts: a line for each event, and numbers for `metrics`.

Rules:
- One event is one line, with a word of its own (`event`) and the same fields each time, beside the sentence for people:
  `election` and `identity`, with a term its `term` and `token`, with its end `why` (a word of the history's), `reason`
  (the whole sentence), and how many `seconds` a change of leaders took as far as this side has seen it.
- A change of leaders reads as a story: who led no more and why, that the lead was given up, who has taken it over.
- No handover waits for the log: `driver` reports when the step's requests are on their way.

It does not promise a line for what ends with the process; the guardian and the successor log that.
"""

from __future__ import annotations

import logging

from ..errors import ServerError
from .rules.candidacy import Candidacy
from .rules.effects import Note, Remark
from .rules.ends import End
from .rules.lease import Hold
from .rules.state import State
from .rules.words import sentence
from .stats import ElectionStats

log = logging.getLogger("leader_async.election")

REMARKS = {
    Remark.PLACE_LOST: (
        logging.WARNING, "place_lost", "our znode is not in the queue: somebody deleted it; joining again"
    ),
    Remark.QUEUE_HEALED: (logging.WARNING, "healed", "healed: the queue had changed unseen: %s"),
    Remark.RECORD_HEALED: (
        logging.WARNING, "healed", "healed: the record had changed unseen, from version %d to %d"
    ),
    Remark.RECORD_UNREADABLE: (logging.ERROR, "record_unreadable", "%s"),
    Remark.RECORD_READABLE: (logging.WARNING, "record_readable", "the record can be read again"),
    Remark.MADE_ANEW: (
        logging.WARNING, "made_anew",
        "somebody deleted the election's znode: the lease of whoever may lead by it is waited out",
    ),
    Remark.REFUSED: (logging.ERROR, "refused", "cannot %s: %s; trying again in %g s"),
}  # fmt: skip
"""The line of each in the log: how severe it is, its event, and the text with what the rules give."""


class Reporter:
    """See the module's docstring."""

    def __init__(self, name: str, candidacy: Candidacy) -> None:
        self.stats = ElectionStats()
        self._name, self._own = name, candidacy
        self._identity = candidacy.settings.identity

    def fields(self, event: str, **more: object) -> dict[str, object]:
        """The fields of a line of the log about this election, for `extra=`."""
        return {"event": event, "election": self._name, "identity": self._identity, **more}

    def state(self, state: State) -> None:
        """The state has changed."""
        fields = self.fields("state", state=state.value)
        if state is State.QUEUED:
            self._log(logging.INFO, fields, "is in the queue, %d before it", self._own.position)
        elif state is State.BLOCKED:
            self._log(logging.INFO, fields, "is first, and waits until the record can be read again")
        elif state is State.WAITING_OUT:
            self._log(logging.INFO, fields, "is first, and waits the leader's lease out")
        else:
            self._log(logging.DEBUG, fields, "is %s", state)

    def began(self, hold: Hold, now: float, *, resumed: bool) -> None:
        """Work begins under this term; `now` is when."""
        found = self.stats.began(self._own, hold, now)
        fields = self._term("term_resumed" if resumed else "term_began", hold)
        if found is None:
            words = "leads again" if resumed else "leads"
            self._log(logging.INFO, fields, "%s, term %d, token %d", words, hold.number, hold.token)
            return
        change, seconds = found
        self._log(
            logging.INFO,
            {**fields, "change": change.value, "seconds": round(seconds, 4)},
            "leads, term %d, token %d: a %s, %.0f ms after it knew that the former leader was gone",
            hold.number, hold.token, change, seconds * 1000,
        )  # fmt: skip

    def stopped(self, hold: Hold | None, end: End, *, ran_out: bool) -> None:
        """This process leads no more, and the work is being stopped."""
        if ran_out:
            self.stats.ran_out()
        event = "term_suspended" if ran_out else "term_ending"
        fields = self.fields(event) if hold is None else self._term(event, hold)
        reason = sentence(end)
        self._log(logging.INFO, {**fields, "why": end.why.value, "reason": reason}, "no longer leads: %s", reason)

    def over(self, hold: Hold, stopped_at: float, now: float) -> None:
        """The place is given up, and with it this term."""
        why = self.stats.over(hold, stopped_at, now)
        if why is None or hold.end is None:
            return  # it is counted already
        reason = sentence(hold.end)
        fields = self._term("term_over", hold, why=why.value, reason=reason)
        if hold.forfeited:
            self._log(logging.INFO, fields, "has lost the lead of term %d for good: %s", hold.number, reason)
            return
        seconds = now - stopped_at
        self._log(
            logging.INFO,
            {**fields, "seconds": round(seconds, 4)},
            "has given the lead up, %.0f ms after it led last, at the end of term %d: %s",
            seconds * 1000, hold.number, reason,
        )  # fmt: skip

    def died(self, error: Exception) -> None:
        """The rules have raised this error."""
        text = "%s: the candidacy has died of a bug; this process leads no more"
        log.critical(text, self._name, exc_info=error, extra=self.fields("bug"))

    def left_behind(self) -> None:
        """ZooKeeper has not deleted the own znode in time."""
        text = "%s: ZooKeeper is away: our place ends with the session"
        log.warning(text, self._name, extra=self.fields("place_left_behind"))

    def denied(self, error: ServerError) -> None:
        """ZooKeeper does not let this process take part."""
        self._log(logging.ERROR, self.fields("denied"), "cannot take part: %s", error)

    def note(self, note: Note) -> None:
        """The rules have a line for the log."""
        level, event, text = REMARKS[note.remark]
        line = f"%s: {text}"
        log.log(level, line, self._name, *note.about, extra=self.fields(event))

    def _log(self, level: int, fields: dict[str, object], text: str, *arguments: object) -> None:
        """Log a sentence whose subject is this process."""
        line = f"%s: %s {text}"
        log.log(level, line, self._name, self._identity, *arguments, extra=fields)

    def _term(self, event: str, hold: Hold, **more: object) -> dict[str, object]:
        return self.fields(event, term=hold.number, token=hold.token, **more)
