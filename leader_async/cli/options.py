"""The flags that several commands share, each defined once, and the token that is never one."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

import click

from ..errors import UsageError
from ..logs import FORMATS
from .config import Config

log = logging.getLogger("leader_async.serve")

DEFAULTS = Config()

zookeeper = click.option(
    "--zookeeper",
    default=DEFAULTS.zookeeper,
    show_default=True,
    metavar="HOSTS",
    help="The ensemble: host:port,host:port/chroot; IPv6 addresses in brackets.",
)
root = click.option(
    "--root", default=DEFAULTS.root, show_default=True, metavar="PATH", help="The znode below which elections live."
)
identity = click.option(
    "--identity", default="", metavar="NAME", help="Who this replica is.  [default: the host's name]"
)
session_timeout = click.option(
    "--session-timeout",
    default=DEFAULTS.session_timeout,
    show_default=True,
    type=float,
    metavar="SECONDS",
    help="How long ZooKeeper keeps the place of a replica that it does not hear of. The server may grant "
    "another one; the log and /status tell.",
)
lease = click.option(
    "--lease",
    default=DEFAULTS.lease,
    show_default=True,
    type=float,
    metavar="SECONDS",
    help="How long a leader leads without another confirm. Longer rides out longer outages; shorter lets "
    "another one lead sooner after a crash.",
)
guardian = click.option(
    "--guardian/--no-guardian",
    default=DEFAULTS.guardian,
    show_default=True,
    help="Have a small helper process hand the lead over as soon as this one has died, however it dies. "
    "Without it the others wait for the session timeout.",
)

log_format = click.option(
    "--log-format",
    default=DEFAULTS.log_format,
    show_default=True,
    type=click.Choice(FORMATS),
    help="One line per event: for people, or as a JSON object with the fields of the event.",
)


def bearer_token(file: str | None) -> str | None:
    """The bearer token, from the file or the environment: never from a flag, which every process list shows.

    Args:
        file: path of the file, None for the environment.

    Returns:
        None if the environment has none.

    Raises:
        UsageError: the file cannot be read, or is empty.
    """
    if file is None:
        return os.environ.get("LEADER_ASYNC_RESIGN_TOKEN", "").strip() or None
    try:
        token = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise UsageError(f"--resign-token-file {file!r} cannot be read: {reason}") from error
    if not token:
        raise UsageError(f"--resign-token-file {file!r} is empty: put the token into it")
    return token


def warn_of_readers(file: str | None) -> None:
    """Log it if others of this machine may read the file of a secret; None is none."""
    if file is None:
        return
    try:
        mode = os.stat(file).st_mode
    except OSError:
        return
    # Not of a pipe: that is read once.
    if stat.S_ISREG(mode) and mode & stat.S_IROTH:
        log.warning("everybody on this machine may read the token in %s: chmod o-r %s", file, file)
