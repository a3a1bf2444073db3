"""One attempt at a job: the work's argument, and the call until its very end.

Rules:
- An attempt ends when its work has ended. A coroutine that swallows its cancellation, and a thread that does not look
  at `cancelled`, are waited for, for ever if need be. Better no leader than two.
- It begins only while the term's lease holds: a process that was frozen right after the claim does not run it.
- The caller's own cancellation is not lost, whatever the work does with its cancellation.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from ..callables import called, described, finished, is_async, refuse_unrun
from ..election.term import Term
from ..errors import CommandFailed, TermEnded
from ..supervise.command import carry_out
from ..waking import outlast
from .ledger import Outcome

JobWork: TypeAlias = Callable[["JobRun"], Awaitable[object] | object]


@dataclass(frozen=True, slots=True, eq=False)
class JobRun:
    """The argument of a job's function: one attempt at one slot.

    Attributes:
        job: the job's name.
        slot: the instant that the run is for, in the job's time zone; it may be a while ago.
        attempt: counts the attempts at this slot, from 1.
        term: the run's term; `term.transaction()` writes to ZooKeeper only while it lasts.
        manual: the run was requested (`run_now`); it is not one of the job's slots.
        variables: `command` adds these to the environment of a command.
        cancelled: set when the work must end, because the lead is lost or the timeout is over. A coroutine is cancelled
            as well; a function in a thread must look at this.
    """

    job: str
    slot: datetime
    attempt: int
    term: Term
    manual: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def token(self) -> int:
        """The fencing token of the term."""
        return self.term.token

    async def command(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        stop_timeout: float = 10.0,
        check: bool = True,
    ) -> int:
        """Run a command that never overlaps with the next leader's, even if this process is killed or frozen.

            @jobs.cron("0 3 * * *")
            async def nightly(run):
                await run.command(["backup.sh", "--all"])

        A supervisor, which is a separate process, ends the command and everything that the command started (daemons
        too) when the lease ends or this process dies: SIGTERM when a tenth of the lease is left, SIGKILL at its end.
        When this call is cancelled, as by the job's `timeout`, the supervisor sends SIGTERM, and SIGKILL after
        `stop_timeout` seconds. None of these processes is left when this returns or raises. A plain function returns
        this call, and it is awaited.

        The command shares this process's standard output and error; its standard input is empty. Its environment has
        `LEADER_TOKEN`, `LEADER_ELECTION`, `LEADER_IDENTITY`, `LEADER_JOB`, `LEADER_SLOT` and `LEADER_ATTEMPT`.

        It needs Linux and a lease of at least a second. If the supervisor itself is killed, the command dies, but
        processes that the command started may live on.

        Args:
            command: the command and its arguments.
            env: more variables for its environment.
            cwd: its working directory, None for that of this process.
            stop_timeout: seconds from SIGTERM to SIGKILL.
            check: raise if its status is not 0.

        Returns:
            Its status as shells have it: 127 if there is no such command, 128 and the number of a signal that ended it.

        Raises:
            CommandFailed: its status is not 0, or its supervisor was killed.
            TermEnded: the lease ended.
            UsageError: the command is not a list, or commands cannot be supervised here.
        """
        variables = {**self.variables, **(env or {})}
        where = None if cwd is None else os.fspath(cwd)
        status = await carry_out(self.term, command, variables=variables, cwd=where, stop_timeout=stop_timeout)
        if check and status != 0:
            raise CommandFailed(command, status)
        return status


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended.

    Attributes:
        finished: the work ended while the lead was held; it was not cut short.
        error: the text of its failure, None if it succeeded.
        cancelled: the caller was cancelled meanwhile.
        cause: the exception that the work raised, None if it raised none.
    """

    finished: bool
    error: str | None
    cancelled: bool
    cause: BaseException | None = None

    @property
    def outcome(self) -> Outcome:
        """The ending in one word."""
        if not self.finished:
            return Outcome.UNFINISHED
        return Outcome.DONE if self.error is None else Outcome.FAILED


async def attempt(work: JobWork, run: JobRun, timeout: float | None, threads: Executor) -> Ending:
    """Call the work, and return when it has ended; raises nothing.

    A function that is no coroutine function runs in `threads`; what it returns is awaited if it can be. The work may
    take `timeout` seconds, None for any time.
    """
    task = asyncio.get_running_loop().create_task(_carry_out(work, run, threads), name=f"job {run.job}")
    cancelled = late = led = False
    try:
        late = not (await asyncio.wait([task], timeout=timeout))[0]
        led = run.term.is_current
    except asyncio.CancelledError:
        cancelled = True
    if not task.done():
        run.cancelled.set()
        task.cancel()
    cancelled |= await outlast(task)
    # Once the lead is lost, the work's own failure cannot be told from its being stopped. Work that was frozen may fail
    # (the fence refuses it) or be late before it is cancelled.
    if late:
        return Ending(led, f"it took longer than its {timeout:g} s", cancelled)
    if task.cancelled():
        return Ending(led, "it cancelled itself", cancelled)
    error = task.exception()
    if error is not None:
        return Ending(led and not isinstance(error, TermEnded), described(error), cancelled, error)
    return Ending(True, None, cancelled)


async def _carry_out(work: JobWork, run: JobRun, threads: Executor) -> None:
    returned = _begin(work, run) if is_async(work) else await _in_thread(work, run, threads)
    if inspect.isawaitable(returned):
        await finished(returned, work)
    else:
        refuse_unrun(returned, work)


async def _in_thread(work: JobWork, run: JobRun, threads: Executor) -> object:
    """What the function returns. No cancellation ends this before, as it would not end the thread."""
    running = asyncio.get_running_loop().run_in_executor(threads, _begin, work, run)
    cancelled = await outlast(running)
    returned = running.result()
    if cancelled and inspect.isawaitable(returned):
        if inspect.iscoroutine(returned):
            returned.close()  # nothing of it has run
        raise asyncio.CancelledError
    return returned


def _begin(work: JobWork, run: JobRun) -> object:
    if not run.term.is_current:
        raise TermEnded(f"the lease ran out before {run.job} had begun")
    return called(work, run)
