"""Which event loop the tests run on: asyncio's own, or the one that `LEADER_ASYNC_TEST_LOOP` names."""

from __future__ import annotations

import asyncio
import os
import warnings

NAME = os.environ.get("LEADER_ASYNC_TEST_LOOP", "asyncio")


def choose() -> None:
    """Let all that makes an event loop in this process make one of that kind.

    A policy reaches what a loop factory does not: `asyncio.run` in a thread of the library.
    """
    if NAME == "asyncio":
        return
    assert NAME == "uvloop", f"LEADER_ASYNC_TEST_LOOP={NAME}: asyncio or uvloop"
    import uvloop

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # policies go with Python 3.16
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
