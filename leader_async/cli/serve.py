"""One replica in the foreground: joins the election, serves its status, stops gracefully.

Rules:
- The HTTP port is bound before anything else is done: a replica that cannot be asked does not become a candidate.
- ZooKeeper need not be there: the service answers False, and `/status` says since when.
- A stop first ends the work and gives the lead up while requests are still answered, then drains them and closes the
  session; all inside one bound. A second signal does not wait.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from aiohttp import web

from ..election.connection import Connection, connect
from ..election.election import Election
from ..election.term import Term
from ..web import create_app
from .config import Config

log = logging.getLogger("leader_async.serve")

DRAIN_SHARE = 0.3
"""Of the bound of a stop: what is kept for requests under way and for closing the session."""


class Exit(enum.IntEnum):
    """The exit codes of `leader-async serve`."""

    STOPPED = 0
    USAGE = 2
    PORT = 3
    STOP_TIMEOUT = 4
    BUG = 70


class CannotListen(Exception):
    """A port cannot be bound; the message says which and why."""


async def serve(config: Config) -> Exit:
    """Run one replica until it is told to stop.

    Args:
        config: its settings.

    Raises:
        CannotListen: a port is taken or may not be used.
    """
    stop = _stop_on_signals()
    with _bind(config.host, config.port, shared=False) as own:
        port: int = own.getsockname()[1]
        sockets = [own]
        if config.shared_port is not None:
            sockets.append(_bind(config.host, config.shared_port, shared=True))
        config = replace(config, address=config.url(port))
        connection = connect(config.zookeeper, timeout=config.session_timeout)
        election = connection.election(
            config.election, identity=config.identity, address=config.address, lease=config.lease, root=config.root
        )
        async with _served(election, connection, config, sockets) as runner:
            connection.client.start()
            log.info(
                "%s listens on %s:%d for election %s/%s at ZooKeeper %s",
                config.identity, config.host, port, config.root, config.election, config.zookeeper,
            )  # fmt: skip
            running = asyncio.get_running_loop().create_task(election.run(_hold))
            await asyncio.wait([running, stop], return_when=asyncio.FIRST_COMPLETED)
            return await _stop(running, election, connection, runner, config.stop_timeout)


async def _hold(term: Term) -> None:
    """The work of a replica that only shows who leads: nothing, for as long as it leads."""
    await asyncio.get_running_loop().create_future()


async def _stop(
    running: asyncio.Task[None], election: Election, connection: Connection, runner: web.AppRunner, bound: float
) -> Exit:
    died = running.done() and not running.cancelled()
    try:
        async with asyncio.timeout(bound):
            running.cancel()
            await asyncio.wait([running], timeout=bound * (1 - DRAIN_SHARE))
            late = election.candidacy.working
            if not running.done() and not late:
                log.warning("ZooKeeper is away: our place ends with the session")
            # Draining waits for requests under way, not for idle connections; it goes on beside closing the session.
            await asyncio.gather(runner.cleanup(), connection.client.close())
    except TimeoutError:
        late = True
    if died:
        log.critical("the election has died of a bug; this replica ends", exc_info=running.exception())
        return Exit.BUG
    if late:
        log.error("the stop took longer than its bound of %g s: what is left ends with the process", bound)
        return Exit.STOP_TIMEOUT
    log.info("stopped")
    return Exit.STOPPED


def _stop_on_signals() -> asyncio.Future[None]:
    """Done at the first SIGTERM or SIGINT; the second one ends the process as it would have done without us."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[None] = loop.create_future()

    def told(number: signal.Signals) -> None:
        log.info("%s: stopping", number.name)
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        if not stop.done():
            stop.set_result(None)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told, number)
    return stop


@asynccontextmanager
async def _served(
    election: Election, connection: Connection, config: Config, sockets: list[socket.socket]
) -> AsyncIterator[web.AppRunner]:
    app = create_app(election, connection, resign_token=config.resign_token)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=config.stop_timeout * DRAIN_SHARE)
    await runner.setup()
    try:
        for sock in sockets:
            await web.SockSite(runner, sock).start()
        yield runner
    finally:
        await runner.cleanup()


def _bind(host: str, port: int, *, shared: bool) -> socket.socket:
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = infos[0]
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise CannotListen(f"cannot listen on {host}: {error}; give another --host") from error
    try:
        # SO_REUSEADDR: a restarted replica need not wait for its predecessor's closed connections.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
        sock.listen(128)
    except OSError as error:
        sock.close()
        flag = "--shared-port" if shared else "--port"
        raise CannotListen(
            f"cannot listen on {host}:{port}: {error.strerror}; free it or give another {flag}"
        ) from error
    return sock


def run(config: Config) -> Exit:
    """Run `serve` in an event loop of its own, with a log on stderr."""
    logging.basicConfig(
        level=config.log_level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)-8s %(name)s: %(message)s",
    )
    logging.getLogger("aiozk").setLevel(logging.WARNING)
    try:
        return asyncio.run(serve(config))
    except CannotListen as error:
        sys.stderr.write(f"leader-async: {error}\n")
        return Exit.PORT
