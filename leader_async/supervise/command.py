"""A command that a job runs: supervised by a process of its own, as the command of `leader-async run` is.

    this process (`command`)  ── socketpair ──►  supervisor (`__main__`)  ── parent of ──►  the command and its children

Rules:
- No process of the command runs when this returns or raises, and none outlives the lease.
- The supervisor is not forked, as this process may have threads: it is a new Python, which takes tenths of a second.
- If this process dies, the supervisor kills all processes, and the guardian, if there is one, waits for that.

Not promised: if the supervisor is killed, processes that the command started may live on. `leader-async run` ends those
as well: a program may adopt orphans, a library in an application may not.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping, Sequence
from contextlib import closing

from .. import clock, logs
from ..election.term import Term
from ..errors import CommandFailed, TermEnded, UsageError
from ..waking import outlast
from . import linux
from .channel import Channel, SupervisorDied
from .policy import SUPERVISOR_DIED
from .supervision import LEAST, LEAST_LEASE, StopReason, Supervision

log = logging.getLogger("leader_async.run")


async def carry_out(
    term: Term, command: Sequence[str], *, variables: Mapping[str, str], cwd: str | None, stop_timeout: float
) -> int:
    """Run the command under this term, and wait until it and all that it has started have ended.

    The arguments are those of `JobRun.command`. The command never outlives the term's lease; `variables` are added to
    the environment of this process. Returns its status.

    Raises:
        UsageError: commands cannot be supervised here, or the command is not a list.
        CommandFailed: its supervisor has died.
        TermEnded: the lease ended.
    """
    _check(term, command, stop_timeout)
    environment = {**os.environ, **variables}
    channel, supervisor = await _supervisor(term.lease, stop_timeout, command, environment, cwd)
    try:
        with closing(channel), term.connection.helper(supervisor.pid):
            channel.open()
            await _until_ready(channel, term, command[0])
            run = Supervision(term.valid_until, term.lease, stop_timeout)
            channel.start(run, {"PYTHONPATH": environment.get("PYTHONPATH")})
            ended, over = await channel.until_ended(term, term.connection.confirmed)
    except SupervisorDied:
        if not channel.died:  # it is late
            os.kill(supervisor.pid, signal.SIGKILL)
        why = "its supervisor was killed, and so was the command; look for processes that it had started"
        raise CommandFailed(command, SUPERVISOR_DIED, why) from None
    finally:
        if await outlast(asyncio.ensure_future(supervisor.wait())):
            raise asyncio.CancelledError
    fields = {"event": "command_ended", "status": ended.status, "token": term.token}
    log.info("%s has ended with status %d (%s)", command[0], ended.status, ended.why, extra=fields)
    if over:
        raise asyncio.CancelledError
    if ended.why is StopReason.LEASE:
        raise TermEnded(f"the lease ended while {command[0]} ran")
    return ended.status


async def _until_ready(channel: Channel, term: Term, name: str) -> None:
    """Return when the supervisor reads, which may take long on a busy machine, and enough of the lease is left."""
    while not channel.ready:
        if channel.died:
            raise SupervisorDied
        await channel.news.wait()
    while term.valid_until - clock.now() < LEAST * term.lease:
        if not term.is_current:
            raise TermEnded(f"the lease ran out before {name} had begun")
        await term.connection.confirmed.wait()


def _check(term: Term, command: Sequence[str], stop_timeout: float) -> None:
    if isinstance(command, str) or not command:
        raise UsageError(f"a command is a list, not {command!r}; a line for the shell is ['sh', '-c', line]")
    if not stop_timeout >= 0:
        raise UsageError(f"stop_timeout={stop_timeout!r} is not 0 seconds or more")
    if term.lease < LEAST_LEASE:
        raise UsageError(f"a lease of {term.lease:g} s leaves no time to end a command; give at least 1 second")
    if (problem := linux.problem()) is not None:
        raise UsageError(f"running a command {problem}")
    if getattr(sys, "frozen", False) or not sys.executable:
        raise UsageError("there is no Python interpreter that could supervise a command: run this with python")


async def _supervisor(
    lease: float, stop_timeout: float, command: Sequence[str], environment: Mapping[str, str], cwd: str | None
) -> tuple[Channel, Process]:
    """Start a supervisor. It imports from this process's path; the command gets its own."""
    level = logging.getLogger("leader_async").getEffectiveLevel()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    numbers = [theirs.fileno(), os.getpid(), lease, stop_timeout, level]
    with theirs:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "leader_async.supervise", *map(str, numbers), logs.form_here(), *command,
                stdin=DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True, cwd=cwd,
                env={**environment, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
            )  # fmt: skip
        except BaseException:
            ours.close()  # a supervisor that was started ends with this
            raise
    return Channel(ours), process
