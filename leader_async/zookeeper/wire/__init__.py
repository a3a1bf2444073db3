"""Messages to frames and back; the only package that knows aiozk. Pure.

    client    requests to a server, and its replies        server, asked   the other direction, for the embedded server
    packed    what elections send, packed by hand          codecs          the rare requests, by aiozk's classes
    frames    a stream cut into frames

Rules:
- Bytes that are not ZooKeeper's protocol raise a `ProtocolError` and no other exception. aiozk's codecs raise
  `struct.error` and `UnicodeDecodeError`, take a vector of length -1 for an empty one and ignore trailing bytes.
- A length allocates nothing: a frame is kept only as far as it has arrived, and only below the limit.
- Milliseconds exist here only. All other modules count seconds.

It does not promise order or sense: `session` decides what may follow what.
"""

from __future__ import annotations

from .client import decode_accepted, decode_header, decode_reply, decode_watched, encode_connect, encode_request
from .codecs import AUTH_XID, PING_XID, SET_WATCHES_XID, WATCH_XID
from .frames import FRAME_LIMIT, REQUEST_LIMIT, FrameReader

__all__ = [
    "AUTH_XID",
    "FRAME_LIMIT",
    "PING_XID",
    "REQUEST_LIMIT",
    "SET_WATCHES_XID",
    "WATCH_XID",
    "FrameReader",
    "decode_accepted",
    "decode_header",
    "decode_reply",
    "decode_watched",
    "encode_connect",
    "encode_request",
]
