"""Candidates of leader_async."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import AsyncExitStack, suppress
from typing import Any

import leader_async
from leader_async import Connection, Election, Term

from .talk import Arguments, arguments, now, orders, tell


class Candidate:
    """One `Election`, run as its documentation shows."""

    def __init__(self, number: int, election: Election) -> None:
        self._number, self._election = number, election
        self._running: asyncio.Task[None] | None = None
        self._told = False  # to give the lead up

    def join(self) -> None:
        self._running = asyncio.create_task(self._election.run(self._lead))
        self._running.add_done_callback(_ended)

    async def resign(self) -> None:
        self._told = True
        at = now()
        await self._election.resign()
        tell("resigned", self._number, at)

    async def leave(self) -> None:
        assert self._running is not None
        self._told = True
        at = now()
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running
        tell("left", self._number, at)

    async def _lead(self, term: Term) -> None:
        if self._election.is_leader:
            tell("leads", self._number, now())
        self._told = False
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            if not self._told:
                tell("ends", self._number, now())


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()  # closing the connection ends it so


def connect(given: Arguments, number: int) -> Connection:
    """A session of its own, with a guardian if that was asked for and there is one."""
    options: dict[str, Any] = {"guardian": True} if "guardian" in given.words and has_guardian() else {}
    return leader_async.connect(given.server(number), timeout=given.timeout, **options)


def has_guardian() -> bool:
    """Whether this version can end a dead process's session at once."""
    return "guardian" in inspect.signature(leader_async.connect).parameters


async def main() -> None:
    given = arguments()
    async with AsyncExitStack() as stack:
        sessions = [
            await stack.enter_async_context(connect(given, number))
            for number in range(1 if given.shared else given.count)
        ]
        await asyncio.gather(*(zk.wait_connected() for zk in sessions))
        tell("ready", -1, now())
        candidates = []
        for number in range(given.count):
            zk = sessions[0 if given.shared else number]
            candidates.append(Candidate(number, zk.election(given.election(number), root=given.root)))
        async for order, number in orders():
            match order:
                case "join":
                    candidates[number].join()
                case "resign":
                    await candidates[number].resign()
                case "leave":
                    await candidates[number].leave()
                case "close":
                    tell("closing", -1, now())
                    break


if __name__ == "__main__":
    asyncio.run(main())
