"""A guardian that an application started: `python -m leader_async.guardian DESCRIPTOR LEVEL FORM`.

Rule: it ignores the signals that end the application gracefully; what it does after the application's end is bounded.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys

from .. import logs
from .ending import hush
from .watch import Watch


def main(descriptor: str, level: str, form: str = "text") -> None:
    """Guard the application at the other end of this descriptor."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    if os.fork():
        os._exit(0)  # the application waits for this, and only for this
    logs.to_stderr(int(level), form)
    hush()
    logging.raiseExceptions = False  # an application may have closed its stderr, or nobody reads it any more
    asyncio.run(_watch(socket.socket(fileno=int(descriptor))))


async def _watch(sock: socket.socket) -> None:
    await Watch(sock).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
