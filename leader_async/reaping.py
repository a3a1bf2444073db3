"""Takes the statuses of processes that have ended, as an init does, those of orphans too that have become children."""

from __future__ import annotations

import os
from collections.abc import Iterator


def reap() -> Iterator[tuple[int, int]]:
    """The ids of the children that have ended, and their statuses as shells have them."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        code = os.waitstatus_to_exitcode(status)
        yield pid, code if code >= 0 else 128 - code
