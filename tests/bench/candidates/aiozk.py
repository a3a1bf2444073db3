"""Candidates of aiozk's `LeaderElection`. One that has resigned cannot be used again, so each join is a new one."""

from __future__ import annotations

import asyncio
import importlib
import logging
from typing import Any

from .talk import arguments, now, orders, tell


class Candidate:
    """One candidate, and the task that waits for its leadership."""

    def __init__(self, number: int, client: Any, path: str) -> None:
        self._number, self._client, self._path = number, client, path
        self._recipe: Any = None
        self._waiting: asyncio.Task[None] | None = None

    async def join(self) -> None:
        self._recipe = self._client.recipes.LeaderElection(self._path)
        self._waiting = asyncio.create_task(self._wait(self._recipe))
        await self._recipe.volunteer()

    async def give_up(self, word: str) -> None:
        assert self._waiting is not None
        at = now()
        await self._recipe.resign()
        tell(word, self._number, at)
        self._waiting.cancel()

    async def _wait(self, recipe: Any) -> None:
        await recipe.wait_for_leadership()
        tell("leads", self._number, now())


async def main() -> None:
    logging.disable(logging.CRITICAL)
    aiozk: Any = importlib.import_module("aiozk")
    given = arguments()
    clients = [
        aiozk.ZKClient(given.server(number), session_timeout=given.timeout)
        for number in range(1 if given.shared else given.count)
    ]
    for client in clients:
        await client.start()
    tell("ready", -1, now())
    candidates = [
        Candidate(number, clients[0 if given.shared else number], f"{given.root}/{given.election(number)}")
        for number in range(given.count)
    ]
    joining = set()
    async for order, number in orders():
        match order:
            case "join":
                task = asyncio.create_task(candidates[number].join())
                joining.add(task)
                task.add_done_callback(joining.discard)
            case "resign":
                await candidates[number].give_up("resigned")
                await candidates[number].join()
            case "leave":
                await candidates[number].give_up("left")
            case "close":
                tell("closing", -1, now())
                for client in clients:
                    await client.close()
                break


if __name__ == "__main__":
    asyncio.run(main())
