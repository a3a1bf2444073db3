"""What an election tells of itself while it goes on: a line in the log for each event, and counts for `metrics`.

Rules:
- One event is one line, with a word of its own (`event`) and the same fields each time, beside the sentence for people:
  `election` and `identity`, with a term its `term` and `token`, with its end `why` (a word of the history's), `reason`
  (the whole sentence), and how many `seconds` a change of leaders took as far as this side has seen it.
- A change of leaders reads as a story: who led no more and why, that the lead was given up, who has taken it over.

It does not promise a line for what ends with the process; the guardian and the successor tell of that.
"""

from __future__ import annotations

import logging

from .candidacy import Candidacy
from .commands import Hold, Note
from .history import reason as in_a_word
from .tally import ElectionTally

log = logging.getLogger("leader_async.election")


class Telling:
    """See the module's docstring.

    Args:
        name: the election's name.
        candidacy: whose story it is.
    """

    def __init__(self, name: str, candidacy: Candidacy) -> None:
        self.tally = ElectionTally()
        self._name, self._own = name, candidacy
        self._identity = candidacy.settings.identity

    def state(self, state: str) -> None:
        """We stand somewhere else now."""
        fields = self._fields("state", state=state)
        if state == "queued":
            log.info(
                "%s: %s is in the queue, %d before it", self._name, self._identity, self._own.queue.position,
                extra=fields,
            )  # fmt: skip
        elif state == "waiting out":
            log.info("%s: %s is first, and waits the leader's lease out", self._name, self._identity, extra=fields)
        else:
            log.debug("%s: %s is %s", self._name, self._identity, state, extra=fields)

    def began(self, hold: Hold, now: float, *, resumed: bool) -> None:
        """We lead."""
        found = self.tally.began(self._own, hold, now)
        if found is None:
            log.info(
                "%s: %s leads%s, term %d, token %d",
                self._name, self._identity, " again" if resumed else "", hold.number, hold.token,
                extra=self._term("term_resumed" if resumed else "term_began", hold),
            )  # fmt: skip
        else:
            change, seconds = found
            log.info(
                "%s: %s leads, term %d, token %d: a %s, %.0f ms after it knew that the former leader was gone",
                self._name, self._identity, hold.number, hold.token, change, seconds * 1000,
                extra=self._term("term_began", hold, change=change.value, seconds=round(seconds, 4)),
            )  # fmt: skip

    def stopped(self, reason: str, *, ran_out: bool) -> None:
        """We do not lead any more, and the work is being stopped."""
        if ran_out:
            self.tally.ran_out()
        hold = self._own.hold
        event = "term_suspended" if ran_out else "term_ending"
        fields = self._fields(event) if hold is None else self._term(event, hold)
        log.info(
            "%s: %s no longer leads: %s", self._name, self._identity, reason,
            extra={**fields, "why": in_a_word(reason)[0].value, "reason": reason},
        )  # fmt: skip

    def over(self, hold: Hold, stopped_at: float, now: float) -> None:
        """Our place is given up, and with it this term."""
        why = self.tally.over(hold, stopped_at, now)
        if why is None:
            return  # told before
        fields = self._term("term_over", hold, why=why.value, reason=hold.over)
        if hold.forfeited:
            log.info("%s: %s's term %d is over: %s", self._name, self._identity, hold.number, hold.over, extra=fields)
        else:
            log.info(
                "%s: %s has given the lead up, %.0f ms after it led last, at the end of term %d: %s",
                self._name, self._identity, (now - stopped_at) * 1000, hold.number, hold.over,
                extra={**fields, "seconds": round(now - stopped_at, 4)},
            )  # fmt: skip

    def note(self, note: Note) -> None:
        """The rules have something to say."""
        log.log(note.level, "%s: %s", self._name, note.text, extra=self._fields(note.event))

    def _fields(self, event: str, **more: object) -> dict[str, object]:
        return {"event": event, "election": self._name, "identity": self._identity, **more}

    def _term(self, event: str, hold: Hold, **more: object) -> dict[str, object]:
        return self._fields(event, term=hold.number, token=hold.token, **more)
