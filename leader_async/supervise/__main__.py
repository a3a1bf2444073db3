"""The supervisor of one command: `python -m leader_async.supervise DESCRIPTOR LEADER LEASE STOP LEVEL FORM COMMAND…`.

`command` starts it; see there. It ends when the command and the leader have ended.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from contextlib import suppress

from .. import logs
from . import linux
from .supervisor import Supervisor


def main(descriptor: str, leader: str, lease: str, stop_timeout: str, level: str, form: str, *command: str) -> None:
    """Supervise the command for the leader at the other end of this descriptor."""
    logs.to_stderr(int(level), form)
    logging.raiseExceptions = False  # stderr may be closed, or read by nobody
    linux.adopt_orphans()
    sock, pidfd = socket.socket(fileno=int(descriptor)), None
    sock.set_inheritable(False)
    with suppress(OSError, AttributeError):  # then the end of file alone shows the leader's end
        pidfd = os.pidfd_open(int(leader))
    if os.getppid() != int(leader):
        return
    asyncio.run(Supervisor(sock, command, float(lease), float(stop_timeout), leader=pidfd).run())


if __name__ == "__main__":
    main(*sys.argv[1:])
