"""A ZooKeeper in one process and in memory, for one machine: to try things, and for tests.

`tree` is the data, `watches` who waits for its changes, `expiry` which sessions have gone silent, `host` what one
server says to its clients, `alone` a host without others; those are pure. `server` carries the bytes.

It answers like ZooKeeper 3.8 (one suite of tests runs against both). What it is *not*: it has no replicas, so it is
gone when its process is; it writes nothing to a disk, so it begins empty; it has no TLS, no SASL, no quotas, no times
to live, no persistent watches, no reconfiguration, and no limits but those on a frame; containers are never reaped. Do
not elect anything with it that matters.
"""

from __future__ import annotations

from .server import EmbeddedServer

__all__ = ["EmbeddedServer"]
