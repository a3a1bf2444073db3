"""A connection: composes one session of ZooKeeper with the elections on it, the guardian, the watchdog and the history.

Rule: the elections of a connection share its session, and their confirms travel together. No file of an election
imports this one: what elections share is handed to each of them (`driver.Shared`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from . import arguments
from .election.confirms import Confirms
from .election.driver import Shared
from .election.election import Election
from .election.history_writer import HistoryWriter
from .election.inflight import Inflight
from .election.names import ROOT, Names
from .election.rules.state import CONFIRMS, LEASE, WAIT_OUT, Settings
from .errors import SessionClosed, UsageError
from .guardian.client import GuardianClient, GuardianState
from .waking import Pulse
from .watchdog import ACTIONS, Action, Watchdog
from .zookeeper import hosts
from .zookeeper import messages as m
from .zookeeper.client import Client
from .zookeeper.identity import Digest
from .zookeeper.tls import TLS

log = logging.getLogger("leader_async")

CLOSED = "this connection was closed; open another one with leader_async.connect()"


def connect(
    servers: str | Sequence[str],
    *,
    timeout: float = 6.0,
    auth: Digest | None = None,
    tls: TLS | ssl.SSLContext | None = None,
    guardian: bool = False,
    overdue: Action = "off",
) -> Connection:
    """Open a session with ZooKeeper, for use as `async with connect(...) as zk`.

    It does not wait: servers are dialled in the background for as long as the block lasts, whether they are there yet
    or not. `Connection.wait_connected` waits.

    Args:
        servers: `host:port,host:port/chroot`, or a list of hosts, the last one with the chroot; IPv6 addresses in
            brackets, the default port is 2181.
        timeout: the session timeout to ask for, in seconds. The server may grant another one.
        auth: who this process is to ZooKeeper; all that is created is for those who give the same, see `Digest`.
        tls: encrypt, and verify the servers; a `TLS` names files that are read anew for each connection.
        guardian: have a small second process end the session as soon as this process has died, however it dies, so that
            the next one leads within milliseconds and not after the session timeout; see `leader_async.guardian`.
        overdue: what to do about work that runs on for one more lease although its own has run out: `dump` the stacks
            of all threads and tasks to the log, or `exit` as well (code 5); see `leader_async.watchdog`.

    Raises:
        UsageError: an argument cannot be used.
    """
    timeout = arguments.seconds("timeout=", timeout, "6 is a good start")
    if overdue not in ACTIONS:
        raise UsageError(f"overdue={overdue!r} is none of {', '.join(ACTIONS)}")
    if not isinstance(auth, Digest | None):
        raise UsageError("auth= is a leader_async.Digest(user, password)")
    if isinstance(tls, TLS):
        tls.context()
    elif not isinstance(tls, ssl.SSLContext | None):
        raise UsageError(f"tls= is a leader_async.TLS(...) or an ssl.SSLContext, not {tls!r}")
    elif tls is not None and guardian:
        raise UsageError("a guardian is another process, which an ssl.SSLContext cannot be given to; use tls=TLS(...)")
    client = Client(hosts.parse(servers), timeout, auth=auth, tls=tls)
    return Connection(client, guardian=guardian, overdue=overdue)


def default_identity() -> str:
    """Who this process is unless that is given: workers of one host differ in their numbers."""
    return f"{socket.gethostname()}-{os.getpid()}"


class Connection:
    """One session with ZooKeeper. Made by `connect`."""

    def __init__(self, client: Client, *, guardian: bool = False, overdue: Action = "off") -> None:
        self.client = client
        self.confirms = Confirms(client, self)
        self.confirmed, self.stats = self.confirms.confirmed, self.confirms.stats
        self.history_writer = HistoryWriter(client)
        self.changed = Pulse()  # the state of one of its elections has
        self._shared = Shared(self.confirms, Inflight(client), self.history_writer, self.changed)
        self._guardian = GuardianClient(self.client) if guardian else None
        if self._guardian is not None:
            self.client.listen("the guardian", self._guardian)
        self.names = Names(client.ensemble.chroot)
        self._elections: dict[str, Election] = {}
        self._watchdog = Watchdog(self._elections.values, overdue)
        self._long_leases: set[float] = set()
        self._closed = False

    async def __aenter__(self) -> Connection:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def start(self) -> None:
        """Begin to dial, in the background; `async with` does this.

        Raises:
            SessionClosed: the connection was closed: it is used once.
            UsageError: it has begun already.
        """
        if self._closed:
            raise SessionClosed(CLOSED)
        self.client.start()
        self._watchdog.start()

    @property
    def own_process(self) -> bool:
        """False in a child that was forked off, be it by C code: it has no session and must make its own connection."""
        return self.client.own_process

    @property
    def guardian(self) -> GuardianState:
        """What has become of the guardian: `none`, `starting`, `running` or `lost`."""
        return GuardianState.NONE if self._guardian is None else self._guardian.state

    def helper(self, pid: int) -> AbstractContextManager[None]:
        """While this block runs, a guardian gives no place of this process away before that process has ended, too.

        Args:
            pid: a process that ends what this one has started.
        """
        return nullcontext() if self._guardian is None else self._guardian.waiting_for(pid)

    async def wait_connected(self) -> None:
        """Return once a server serves the session.

        Raises:
            SessionClosed: the connection was closed.
            AuthFailed: the servers do not accept the credentials.
        """
        await self.client.wait_connected()

    def election(
        self,
        name: str,
        *,
        identity: str | None = None,
        address: str | None = None,
        lease: float | None = None,
        root: str = ROOT,
        history: bool | None = None,
    ) -> Election:
        """The election of this name; nothing is sent before it is used.

        Asked for again it is the same object; what is given then must be as it was, and may be left out.

        Args:
            name: the election's name, a znode below `root`.
            identity: who this process is, for people; the host's name and the process's number if None, as `web1-4711`.
            address: where this process is reached, for people; "" if None.
            lease: how long a confirmed leader leads without another confirm, in seconds; 3 if None. All candidates of
                an election may differ: the holder's counts.
            root: the znode below which elections live (itself below the connect string's chroot).
            history: keep in ZooKeeper who led and why that ended. The record passes the latest terms on; every eighth
                term is followed by one small write more, some time after it has begun. See `Election.history`. True if
                None.

        Raises:
            UsageError: an argument cannot be used, or is another one than before.
            SessionClosed: the connection was closed.
        """
        if self._closed:
            raise SessionClosed(CLOSED)
        arguments.name("an election's name", name)
        lease = None if lease is None else arguments.seconds("lease=", lease, "half the session timeout is usual")
        known = self.find(name, root)
        if known is not None:
            known.agree(identity=identity, address=address, lease=lease, history=history)
            return known
        identity = default_identity() if identity is None else arguments.line("identity=", identity)
        address = "" if address is None else arguments.line("address=", address, empty=True)
        settings = Settings(
            self.names.take(name, root), identity, address,
            LEASE if lease is None else lease, time.time(), history is not False,
        )  # fmt: skip
        election = Election(settings, self._shared)
        self._listen(election)
        return election

    def find(self, name: str, root: str = ROOT) -> Election | None:
        """The election of this name, None if `election` was not asked for it.

        Args:
            name, root: see `election`.
        """
        return self._elections.get(self.names.path(name, root))

    def _listen(self, election: Election) -> None:
        parent, lease, name = election.parent, election.lease, election.name
        self._elections[parent] = election
        self.client.listen(parent, election.driver)
        if self._guardian is not None:
            self._guardian.add(parent)
        if self.client.connected:  # it came before this listener
            election.driver.session_event(m.Connected(self.client.session_id, self.client.timeout, resumed=True))
        self.client.hurry(lease / CONFIRMS)
        asked = self.client.timeout
        if lease > asked and lease not in self._long_leases:
            self._long_leases.add(lease)  # logged once, however many elections have it
            log.info(
                "election %s: its lease of %g s is longer than the session timeout of %g s. That is safe, but after a "
                "crash the next leader waits out %g s more; a shorter lease takes over sooner",
                name,
                lease,
                asked,
                WAIT_OUT * lease,
                extra={"event": "long_lease", "election": name},
            )

    async def close(self) -> None:
        """Leave all elections (their work is stopped and awaited first), then end the session."""
        if self._closed or not self.own_process:  # a child must not end its parent's session
            return
        self._closed = True
        try:
            await asyncio.gather(*(election.driver.shut() for election in self._elections.values()))
        finally:
            self.history_writer.stop()
            await self.client.close()
            self._watchdog.stop()
            self.confirms.stop()
