"""A ZooKeeper for the tests of those who use this library: no Java, no Docker, no network but loopback.

In `conftest.py`:

    pytest_plugins = ["leader_async.testing"]

In a test, of whatever kind (plain, pytest-asyncio, anyio):

    async def test_that_somebody_leads(zookeeper):
        async with leader_async.connect(zookeeper.address, timeout=1.0) as zk:
            ...
            zookeeper.expire_all()          # as if every session had gone silent for too long
            with zookeeper.outage():        # no server is there; afterwards sessions are resumed
                ...

The server runs in a thread of its own, so a blocked event loop does not block it. It is `leader_async.embedded`: in
memory, alone. It is no ensemble, and has no disk. pytest need not be installed: `with ZooKeeper() as zookeeper:`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Self, TypeVar

from .embedded import EmbeddedServer
from .errors import UsageError
from .loop_thread import LoopThread

T = TypeVar("T")

__all__ = ["ZooKeeper"]


class ZooKeeper:
    """A server in a thread, for use as `with ZooKeeper() as zookeeper`. Its methods may be called from any thread.

    Args:
        tick: seconds; sessions last 2 to 20 of them, so 0.1 to 1 s with the default.
    """

    def __init__(self, *, tick: float = 0.05) -> None:
        self._tick = tick
        self._port = 0
        self._server: EmbeddedServer | None = None
        self._thread: LoopThread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def address(self) -> str:
        """Where it is reached, as `connect` takes it; it stays the same when it is stopped and started again."""
        if not self._port:
            raise UsageError("this ZooKeeper was not started; write `with ZooKeeper() as zookeeper:`")
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Begin to serve, without data and sessions."""
        if self._thread is not None:
            raise UsageError("this ZooKeeper runs already")
        thread, server = LoopThread("zookeeper"), EmbeddedServer(port=self._port, tick=self._tick)
        thread.start()
        self._thread, self._server = thread, server
        try:
            thread.call(server.__aenter__())
            self._port = server.port
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Close all connections and forget everything. Nothing happens if it does not run."""
        thread, server = self._thread, self._server
        if thread is None or server is None:
            return
        self._thread = self._server = None
        thread.call(server.close())
        thread.stop()
        thread.join()

    @contextlib.contextmanager
    def outage(self, *, forget: bool = False) -> Iterator[None]:
        """No server runs inside the `with`; afterwards it is there again, at the same address.

        No session ends meanwhile, however long it takes: as after a real outage, each has its whole timeout again to be
        resumed in.

        Args:
            forget: it comes back without data and sessions, as another ensemble that was put in its place.
        """
        self.stop() if forget else self._run(EmbeddedServer.close)
        try:
            yield
        finally:
            self.start() if forget else self._run(EmbeddedServer.__aenter__)

    @property
    def sessions(self) -> list[int]:
        """The ids of the sessions that live, oldest first."""
        return self._call(lambda server: server.sessions)

    def expire(self, session: int) -> None:
        """End this session (`connection.client.session_id`) now, and its ephemeral znodes with it.

        Args:
            session: the session's id.

        Raises:
            UsageError: there is no such session.
        """
        self._call(lambda server: server.expire(session))

    def expire_all(self) -> None:
        """End every session now."""
        for session in self.sessions:
            self.expire(session)

    def disconnect(self, session: int) -> None:
        """Close the connection of this session's client; the session lives on.

        Args:
            session: the session's id.

        Raises:
            UsageError: it is not connected.
        """
        self._call(lambda server: server.disconnect(session))

    def _call(self, do: Callable[[EmbeddedServer], T]) -> T:
        async def call(server: EmbeddedServer) -> T:
            return do(server)

        return self._run(call)

    def _run(self, do: Callable[[EmbeddedServer], Coroutine[Any, Any, T]]) -> T:
        thread, server = self._thread, self._server
        if thread is None or server is None:
            raise UsageError("this ZooKeeper does not run; start() it")
        return thread.call(do(server))


try:
    import pytest
except ImportError:  # no fixtures, then
    pass
else:
    __all__ += ["zookeeper"]

    @pytest.fixture
    def zookeeper() -> Iterator[ZooKeeper]:
        """A ZooKeeper of this test's own, in memory."""
        with ZooKeeper() as server:
            yield server
