"""A session for code in threads.

Rules: nothing is started before the first use, so a connection that was made before a fork begins in the child. What is
closed, or ends with the process, leaves all elections first.
"""

from __future__ import annotations

import atexit
import logging
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import wait
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ..connection import Connection as AsyncConnection
from ..connection import connect as async_connect
from ..election.names import ROOT
from ..watchdog import Action
from ..zookeeper.identity import Digest
from ..zookeeper.tls import TLS
from .election import Election
from .portal import Portal

if TYPE_CHECKING:
    from prometheus_client.core import Metric

log = logging.getLogger("leader_async")
P = ParamSpec("P")
T = TypeVar("T")

EXIT_LIMIT = 3.0
"""Seconds that the end of a process waits for its elections to be left, if nobody has closed the connection."""


def connect(
    servers: str,
    *,
    timeout: float = 6.0,
    auth: Digest | None = None,
    tls: TLS | ssl.SSLContext | None = None,
    guardian: bool = False,
    overdue: Action = "off",
) -> Connection:
    """Open a session with ZooKeeper, for use as `with connect(...) as zk`; or without `with`, beginning at first use.

    It does not wait: servers are dialled in the background. `Connection.wait_connected` waits.

    Args:
        servers, timeout, auth, tls, guardian, overdue: see `leader_async.connect`.

    Raises:
        UsageError: an argument cannot be used.
    """
    return Connection(
        partial(async_connect, servers, timeout=timeout, auth=auth, tls=tls, guardian=guardian, overdue=overdue)
    )


class Connection:
    """One session with ZooKeeper. Made by `connect`; the methods may be called from any thread."""

    def __init__(self, make: Callable[[], AsyncConnection]) -> None:
        self._make = make
        self._zk = make()
        self._portal = Portal()
        self._lock = threading.RLock()
        self._elections: dict[str, Election] = {}
        self._joining: list[Election] = []

    def __enter__(self) -> Connection:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Begin to dial, and to take part in the elections of `leader`; `with` and the first use do this.

        Raises:
            UsageError: there is an event loop in this thread, or this process was forked off after the first use.
            SessionClosed: the connection was closed.
        """
        self._portal.check()
        with self._lock:
            if self._portal.open:
                return
            if not self._zk.own_process:  # made before a fork
                self._zk = self._make()
                for election in self._elections.values():
                    election.bind(self._zk)
            self._portal.start()
            self._portal.do(self._zk.start)
            atexit.register(self._at_exit)
            for election in self._joining:
                election.join()

    @property
    def guardian(self) -> str:
        """What has become of the guardian: `none`, `starting`, `running` or `lost`."""
        return self._zk.guardian

    def wait_connected(self, timeout: float | None = None) -> None:
        """Return once a server serves the session.

        Args:
            timeout: seconds to wait at most, None for no limit.

        Raises:
            TimeoutError: no server did in time; it is dialled on.
            SessionClosed: the connection was closed.
            AuthFailed: the servers do not accept the credentials.
        """
        self.start()
        self._portal.call(self._zk.wait_connected(), timeout)

    def election(
        self,
        name: str,
        *,
        identity: str | None = None,
        address: str | None = None,
        lease: float | None = None,
        root: str = ROOT,
    ) -> Election:
        """The election of this name; nothing is sent before it is used. Asked for again it is the same object.

        Args:
            name, identity, address, lease, root: see `leader_async.Connection.election`.

        Raises:
            UsageError: an argument cannot be used, or is another one than before.
            SessionClosed: the connection was closed.
        """
        options = {"identity": identity, "address": address, "lease": lease, "root": root}

        def make() -> Election:
            known = self._elections.get(f"{root}/{name}")
            if known is None:
                return Election(self._zk, self._portal, self.start, name, options)
            known.bind(self._zk, options)
            return known

        with self._lock:
            # In the loop, once there is one: nothing of the async API may be touched from elsewhere.
            self._portal.check()
            election = self._portal.do(make) if self._portal.open else make()
            self._elections[f"{root}/{name}"] = election
            return election

    def leader(self, name: str, **options: Any) -> Callable[[Callable[P, T]], Callable[P, T | None]]:
        """A decorator: the function runs if this process leads the election; see `Election.leader_only`.

            @zk.leader("reports")
            def make_reports(): ...

        This process takes part from the connection's first use on.

        Args:
            name, options: see `election`.

        Raises:
            UsageError: an argument cannot be used, or is another one than before.
        """
        with self._lock:
            known = self._elections.get(f"{options.get('root', ROOT)}/{name}")
            election = self.election(name, **options)
            if known is None:
                self._joining.append(election)
                if self._portal.open:
                    election.join()
        return election.leader_only

    def measure(self) -> list[Metric]:
        """What `blocking.metrics.Collector` shows; nothing while this connection does not live in this process."""
        from ..metrics import Collector  # which loads prometheus_client

        if not self._portal.open or self._portal.foreign or self._portal.closed:
            return []
        elections = [election.asynchronous for election in self._elections.values()]
        return self._portal.do(lambda: [*Collector(self._zk, elections).collect()])

    def close(self, timeout: float | None = None) -> None:
        """Leave all elections (their work is told, and its end awaited, first), then end the session.

        Args:
            timeout: seconds to wait for that at most, None for no limit. It goes on in the background.

        Raises:
            UsageError: this thread does the work whose end would be waited for.
            TimeoutError: the work has not ended in time.
        """
        if self._portal.foreign or self._portal.closed:
            return
        for election in self._elections.values():
            election.refuse_inside("close()")
        with self._lock:
            if not self._portal.open:
                self._portal.closed = True
                return
            self._portal.check()
            self._portal.closed = True
        atexit.unregister(self._at_exit)
        closing = self._portal.spawn(self._close())
        if not wait([closing.result], timeout).done:
            raise TimeoutError(f"the work has not ended within {timeout:g} s; its place is kept until it has")
        self._portal.join()
        closing.result.result()

    async def _close(self) -> None:
        try:
            await self._zk.close()
        finally:
            self._portal.stop()

    def _at_exit(self) -> None:
        try:
            self.close(EXIT_LIMIT)
        except TimeoutError:
            log.warning(
                "the process ends while its work runs on: its place ends with the session",
                extra={"event": "place_left_behind"},
            )
