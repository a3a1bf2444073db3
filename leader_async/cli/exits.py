"""How `leader-async` ends."""

from __future__ import annotations

import asyncio
import enum
import logging
import os
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, NoReturn

import click

from ..errors import UsageError
from ..logs import one_line
from ..supervise import policy
from ..watchdog import EXIT_CODE


class Exit(enum.IntEnum):
    """The exit codes of `leader-async`; `NO` and `AWAY` are those of the commands that ask.

    `DENIED`: ZooKeeper does not accept the credentials, or its access lists do not. The last four are those of `run`,
    which else ends as its command does.
    """

    STOPPED = 0
    NO = 1
    USAGE = 2
    PORT = 3
    STOP_TIMEOUT = 4
    OVERDUE = EXIT_CODE
    AWAY = 6
    BUG = 70
    DENIED = 77
    SUPERVISOR_DIED = policy.SUPERVISOR_DIED
    LOST = policy.LOST
    NOT_RUN = policy.NOT_RUN
    NOT_FOUND = policy.NOT_FOUND


class CannotListen(Exception):
    """A port cannot be bound; the message says which and why."""


class Command(click.Command):
    """A command; a `UsageError` that leaves it is wrong usage of its flags, variables or arguments."""

    def invoke(self, ctx: click.Context) -> Any:
        """See `click.Command`."""
        try:
            return super().invoke(ctx)
        except UsageError as error:
            raise click.UsageError(one_line(str(error)), ctx) from error


def print_lines(*lines: str, err: bool = False) -> None:
    """Print these, for people: each stays one line, whatever a name in it holds (a terminal's control characters)."""
    for line in lines:
        click.echo(one_line(line), err=err)


def print_error(text: str) -> None:
    """Print on stderr what went wrong, in one line; nothing if that is ""."""
    if text:
        print_lines(f"leader-async: {text}", err=True)


_loops: list[asyncio.AbstractEventLoop] = []


def carry_out(main: Coroutine[Any, Any, int]) -> int:
    """Run this in an event loop that stays as it is until `end`; the code that it returns.

    Not asyncio.run: it waits for threads (see `end`), and closing the loop takes the signal handlers away. A signal
    that arrives a moment later would end this process, and its code would be lost.
    """
    loop = asyncio.new_event_loop()
    _loops.append(loop)  # nor is it closed as garbage
    try:
        return loop.run_until_complete(main)
    except CannotListen as error:
        print_error(str(error))
        return Exit.PORT


def end(code: int) -> NoReturn:
    """End this process with this code, now."""
    # Not sys.exit: it waits for threads, and a name that is being looked up in one would break the bound of a stop.
    logging.shutdown()
    if sys.stderr is not None:  # it may be closed
        with suppress(OSError):
            sys.stderr.flush()
    os._exit(code)
