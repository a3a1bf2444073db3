"""A session for code in threads.

Rules: nothing is started before the first use, so a connection that was made before a fork begins in the child. What is
closed, or ends with the process, leaves all elections first.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable
from concurrent.futures import wait
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ..connection import Connection as AsyncConnection
from ..connection import connect as async_connect
from ..election.names import ROOT
from .election import Election
from .facade import Facade, like, like_function
from .portal import Portal

if TYPE_CHECKING:
    from prometheus_client.core import Metric

log = logging.getLogger("leader_async")
P = ParamSpec("P")
T = TypeVar("T")

EXIT_LIMIT = 3.0
"""Seconds that the end of a process waits for its elections to be left, if nobody has closed the connection."""


@like_function(async_connect)
def connect(*servers: Any, **options: Any) -> Connection:
    return Connection(partial(async_connect, *servers, **options))


class Connection(Facade[AsyncConnection]):
    """One session with ZooKeeper. Made by `connect`; the methods may be called from any thread.

    It begins with `with`, or at its first use.
    """

    def __init__(self, make: Callable[[], AsyncConnection]) -> None:
        super().__init__(Portal(), make())
        self._make = make
        self._lock = threading.RLock()
        self._elections: dict[str, Election] = {}
        self._joining: list[Election] = []

    def __enter__(self) -> Connection:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
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
            self._portal.check()  # it may have been closed meanwhile
            if not self.asynchronous.own_process:  # made before a fork
                self.asynchronous = self._make()
                for election in self._elections.values():
                    election.bind(self.asynchronous)
            self._portal.start()
            self._portal.do(self.asynchronous.start)
            atexit.register(self._at_exit)
            for election in self._joining:
                election.join()

    @property
    def guardian(self) -> str:
        """What has become of the guardian: `none`, `starting`, `running` or `lost`."""
        return self.asynchronous.guardian

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
        self._portal.call(self.asynchronous.wait_connected(), timeout)

    @like(AsyncConnection.election)
    def election(self, name: str, **options: Any) -> Election:
        path = f"{options.get('root', ROOT)}/{name}"

        def make() -> Election:
            known = self._elections.get(path)
            if known is None:
                return Election(self.asynchronous, self._portal, self.start, name, options)
            known.bind(self.asynchronous, options)
            return known

        with self._lock:
            # In the loop, once there is one: nothing of the async API may be touched from elsewhere.
            self._portal.check()
            self._elections[path] = election = self._portal.do(make) if self._portal.open else make()
            return election

    @like(AsyncConnection.election)
    def leader(self, name: str, **options: Any) -> Callable[[Callable[P, T]], Callable[P, T | None]]:
        """A decorator: the function runs if this process leads the election; see `Election.leader_only`.

            @zk.leader("reports")
            def make_reports(): ...

        This process takes part from the connection's first use on.

        Args:
            name, identity, address, lease, root, history: see `election`.

        Raises:
            UsageError: an argument cannot be used, or is another one than before.
        """
        with self._lock:
            known = len(self._elections)
            election = self.election(name, **options)
            if len(self._elections) > known:
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
        return self._portal.do(lambda: [*Collector(self.asynchronous, elections).collect()])

    def close(self, timeout: float | None = None) -> None:
        """Leave all elections (their work is notified, and its end awaited, first), then end the session.

        Args:
            timeout: seconds to wait for that at most, None for no limit. Closing continues in the background.

        Raises:
            UsageError: this thread does the work whose end would be waited for.
            TimeoutError: the work has not ended in time.
        """
        if self._portal.foreign or self._portal.closed:
            return
        for election in self._elections.values():
            election.refuse_inside("close()")
        self._end(timeout)

    def _end(self, timeout: float | None) -> None:
        with self._lock:
            if not self._portal.open:
                self._portal.closed = True
                return
            self._portal.check()
            self._portal.closed = True
        atexit.unregister(self._at_exit)
        closing = self._portal.spawn(self._close())
        if not wait([closing], timeout).done:
            raise TimeoutError(f"the work has not ended within {timeout:g} s; its place is kept until it has")
        self._portal.join()
        closing.result()

    async def _close(self) -> None:
        try:
            await self.asynchronous.close()
        finally:
            self._portal.stop()

    def _at_exit(self) -> None:
        try:
            self._end(EXIT_LIMIT)
        except TimeoutError:
            log.warning(
                "the process ends while its work runs on: its place ends with the session",
                extra={"event": "place_left_behind"},
            )
