"""One session kept alive over asyncio: moves bytes, fires the session's timers. `dialling` finds it a server.

Rules:
- Replies, watch events and session events reach their takers synchronously, in the order in which the server sent them,
  inside the event-loop iteration in which they arrived. Nothing is awaited on the way, so nothing overtakes.
- What takers send in answer leaves in that same iteration, in one write.
- A session that was handed over (`resume`) is never followed by another one: with its end the client is over.
- A process that was forked off with a client in it neither asks through it nor ends its session.

It does not queue requests while disconnected and does not resend any. Only `request` waits, and only before the first
connection: for as long as a session lasts, as a server that is there answers sooner.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from itertools import chain
from typing import Protocol, overload

from .. import clock
from ..errors import AuthFailed, ConnectionLost, NotConnected, SessionClosed, UsageError
from ..waking import Alarm
from . import hosts
from . import messages as m
from .dialling import Dialler
from .identity import Identity
from .reporting import SessionReporter
from .session import CLOSED, Credentials, Phase, Session
from .status import SessionStatus
from .stream import Stream
from .tls import TLS, explain

OnAnswer = Callable[[m.Answer], None]

MUTE = "it does not serve, or speaks TLS on this port (tls=, --zookeeper-tls)"
MUTE_WITH_TLS = "it does not serve, or wants a certificate of ours that it trusts (cert=, --zookeeper-cert)"
"""What may be wrong with a server that hangs up on us without a word."""


_forks = 0


def _count_fork() -> None:
    global _forks
    _forks += 1


# A child inherits the memory of a leader, but not its session: there nobody leads.
os.register_at_fork(after_in_child=_count_fork)


class Listener(Protocol):
    """Takes the events of the session, and of the watches below one path."""

    def session_event(self, event: m.SessionEvent) -> None:
        """The session began, was resumed, lost its connection, or ended."""

    def watch_event(self, event: m.Watched) -> None:
        """A watch fired on the listener's path or on a child of it."""


