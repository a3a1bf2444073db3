"""The same library for code that blocks: Django, Flask, Celery, scripts.

    import leader_async.blocking

    with leader_async.blocking.connect("zk1:2181,zk2:2181,zk3:2181") as zk:
        election = zk.election("reports")
        with election.lead() as term:               # blocks until this process leads
            for report in reports():
                term.check()                        # TermEnded if it does not any more
                make(report, term.token)

The session lives on an event loop in a thread of its own, so the lease is renewed whatever the caller does. This is a
portal to the async API (`portal`), which keeps the rules of an election; `facade` derives the methods from it.

Rules:
- Code in a thread cannot be stopped from outside. It is notified: `term.lost` is set, and `term.check()` and
  `term.confirm()` raise TermEnded. The place is given up when the code has ended, not before: better none than two.
- What waits for the end of work (`resign`, `transfer`, `leave`, `close`) raises UsageError where that work calls it.
- A session belongs to one process. A connection that has been used before a fork refuses to be used in the child; one
  that has not begins there. So it may be made at import, and used in each worker of gunicorn or Celery.
- A process that ends without `close` leaves gracefully, within EXIT_LIMIT seconds; then its session times out.

It does not promise anything where threads are not threads (gevent, eventlet), or where something keeps the
interpreter's lock for longer than a lease.
"""

from .connection import EXIT_LIMIT, Connection, connect
from .election import Election
from .term import Term

__all__ = ("EXIT_LIMIT", "Connection", "Election", "Term", "connect")
