"""`python -m tests.hostile.fuzz`: coverage-guided fuzzing of the wire, the session and the embedded server's host.

Needs atheris (libFuzzer for Python; `pip install atheris`), which the suite does without: it feeds the same targets
with Hypothesis, and what is found here becomes a test there. Arguments are libFuzzer's: `-max_total_time=600`, or a
file to replay. The corpus, which begins with well-formed frames, is in build/corpus.

The first byte says what the rest is fed to. Nothing may be raised but what is promised; what is kept stays bounded.
"""

from __future__ import annotations

import importlib
import itertools
import sys
from pathlib import Path

from leader_async.embedded.alone import Alone
from leader_async.zookeeper import messages as m
from leader_async.zookeeper import wire

from . import frames
from .supervised import Supervised


def decoders(data: bytes) -> None:
    """Every decoder, on either side of a connection."""
    for decode in frames.DECODERS.values():
        decode(data)


def stream(data: bytes) -> None:
    """The cutting of a stream into frames."""
    places = sorted(byte % (len(data) + 1) for byte in data[:4])
    frames.stream(data, places, 1024)


def session(data: bytes) -> None:
    """A session that is told what to do, byte by byte, and a server that mostly does as it should."""
    it, rest = Supervised(), memoryview(data)
    while rest:
        what, rest = rest[0], rest[1:]
        match what % 11:
            case 0:
                it.open(2.0)
            case 1:
                it.hear(it.greeting(same=what < 128), [what % 40])
            case 2 | 3:
                it.send(frames.REQUESTS[what % len(frames.REQUESTS)], (None, 0.5)[what % 2])
            case 4 | 5:
                if it.is_asked:
                    it.hear(it.answer((0, 0, -101, -118)[what % 4]))
            case 6:
                it.wait_for_the_deadline()
            case 7:
                it.hang_up()
            case 8:
                it.hear(bytes(rest[: what // 4]))
                rest = rest[what // 4 :]
            case 9:
                it.hear(frames.INT.pack(what // 4) + bytes(rest[: what // 4]))
                rest = rest[what // 4 :]
            case _:
                it.wait(what / 100)
                it.tick()
    it.close()
    it.drop()


def host(data: bytes) -> None:
    """The embedded server: a client that has greeted well, and one that has not."""
    alone = Alone(tick=1.0, start=1, passwords=itertools.repeat(bytes(16)), wall=lambda: 0.0)
    alone.host.open("client")
    alone.host.receive(1, wire.encode_connect(m.Connect(0, 6.0, 0, bytes(16))), 0.0)
    alone.host.open("client")
    for number, piece in ((1, data), (2, data), (1, frames.INT.pack(len(data)) + data)):
        alone.host.receive(number, piece, 0.0)
        alone.host.take()
    alone.tick(10.0)


TARGETS = (decoders, stream, session, host)


def one(data: bytes) -> None:
    """One input."""
    if data:
        TARGETS[data[0] % len(TARGETS)](data[1:])


def main() -> None:
    """The command."""
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        sys.exit("this needs atheris: pip install atheris")
    atheris.instrument_all()
    corpus = Path("build/corpus")
    corpus.mkdir(parents=True, exist_ok=True)
    seeds = itertools.product(range(len(TARGETS)), enumerate(frames.FROM_SERVER + frames.FROM_CLIENT))
    for target, (number, frame) in seeds:
        (corpus / f"seed-{target}-{number}").write_bytes(bytes([target]) + frame)
    replayed = any(Path(argument).is_file() for argument in sys.argv[1:])
    atheris.Setup([*sys.argv, *([] if replayed else [str(corpus)])], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
