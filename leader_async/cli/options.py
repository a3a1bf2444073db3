"""The flags that several commands share, each defined once, and the secrets that are never one.

Rule: a secret comes from a file or from a variable, which is taken out of the environment: no child inherits it.
"""

from __future__ import annotations

import functools
import logging
import os
import stat
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from ..errors import UsageError
from ..logs import FORMATS
from ..zookeeper.identity import Digest
from ..zookeeper.tls import TLS
from .config import LOG_LEVELS, Config

F = TypeVar("F", bound=Callable[..., Any])

log = logging.getLogger("leader_async.serve")

DEFAULTS = Config()
AUTH, TOKEN = "LEADER_ASYNC_ZOOKEEPER_AUTH", "LEADER_ASYNC_RESIGN_TOKEN"
"""The variables that hold secrets."""


def setting(name: str, **changes: Any) -> Callable[[F], F]:
    """The flag of a setting of `Config`, with its default and help; `changes` are what this command has differently."""
    of = {one.name: one for one in fields(Config)}[name]
    flag = "--" + name.replace("_", "-")
    if isinstance(of.default, bool):
        flag += f"/--no-{flag[2:]}"
    return click.option(
        flag, name, **{"default": of.default, "show_default": of.default not in ("", None), **of.metadata, **changes}
    )


def flags(*each: Callable[[Any], Any]) -> Callable[[F], F]:
    """Several flags as one decorator; the help has them in this order."""

    def decorate(command: F) -> F:
        for flag in reversed(each):
            command = flag(command)
        return command

    return decorate


def settings(*names: str) -> Callable[[F], F]:
    """The flags of some settings, see `setting`."""
    return flags(*map(setting, names))


_zookeeper_flags = flags(
    setting("zookeeper"),
    click.option("--zookeeper-auth-file", default=None, metavar="FILE",
                 help="File with one line, USER:PASSWORD, for ZooKeeper's digest scheme; or the variable "
                 f"{AUTH}. What is created can be used with the same only."),
    click.option("--zookeeper-readable", is_flag=True, help="Let everybody read what is created with USER:PASSWORD."),
    click.option("--zookeeper-tls", is_flag=True,
                 help="Encrypt, and verify the servers; HOSTS has their secureClientPort."),
    click.option("--zookeeper-ca", default=None, metavar="FILE",
                 help="Who may have signed the servers' certificates, in PEM; implies --zookeeper-tls.  "
                 "[default: whom this machine trusts]"),
    click.option("--zookeeper-cert", default=None, metavar="FILE",
                 help="Our own certificate, in PEM; implies --zookeeper-tls."),
    click.option("--zookeeper-key", default=None, metavar="FILE",
                 help="Its key, in PEM, if that is not in the same file."),
)  # fmt: skip


def zookeeper(command: F) -> F:
    """Which ZooKeeper, and how to be let in: the command gets `zookeeper`, `auth` and `tls`."""

    @functools.wraps(command)
    def secured(
        *args: Any,
        zookeeper_auth_file: str | None,
        zookeeper_readable: bool,
        zookeeper_tls: bool,
        zookeeper_ca: str | None,
        zookeeper_cert: str | None,
        zookeeper_key: str | None,
        **rest: Any,
    ) -> Any:
        auth = digest(zookeeper_auth_file, readable=zookeeper_readable)
        files = zookeeper_ca, zookeeper_cert, zookeeper_key
        tls = TLS(*files) if zookeeper_tls or any(file is not None for file in files) else None
        if tls is not None:
            tls.context()  # a file that cannot be used is an error at once
        return command(*args, auth=auth, tls=tls, **rest)

    return cast(F, _zookeeper_flags(secured))  # as with click's own decorators: who calls it is click


root = setting("root")
log_level = setting("log_level", type=click.Choice(LOG_LEVELS))
log_format = setting("log_format", type=click.Choice(FORMATS))


def bearer_token(file: str | None) -> str | None:
    """The bearer token, from the file or else from the environment, None if that has none.

    Raises:
        UsageError: the file cannot be read, or is empty.
    """
    return _secret("--resign-token-file", file, TOKEN, "the token")


def digest(file: str | None, *, readable: bool) -> Digest | None:
    """Who we are to ZooKeeper, from the file or else from the environment, None if that does not say.

    Raises:
        UsageError: the file cannot be read, or it is not USER:PASSWORD.
    """
    text = _secret("--zookeeper-auth-file", file, AUTH, "USER:PASSWORD")
    if text is None:
        if not readable:
            return None
        raise UsageError(f"--zookeeper-readable goes with --zookeeper-auth-file or {AUTH}: else all is for everybody")
    source = AUTH if file is None else f"--zookeeper-auth-file {file!r}"
    user, colon, password = text.partition(":")
    if not colon:
        raise UsageError(f"{source} does not hold USER:PASSWORD: there is no ':' in it")
    try:
        return Digest(user, password, readable)
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from error


def _secret(flag: str, file: str | None, variable: str, what: str) -> str | None:
    """A secret, from the file or else from the environment, which loses it; None if neither is given."""
    given = os.environ.pop(variable, "").strip() or None
    if file is None:
        return given
    try:
        secret = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise UsageError(f"{flag} {file!r} cannot be read: {reason}") from error
    if not secret:
        raise UsageError(f"{flag} {file!r} is empty: put {what} into it")
    return secret


def forget_secrets() -> None:
    """Take all secrets out of the environment, those too that this command has no use for: its children get none."""
    for variable in (AUTH, TOKEN):
        os.environ.pop(variable, None)


def readable_secrets() -> list[str]:
    """Warnings about the files with secrets of this command that every user of this machine may read."""
    context = click.get_current_context(silent=True)
    given = {} if context is None else context.params
    files = [given.get("zookeeper_auth_file"), given.get("resign_token_file")]
    # A key that is given no file of its own is in that of its certificate.
    files += [given.get(f"{of}_key") or given.get(f"{of}_cert") for of in ("zookeeper", "tls")]
    text = "everybody on this machine may read the secret in {file}: chmod o-r {file}"
    return [text.format(file=file) for file in files if file is not None and _is_open(file)]


def _is_open(file: str) -> bool:
    try:
        mode = os.stat(file).st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) and bool(mode & stat.S_IROTH)  # not a pipe: that is read once


def warn_of_readers() -> None:
    """Log what `readable_secrets` finds."""
    for text in readable_secrets():
        log.warning(text, extra={"event": "secret_readable"})
