"""Services of the Linux kernel: adopting orphans, dying with a parent, listing and signalling children.

Rule: only direct children are signalled. Until its parent takes its status, a child's id cannot become another
process's. The children of a child that dies become this process's own.

It does not end what runs as another user.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

from ..reaping import reap

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
DESCRIPTORS = 20
"""File descriptors that `run` needs in addition to those that it was started with."""

_libc = ctypes.CDLL(None, use_errno=True)


def problem() -> str | None:
    """Why commands cannot be supervised here, None if they can."""
    if sys.platform != "linux":
        return "needs Linux, which finds and ends all processes that a command has started"
    if not Path("/proc/self/task").is_dir():
        return "needs /proc to be mounted"
    with ExitStack() as stack:
        try:
            for _ in range(DESCRIPTORS):
                stack.enter_context(open(os.devnull, "rb", buffering=0))
        except OSError as error:
            return (
                f"needs {DESCRIPTORS} more file descriptors than it was started with: {error.strerror}; "
                "raise the limit (ulimit -n, LimitNOFILE=)"
            )
    return None


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with(parent: int) -> None:
    """Have the kernel send SIGKILL when this parent ends; for use between fork and exec."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it has ended in the meantime


def children() -> set[int]:
    """The ids of this process's children, including those that have ended."""
    found: set[int] = set()
    for folder in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            found |= {int(pid) for pid in (folder / "children").read_text().split()}
    return found


def send_signal(pid: int, number: signal.Signals) -> bool:
    """Signal a child, and its process group if it leads one; False if the child may not be signalled."""
    with suppress(ProcessLookupError, PermissionError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    try:
        os.kill(pid, 0)  # killpg succeeds if it may signal any process of the group
    except PermissionError:
        return False
    except ProcessLookupError:
        pass
    return True


class Strangers:
    """The children that this process had before the supervisor (a shell's, which `exec` made this process).

    What they start is a stranger too. No descendant of the supervisor is ever in this process's session, and a child
    keeps its id until its status is taken. A stranger's daemon has a session of its own, and cannot be distinguished
    from a daemon of the command.
    """

    def __init__(self) -> None:
        self._pids, self._session = children(), os.getsid(0)

    def __contains__(self, pid: int) -> bool:
        try:
            return pid in self._pids or os.getsid(pid) == self._session
        except ProcessLookupError:
            return False

    def reap(self) -> set[int]:
        """Take the statuses of all children that have ended, as an init does; return their ids."""
        gone = {pid for pid, _ in reap()}
        self._pids -= gone
        return gone


def childless() -> bool:
    """Whether the kernel says that this process has no child at all."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False
