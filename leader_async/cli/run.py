"""`leader-async run`: flags to a `Runner` and its supervisor, or to one slot (`slot`); results to exit codes."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from typing import TYPE_CHECKING, Any

import click

from .. import logs
from ..errors import AuthFailed, NoAuth, UsageError
from ..supervise.policy import ON_EXIT, ON_LOSS, OnExit, OnLoss
from ..supervise.supervision import LEAST_LEASE
from . import options, slot
from .config import Config
from .exits import Command, Exit, carry_out, end, print_error
from .systemd import Notify, report

if TYPE_CHECKING:
    from ..supervise.channel import ParentChannel

log = logging.getLogger("leader_async.run")

SETTINGS = {"auto_envvar_prefix": "LEADER_ASYNC", "max_content_width": 100, "allow_interspersed_args": False}

EPILOG = """\b
Examples, the same on every host:
  leader-async run --zookeeper zk1,zk2,zk3 --election beat -- celery -A app beat
  0 3 * * *  leader-async run --election nightly --every 86400 -- nightly.sh    (a crontab)

Every flag has an environment variable, LEADER_ASYNC_ and the flag's name.

ZooKeeper need not be there. Leaving takes at most a session timeout and a third once COMMAND has ended.

\b
Exit codes are COMMAND's, or 128 and the number of the signal that ended it, and:
   0  stopped before COMMAND has run here; another host has claimed the slot
   2  a flag or variable cannot be used
  70  a bug; the log says where
  71  the supervisor was killed or cannot be had; nothing of COMMAND is left
  75  the lead was lost, and --on-loss is exit; no host has claimed the slot in time, or it was left unfinished here
  77  ZooKeeper does not let it take part, with the credentials that it has given
 126  COMMAND cannot be run
 127  there is no such command
"""


@click.command(cls=Command, epilog=EPILOG, context_settings=SETTINGS)
@options.zookeeper
@click.option("--election", required=True, metavar="NAME", help="The command runs once for this name.")
@options.settings("root", "identity", "session_timeout", "lease")
@options.setting("stop_timeout", help="From SIGTERM to SIGKILL, while the lead is kept.")
@options.settings("guardian")
@click.option("--on-loss", default="follow", show_default=True, type=click.Choice(ON_LOSS),
              help="When the lead was lost: wait for the next turn, or end with 75.")  # fmt: skip
@click.option("--on-exit", default="exit", show_default=True, type=click.Choice(ON_EXIT),
              help="When COMMAND ends: end as well, let another host run it, or start it again "
              "here.")  # fmt: skip
@options.log_level
@options.log_format
@slot.flags
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(command: tuple[str, ...], on_loss: OnLoss, on_exit: OnExit, identity: str, **rest: Any) -> None:
    """Run COMMAND in one place at a time; with --every, --cron or --slot once for each slot, on whichever host.

    COMMAND gets LEADER_TOKEN, LEADER_ELECTION and LEADER_IDENTITY, and is in a session of its own. It and all that it
    has started are ended before another one may begin: SIGTERM when a tenth of the lease is left, SIGKILL at its end.
    SIGTERM and SIGINT stop it gracefully, a second one kills it; other signals are passed on, SIGTSTP as SIGSTOP.
    """
    from ..supervise import linux

    wanted = slot.plan(**{name: rest.pop(name) for name in ("every", "cron", "slot", "tz", "unfinished", "wait")})
    if wanted is not None and (on_loss, on_exit) != ("follow", "exit"):
        text = "--on-loss and --on-exit are for commands that do not end; a slot is run once: give --unfinished"
        raise UsageError(text)
    config = Config(**rest, identity=identity or socket.gethostname(), overdue="off")
    if config.lease < LEAST_LEASE:
        raise UsageError(f"--lease {config.lease:g} s leaves no time to end a command; give at least 1 second")
    if (problem := linux.problem()) is not None:
        raise UsageError(f"leader-async run {problem}")
    logs.to_stderr(config.log_level, config.log_format)
    options.warn_of_readers()
    options.forget_secrets()
    try:
        if wanted is None:
            code = _supervised(config, command, on_loss, on_exit)
        else:
            code = carry_out(slot.run(config, command, wanted))
    except (NoAuth, AuthFailed) as error:
        print_error(f"ZooKeeper does not let us take part: {error}")
        code = Exit.DENIED
    end(code)


def _supervised(config: Config, command: tuple[str, ...], on_loss: OnLoss, on_exit: OnExit) -> int:
    from ..supervise import supervisor
    from ..supervise.channel import SupervisorDied

    notify = Notify.take(os.environ)
    try:
        channel = supervisor.fork(command, config.lease, config.stop_timeout)
    except OSError as error:
        print_error(f"the supervisor cannot be started: {error.strerror}")
        return Exit.SUPERVISOR_DIED
    try:
        return carry_out(_run(config, channel, on_loss, on_exit, notify))
    except SupervisorDied:
        log.critical("the supervisor is gone, and nothing of the command is left", extra={"event": "supervisor_lost"})
        return Exit.SUPERVISOR_DIED


async def _run(config: Config, channel: ParentChannel, on_loss: OnLoss, on_exit: OnExit, notify: Notify) -> int:
    from ..supervise.runner import Runner

    connection, election = config.candidacy()
    runner = Runner(
        connection, election, channel,
        stop_timeout=config.stop_timeout, on_exit=on_exit, on_loss=on_loss, stopping=notify.stopping,
    )  # fmt: skip
    reporting = asyncio.create_task(report(notify, election, connection), name="systemd")
    code = await runner.run()
    reporting.cancel()
    return code
