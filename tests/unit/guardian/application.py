"""An application with a guardian, in a process of its own: `python -m … ADDRESS ELECTION HOW`; it tells what it does.

HOW says what it does once it leads and is guarded:
    wait        nothing, until it is killed or its stdin ends; then it closes its session
    c-fork      forks behind Python's back; the child keeps every descriptor, and lives on
    fork        forks; the child tells how many sockets it has
    close       closes every descriptor but those of its stdio and the event loop's
    closerange  closes every descriptor but those of its stdio, and looks whether it leads until it does not
    exec        becomes another program
    block       blocks the event loop until somebody deletes the file BLOCKED
    swallow     swallows its cancellation
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import stat
import sys
import time
from pathlib import Path

import leader_async
from leader_async import Connection, Term, clock

from ...support import loops

TIMEOUT, LEASE = 10.0, 3.0
BLOCKED = Path(os.environ.get("BLOCKED", "/nowhere"))


def tell(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def sockets() -> list[int]:
    found = []
    for number in range(3, 256):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                found.append(number)
        except OSError:
            continue
    return found


def sleep_in_child() -> None:
    tell("forked", os.getpid())
    time.sleep(60)
    os._exit(0)


def fork() -> None:
    tell("before", len(sockets()))
    child = os.fork()
    if child == 0:
        tell("child", len(sockets()))
        os._exit(0)
    os.waitpid(child, 0)


def block() -> None:
    while BLOCKED.exists():
        time.sleep(0.01)  # here it hangs


async def main(address: str, name: str, how: str, overdue: str = "off", lease: str = str(LEASE)) -> None:
    stdin = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    action: leader_async.watchdog.Action = next(a for a in leader_async.watchdog.ACTIONS if a == overdue)
    async with leader_async.connect(address, timeout=TIMEOUT, guardian=True, overdue=action) as zk:
        election = zk.election(name, identity=str(os.getpid()), lease=float(lease))

        async def work(term: Term) -> None:
            while zk.guardian != "running":
                await asyncio.sleep(0.005)
            credentials = zk.client.credentials
            assert credentials is not None
            tell("leads", os.getpid(), credentials.password.hex())
            await perform(how, zk, term)

        running = asyncio.create_task(election.run(work))
        await asyncio.wait([running, stdin], return_when=asyncio.FIRST_COMPLETED)
        tell("is_leader", election.is_leader, zk.guardian)
        running.cancel()
        await asyncio.wait([running])
    tell("closed", zk.guardian)
    sys.stdin.readline()


def close_all(term: Term) -> None:
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    last = clock.now()
    while term.is_current:
        last = clock.now()
        time.sleep(0.005)
    tell("led", last)


async def perform(how: str, zk: Connection, term: Term) -> None:
    match how:
        case "c-fork":
            if ctypes.CDLL(None).fork() == 0:
                sleep_in_child()
        case "fork":
            fork()
        case "close":
            assert zk._guardian is not None
            assert zk._guardian._sock is not None
            os.close(zk._guardian._sock.detach())
            tell("done")
        case "closerange":
            close_all(term)
        case "exec":
            os.execv(sys.executable, [sys.executable, "-c", "input()"])
        case "block":
            block()
            tell("woke", term.is_current)
        case "swallow":
            while True:
                try:
                    await asyncio.sleep(1000)  # here it does not listen
                except asyncio.CancelledError:
                    tell("cancelled")
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    logging.basicConfig(level="INFO", stream=sys.stderr, format="%(name)s: %(message)s")
    loops.choose()
    asyncio.run(main(*sys.argv[1:]))
