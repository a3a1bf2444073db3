"""A term: one stretch of leading, with its fencing token.

Rules: the token rises from term to term for the life of the ensemble (`rules.record`, rule 5). A term may be suspended
(its lease ran out) and resume with the same token; once it is over it never comes back.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

from .. import clock
from .confirms import Confirms, TermConnection
from .rules.candidacy import Candidacy
from .rules.lease import Hold
from .rules.words import sentence
from .transaction import Transaction


class Term:
    """The term under which work runs.

    As an async context manager it ties the body to the term: when leadership is lost, the body is cancelled, and the
    `async with` ends quietly.
    """

    def __init__(self, confirms: Confirms, candidacy: Candidacy, hold: Hold) -> None:
        self._confirms, self._candidacy, self._hold = confirms, candidacy, hold
        self._body: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._stopped = False

    @property
    def token(self) -> int:
        """The fencing token: give it to what the work writes to, which must refuse one lower than it has seen.

        It is the zxid of the claim, plus one for each appointment since (`rules.record`, rule 5).
        """
        return self._hold.token

    @property
    def number(self) -> int:
        """Counts the election's terms, from 1; for people."""
        return self._hold.number

    @property
    def valid_until(self) -> float:
        """Reading of `leader_async.clock.now` at which the lease ends unless it is renewed; -inf once it is over."""
        return float("-inf") if self._hold.over or not self._confirms.client.own_process else self._hold.until

    @property
    def over(self) -> bool:
        """Whether it has ended for good; False while it stands, and while it is suspended and may resume."""
        return self._hold.over

    @property
    def lease(self) -> float:
        """Seconds for which a confirm lets this process lead."""
        return self._hold.lease

    @property
    def connection(self) -> TermConnection:
        """The `leader_async.Connection` with whose session it stands."""
        return self._confirms.connection

    @property
    def is_current(self) -> bool:
        """Whether this process leads under this term now."""
        return self._hold.leads(clock.now()) and self._confirms.client.own_process

    async def confirm(self) -> None:
        """Prove by a quorum write, begun after this call, that this term still stands.

        Raises:
            TermEnded: it does not.
            NotConnected: no server is connected; nothing is known.
            ConnectionLost: the answer was lost; nothing is known.
        """
        await self._confirms.confirm(self._candidacy, self._hold)

    def transaction(self) -> Transaction:
        """A transaction of writes to ZooKeeper that happens only while this term stands; see `Transaction`."""
        return Transaction(self._confirms.client, self._candidacy.settings.parent, self._hold)

    def __repr__(self) -> str:
        end = self._hold.end
        return f"<Term {self.number}, token {self.token}{', ' + sentence(end) if end is not None else ''}>"

    async def __aenter__(self) -> Term:
        task = asyncio.current_task()
        assert task is not None
        self._body, self._cancelling, self._stopped = task, task.cancelling(), False
        if not self.is_current:
            self.stop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        task, self._body = self._body, None
        assert task is not None
        # As asyncio.timeout does: this ends only the cancellation that `stop` has begun.
        return self._stopped and task.uncancel() <= self._cancelling and kind is asyncio.CancelledError

    def stop(self) -> None:
        """Cancel the body, if there is one."""
        if self._body is not None and not self._stopped:
            self._stopped = True
            self._body.cancel()
