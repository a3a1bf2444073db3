"""`leader-async run`: flags to a `Runner` and its supervisor, results to exit codes."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import click

from .. import logs
from ..commands import linux, supervisor
from ..commands.decisions import OnExit, OnLoss
from ..commands.runner import Runner, SupervisorDied
from ..election.connection import connect
from ..errors import UsageError
from .config import Config

SUPERVISOR_DIED = 71
"""The supervisor was killed, or cannot be had (EX_OSERR)."""

LEAST_LEASE = 1.0
"""Seconds; a tenth of the lease is all the time that ending the command may take."""


def run(*, command: tuple[str, ...], on_loss: OnLoss, on_exit: OnExit, identity: str, **rest: Any) -> int:
    """Run this command where we lead; the exit code."""
    try:
        config = Config(**rest, identity=identity or socket.gethostname(), overdue="off")
        if config.lease < LEAST_LEASE:
            raise UsageError(f"--lease {config.lease:g} s leaves no time to end a command; give at least 1 second")
        if (problem := linux.problem()) is not None:
            raise UsageError(f"leader-async run {problem}")
    except UsageError as error:
        raise click.UsageError(str(error)) from error
    logs.to_stderr(config.log_level)
    try:
        process = supervisor.fork(command, config.lease, config.stop_timeout)
        return asyncio.new_event_loop().run_until_complete(_run(config, process, on_loss, on_exit))
    except (OSError, SupervisorDied) as error:
        click.echo(
            f"leader-async: the supervisor is gone, and nothing of the command is left {error}".rstrip(), err=True
        )
        return SUPERVISOR_DIED


async def _run(config: Config, process: tuple[int, socket.socket], on_loss: OnLoss, on_exit: OnExit) -> int:
    connection = connect(config.zookeeper, timeout=config.session_timeout, guardian=config.guardian)
    election = connection.election(
        config.election, identity=config.identity, lease=config.lease, root=config.root
    )  # fmt: skip
    options: dict[str, Any] = {"stop_timeout": config.stop_timeout, "on_exit": on_exit, "on_loss": on_loss}
    return await Runner(connection, election, process, **options).run()
