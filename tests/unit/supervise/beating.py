"""A command that leaves a daemon behind; each of its processes tells again and again that it lives: `FILE [stubborn]`.

A stubborn one does not care for SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
import time


def beat(role: str) -> None:
    with open(sys.argv[1], "ab", buffering=0) as out:
        while True:
            # The clock of leader_async, which is not imported: that takes ten times as long as Python's own start.
            now = time.clock_gettime(time.CLOCK_BOOTTIME)
            out.write(f"{os.environ['LEADER_TOKEN']} {role} {os.getpid()} {now}\n".encode())
            time.sleep(0.005)


if sys.argv[2:] == ["stubborn"]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    beat("daemon")
beat("command")
