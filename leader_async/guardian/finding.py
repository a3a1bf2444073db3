"""Where an application's guardian comes from: from the container's first process, or started for it.

Rules:
- The inherited descriptor is trusted only if it is the very socket that the variable names. A process may inherit the
  variable without the descriptor, whose number may belong to something else there.
- A new guardian forks once more, so that the application has no zombie and no child that it does not know of. It has a
  process session of its own, so that a signal to the application's process group, Ctrl-C above all, does not end it.
- It finds its modules where the application found them.

None is started where it would be useless or harmful: in the first process of a container, with which it would die, or
in a frozen application, which would start itself once more.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import stat
import subprocess
import sys

from .. import logs

log = logging.getLogger("leader_async.guardian")

VARIABLE = "LEADER_ASYNC_GUARD"
"""Names the descriptor that `leader-async guard` passes on, and the inode of its socket: `64:12345`."""


def name_of(sock: socket.socket, number: int) -> str:
    """The value of `VARIABLE` for this socket, passed on as descriptor `number`."""
    return f"{number}:{os.fstat(sock.fileno()).st_ino}"


def hand_over(end: socket.socket) -> bool:
    """Give this end of a socketpair to the guardian that was inherited; False if there is none."""
    text = os.environ.get(VARIABLE)
    if not text:
        return False
    number, _, inode = text.partition(":")
    try:
        found = os.fstat(int(number))
        if not stat.S_ISSOCK(found.st_mode) or found.st_ino != int(inode):
            raise ValueError("the descriptor is another one here")
        with socket.socket(fileno=os.dup(int(number))) as way:
            way.setblocking(False)
            socket.send_fds(way, [b"guard"], [end.fileno()])
    except (OSError, ValueError, OverflowError) as error:
        log.warning(
            "%s=%r is of no use, starting a guardian of our own: %s", VARIABLE, text, error,
            extra={"event": "no_inherited_guardian"},
        )  # fmt: skip
        return False
    return True


def problem() -> str | None:
    """Why none should be started here, None if one can be."""
    if os.getpid() == 1:
        return "it would end with this process, the first one of its container; start it by `leader-async guard --`"
    if getattr(sys, "frozen", False) or not sys.executable:
        return "there is no Python interpreter to start it with"
    return None


def spawn(end: socket.socket) -> None:
    """Start a guardian on this end of a socketpair, and close it here. Blocks for some tenths of a second.

    A failure is logged, and the other end reads an end of file.
    """
    level = logging.getLogger("leader_async").getEffectiveLevel()
    form = logs.form_here()
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    try:
        with end, _above_stdio(end) as handed:
            # -P: not from whatever folder this is run in; the path says where, if that is where.
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "leader_async.guardian", str(handed.fileno()), str(level), form],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[handed.fileno()],
                start_new_session=True,
                cwd="/",
                env={**os.environ, "PYTHONPATH": path},
            )
        code = process.wait()
    except OSError as error:
        log.warning("the guardian cannot be started: %s", error, extra={"event": "guardian_lost"})
        return
    if code != 0:
        log.warning("the guardian cannot be started: its exit code was %d", code, extra={"event": "guardian_lost"})


def _above_stdio(end: socket.socket) -> socket.socket:
    """A duplicate whose number the child's stdio leaves alone: a daemon may have closed its own."""
    return socket.socket(fileno=fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 3))
