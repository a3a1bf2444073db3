"""A command that leaves a daemon behind; each of its processes tells again and again that it lives: `FILE [stubborn]`.

A stubborn one does not care for SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from leader_async import clock


def beat(role: str) -> None:
    with open(sys.argv[1], "ab", buffering=0) as out:
        while True:
            out.write(f"{os.environ['LEADER_TOKEN']} {role} {os.getpid()} {clock.now()}\n".encode())
            time.sleep(0.005)


if sys.argv[2:] == ["stubborn"]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    beat("daemon")
beat("command")
