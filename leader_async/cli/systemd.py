"""Reports how this process is to systemd, or to another supervisor that has sd_notify(3).

    READY=1       once it is in the queue, so that a `systemctl restart` that has returned has a candidate again
    STATUS=       who leads
    WATCHDOG=1    as long as the event loop runs and `/healthz` would answer 200
    STOPPING=1    a signal has stopped it

Rules:
- The socket's address is taken out of the environment at once: neither a guardian nor a command may report for this
  process.
- A report never waits; what is not taken is lost.

It does not promise that a replica becomes ready: ZooKeeper may be away for long. Then the status has that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING

from ..health import unready, unwell

if TYPE_CHECKING:
    from ..connection import Connection
    from ..election.election import Election
    from ..election.status import Status

log = logging.getLogger("leader_async.systemd")

BEAT = 1.0
"""Seconds between two looks at who leads, if nothing of our own changes."""

BEATS = 3
"""Looks within the watchdog's time, at least: one that is late is no reason to be killed."""


class Notify:
    """Where reports go.

    Args:
        address: of a datagram socket: a path, `@name` for an abstract one, "" for nowhere.
        watchdog: seconds within which a sign of life is expected, None if none is.
    """

    def __init__(self, address: str = "", watchdog: float | None = None) -> None:
        self.watchdog = watchdog
        self._address = "\0" + address[1:] if address.startswith("@") else address

    @classmethod
    def take(cls, environment: MutableMapping[str, str]) -> Notify:
        """What the environment asks for; a child of this process is not asked any more."""
        address = environment.pop("NOTIFY_SOCKET", "")
        period, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        if address and address[0] not in "/@":
            text = "NOTIFY_SOCKET=%s is neither a path nor @name: it is not reported how this process is"
            log.warning(text, address, extra={"event": "nobody_notified"})
            address = ""
        ours = period.isdigit() and int(period) > 0 and pid in ("", str(os.getpid()))
        return cls(address, int(period) / 1e6 if ours and address else None)

    def __bool__(self) -> bool:
        return bool(self._address)

    def send(self, **fields: str) -> None:
        """Report this; a field is one line."""
        if not self:
            return
        text = "".join(f"{name}={value.replace(chr(10), ' ')}\n" for name, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto(text.encode(errors="replace"), self._address)
        except OSError as error:
            log.debug("systemd does not get %r: %s", text, error)

    def stopping(self) -> None:
        """A signal has stopped this process."""
        self.send(STOPPING="1")


def words(status: Status, connected: bool) -> str:
    """The line for people."""
    if not connected:
        return "ZooKeeper is away; does not lead" if not status.is_leader else "leads; ZooKeeper is away"
    if status.is_leader:
        return f"leads {status.election}, term {status.term}"
    return f"{status.state}; {status.leader or 'nobody that is known'} leads {status.election}"


async def report(
    notify: Notify, election: Election, connection: Connection, trouble: Callable[[], str | None] = lambda: None
) -> None:
    """Report each change, until cancelled; `trouble` returns a reason of the caller's own to be restarted, or None."""
    if not notify:
        return
    beat = min(BEAT, notify.watchdog / BEATS) if notify.watchdog else BEAT
    ready, sent = False, ""
    while True:
        news = connection.changed.next()
        status, connected = election.status(), connection.client.status().connected
        fields = {}
        if not ready and unready(status, connected) is None:
            ready = True
            fields["READY"] = "1"
        if (line := words(status, connected)) != sent:
            fields["STATUS"] = sent = line
        if notify.watchdog and unwell(status) is None and trouble() is None:
            fields["WATCHDOG"] = "1"
        if fields:
            notify.send(**fields)
        await asyncio.wait([news], timeout=beat)
