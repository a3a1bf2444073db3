"""Confirms: renews the leases of all elections of one connection.

`rules.confirm_rounds` decides what a round holds and when it is due. This file sends the rounds and carries the answers
back. Other requests pass through `inflight`; confirms never wait.

Rules:
1. A confirm that cannot wait for the end of the period is sent in the next iteration of the event loop, in one round
   with all others that cannot. Work that begins in this iteration takes its first step before that.
2. Nothing is sent while no server is connected. The next connection begins with a confirm.
3. A question (`confirm`) is answered only by a round that was sent after it. Rounds are counted for that: the clock may
   stand still between two of them.

It does not promise that a lease holds: without an answer it runs out.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from typing import Protocol

from .. import clock
from ..errors import ConnectionLost, NotConnected, TermEnded
from ..waking import Alarm, Pulse
from ..zookeeper import messages as m
from ..zookeeper.client import Client
from .rules.candidacy import Candidacy
from .rules.confirm_rounds import ConfirmRounds, Round
from .rules.lease import Hold
from .rules.words import over
from .stats import ConfirmStats


class TermConnection(Protocol):
    """The connection of a term, as far as its work may need it; `leader_async.Connection` is one."""

    @property
    def client(self) -> Client:
        """Through whom ZooKeeper is asked."""

    @property
    def confirmed(self) -> Pulse:
        """Fires when a confirm was answered: leases may last longer."""

    @property
    def guardian(self) -> str:
        """See `leader_async.Connection.guardian`."""

    def helper(self, pid: int) -> AbstractContextManager[None]:
        """See `leader_async.Connection.helper`."""


class Stakeholder(Protocol):
    """What drives a candidacy, as far as a confirm's answer needs it."""

    candidacy: Candidacy

    def carry_out(self) -> None:
        """Do what the candidacy wants done."""

    def die(self, error: Exception) -> None:
        """The candidacy has raised this error: it has a bug."""


class Confirms:
    """See the module's docstring. `connection` is whose terms are confirmed."""

    def __init__(self, client: Client, connection: TermConnection) -> None:
        self.client, self.connection = client, connection
        self.confirmed = Pulse()
        self.stats = ConfirmStats()
        self._drivers: dict[Candidacy, Stakeholder] = {}
        self._rounds = ConfirmRounds(lambda candidacy, error: self._drivers[candidacy].die(error))
        self._alarm = Alarm(self.confirm_due, client.stats.lag)
        self._sent = 0  # rounds
        # Who waits for a confirm of this term, and how many rounds had been sent before the question.
        self._waiting: list[tuple[Hold, int, asyncio.Future[None]]] = []

    def add(self, driver: Stakeholder) -> None:
        """There is one more election."""
        self._drivers[driver.candidacy] = driver

    def stop(self) -> None:
        """Send no more."""
        self._alarm.cancel()

    async def confirm(self, candidacy: Candidacy, hold: Hold) -> None:
        """See `Term.confirm`."""
        if hold.end is not None:
            raise TermEnded(over(hold.number, hold.end))
        if not self.client.connected:
            raise NotConnected("no ZooKeeper server is connected")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((hold, self._sent, done))
        self.confirm_now(candidacy)
        await done

    def note(self, candidacy: Candidacy) -> None:
        """Something has happened to this candidacy; it may want confirms now, or none any more."""
        self._rounds.note(candidacy)
        if candidacy.has_stake:  # else the alarm may ring in vain
            self._set_alarm()

    def confirm_now(self, candidacy: Candidacy) -> None:
        """Confirm this candidacy's stake in the next iteration of the event loop; rule 1."""
        self._rounds.note(candidacy)
        self._rounds.hurry(candidacy)
        self._set_alarm()

    def term_over(self) -> None:
        """A term has ended: nobody need wait for its confirm."""
        for hold, _, done in self._waiting:
            if hold.end is not None and not done.done():
                done.set_exception(TermEnded(over(hold.number, hold.end)))

    def confirm_due(self) -> None:
        """Send the rounds that are due, and see to it that the next ones are sent in time."""
        try:
            if self.client.connected:
                for due_round in self._rounds.rounds(clock.now()):
                    self._send(due_round)
        finally:  # an error costs a round, and not the alarm for the next one
            self._set_alarm()

    def _set_alarm(self) -> None:
        self._alarm.set(self._rounds.due() if self.client.connected else None)

    def _send(self, due_round: Round) -> None:
        def answered(answer: m.Answer) -> None:
            now = clock.now()
            renewed = self._rounds.answered(due_round, answer, sent, now)
            self.stats.answered(answer, now - sent, ok=renewed)
            for candidacy, _ in due_round.stakes:
                if candidacy.commands:
                    self._drivers[candidacy].carry_out()
            if self._waiting:
                self._answer_waiting(due_round, number, answer)
            self.confirmed.fire()
            if not renewed:
                self.confirm_due()  # once more at once, without the one that was refused

        self._sent += 1
        number = self._sent
        try:
            sent = self.client.send(due_round.request, answered, due_round.within)
        except NotConnected:
            pass  # the connection ended in this very instant; the next one begins with a confirm

    def _answer_waiting(self, due_round: Round, number: int, answer: m.Answer) -> None:
        self.term_over()
        confirmed = [stake.hold for _, stake in due_round.stakes]
        for hold, asked, done in self._waiting:
            if done.done() or asked >= number or not any(each is hold for each in confirmed):
                continue
            if isinstance(answer, m.Lost):
                done.set_exception(ConnectionLost("the connection ended before the confirm was answered"))
            elif isinstance(answer, m.Transacted) and answer.ok:
                done.set_result(None)
        self._waiting = [each for each in self._waiting if not each[2].done()]
