"""Processes that end what an application has started: the session of a dead one is not ended before they have.

Rules:
- A helper's pidfd is opened as soon as its id arrives. The helper lived then, or the application had not taken its
  exit status, so its id had not become another process's.
- Waiting for them has a limit: by then the session has expired.

It promises nothing where there are no pidfds. A helper knows the lease's end without the guardian.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select

log = logging.getLogger("leader_async.guardian")


def has_ended(pidfd: int) -> bool:
    """Whether the process of this pidfd has ended."""
    poll = select.poll()  # `select.select` refuses descriptors from 1024 on
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


class Helpers:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._pidfds: list[int] = []

    def add(self, pid: int) -> None:
        """Wait for this process as well."""
        self._forget_ended()
        try:
            self._pidfds.append(os.pidfd_open(pid))
        except (OSError, AttributeError, OverflowError) as error:
            log.debug("no pidfd of process %d: %s", pid, error)

    def _forget_ended(self) -> None:
        for pidfd in [*filter(has_ended, self._pidfds)]:
            self._pidfds.remove(pidfd)
            os.close(pidfd)

    async def ended(self, limit: float) -> None:
        """Return when all of them have ended, or after `limit` seconds."""
        loop = asyncio.get_running_loop()
        ends = [loop.create_future() for _ in self._pidfds]
        for pidfd, end in zip(self._pidfds, ends, strict=True):
            loop.add_reader(pidfd, _settle, pidfd, end)
        if ends:
            text = "waiting for the end of what the application had started"
            log.info(text, extra={"event": "helpers_awaited", "processes": len(ends)})
            if (await asyncio.wait(ends, timeout=limit))[1]:
                log.warning("what the application had started lives on", extra={"event": "helpers_live"})
        self.close()

    def close(self) -> None:
        """Wait for nobody."""
        for pidfd in self._pidfds:
            asyncio.get_running_loop().remove_reader(pidfd)
            os.close(pidfd)
        self._pidfds.clear()


def _settle(pidfd: int, end: asyncio.Future[None]) -> None:
    asyncio.get_running_loop().remove_reader(pidfd)
    end.set_result(None)
