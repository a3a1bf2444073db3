"""The command line: flags and variables to a `Config`, results to exit codes.

Rules: a flag wins over its variable; a secret is never a flag, which every process list shows. Wrong usage is
one line with what to do, never a traceback. Each command imports what it needs itself: a guardian stays small.
"""

from __future__ import annotations

import logging
import socket
from typing import Any

import click

from .. import logs
from . import ask_history, ask_jobs, ask_status, doctor, evict, options, run
from .certificate import certificate
from .config import Config
from .exits import Command, Exit, carry_out, end
from .options import DEFAULTS

EPILOG = """\b
Example, two replicas on one machine:
  leader-async serve --zookeeper zk1,zk2,zk3 --identity a --port 8081
  leader-async serve --zookeeper zk1,zk2,zk3 --identity b --port 8082
  curl localhost:8081/api/LeaderElection/is-leader

Every flag has an environment variable, LEADER_ASYNC_ and the flag's name: --session-timeout is
LEADER_ASYNC_SESSION_TIMEOUT. A flag wins over its variable. Secrets themselves are variables only,
LEADER_ASYNC_ZOOKEEPER_AUTH and LEADER_ASYNC_RESIGN_TOKEN; a file wins over them, and no child
inherits them.

ZooKeeper need not be there at the start. SIGTERM and SIGINT stop gracefully: the lead is handed over
while the requests under way are answered. A second signal ends the process at once.

\b
Exit codes:
   0  stopped by SIGTERM or SIGINT
   2  a flag or variable cannot be used
   3  a port cannot be listened on: it is taken, or not allowed
   4  the graceful stop did not end within --stop-timeout, or a second signal came
   5  the work ran on after its lease, and --overdue is exit
  70  a bug; the log says where
  77  ZooKeeper does not let this replica take part, with the credentials that it has given
"""


# No variables here: LEADER_ASYNC_VERSION may well be set for something else.
@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="leader_async", prog_name="leader-async")
def cli() -> None:
    """Elect one leader among the replicas of a service, over ZooKeeper."""


cli.command_class = Command


@cli.command(epilog=EPILOG, context_settings={"auto_envvar_prefix": "LEADER_ASYNC", "max_content_width": 100})
@options.zookeeper
@options.settings(
    "election", "root", "identity", "address", "host", "port", "shared_port", "session_timeout", "lease",
    "stop_timeout", "guardian", "overdue",
)  # fmt: skip
@click.option("--resign-token-file", default=None, metavar="FILE",
              help="File with the bearer token that POST /resign asks for; or the variable LEADER_ASYNC_RESIGN_TOKEN. "
              "Without either it is off.")  # fmt: skip
@click.option("--tls-cert", default=None, metavar="FILE",
              help="Answer over HTTPS only, with this certificate and those above it, PEM. Changed files are used for "
              "the next connection.")  # fmt: skip
@click.option("--tls-key", default=None, metavar="FILE", help="Its key, if that is not in the same file.")
@click.option("--tls-client-ca", default=None, metavar="FILE",
              help="Answer only clients whose certificate one of these has signed, PEM.")  # fmt: skip
@options.settings("log_level")
@options.log_format
def serve(
    resign_token_file: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    tls_client_ca: str | None,
    identity: str,
    log_level: str,
    **rest: Any,
) -> None:
    """Run one replica: take part in the election and serve its status over HTTP."""
    from .serve import serve as serve_replica

    config = Config(
        **rest,
        identity=identity or socket.gethostname(),
        log_level=log_level.lower(),
        resign_token=options.bearer_token(resign_token_file),
        certificate=certificate(tls_cert, tls_key, tls_client_ca),
    )
    logs.to_stderr(config.log_level, config.log_format)
    options.warn_of_readers()
    end(carry_out(serve_replica(config)))


@cli.command(context_settings={"auto_envvar_prefix": "LEADER_ASYNC_EMBEDDED", "max_content_width": 100})
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Listen on this address.")
@click.option("--port", default=2181, show_default=True, type=click.IntRange(0, 65535), metavar="N",
              help="Listen on this port; 0 for any free one, which is in the log.")  # fmt: skip
@click.option("--tick", default=0.5, show_default=True, type=float, metavar="SECONDS",
              help="Sessions last 2 to 20 ticks, and end on one.")  # fmt: skip
@options.log_level
def zookeeper(host: str, port: int, tick: float, log_level: str) -> None:
    """Run a ZooKeeper for this machine, in memory, to try things.

    It has no replicas and keeps nothing on disk: all is gone when it ends. Do not elect anything with it that matters.
    """
    from .zookeeper import run as run_zookeeper

    logs.to_stderr(log_level)
    end(carry_out(run_zookeeper(host, port, tick)))


@cli.command(context_settings={
    "auto_envvar_prefix": "LEADER_ASYNC", "max_content_width": 100,
    "ignore_unknown_options": True, "allow_interspersed_args": False,
})  # fmt: skip
@options.log_level
@options.log_format
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def guard(command: tuple[str, ...], log_level: str, log_format: logs.Format) -> None:
    """Run COMMAND and guard it: leader-async guard -- leader-async serve

    If COMMAND, or a process that it has started, dies while it leads, its lead is handed over at once. This is for
    containers, whose first process takes every other one along when it ends. It does an init's work as well: signals
    are passed on to COMMAND, and what has ended is reaped.

    It ends with COMMAND's exit code, or 128 and the number of the signal that ended it; with 127 if there is no such
    command, 126 if it cannot be run.
    """
    from ..guardian.container import guard as guard_command

    logs.to_stderr(log_level, log_format)
    end(carry_out(guard_command(command)))


for _command in (
    ask_status.status,
    ask_status.candidates,
    ask_status.watch,
    ask_status.resign,
    ask_history.history,
    ask_history.why,
    ask_jobs.jobs,
    doctor.doctor,
    evict.evict,
    run.run,
):
    cli.add_command(_command)


def main() -> None:
    """The entry point of the `leader-async` command."""
    try:
        cli(prog_name="leader-async")
    except Exception:  # the boundary: a bug has an exit code of its own
        logs.to_stderr(DEFAULTS.log_level)
        logging.getLogger("leader_async").critical("leader-async has died of a bug", exc_info=True)
        end(Exit.BUG)
