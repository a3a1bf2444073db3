"""What the Linux kernel does for us: adopting orphans, dying with a parent, listing and signalling children.

Rule: only direct children are signalled. Until we take its status a child's id cannot become another process's; what a
child has started becomes ours when it dies. It cannot end what runs as another user.
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
"""File descriptors that `run` needs beside those that it was started with: less, and some time it would have one too
few."""

_libc = ctypes.CDLL(None, use_errno=True)


def problem() -> str | None:
    """Why commands cannot be supervised here, None if they can."""
    if sys.platform != "linux":
        return "needs Linux, which finds and ends whatever a command has started"
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
    """Get SIGKILL when this parent ends; for use between fork and exec."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it has ended in the meantime


def children() -> set[int]:
    """The ids of our children, those that have ended included."""
    found: set[int] = set()
    for folder in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            found |= {int(pid) for pid in (folder / "children").read_text().split()}
    return found


def send(pid: int, number: signal.Signals) -> bool:
    """Signal a child, and its process group if it leads one; False if the child may not be signalled."""
    with suppress(ProcessLookupError, PermissionError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    try:
        os.kill(pid, 0)  # killpg is content with any one process of the group
    except PermissionError:
        return False
    except ProcessLookupError:
        pass
    return True


class Strangers:
    """The children that were there before the supervisor (of the shell that has become us), and whatever they start.

    No descendant of the supervisor is ever in our own session, and a child's id stays its own until its status is
    taken. A stranger's daemon, in a session of its own, cannot be told from one of the command's.
    """

    def __init__(self) -> None:
        self._pids, self._session = children(), os.getsid(0)

    def __contains__(self, pid: int) -> bool:
        try:
            return pid in self._pids or os.getsid(pid) == self._session
        except ProcessLookupError:
            return False

    def reap(self) -> set[int]:
        """Take the statuses of all our children that have ended, as an init does; their ids."""
        gone = {pid for pid, _ in reap()}
        self._pids -= gone
        return gone


def childless() -> bool:
    """Whether we have no child at all, by the kernel's word."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False
