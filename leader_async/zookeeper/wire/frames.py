"""Frames: a stream is cut into them, and their plain parts are read without trust."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from ...errors import ProtocolError

REQUEST_LIMIT = 0xFFFFF
"""Bytes of the largest request that a server takes: ZooKeeper's default `jute.maxbuffer`, one byte less than 1 MiB."""

FRAME_LIMIT = 16 * 2**20
"""Bytes of the largest frame that a client takes. What a server sends has no such limit: the names of 20,000 candidates
have more than 1 MiB."""

INT = struct.Struct("!i")
REQUEST_HEADER = struct.Struct("!ii")
"""xid, and the operation's code."""
OPERATION = struct.Struct("!i?i")
"""What precedes each operation of a transaction: its code, whether that was all, an error code."""


class FrameReader:
    """Cuts a stream of bytes into frames."""

    def __init__(self, limit: int = FRAME_LIMIT) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes and give the frames that are complete.

        Raises:
            ProtocolError: a length below zero or above the limit; the stream cannot be followed any further.
        """
        self._buffer += data
        start = 0
        try:
            while len(self._buffer) - start >= 4:
                (length,) = INT.unpack_from(self._buffer, start)
                if not 0 <= length <= self._limit:
                    raise ProtocolError(f"a frame of {length} bytes (the limit is {self._limit})")
                if len(self._buffer) - start - 4 < length:
                    break
                frame = bytes(self._buffer[start + 4 : start + 4 + length])
                start += 4 + length
                yield frame
        finally:
            del self._buffer[:start]

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished frame are kept."""
        return len(self._buffer)


def blob(value: bytes) -> bytes:
    """Bytes as they are sent, with their length before them."""
    return INT.pack(len(value)) + value


def text(value: str) -> bytes:
    """A string as it is sent, in UTF-8."""
    return blob(value.encode())


def parse(part: Any, frame: bytes, offset: int) -> tuple[Any, int]:
    """Read one of aiozk's parts; returns it and the offset behind it."""
    try:
        value, end = part.parse(frame, offset)
    except (struct.error, UnicodeDecodeError, MemoryError, OverflowError) as problem:
        raise ProtocolError(f"a malformed {part.__name__}: {problem}") from problem
    return value, end


def unpack(form: struct.Struct, frame: bytes, offset: int) -> tuple[Any, ...]:
    """Read plain numbers."""
    try:
        return form.unpack_from(frame, offset)
    except struct.error as problem:
        raise ProtocolError(f"a frame of {len(frame)} bytes ends too early") from problem


def at_end(frame: bytes, offset: int) -> None:
    """Return if the frame ends here."""
    if offset != len(frame):
        raise ProtocolError(f"{len(frame) - offset} bytes too many in a frame")
