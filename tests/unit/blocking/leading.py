"""Work in threads, as users of the blocking API have it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from leader_async import blocking

LIMIT = 15.0


def until(condition: Callable[[], object]) -> None:
    """Return as soon as this holds."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)  # asks again; nobody waits for time to pass


class Leading:
    """A body in a thread of its own that lasts until it is told to end."""

    def __init__(self, election: blocking.Election, threads: ThreadPoolExecutor) -> None:
        self.end = threading.Event()
        self.began: Future[blocking.Term] = Future()
        self.ended = threads.submit(self._lead, election)

    def _lead(self, election: blocking.Election) -> None:
        with election.lead(LIMIT) as term:
            self.began.set_result(term)
            assert self.end.wait(LIMIT)

    def finish(self) -> None:
        self.end.set()
        self.ended.result(LIMIT)
