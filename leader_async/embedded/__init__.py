"""A ZooKeeper in one process and in memory, for one machine: to try things, and for tests.

`entries` is the log of writes, `tree` the data that it makes, `access` who may do what with them, `watches` who waits
for changes, `reading` the answers that change nothing, `expiry` which sessions have gone silent, `host` one server as
its clients see it, `quorum` what a host asks of all servers, `alone` a quorum of one; those are pure. `server` carries
the bytes.

It answers like ZooKeeper 3.9; one suite of tests compares it with 3.8 and 3.9, byte by byte where clients differ. Where
those two differ it follows 3.9: `exists` asks for the permission to read, and one connection may have watches of every
kind on one path. What it is *not*: it has no replicas, so it is gone when its process is; it writes nothing to a disk,
so it begins empty; it has no TLS, no SASL, no quotas, no times to live, no reconfiguration, and no limits but those on
a frame (1 MiB less a byte) and on the answer to several reads (4 MiB); containers are never reaped. Do not elect
anything with it that matters.
"""

from __future__ import annotations

from .server import EmbeddedServer

__all__ = ["EmbeddedServer"]
