"""What time it is for slots.

Rule: slots go by one clock, in whichever process leads. If this machine's clock differs from ZooKeeper's by more than
`TRUSTED`, ZooKeeper's counts.

It does not promise more than a second: below that difference this machine's clock is used as it is.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable

from .. import clock
from ..election.election import Election
from ..election.term import Term
from ..errors import NodeExists, NoNode
from ..zookeeper import messages as m
from .ledger import folder

log = logging.getLogger("leader_async.schedule")

TRUSTED = 1.0
"""Seconds that this machine's clock may differ from ZooKeeper's."""


class Clocks:
    """See the module's docstring; a write below the election's znode shows ZooKeeper's clock."""

    def __init__(self, election: Election, wall_clock: Callable[[], float]) -> None:
        self._client, self._folder = election.client, folder(election.parent)
        self.wall_clock = wall_clock
        self._behind = 0.0  # seconds that this clock is behind ZooKeeper's; 0.0 below `TRUSTED`
        self._boot = 0.0  # the wall clock less `clock.now`, which nobody sets, when they were last compared

    def now(self) -> int:
        """Milliseconds since the epoch."""
        return round((self.wall_clock() + self._behind) * 1000)

    @property
    def set_meanwhile(self) -> bool:
        """Whether this machine's clock was set since it was compared."""
        return abs(self.wall_clock() - clock.now() - self._boot) > TRUSTED

    async def compare(self, term: Term | None) -> None:
        """Compare this machine's clock with ZooKeeper's, by a write.

        Args:
            term: the write happens under this term. None: under any, once the election's znode exists.

        Raises:
            TermEnded: the term is over.
            ZooKeeperError: ZooKeeper cannot be asked.
        """
        while True:
            before = self.wall_clock()
            try:
                theirs = await self._write(term)
                break
            except NoNode:
                with contextlib.suppress(NodeExists):
                    await self._client.request(m.Create(self._folder))
        after = self.wall_clock()
        self._boot = after - clock.now()
        known, self._behind = self._behind, 0.0
        if not before - TRUSTED <= theirs <= after + TRUSTED:
            self._behind = theirs - (before + after) / 2
        if abs(self._behind - known) > TRUSTED:
            log.warning(
                "this machine's clock is %.1f s %s ZooKeeper's; slots go by that one. Set the clocks",
                abs(self._behind), "behind" if self._behind > 0 else "ahead of",
                extra={"event": "clock_off", "seconds": round(self._behind, 1)},
            )  # fmt: skip

    async def _write(self, term: Term | None) -> float:
        """ZooKeeper's time of a write."""
        if term is None:
            reply = await self._client.request(m.SetData(self._folder, b"", m.ANY_VERSION))
            return reply.stat.mtime
        writes = term.transaction().set_data(self._folder.removeprefix(self._client.ensemble.chroot), b"")
        await writes.commit()
        assert writes.committed_at is not None
        return writes.committed_at
