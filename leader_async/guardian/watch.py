"""The guardian's end: hears what one application tells, and finds out when its process is gone.

    Ready ──► Begun, Joined … ──┬── its process ends ──► `ending`: leave, close
                                ├── Closed ──► nothing is left to do
                                └── end of file ──┬── there is a pidfd ──► wait for the process's end, for a while
                                                  └── there is none ──► `ending`: close only

Rules:
- The process's end is told by its pidfd, where there is one. The pidfd is of whoever made the socketpair, as the kernel
  has noted it, and is opened before `Ready` is sent. What the application says after that was said by a living process,
  so its id had not become another one's when the pidfd was opened.
- Without pidfds (not Linux, or forbidden) nothing tells of the end: a living process may have closed its descriptors
  (`os.closerange`), or have become another program (`exec`). So an end of file only has the session closed, which can
  take the lead from a living process but never gives it to a second one: the next leader waits the lease out.
- Helpers of the application, which end what it has started, are waited for before its session is ended.
- What the application had said before it ended is read before anything is done: it may have been `Closed`.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import os
import select
import signal
import socket
import struct
from collections.abc import Awaitable, Callable

from . import protocol
from .ending import end_session, lifetime
from .helpers import Helpers
from .protocol import Begun, Closed, Helper, Joined, Ready

log = logging.getLogger("leader_async.guardian")

LINGER = 600.0
"""Seconds to wait for the end of a process that has closed its descriptor and lives: it may have become another program
(`exec`), which is free to live for years."""

SETTLE = 1.0
"""Seconds from an end of file until it is remarkable that the process lives: its end is told a moment later."""


class Fate(enum.Enum):
    """What has become of an application."""

    DEAD = enum.auto()
    """The kernel says that its process has ended."""
    SILENT = enum.auto()
    """It has closed its end, and nothing can tell whether its process lives."""
    RELEASED = enum.auto()
    """There is nothing to end."""


class Watch:
    """One application.

    Args:
        sock: the guardian's end of the socketpair; it is closed in the end.
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
            self._hear()
        if self.living and self._pidfd is not None and select.select([self._pidfd], [], [], 0)[0]:
            self._ended()

    def kill(self) -> bool:
        """End the application's process, if it can be told apart from others; whether it could."""
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
            loop.add_reader(self._sock, self._hear)
            if self._pidfd is not None:
                loop.add_reader(self._pidfd, self._ended)
            self._sock.send(protocol.encode(Ready()))
            fate = await self._fate
        except OSError:
            return  # it was gone before it had told anything
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

    def _hear(self) -> None:
        """Take what there is to read."""
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
            case Closed():  # without a pidfd the end of file that follows would tell nothing
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
        self._hear()  # what it said last
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
    """A descriptor that tells when the maker of this socketpair has ended, None if there cannot be one."""
    if not (hasattr(os, "pidfd_open") and hasattr(socket, "SO_PEERCRED")):
        return None
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        log.debug("no pidfd of process %d: %s", pid, error)
        return None