class Client:
    """See the module's docstring.

    `timeout` is the session timeout to ask for, in seconds; `resume` a session to take over, instead of beginning one.
    """

    def __init__(
        self,
        ensemble: hosts.Ensemble,
        timeout: float,
        *,
        resume: Credentials | None = None,
        auth: Identity | None = None,
        tls: TLS | ssl.SSLContext | None = None,
    ) -> None:
        self.ensemble, self.auth, self.tls = ensemble, auth, tls
        self.died: BaseException | None = None  # the bug that ended the dialling: no connection is made any more
        self._session = Session(timeout, resume=resume, identity=auth)
        self._reporter = SessionReporter(self._session.timeout_asked)
        self.stats = self._reporter.stats
        self._dialler = Dialler(self, self._session, self._reporter, ensemble.servers, tls)
        self._changed = self._dialler.changed
        self._answers: dict[int, OnAnswer] = {}
        self._process = _forks, os.getpid()
        self._listeners: dict[str, list[Listener]] = {}
        self._alarm = Alarm(self._tick, self.stats.lag)
        self._busy = False
        self._task: asyncio.Task[None] | None = None
        self._refused: str | None = None

    # -- life ----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to dial, in the background.

        Raises:
            UsageError: it dials already.
        """
        if self._task is not None:
            raise UsageError("this connection has begun already; enter it once, and share it")
        self._process = _forks, os.getpid()
        self._task = asyncio.get_running_loop().create_task(self._dialler.run(), name="zookeeper")
        self._task.add_done_callback(self._died)

    def _died(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.died = error
            self._reporter.died(error)

    async def close(self) -> None:
        """End the session and forget it; bounded by a third of `tolerance`."""
        if self._task is None or self._dialler.closing or not self.own_process:
            return
        self._dialler.closing = True
        self._session.close(clock.now())
        self._pump()
        try:
            while self._session.phase is not Phase.OVER:
                await self._changed.wait()
        finally:
            self._session.drop(CLOSED, m.Cause.CLOSED)
            self._pump()
            self._task.cancel()
            await asyncio.wait([self._task])

    def hurry(self, seconds: float) -> None:
        """Give a server at most so long to take the session over, at the first round: a lease does not wait for it."""
        self._dialler.patience = min(self._dialler.patience, seconds)

    def check_open(self) -> None:
        """Return if this client dials, or will be dialling until it is closed.

        Raises:
            UsageError: it was never started: nothing would ever happen.
            AuthFailed: the servers do not serve us, as we are.
            SessionClosed: it was closed, or it was to resume a session that is over.
        """
        if (refused := self.refused) is not None:
            raise refused
        if self.over:
            raise SessionClosed("this connection was closed; open another one with leader_async.connect()")
        if self._task is None:
            raise UsageError("this connection was not entered; write `async with leader_async.connect(...) as zk:`")

    async def wait_connected(self) -> None:
        """Return once a server serves the session; raises what `check_open` raises."""
        self.check_open()
        while not self.connected:
            self.check_open()
            await self._changed.wait()

    # -- what it knows -------------------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """A server serves the session now."""
        return self._session.phase is Phase.UP

    @property
    def refused(self) -> AuthFailed | None:
        """Why the servers do not serve us, as we are; None if they do, or have not been asked."""
        return None if self._refused is None else AuthFailed(about=self._refused)

    @property
    def session_id(self) -> int:
        """ZooKeeper's id of the session, 0 for none."""
        return self._session.session_id

    @property
    def credentials(self) -> Credentials | None:
        """What it takes to resume the session from another process, None while there is none."""
        return self._session.credentials

    @property
    def own_process(self) -> bool:
        """False in a child that was forked off, be it by C code: the session stays with its parent."""
        # Python reports its own forks only, and in another PID namespace a child may have its parent's number.
        forks, number = self._process
        return forks == _forks and number == os.getpid()

    @property
    def over(self) -> bool:
        """It makes no connection any more."""
        return self._dialler.over

    @property
    def timeout(self) -> float:
        """The session timeout in seconds: as granted, before that as asked."""
        return self._session.timeout

    @property
    def tolerance(self) -> float:
        """See `Session.tolerance`."""
        return self._session.tolerance

    def status(self) -> SessionStatus:
        """What is known of the session, from memory."""
        return SessionStatus(
            connected=self.connected,
            since=self._reporter.since,
            server=self._dialler.stream.peer if self._dialler.stream and self.connected else None,
            encryption=self._dialler.stream.encryption if self._dialler.stream and self.connected else None,
            session_id=self.session_id,
            timeout_asked=self._session.timeout_asked,
            timeout=self._reporter.granted,
            last_error=self._reporter.last_error,
        )

    # -- asking --------------------------------------------------------------------------------------------------------

    def listen(self, path: str, listener: Listener) -> None:
        """Give session events, and watch events of `path` and its children, to `listener`."""
        self._listeners.setdefault(path, []).append(listener)

    def unlisten(self, path: str, listener: Listener) -> None:
        """Give it no more of that; watches of `path` that still fire are nobody's."""
        self._listeners[path].remove(listener)

    def send(self, request: m.Request, on_answer: OnAnswer, within: float | None = None) -> float:
        """Send a request; its answer is given to `on_answer`, a lost connection as `Lost`.

        Args:
            request: what to ask.
            on_answer: called exactly once, unless this raises.
            within: seconds for the answer, after which the connection is dropped; a third of `tolerance` if None.

        Returns:
            The instant read before the request was encoded, from which a lease may be counted.

        Raises:
            NotConnected: nothing was sent.
            UsageError: this process is a child of the one whose session it is; or the request cannot be encoded.
        """
        if not self.own_process:
            raise UsageError(
                "this connection was in use when the process was forked, and its session stays with the parent; "
                "connect after the fork, in the child"
            )
        sent = clock.now()
        xid = self._session.send(request, sent, within)
        self._answers[xid] = on_answer
        if not self._busy:
            self._pump()
        return sent

    @overload
    async def request(self, request: m.GetData) -> m.Data: ...
    @overload
    async def request(self, request: m.GetChildren) -> m.Children: ...
    @overload
    async def request(self, request: m.Create) -> m.Created: ...
    @overload
    async def request(self, request: m.SetData) -> m.DataSet: ...
    @overload
    async def request(self, request: m.Multi) -> m.Transacted: ...
    @overload
    async def request(self, request: m.Request) -> m.Reply: ...
    async def request(self, request: m.Request) -> m.Reply:
        """Send a request and await its answer. Before the first connection it waits for that, for a session timeout.

        Raises:
            NotConnected: nothing was sent.
            UsageError, AuthFailed, SessionClosed: see `check_open`.
            ConnectionLost: it may have happened.
            ServerError: the server refused it.
        """
        if self._reporter.granted is None:
            await self._wait_first()
        answer: asyncio.Future[m.Answer] = asyncio.get_running_loop().create_future()
        self.send(request, lambda reply: None if answer.done() else answer.set_result(reply))
        reply = await answer
        match reply:
            case m.Lost():
                raise ConnectionLost(f"the connection ended before the answer to {type(request).__name__}")
            case m.Failed(code):
                raise m.refusal(code, request)
            case _:
                return reply

    async def _wait_first(self) -> None:
        limit = self._session.timeout_asked
        try:
            async with asyncio.timeout(limit):
                await self.wait_connected()
        except TimeoutError:
            names, why = ",".join(map(str, self.ensemble.servers)), self._reporter.last_error or "none has answered"
            raise NotConnected(
                f"no ZooKeeper server of {names} has served within the session timeout of {limit:g} s ({why}); "
                "see that they run and can be reached, or wait longer: await zk.wait_connected()"
            ) from None

    # -- carrying out --------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Hand out events, write bytes, set the timer, until nothing is left to do."""
        self._busy = True
        try:
            while (event := self._session.next_event()) is not None:
                self._hand_out(event)
        finally:
            self._busy = False
        self.flush()
        self._alarm.set(self._session.deadline())

    def flush(self) -> None:
        """Write what was asked for now, and not when all that has come is handed out."""
        data = self._session.data_to_send()
        if data and self._dialler.stream is not None:
            self._dialler.stream.write(data)

    def _hand_out(self, event: m.Event) -> None:
        match event:
            case m.Answered(xid, answer):
                # A close has no taker.
                taker = self._answers.pop(xid, None)
                if taker is not None:
                    taker(answer)
            case m.Watched(path=path):
                above = self._listeners.get(path.rpartition("/")[0], [])
                for listener in [*self._listeners.get(path, above)]:
                    listener.watch_event(event)
            case m.Connected() | m.Disconnected() | m.Expired() | m.Ended():
                self._note(event)
                for listener in [*chain.from_iterable(self._listeners.values())]:
                    listener.session_event(event)

    def _note(self, event: m.SessionEvent) -> None:
        match event:
            case m.Connected():
                self._reporter.connected(event, self._dialler.stream.peer if self._dialler.stream else "?")
            case m.Disconnected():
                self._reporter.disconnected(event, self._dialler.drop(), closing=self._dialler.closing)
            case m.Expired():
                self._reporter.expired(event)
            case m.Ended(refused=str(refused)):
                self._refused = refused
                self._reporter.refused(self.refused)
        self._changed.fire()

    def _tick(self) -> None:
        self._session.tick(clock.now())
        self._pump()

    # -- called by the stream ------------------------------------------------------------------------------------------

    def stream_made(self, stream: Stream) -> None:
        """See `Owner`; the handshake begins."""
        if self.over:
            stream.abort()
            return
        self._session.open(clock.now(), self._dialler.use(stream))
        self._pump()

    def stream_received(self, stream: Stream, data: bytes) -> None:
        """See `Owner`; bytes of an old connection count for nothing."""
        if stream is self._dialler.stream:
            self._session.receive_data(data, clock.now())
            self._pump()

    def stream_lost(self, stream: Stream, error: Exception | None) -> None:
        """See `Owner`; it is the server's doing, since our own abort has cleared the stream before."""
        if stream is self._dialler.stream:
            if error is None:
                self._session.receive_eof(clock.now(), MUTE_WITH_TLS if stream.encryption else MUTE)
            else:
                broken = explain(error) if isinstance(error, ssl.SSLError) else (str(error), m.Cause.NETWORK)
                self._session.drop(*broken)
            self._pump()
