"""What an election tells of itself while it goes on: a line in the log for each event, and counts for `metrics`.

Rules:
- One event is one line, with a word of its own (`event`) and the same fields each time, beside the sentence for people:
  `election` and `identity`, with a term its `term` and `token`, with its end `why` (a word of the history's), `reason`
  (the whole sentence), and how many `seconds` a change of leaders took as far as this side has seen it.
- A change of leaders reads as a story: who led no more and why, that the lead was given up, who has taken it over.
- Nobody waits for the log: a line has the time of its event, and is written by `speak`, when requests are on their way.

It does not promise a line for what ends with the process; the guardian and the successor tell of that.
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
"""What the log says of each: how severe it is, its event, and the text with what the rules give."""


class Reporter:
    """See the module's docstring.

    Args:
        name: the election's name.
        candidacy: whose story it is.
    """

    def __init__(self, name: str, candidacy: Candidacy) -> None:
        self.stats = ElectionStats()
        self._name, self._own = name, candidacy
        self._identity = candidacy.settings.identity
        self._unsaid: list[logging.LogRecord] = []

    def fields(self, event: str, **more: object) -> dict[str, object]:
        """What a line of the log about this election has beside its text: for `extra=`."""
        return {"event": event, "election": self._name, "identity": self._identity, **more}

    def speak(self) -> None:
        """Write the lines that are not written yet."""
        unsaid, self._unsaid = self._unsaid, []
        for record in unsaid:
            log.handle(record)

    def state(self, state: State) -> None:
        """We stand somewhere else now."""
        fields = self.fields("state", state=state.value)
        if state is State.QUEUED:
            self._say(logging.INFO, fields, "is in the queue, %d before it", self._own.position)
        elif state is State.BLOCKED:
            self._say(logging.INFO, fields, "is first, and waits until the record can be read again")
        elif state is State.WAITING_OUT:
            self._say(logging.INFO, fields, "is first, and waits the leader's lease out")
        else:
            self._say(logging.DEBUG, fields, "is %s", state)

    def began(self, hold: Hold, now: float, *, resumed: bool) -> None:
        """We lead."""
        found = self.stats.began(self._own, hold, now)
        fields = self._term("term_resumed" if resumed else "term_began", hold)
        if found is None:
            words = "leads again" if resumed else "leads"
            self._say(logging.INFO, fields, "%s, term %d, token %d", words, hold.number, hold.token)
            return
        change, seconds = found
        self._say(
            logging.INFO,
            {**fields, "change": change.value, "seconds": round(seconds, 4)},
            "leads, term %d, token %d: a %s, %.0f ms after it knew that the former leader was gone",
            hold.number, hold.token, change, seconds * 1000,
        )  # fmt: skip

    def stopped(self, hold: Hold | None, end: End, *, ran_out: bool) -> None:
        """We do not lead any more, and the work is being stopped."""
        if ran_out:
            self.stats.ran_out()
        event = "term_suspended" if ran_out else "term_ending"
        fields = self.fields(event) if hold is None else self._term(event, hold)
        reason = sentence(end)
        self._say(logging.INFO, {**fields, "why": end.why.value, "reason": reason}, "no longer leads: %s", reason)

    def over(self, hold: Hold, stopped_at: float, now: float) -> None:
        """Our place is given up, and with it this term."""
        why = self.stats.over(hold, stopped_at, now)
        if why is None or hold.end is None:
            return  # told before
        reason = sentence(hold.end)
        fields = self._term("term_over", hold, why=why.value, reason=reason)
        if hold.forfeited:
            self._say(logging.INFO, fields, "has lost the lead of term %d for good: %s", hold.number, reason)
            return
        seconds = now - stopped_at
        self._say(
            logging.INFO,
            {**fields, "seconds": round(seconds, 4)},
            "has given the lead up, %.0f ms after it led last, at the end of term %d: %s",
            seconds * 1000, hold.number, reason,
        )  # fmt: skip

    def denied(self, error: ServerError) -> None:
        """ZooKeeper does not let us take part."""
        self._say(logging.ERROR, self.fields("denied"), "cannot take part: %s", error)

    def note(self, note: Note) -> None:
        """The rules have something to say."""
        level, event, text = REMARKS[note.remark]
        self._write(level, self.fields(event), "%s: " + text, self._name, *note.about)

    def _say(self, level: int, fields: dict[str, object], text: str, *arguments: object) -> None:
        """A sentence that begins with who we are."""
        self._write(level, fields, "%s: %s " + text, self._name, self._identity, *arguments)

    def _write(self, level: int, fields: dict[str, object], text: str, *arguments: object) -> None:
        if log.isEnabledFor(level):
            self._unsaid.append(log.makeRecord(log.name, level, __file__, 0, text, arguments, None, extra=fields))

    def _term(self, event: str, hold: Hold, **more: object) -> dict[str, object]:
        return self.fields(event, term=hold.number, token=hold.token, **more)
