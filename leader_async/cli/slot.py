"""`leader-async run` for one slot: `--every`, `--cron`, `--slot` to a slot, and what became of it to an exit code."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ..errors import CommandFailed, LedgerError, UsageError
from ..signals import listen
from . import options
from .config import Config
from .exits import Exit, end

if TYPE_CHECKING:
    from ..schedule.run import JobRun
    from ..schedule.slots import Once, SlotStatus

log = logging.getLogger("leader_async.run")

flags = options.flags(
    click.option("--every", default=None, type=float, metavar="SECONDS",
                 help="Run COMMAND once in each such stretch since the epoch, on whichever host starts this first; "
                 "then end."),
    click.option("--cron", default=None, metavar="EXPRESSION",
                 help="The same for the slots of a cron expression, five fields, or six with seconds first."),
    click.option("--slot", default=None, metavar="TIME",
                 help="The same for a slot that you give, a date or a date and time as ISO 8601 has them."),
    click.option("--tz", default="UTC", show_default=True, metavar="ZONE",
                 help="The time zone of --cron and --slot."),
    click.option("--unfinished", default="leave", show_default=True, type=click.Choice(("leave", "rerun")),
                 help="When the host that runs a slot dies: leave it, or let one that waits run it again."),
    click.option("--wait", default=3600.0, show_default=True, type=float, metavar="SECONDS",
                 help="For a host to claim the slot; then end with 75."),
)  # fmt: skip
"""Which slot: the arguments of `plan`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the flags ask for: the arguments of `OneSlot` and of its `run`."""

    slot_at: Callable[[int], Once]
    unfinished: Any
    wait: float


def plan(
    *, every: float | None, cron: str | None, slot: str | None, tz: str, unfinished: str, wait: float
) -> Plan | None:
    """What the flags ask for, None if they name no slot.

    Raises:
        UsageError: they cannot be used.
    """
    given = [flag for flag, value in (("--every", every), ("--cron", cron), ("--slot", slot)) if value is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} are two ways to say which slot; give one")
    if not given:
        return None
    if not wait >= 0:
        raise UsageError(f"--wait {wait!r} is not 0 seconds or more")
    from ..schedule import slots
    from ..schedule.triggers import Cron, Every

    if slot is not None:
        one = slots.given(slot, tz)
        return Plan(lambda now: slots.begun(one, now), unfinished, wait)
    trigger = Every(every) if every is not None else Cron(str(cron), tz)
    return Plan(lambda now: slots.due(trigger, now), unfinished, wait)


async def run(config: Config, command: tuple[str, ...], wanted: Plan) -> int:
    """Have the command run for its slot, here or elsewhere; the code to end with."""
    from ..schedule.once import OneSlot

    statuses: list[int] = []

    async def work(run: JobRun) -> None:
        try:
            await run.command(command, stop_timeout=config.stop_timeout)
        except CommandFailed as error:
            statuses.append(error.status)
            raise
        statuses.append(0)

    me = asyncio.current_task()
    assert me is not None
    stopped: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        if stopped:
            end(128 + signal.SIGKILL)  # its supervisor kills the command, and its guardian ends the session after that
        stopped.append(number)
        me.cancel()

    listen({number: partial(stop, number) for number in (signal.SIGTERM, signal.SIGINT)})
    connection, election = config.candidacy()
    async with connection:
        one = OneSlot(election, wanted.slot_at, wanted.unfinished, work)
        try:
            found = await one.run(wanted.wait)
        except asyncio.CancelledError:
            if not stopped:
                raise
            me.uncancel()
            return 128 + stopped[0] if one.begun and not statuses else (*statuses, 0)[-1]
        except (LedgerError, UsageError) as error:
            log.error("%s", error, extra={"event": "slot_over"})
            return Exit.USAGE if isinstance(error, UsageError) else Exit.LOST
    return _code(found, one.slot, statuses, begun=one.begun)


def _code(found: SlotStatus, slot: Once | None, statuses: list[int], *, begun: bool) -> int:
    cut_short = begun and not statuses
    words = "was begun here and left unfinished, because the lead was lost" if cut_short else found.words
    level = logging.INFO if found.over and not cut_short else logging.ERROR
    log.log(level, "slot %s %s", slot or "(unknown)", words, extra={"event": "slot_over", "slot": str(slot)})
    if statuses:
        return statuses[-1]
    return Exit.STOPPED if found.over and not cut_short else Exit.LOST
