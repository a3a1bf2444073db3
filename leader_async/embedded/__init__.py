"""A ZooKeeper in one process and in memory, for one machine: to try things, and for tests.

    server    sockets and time; all others are pure     quorum    what a host asks of all servers
    host      one server as its clients see it           alone     a quorum of one
    reading   the requests that change no znode          expiry    which sessions have gone silent
    entries   the log of writes                          watches   the watches of all connections
    tree      the znodes that the log makes              access    who may do what with them

It answers like ZooKeeper 3.9. One suite of tests compares it with 3.8 and 3.9, byte by byte where clients differ. Where
those two differ it follows 3.9: `exists` asks for the permission to read, and one connection may have watches of every
kind on one path.

It does not promise what an ensemble does. It has no replicas, so it ends with its process. It writes nothing to a disk,
so it begins empty. It has no TLS, no SASL, no quotas, no times to live, no reconfiguration, and no limits but those on
a frame (1 MiB less a byte) and on the answer to several reads (4 MiB). It never reaps containers. Do not elect anything
with it that matters.
"""

from __future__ import annotations

from .server import EmbeddedServer

__all__ = ["EmbeddedServer"]
