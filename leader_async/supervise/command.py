"""A command that the leader's code runs: supervised from a process of its own, as that of `leader-async run` is.

    this process (`command`)  ── socketpair ──►  supervisor (`__main__`)  ── parent of ──►  the command and its children

Rules:
- Nothing of the command runs when this returns or raises, and nothing of it outlives the lease.
- The supervisor is not forked, as there may be threads here: it is a Python of its own, which takes tenths of a second.
- This process dies: the supervisor kills everything, and the guardian, if there is one, waits for that.

Not promised: if the supervisor is killed, the command dies with it, but what that has started may live on. The program
`leader-async run` ends that as well: it can adopt orphans, which a library must not do to an application.
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
from .line import Exit, Line
from .line import SupervisorDied as Died
from .policy import SUPERVISOR_DIED
from .supervision import LEAST, LEAST_LEASE, StopReason, Supervision

log = logging.getLogger("leader_async.run")


async def carry_out(
    term: Term, command: Sequence[str], *, variables: Mapping[str, str], cwd: str | None, stop_timeout: float
) -> int:
    """Run the command under this term, and wait for the end of it and of all that it has started.

    Args:
        term: it never outlives its lease.
        command: the command and its arguments.
        variables: what it has in its environment beside what this process has.
        cwd: where it runs, None for here.
        stop_timeout: seconds between SIGTERM and SIGKILL when this is cancelled.

    Returns:
        Its status; if that is not 0, this is in a CommandFailed that it may be worth to raise.

    Raises:
        UsageError: commands cannot be supervised here, or this is no command.
        CommandFailed: its supervisor has died.
        TermEnded: the lease ended.
    """
    _check(term, command, stop_timeout)
    environment = {**os.environ, **variables}
    line, supervisor = await _supervisor(term.lease, stop_timeout, command, environment, cwd)
    try:
        with closing(line), term.connection.helper(supervisor.pid):
            line.open()
            await _until_ready(line, term, command[0])
            run = Supervision(term.valid_until, term.lease, stop_timeout)
            line.start(run, {"PYTHONPATH": environment.get("PYTHONPATH")})
            ended, over = await line.until_ended(term, term.connection.confirmed)
    except Died:
        if not line.died:  # it is late
            os.kill(supervisor.pid, signal.SIGKILL)
        why = "its supervisor was killed, and it with that; what it had started may live on"
        raise CommandFailed(command, SUPERVISOR_DIED, why) from None
    finally:
        await _gone(supervisor)
    log.info(
        "%s has ended with status %d (%s)", command[0], ended.status, ended.why,
        extra={"event": "command_ended", "status": ended.status, "token": term.token},
    )  # fmt: skip
    return _judged(ended, over, command[0])


async def _until_ready(line: Line, term: Term, name: str) -> None:
    """Return when the supervisor listens, which takes long on a busy machine, and enough of the lease is left."""
    while not line.ready:
        if line.died:
            raise Died
        await line.news.wait()
    while term.valid_until - clock.now() < LEAST * term.lease:
        if not term.is_current:
            raise TermEnded(f"the lease ran out before {name} had begun")
        await term.connection.confirmed.wait()


def _judged(ended: Exit, over: bool, name: str) -> int:
    if over:
        raise asyncio.CancelledError
    if ended.why is StopReason.LEASE:
        raise TermEnded(f"the lease ended while {name} ran")
    return ended.status


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
        raise UsageError("there is no Python interpreter that could supervise a command")


async def _supervisor(
    lease: float, stop_timeout: float, command: Sequence[str], environment: Mapping[str, str], cwd: str | None
) -> tuple[Line, Process]:
    """Start a supervisor. It finds its modules where we have found them, and what it prints is the command's."""
    level = logging.getLogger("leader_async").getEffectiveLevel()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    numbers = [theirs.fileno(), os.getpid(), lease, stop_timeout, level]
    with theirs:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "leader_async.supervise", *map(str, numbers), logs.form_here(), *command,
                stdin=DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True, cwd=cwd,
                env={**environment, "PYTHONPATH": _path()},
            )  # fmt: skip
        except BaseException:
            ours.close()  # one that has been started ends with this
            raise
    return Line(ours), process


def _path() -> str:
    return os.pathsep.join(os.path.abspath(entry) for entry in sys.path)


async def _gone(supervisor: Process) -> None:
    """Take its status. It has nothing left to do."""
    if await outlast(asyncio.ensure_future(supervisor.wait())):
        raise asyncio.CancelledError
