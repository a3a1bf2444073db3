"""One session shared by any number of elections; their confirms travel together."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

from . import arguments, clock
from .election.election import Election
from .election.history_writer import HistoryWriter
from .election.inflight import Inflight
from .election.names import ROOT, Names
from .election.rules.candidacy import Candidacy
from .election.rules.confirm_rounds import ConfirmRounds, Round
from .election.rules.lease import Hold
from .election.rules.state import CONFIRMS, LEASE, WAIT_OUT
from .election.rules.words import over
from .election.stats import ConfirmStats
from .errors import ConnectionLost, NotConnected, SessionClosed, TermEnded, UsageError
from .guardian.client import GuardianClient
from .waking import Alarm, Pulse
from .watchdog import ACTIONS, Action, Watchdog
from .zookeeper import hosts
from .zookeeper import messages as m
from .zookeeper.client import Client
from .zookeeper.identity import Digest
from .zookeeper.tls import TLS

log = logging.getLogger("leader_async")

CLOSED = "this connection was closed; open another one with leader_async.connect()"

_forks = 0


def _count_fork() -> None:
    global _forks
    _forks += 1


# A child inherits the memory of a leader, but not its session: there nobody leads.
os.register_at_fork(after_in_child=_count_fork)


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
        auth: who this process is to ZooKeeper; all that is created is for whoever gives the same, see `Digest`.
        tls: encrypt, and verify the servers; a `TLS` names files that are read anew for each connection.
        guardian: have a small helper process end the session as soon as this process has died, however it dies, so that
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
    """Who this process is if nobody says: workers of one host are told apart by their numbers."""
    return f"{socket.gethostname()}-{os.getpid()}"


class Connection:
    """One session with ZooKeeper. Made by `connect`."""

    def __init__(self, client: Client, *, guardian: bool = False, overdue: Action = "off") -> None:
        self.client = client
        self.inflight = Inflight(self.client)
        self.changed = Pulse()  # the state of one of its elections has
        self.confirmed = Pulse()  # a confirm was answered: leases may last longer
        self._guardian = GuardianClient(self.client) if guardian else None
        if self._guardian is not None:
            self.client.listen("the guardian", self._guardian)
        self.names = Names(client.ensemble.chroot)
        self._elections: dict[str, Election] = {}
        self.history_writer = HistoryWriter(self.client)
        self._watchdog = Watchdog(self._elections.values, overdue)
        self._rounds = ConfirmRounds(lambda candidacy, error: self._elections[candidacy.settings.parent].die(error))
        self.stats = ConfirmStats()
        self._alarm = Alarm(self.confirm_due, self.client.stats.lag)
        self._hurried: list[Candidacy] = []
        self._sent = 0  # rounds of confirms
        # Who waits for a confirm of this term, and how many rounds had been sent before it asked.
        self._waiting: list[tuple[Hold, int, asyncio.Future[None]]] = []
        self._process = _forks, os.getpid()
        self._long_leases: set[float] = set()
        self._closed = False

    async def __aenter__(self) -> Connection:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
        self._process = _forks, os.getpid()
        self._watchdog.start()

    @property
    def own_process(self) -> bool:
        """False in a child that was forked off, be it by C code: it has no session and must connect by itself."""
        # Python tells of its own forks only, and in another PID namespace a child may have its parent's number.
        forks, number = self._process
        return forks == _forks and number == os.getpid()

    @property
    def guardian(self) -> str:
        """What has become of the guardian: `none`, `starting`, `running` or `lost`."""
        return "none" if self._guardian is None else self._guardian.state

    @contextmanager
    def helper(self, pid: int) -> Iterator[None]:
        """Have a guardian, if there is one, give no place of ours away before this process has ended, too.

        Args:
            pid: a process that ends what we have started.
        """
        if self._guardian is not None:
            self._guardian.wait_for(pid)
        try:
            yield
        finally:
            if self._guardian is not None:
                self._guardian.forget(pid)

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
            history: write down in ZooKeeper who led and why that ended, one small write a term, some time after it has
                begun; see `Election.history`. True if None.

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
        election = Election(
            self, self.names.take(name, root), identity, address,
            LEASE if lease is None else lease, history=history is not False,
        )  # fmt: skip
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
        self.client.listen(parent, election)
        if self._guardian is not None:
            self._guardian.add(parent)
        if self.client.connected:  # it has missed the event
            election.session_event(m.Connected(self.client.session_id, self.client.timeout, resumed=True))
        self.client.patience = min(self.client.patience, lease / CONFIRMS)
        asked = self.client.timeout
        if lease > asked and lease not in self._long_leases:
            self._long_leases.add(lease)  # said once, however many elections have it
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
            await asyncio.gather(*(election.shut() for election in self._elections.values()))
        finally:
            self.history_writer.stop()
            await self.client.close()
            self._watchdog.stop()
            self._alarm.cancel()

    # -- confirms ------------------------------------------------------------------------------------------------------

    async def confirm(self, parent: str, hold: Hold) -> None:
        """See `Term.confirm`."""
        if hold.end is not None:
            raise TermEnded(over(hold.number, hold.end))
        if not self.client.connected:
            raise NotConnected("no ZooKeeper server is connected")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((hold, self._sent, done))
        self.confirm_now(self._elections[parent].candidacy)
        await done

    def confirm_now(self, candidacy: Candidacy) -> None:
        """Send a confirm at once: one of all elections that ask for it in this iteration of the loop.

        Args:
            candidacy: whose lead is confirmed.
        """
        if not self._hurried:
            asyncio.get_running_loop().call_soon(self._hurry)
        self._hurried.append(candidacy)

    def _hurry(self) -> None:
        hurried, self._hurried = self._hurried, []
        for candidacy in hurried:
            self._rounds.note(candidacy)
        self._rounds.hurry(*hurried)
        self.confirm_due()

    def note(self, candidacy: Candidacy) -> None:
        """Something has happened to this candidacy; it may want confirms now, or none any more.

        Args:
            candidacy: one of this connection's.
        """
        self._rounds.note(candidacy)
        # An alarm that nobody needs any more rings in vain, and a hurried confirm sets the next one.
        if candidacy.has_stake and not self._hurried:
            self._set_alarm()

    def confirm_due(self) -> None:
        """Send a confirm if it is time, and see to it that the next one is sent in time."""
        try:
            if self.client.connected:
                for due_round in self._rounds.rounds(clock.now()):
                    self._send(due_round)
        finally:  # an error costs a round, and not the alarm for the next one
            self._set_alarm()

    def _set_alarm(self) -> None:
        # While no server is connected nothing can be sent; the next connection begins with a confirm.
        self._alarm.set(self._rounds.due() if self.client.connected else None)

    def _send(self, due_round: Round) -> None:
        def taken(answer: m.Answer) -> None:
            now = clock.now()
            self._rounds.answered(due_round, answer, sent, now)
            self.stats.answered(answer, now - sent)
            for candidacy, _ in due_round.stakes:
                if candidacy.commands:
                    self._elections[candidacy.settings.parent].carry_out()
            self._answer_waiting(due_round, number, answer)
            self.confirmed.fire()
            self.confirm_due()

        self._sent += 1
        number = self._sent
        try:
            sent = self.client.send(due_round.request, taken, due_round.within)
        except NotConnected:
            pass  # the connection ended in this very instant; the next one begins with a confirm

    def _answer_waiting(self, due_round: Round, number: int, answer: m.Answer) -> None:
        # By the order in which things were done, not by the clock, which may stand still between two of them.
        waiting, self._waiting = self._waiting, []
        for hold, asked, done in waiting:
            if done.done():
                continue
            if hold.end is not None:
                done.set_exception(TermEnded(over(hold.number, hold.end)))
            elif not any(stake.hold is hold for _, stake in due_round.stakes):
                self._waiting.append((hold, asked, done))
            elif asked < number and isinstance(answer, m.Lost):
                done.set_exception(ConnectionLost("the connection ended before the confirm was answered"))
            elif asked < number and isinstance(answer, m.Transacted) and answer.ok:
                done.set_result(None)
            else:
                self._waiting.append((hold, asked, done))

    def term_over(self) -> None:
        """A term has ended: nobody need wait for its confirm."""
        for hold, _, done in self._waiting:
            if hold.end is not None and not done.done():
                done.set_exception(TermEnded(over(hold.number, hold.end)))
