"""One replica in the foreground: joins the election, serves its status, stops gracefully.

Rules:
- The HTTP port is bound before anything else is done: a replica that cannot be asked does not become a candidate.
- ZooKeeper need not be there: the service answers False, and `/status` has since when.
- A stop gives the lead up and answers the requests under way at the same time, then closes the session; all inside one
  bound. A second signal does not wait. The candidate that started last gets the lead, so that a rolling restart moves
  it twice at most, whatever its order.
- A bug in the election ends the process: another replica leads, and a supervisor starts this one again. So
  does a ZooKeeper that does not let us take part: that is a mistake, to be seen at once.

It does not promise that the place in the queue ends with the process: without a guardian, or without ZooKeeper, it ends
with the session.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from contextlib import suppress
from dataclasses import replace
from types import FrameType

from aiohttp import web

from .. import signals
from ..election.term import Term
from ..errors import AuthFailed, NoAuth
from ..web import create_app
from ..web.callers import Callers, allow_files, bound
from ..web.site import Site
from .config import Config, authority
from .exits import CannotListen, Exit
from .systemd import Notify, report

log = logging.getLogger("leader_async.serve")

FAVOUR_SHARE, LEAVE_SHARE, CLOSE_SHARE = 0.05, 0.65, 0.25
"""Of the bound of a stop: how long ZooKeeper may take to answer which candidate started last, to delete this one's
place, and to close the session. A ZooKeeper that does not answer is no failure: the place ends with the session."""

BACKLOG = 1024
"""Connections that the kernel keeps for us: one is accepted in each turn of the loop."""


async def serve(config: Config) -> Exit:
    """Run one replica until a signal stops it.

    Raises:
        CannotListen: a port is taken or may not be used.
    """
    stop, notify = _first_signal(), Notify.take(os.environ)
    allow_files()
    sockets = [bind(config.host, config.port)]
    if config.shared_port is not None:
        sockets.append(bind(config.host, config.shared_port, shared=True))
    port: int = sockets[0].getsockname()[1]
    replica = Replica(replace(config, address=config.url(port, socket.gethostname())))
    await replica.listen(sockets)
    fields = {"event": "listening", "election": config.election, "identity": config.identity}
    where = authority(config.host, port), config.root, config.election, config.zookeeper
    log.info("%s listens on %s for election %s/%s at ZooKeeper %s", config.identity, *where, extra=fields)
    running = replica.run()
    reporting = asyncio.create_task(
        report(notify, replica.election, replica.connection, replica.trouble), name="systemd"
    )
    await asyncio.wait([running, stop], return_when=asyncio.FIRST_COMPLETED)
    notify.stopping()
    code = await replica.stop()
    reporting.cancel()
    return code


class Replica:
    """The parts of one replica, and the order in which they begin and end."""

    def __init__(self, config: Config) -> None:
        self._bound = config.stop_timeout
        self.connection, self.election = config.candidacy()
        app = create_app(self.election, self.connection, resign_token=config.resign_token, trouble=self.trouble)
        if config.certificate is not None:
            app.on_response_prepare.append(_only_encrypted)
        self._context = None if config.certificate is None else config.certificate.context
        # What outlasts the stop's bound is not cut off within it: that stop was not graceful.
        self._runner = web.AppRunner(app, shutdown_timeout=self._bound)
        self._running: asyncio.Task[None] | None = None
        self._died: Exit | None = None

    async def listen(self, sockets: list[socket.socket]) -> None:
        """Answer requests on these sockets."""
        await self._runner.setup()
        callers = Callers(self._runner, bound())
        for sock in sockets:
            await Site(callers, sock, self._context).start()

    def run(self) -> asyncio.Task[None]:
        """Connect and be a candidate; the task ends when it is cancelled, else only of a bug."""
        self.connection.start()
        self._running = asyncio.get_running_loop().create_task(self.election.run(hold), name="election")
        self._running.add_done_callback(self._ended)
        return self._running

    async def stop(self) -> Exit:
        """Give the lead up and drain at the same time, then close the session, inside the bound."""
        try:
            async with asyncio.timeout(self._bound):
                await asyncio.gather(self._runner.cleanup(), self._leave())
        except TimeoutError:
            text = "the stop took longer than its bound of %g s: what is left ends with the process"
            log.error(text, self._bound, extra={"event": "stop_late", "seconds": self._bound})
            return self._died or Exit.STOP_TIMEOUT
        log.info("stopped", extra={"event": "stopped"})
        return self._died or Exit.STOPPED

    async def _leave(self) -> None:
        running = self._running
        assert running is not None
        await self.election.favour_newest(self._bound * FAVOUR_SHARE)
        running.cancel()
        await asyncio.wait([running], timeout=self._bound * LEAVE_SHARE)
        if not running.done():
            text = "ZooKeeper does not answer: our place ends with the session"
            log.warning(text, extra={"event": "place_left_behind"})
        with suppress(TimeoutError):
            async with asyncio.timeout(self._bound * CLOSE_SHARE):
                await self.connection.client.close()
        await asyncio.wait([running])

    def _ended(self, running: asyncio.Task[None]) -> None:
        if running.cancelled() and running.cancelling():
            return  # by our own stop
        error = None if running.cancelled() else running.exception()
        if isinstance(error, NoAuth | AuthFailed):
            self._died = Exit.DENIED
            text = "ZooKeeper does not let this replica take part, and it ends: %s"
            log.critical(text, error, extra={"event": "denied"})
        else:
            self._died = Exit.BUG
            text = "the election has died of a bug; this replica ends"
            log.critical(text, exc_info=error, extra={"event": "bug"})

    def trouble(self) -> str | None:
        """Why this process must be restarted, None if it need not be."""
        if self._died is Exit.DENIED:
            return "ZooKeeper does not let this replica take part, see the log; this replica ends"
        return "the election has died of a bug, see the log; this replica ends" if self._died else None


async def hold(term: Term) -> None:
    """The work of a replica that only shows who leads: nothing, for as long as it leads."""
    await asyncio.get_running_loop().create_future()


async def _only_encrypted(request: web.Request, response: web.StreamResponse) -> None:
    """Browsers come over HTTPS from now on, for a day at most: a replica may be changed back."""
    response.headers["Strict-Transport-Security"] = "max-age=86400"


def _first_signal() -> asyncio.Future[None]:
    """Done at the first SIGTERM or SIGINT; the second one ends the process there and then."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[None] = loop.create_future()
    came: list[int] = []

    def log_and_stop(number: int) -> None:
        name = signal.Signals(number).name
        log.info("%s: stopping", name, extra={"event": "stopping", "signal": name})
        stop.set_result(None)

    def handle(number: int, frame: FrameType | None) -> None:
        # Not by the loop's own handlers: they would not run for a second signal while the loop is busy with the first.
        # Not SIG_DFL: the first process of a container would never get it.
        if came:
            os._exit(Exit.STOP_TIMEOUT)
        came.append(number)
        loop.call_soon_threadsafe(log_and_stop, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    signals.wake()
    return stop


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A listening socket; with `shared`, one of several on the same port.

    Raises:
        CannotListen: it cannot be had.
    """
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = infos[0]
        sock = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise CannotListen(f"cannot listen on {host!r}: {error}; give another --host") from error
    try:
        # SO_REUSEADDR: a restarted replica need not wait for its predecessor's closed connections.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        flag = "--shared-port" if shared else "--port"
        raise CannotListen(
            f"cannot listen on {authority(host, port)}: {error.strerror}; free it or give another {flag}"
        ) from error
    return sock
