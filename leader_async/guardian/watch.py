"""The guardian's end: reads the messages of one application, and notices when its process is gone.

    Ready ──► Begun, Joined … ──┬── its process ends ──► `ending`: leave, close
                                ├── Closed ──► nothing is left to do
                                └── end of file ──┬── there is a pidfd ──► wait for the process's end, for a while
                                                  └── there is none ──► `ending`: close only

Rules:
- Where there are pidfds, one shows the process's end. It is the pidfd of the maker of the socketpair, whose id the
  kernel has noted, and it is opened before `Ready` is sent. Later messages of the application come from a living
  process, so its id had not become another process's when the pidfd was opened.
- Without pidfds (not Linux, or forbidden) the end cannot be known: a living process may have closed its descriptors
  (`os.closerange`), or have become another program (`exec`). So an end of file only closes the session. That can take
  the lead from a living process, but never gives it to a second one: the next leader waits the lease out.
- Helpers of the application, which end what it has started, have to end before its session is ended.
- All messages of the application are read before anything is done: the last one may have been `Closed`.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import os
import signal
import socket
import struct
from collections.abc import Awaitable, Callable

from . import protocol
from .ending import end_session, lifetime
from .helpers import Helpers, has_ended
from .protocol import Begun, Closed, Helper, Joined, Ready

log = logging.getLogger("leader_async.guardian")

LINGER = 600.0
"""Seconds to wait for the end of a process that has closed its descriptor and lives: it may have become another program
(`exec`), which is free to live for years."""

SETTLE = 1.0
"""Seconds from an end of file until it is logged that the process lives: usually its end follows a moment later."""


class Fate(enum.Enum):
    """What has become of an application."""

    DEAD = enum.auto()
    """The kernel says that its process has ended."""
    SILENT = enum.auto()
    """It has closed its end, and whether its process lives cannot be known."""
    RELEASED = enum.auto()
    """There is nothing to end."""


class Watch:
    """One application.

    Args:
        sock: the guardian's end of the socketpair; `run` closes it.
        after: what to wait for before the session of a process that is gone is ended, None for nothing.
    """

    def __init__(self, sock: socket.socket, *, after: Callable[[], Awaitable[None]] | None = None) -> None:
        self._sock, self._after = sock, after
        sock.setblocking(False)
        self._pidfd = _pidfd(sock)
        self._reader = protocol.MessageReader()
        self._session: Begun | None = None
        self._parents: dict[str, None] = {}
        self._helpers = Helpers()
        self._fate: asyncio.Future[Fate] = asyncio.get_running_loop().create_future()

    @property
    def living(self) -> bool:
        """Whether the application is not known to be gone."""
        return not self._fate.done()

    def look(self) -> None:
        """Find out now whether the application is gone, instead of when the event loop comes to it."""
        if self.living:
            self._receive()
        if self.living and self._pidfd is not None and has_ended(self._pidfd):
            self._ended()

    def kill(self) -> bool:
        """End the application's process, and return True; False if it has ended or there is no pidfd of it."""
        if self._pidfd is None or not self.living:
            return False
        try:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        except OSError:
            return False
        return True

    async def run(self) -> None:
        """Return when nothing is left to do for this application."""
        loop = asyncio.get_running_loop()
        try:
            loop.add_reader(self._sock, self._receive)
            if self._pidfd is not None:
                loop.add_reader(self._pidfd, self._ended)
            self._sock.send(protocol.encode(Ready()))
            fate = await self._fate
        except OSError:
            return  # it was gone before it had sent anything
        finally:
            loop.remove_reader(self._sock)
            self._sock.close()
            if self._pidfd is not None:
                loop.remove_reader(self._pidfd)
                os.close(self._pidfd)
        if fate is not Fate.RELEASED and self._session is not None:
            if self._after is not None:
                await self._after()
            await self._helpers.ended(lifetime(self._session.credentials.timeout))
            await end_session(self._session, [*self._parents], dead=fate is Fate.DEAD)
        else:
            self._helpers.close()

    def _receive(self) -> None:
        """Read what there is."""
        try:
            while data := self._sock.recv(2**16):
                for message in self._reader.feed(data):
                    self._take(message)
        except BlockingIOError:
            return
        except ValueError as error:
            log.error("%s: this application is not guarded", error, extra={"event": "not_guarded"})
            self._settle(Fate.RELEASED)
            return
        except OSError as error:
            log.debug("%s", error)
        self._closed()

    def _take(self, message: protocol.Message) -> None:
        match message:
            case Begun():
                self._session = message
            case Joined(parent):
                self._parents[parent] = None
            case Helper(pid):
                self._helpers.add(pid)
            case Closed(confirmed=False) if self._session is not None and self._pidfd is not None:
                self._expect_end(lifetime(self._session.credentials.timeout))
            case Closed():  # without a pidfd the end of file that follows would mean nothing
                self._settle(Fate.RELEASED)
            case Ready():
                log.debug("not expected: %r", message)

    def _closed(self) -> None:
        """The end of file."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._sock)
        if self._session is None:
            self._settle(Fate.RELEASED)
        elif self._pidfd is None:
            self._settle(Fate.SILENT)
        else:
            loop.call_later(SETTLE, self._note_alive)
            self._expect_end(LINGER)

    def _ended(self) -> None:
        """The process has ended."""
        assert self._pidfd is not None
        asyncio.get_running_loop().remove_reader(self._pidfd)
        self._receive()  # its last messages
        self._settle(Fate.DEAD)

    def _expect_end(self, limit: float) -> None:
        asyncio.get_running_loop().call_later(limit, lambda: self._settle(Fate.RELEASED))

    def _note_alive(self) -> None:
        if self.living:
            log.warning(
                "the application has closed its descriptor, but its process lives: waiting for its end",
                extra={"event": "descriptor_closed"},
            )

    def _settle(self, fate: Fate) -> None:
        if not self._fate.done():
            self._fate.set_result(fate)


def _pidfd(sock: socket.socket) -> int | None:
    """A descriptor that becomes readable when the maker of this socketpair ends, None if there cannot be one."""
    if not (hasattr(os, "pidfd_open") and hasattr(socket, "SO_PEERCRED")):
        return None
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        log.debug("no pidfd of process %d: %s", pid, error)
        return None
