"""The application's end: finds a guardian once there is a session, and sends it the session and the elections.

    none ──► starting ──► running ──► none         (the session was closed)
                 └───────────┴──────► lost         (the guardian is gone; the next session looks for another one)

Rules:
- Nothing here waits or blocks: a thread starts the guardian, and messages leave as the socket takes them.
- A forked child closes the descriptors; the guardian reads from the parent's end.
- A missing guardian is logged, and nothing else changes.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import os
import socket
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from ..zookeeper import messages as m
from ..zookeeper.client import Client
from ..zookeeper.tls import TLS
from . import finding, protocol
from .protocol import Begun, Closed, Helper, Joined, Ready

log = logging.getLogger("leader_async.guardian")


class GuardianState(enum.StrEnum):
    """What has become of a session's guardian."""

    NONE = "none"
    STARTING = "starting"
    RUNNING = "running"
    LOST = "lost"


_sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()


def _close_in_child() -> None:
    for sock in [*_sockets]:
        sock.close()


os.register_at_fork(after_in_child=_close_in_child)


class GuardianClient:
    """One session's connection to a guardian; a listener of its client, whose session is to be guarded."""

    def __init__(self, client: Client) -> None:
        self.state = GuardianState.NONE
        self._client = client
        self._parents: list[str] = []
        self._helpers: set[int] = set()
        self._sock: socket.socket | None = None
        self._reader = protocol.MessageReader()
        self._unsent = b""

    def add(self, parent: str) -> None:
        """Guard one more election, whose znode has this path."""
        self._parents.append(parent)
        if self.state is GuardianState.RUNNING:
            self._send(Joined(parent))

    @contextmanager
    def waiting_for(self, pid: int) -> Iterator[None]:
        """While this block runs, the guardian waits for this process, too: it ends what the application has started."""
        self._helpers.add(pid)
        if self.state is GuardianState.RUNNING:
            self._send(Helper(pid))
        try:
            yield
        finally:
            self._helpers.discard(pid)

    def watch_event(self, event: m.Watched) -> None:
        """See `client.Listener`."""

    def session_event(self, event: m.SessionEvent) -> None:
        """See `client.Listener`."""
        match event:
            case m.Connected() if self.state in (GuardianState.NONE, GuardianState.LOST) and not event.resumed:
                try:
                    self._start()
                except (OSError, RuntimeError) as error:  # no descriptor or no thread is to be had
                    self._disconnect(GuardianState.LOST)
                    log.warning("the guardian cannot be started: %s", error, extra={"event": "guardian_lost"})
            case m.Connected() if self.state is GuardianState.RUNNING and not event.resumed:
                self._send_session()
            case m.Ended(confirmed):
                if self.state is GuardianState.RUNNING:
                    self._send(Closed(confirmed))
                self._disconnect(GuardianState.NONE)

    # -- the guardian --------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        _sockets.update((ours, theirs))
        ours.setblocking(False)
        self._sock, self.state = ours, GuardianState.STARTING
        self._reader, self._unsent = protocol.MessageReader(), b""
        asyncio.get_running_loop().add_reader(ours, self._receive)
        self._find(theirs)

    def _find(self, theirs: socket.socket) -> None:
        if finding.hand_over(theirs):
            theirs.close()
        elif (problem := finding.problem()) is not None:
            theirs.close()
            self._disconnect(GuardianState.NONE)
            log.warning("no guardian: %s", problem, extra={"event": "no_guardian"})
        else:
            try:
                threading.Thread(target=finding.spawn, args=(theirs,), name="guardian", daemon=True).start()
            except RuntimeError:
                theirs.close()
                raise

    def _receive(self) -> None:
        assert self._sock is not None
        try:
            data = self._sock.recv(4096)
            for message in self._reader.feed(data):
                if message == Ready() and self.state is GuardianState.STARTING:
                    self.state = GuardianState.RUNNING
                    self._send_session()
        except BlockingIOError:
            return
        except (OSError, ValueError) as error:
            log.debug("%s", error)
            data = b""
        if not data:
            self._lose()

    def _lose(self) -> None:
        if self._sock is not None:
            self._disconnect(GuardianState.LOST)
            text = "the guardian is gone: if this process crashes, its session lives on until its timeout"
            log.warning(text, extra={"event": "guardian_lost"})

    def _disconnect(self, state: GuardianState) -> None:
        self.state = state
        sock, self._sock = self._sock, None
        if sock is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(sock)
            loop.remove_writer(sock)
            sock.close()

    # -- sending -------------------------------------------------------------------------------------------------------

    def _send_session(self) -> None:
        credentials = self._client.credentials
        if credentials is None:
            return  # it has just ended; the next one will be sent
        tls = self._client.tls
        assert isinstance(tls, TLS | None), "connect refuses any other with a guardian"
        begun = Begun(str(self._client.ensemble), credentials, self._client.auth, tls)
        self._send(begun, *map(Joined, self._parents), *map(Helper, self._helpers))

    def _send(self, *messages: protocol.Message) -> None:
        waiting = bool(self._unsent)
        self._unsent += b"".join(map(protocol.encode, messages))
        if not waiting:
            self._flush()

    def _flush(self) -> None:
        if self._sock is None:
            return
        loop = asyncio.get_running_loop()
        try:
            while self._unsent:
                self._unsent = self._unsent[self._sock.send(self._unsent) :]
        except BlockingIOError:
            loop.add_writer(self._sock, self._flush)
        except OSError as error:
            log.debug("%s", error)
            self._lose()
        else:
            loop.remove_writer(self._sock)
