"""Messages to frames and back; the only package that knows aiozk.

`frames` cuts a stream into frames, `parts` has the values that both sides send, `swift` packs what elections live on by
hand, `client` is what a client says and hears, `server` the other direction, for the embedded server.

Rules:
- Any byte that is not ZooKeeper's protocol is a `ProtocolError`, never another exception: aiozk's codecs raise
  `struct.error` and `UnicodeDecodeError`, take a vector of length -1 for an empty one and ignore trailing bytes.
- No allocation of what a length says: a frame is kept only as far as it has arrived, and only below the limit.
- Milliseconds exist here only; everything above counts seconds.

It does not promise order or sense: what may follow what is `session`'s.
"""

from __future__ import annotations

from .client import (
    decode_accepted,
    decode_header,
    decode_reply,
    decode_watched,
    encode_connect,
    encode_request,
)
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
