"""Bytes that are almost ZooKeeper's protocol, into everything that decodes them, on either side of a connection.

What holds for well-formed frames, their prefixes and plain junk is in tests/properties/test_wire.py; `fuzz` goes on for
as long as wanted, guided by coverage.
"""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leader_async.zookeeper import messages as m
from leader_async.zookeeper import wire
from leader_async.zookeeper.wire import server

from . import frames, fuzz

SPARE = 64 * 1024
"""Bytes that decoding may use whatever the frame: errors with their tracebacks, above all."""
FACTOR = 30
"""Bytes that decoding may use for each byte of a frame: an entry of an access list is 12 bytes on the wire."""

spoils = st.lists(
    st.builds(frames.Spoil, st.sampled_from(frames.Spoiling), st.integers(0, 400), st.integers(0, 255)), max_size=4
)
cuts = st.lists(st.integers(0, 1000), max_size=8)
fuzzing = settings(max_examples=2000, deadline=None, derandomize=True, database=None)


def peak_of(call: Callable[[], object]) -> int:
    """Bytes that a call allocated at its height."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@fuzzing
@given(st.sampled_from(frames.FROM_SERVER + frames.FROM_CLIENT), spoils)
def test_spoilt_frames_are_understood_or_refused(frame: bytes, spoils: list[frames.Spoil]) -> None:
    for spoil in spoils:
        frame = spoil(frame)
    for decode in frames.DECODERS.values():
        assert peak_of(lambda: decode(frame)) < len(frame) * FACTOR + SPARE  # noqa: B023  called at once


@fuzzing
@given(
    whole=st.lists(st.sampled_from(frames.FROM_SERVER), max_size=5), spoils=spoils, cuts=cuts, limit=st.integers(0, 300)
)
def test_a_spoilt_stream_is_kept_below_the_limit(
    whole: list[bytes], spoils: list[frames.Spoil], cuts: list[int], limit: int
) -> None:
    data = b"".join(frames.INT.pack(len(frame)) + frame for frame in whole)
    for spoil in spoils:
        data = spoil(data)
    frames.stream(data, sorted(min(cut, len(data)) for cut in cuts), limit)


@pytest.mark.parametrize("target", fuzz.TARGETS)
@fuzzing
@given(data=st.lists(st.sampled_from(frames.FROM_SERVER + frames.FROM_CLIENT) | st.binary(max_size=40), max_size=4))
def test_the_targets_of_the_fuzzer_take_everything(target: Callable[[bytes], None], data: list[bytes]) -> None:
    target(b"".join(data))


@pytest.mark.parametrize("length", frames.EXTREMES)
def test_a_length_alone_costs_nothing(length: int) -> None:
    assert peak_of(lambda: frames.stream(frames.INT.pack(length) + bytes(64), [], wire.FRAME_LIMIT)) < 16 * 1024


# -- large frames, full of the smallest things -------------------------------------------------------------------------

ROOM = 2**17
"""Bytes of their bodies; tracing the largest ones would take minutes."""
REPLY = struct.pack("!iqi", 1, 1, 0)
OPERATION = struct.pack("!i?i", 2, False, -1) + struct.pack("!ii", 0, -1)  # deletes ""
NO_STAT = bytes(68)


def full(item: bytes, claimed: int | None = None) -> bytes:
    """A list that fills a frame; `claimed` is how long it says it is."""
    count = ROOM // len(item)
    return frames.INT.pack(count if claimed is None else claimed) + item * count


def reply_to(request: m.Request, body: bytes) -> Callable[[], object]:
    """Decode a reply, which may be refused."""
    return lambda: frames._decode(lambda: wire.decode_reply(request, REPLY + body))


def request(opcode: int, body: bytes) -> Callable[[], object]:
    """Decode a request, which may be refused."""
    return lambda: frames._decode(lambda: server.decode_request(struct.pack("!ii", 1, opcode) + body))


LARGE = {
    "names": reply_to(m.GetChildren("/"), full(bytes(4))),
    "names, more than there are": reply_to(m.GetChildren("/"), full(bytes(4), 2**31 - 1)),
    "names that are null": reply_to(m.GetChildren("/"), full(b"\xff" * 4)),
    "an access list": reply_to(m.GetAccess("/"), full(bytes(12)) + NO_STAT),
    "a name of four bytes a letter": reply_to(m.Create("/"), frames.INT.pack(ROOM) + b"\xf0\x9f\x98\x80" * (ROOM // 4)),
    "a name that is no text": reply_to(m.Create("/"), frames.INT.pack(ROOM) + b"\xff" * ROOM),
    "data that ends too early": reply_to(m.GetData("/"), frames.INT.pack(2**31 - 1) + bytes(ROOM)),
    "results that nobody asked for": reply_to(m.Multi(()), OPERATION * (ROOM // len(OPERATION))),
    "a transaction": request(14, OPERATION * (ROOM // len(OPERATION)) + struct.pack("!i?i", -1, True, -1)),
    "watches": request(101, bytes(8) + full(bytes(4)) + bytes(8)),
    "a create with an access list": request(1, bytes(8) + full(bytes(12)) + bytes(4)),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_large_frames_cost_what_they_are_worth(name: str) -> None:
    assert peak_of(LARGE[name]) < ROOM * FACTOR
