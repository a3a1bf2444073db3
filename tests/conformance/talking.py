"""A client that writes down all that it hears, in order, in words that do not depend on the server."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from leader_async.zookeeper import messages as m
from leader_async.zookeeper import wire

LIMIT = 10.0
SPECIAL = {m.Authenticate: wire.AUTH_XID, m.SetWatches: wire.SET_WATCHES_XID, m.Ping: wire.PING_XID}


class Clock:
    """zxids as small numbers: the first one seen is 0, the difference to it counts. Shared by the clients of a test."""

    def __init__(self, exact: bool) -> None:
        self._exact = exact
        self._seen: list[int] = []

    def of(self, zxid: int) -> object:
        if zxid <= 0:
            return zxid
        self._seen.append(zxid)
        return zxid - self._seen[0] if self._exact else "zxid"


class Talker:
    """One connection. `heard` has replies and watch events in the order in which they came.

    Args:
        clock: what zxids are counted from.
        base: a path before all paths, left out of what is written down.
    """

    def __init__(self, clock: Clock, base: str) -> None:
        self._clock, self._base = clock, base
        self.heard: list[object] = []
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._frames = wire.FrameReader()
        self._got: list[bytes] = []
        self._xid = 0
        self.session, self.password = 0, bytes(16)
        self.zxid = 0
        self.tells_zxids = False  # of events

    async def dial(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._reader, self._writer = await asyncio.open_connection(host, int(port))

    async def greet(
        self, *, timeout: float = 10.0, session: int = 0, password: bytes = bytes(16), zxid: int = 0, old: bool = False
    ) -> m.Accepted | None:
        """The handshake; None if the server hung up. `old` is as clients before 3.4 do it."""
        frame = wire.encode_connect(m.Connect(zxid, timeout, session, password))
        if old:
            frame = struct.pack("!i", len(frame) - 5) + frame[4:-1]
        self.write(frame)
        answer = await self.frame()
        if answer is None:
            return None
        assert len(answer) == (36 if old else 37)
        accepted = wire.decode_accepted(answer)
        self.session, self.password = accepted.session_id, accepted.password
        return accepted

    def write(self, data: bytes) -> None:
        assert self._writer is not None
        self._writer.write(data)

    async def frame(self) -> bytes | None:
        """The next frame, None at the end of the stream."""
        assert self._reader is not None
        async with asyncio.timeout(LIMIT):
            while not self._got:
                try:
                    data = await self._reader.read(65536)
                except ConnectionResetError:  # there was more to read for the server
                    return None
                if not data:
                    return None
                self._got += self._frames.feed(data)
        return self._got.pop(0)

    async def ask(self, *requests: m.Request) -> m.Reply:
        """Send these in one write, and hear their replies and what comes before; returns the last reply."""
        xids = []
        for request in requests:
            self._xid += 1
            xids.append(SPECIAL.get(type(request), self._xid))
        self.write(b"".join(wire.encode_request(xid, request) for xid, request in zip(xids, requests, strict=True)))
        reply: m.Reply | None = None
        for xid, request in zip(xids, requests, strict=True):
            while True:
                frame = await self.frame()
                assert frame is not None, f"hung up on at {request}, after {self.heard[-3:]}"
                got, zxid, _ = wire.decode_header(frame)
                if got == wire.WATCH_XID:
                    self._hear_event(frame)
                    continue
                assert got == xid
                reply = wire.decode_reply(request, frame)
                self.zxid = max(self.zxid, zxid)
                self.heard.append((self._clock.of(zxid), self._plain(reply)))
                break
        assert reply is not None
        return reply

    async def raw(self, opcode: int, body: bytes, *, xid: int | None = None, show: int | None = None) -> bytes:
        """Send these bytes and hear what is answered; returns it.

        Args:
            opcode: the operation's code.
            body: the bytes behind it.
            xid: the request's, None for the next one.
            show: how many bytes of the answer are written down: what is behind them differs from server to server.
        """
        self._xid += 1
        asked = self._xid if xid is None else xid
        self.write(struct.pack("!iii", 8 + len(body), asked, opcode) + body)
        while True:
            frame = await self.frame()
            if frame is None:
                self.heard.append((opcode, "hung up"))
                return b""
            got, zxid, error = wire.decode_header(frame)
            if got == wire.WATCH_XID:
                self._hear_event(frame)
                continue
            assert got == asked
            self.zxid = max(self.zxid, zxid)
            answer = frame[16:]
            cut = answer.replace(self._base.encode(), b"~" * len(self._base))
            self.heard.append((opcode, self._clock.of(zxid), error, len(answer), cut[:show]))
            return answer

    async def event(self) -> None:
        """Hear one watch event."""
        frame = await self.frame()
        assert frame is not None
        assert wire.decode_header(frame)[0] == wire.WATCH_XID
        self._hear_event(frame)

    async def hung_up(self) -> bool:
        """Whether the server ends the connection now, without another word."""
        return await self.frame() is None

    def close(self) -> None:
        """Go without a word."""
        if self._writer is not None:
            self._writer.close()

    async def leave(self) -> None:
        """End the session."""
        await self.ask(m.Close())
        self.heard.pop()
        self.close()

    def _hear_event(self, frame: bytes) -> None:
        event = wire.decode_watched(frame)
        assert event is not None
        self.heard.append(self._plain(event))
        if self.tells_zxids:
            self.heard.append(self._clock.of(wire.decode_header(frame)[1]))

    def _plain(self, value: Any) -> Any:
        """Without what differs from one server to the next."""
        match value:
            case m.Stat():
                owner = (
                    "nobody"
                    if not value.ephemeral_owner
                    else "me"
                    if value.ephemeral_owner == self.session
                    else "other"
                )
                times = value.mtime >= value.ctime > 0
                zxids = [self._clock.of(zxid) for zxid in (value.czxid, value.mzxid, value.pzxid)]
                order = sorted({value.czxid, value.mzxid, value.pzxid})
                ranks = [order.index(zxid) for zxid in (value.czxid, value.mzxid, value.pzxid)]
                rest = replace(value, czxid=0, mzxid=0, pzxid=0, ctime=0, mtime=0, ephemeral_owner=0)
                return (owner, times, zxids, ranks, rest)
            case m.Created(path, stat):
                return "Created", self._cut(path), self._plain(stat)
            case m.DataSet(stat) | m.Found(stat) | m.AccessSet(stat):
                return type(value).__name__, self._plain(stat)
            case m.Data(data, stat):
                return "Data", data, self._plain(stat)
            case m.Children(names, stat):
                return "Children", sorted(names), self._plain(stat)
            case m.AccessList(access, stat):
                return "AccessList", access, self._plain(stat)
            case m.Synced(path):
                return "Synced", self._cut(path)
            case m.Transacted(results):
                return "Transacted", [self._plain(result) for result in results]
            case m.Watched(change, path):
                return "Watched", change.name, self._cut(path)
            case _:
                return value

    def _cut(self, path: str) -> str:
        return path.removeprefix(self._base) if path.startswith(self._base) else path


def transcript(talkers: Sequence[Talker]) -> list[list[object]]:
    """What each of them heard."""
    return [talker.heard for talker in talkers]
