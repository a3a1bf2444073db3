"""A command that leaves a daemon behind; each of its processes tells again and again that it lives: `FILE`."""

from __future__ import annotations

import os
import sys
import time

from leader_async import clock


def beat(role: str) -> None:
    with open(sys.argv[1], "ab", buffering=0) as out:
        while True:
            out.write(f"{os.environ['LEADER_TOKEN']} {role} {os.getpid()} {clock.now()}\n".encode())
            time.sleep(0.005)


if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    beat("daemon")
beat("command")
