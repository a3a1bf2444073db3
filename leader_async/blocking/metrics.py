"""The metrics of a connection and all of its elections, for code in threads; `leader_async.metrics` has the rules.

It does not promise anything before the connection's first use, or in a child that was forked off after it: there is
nothing to show then.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector as Base

from .connection import Connection


class Collector(Base):
    """For a registry: `prometheus_client.REGISTRY.register(Collector(zk))`; a registry takes one of these.

    Args:
        zk: whose session and elections are shown.
    """

    def __init__(self, zk: Connection) -> None:
        self._zk = zk

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client`."""
        yield from self._zk.measure()
