"""What time it is for slots.

Rule: it is ZooKeeper's word if this machine's clock is more than `TRUSTED` off it, so that slots go by one clock,
whoever leads.

It does not promise more than a second: within that the machine's own clock is believed.
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
    """See the module's docstring.

    Args:
        election: below whose znode ZooKeeper's clock is read off.
        wall_clock: tells this machine's time in seconds since the epoch.
    """

    def __init__(self, election: Election, wall_clock: Callable[[], float]) -> None:
        self._client, self._folder = election.client, folder(election.parent)
        self.wall_clock = wall_clock
        self._behind = 0.0  # seconds that our clock is behind ZooKeeper's, if that matters
        self._boot = 0.0  # our wall clock less the one that nobody sets, when they were looked at

    def now(self) -> int:
        """Milliseconds since the epoch."""
        return round((self.wall_clock() + self._behind) * 1000)

    @property
    def set_meanwhile(self) -> bool:
        """Whether somebody has set our clock since it was compared."""
        return abs(self.wall_clock() - clock.now() - self._boot) > TRUSTED

    async def compare(self, term: Term | None) -> None:
        """Compare our clock with ZooKeeper's, by a write.

        Args:
            term: the write happens under this term; None for any, once the election's znode is there.

        Raises:
            TermEnded: the term does not stand any more.
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
