"""A session, the server that it believes to talk to, and a supervisor that checks each of its promises at each step.

What is checked, after every call:

- Nothing is raised but what the caller may be told: `UsageError`, `NotConnected`; and neither leaves a trace.
- Each request that was sent is answered exactly once, in the order of the xids, which rise by one. An answer of the
  right kind while connected, `Lost` once the connection has ended; nothing is left unanswered when it has.
- `Connected` comes once a connection at most, `Disconnected` once; nothing follows `Ended`. A session is `resumed` only
  under its own id; `Expired` names the one that was had.
- After `tick(now)` the deadline lies ahead, and is there whenever a connection is: no hot loop, nobody waits for ever.
- Of a server's bytes at most one unfinished frame is kept; of our own nothing is kept once a connection has ended.
- What is written is ZooKeeper's protocol: a server decodes a handshake, then the very requests that were made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest

from leader_async.errors import NotConnected, SessionExpired, SessionMoved, UsageError
from leader_async.zookeeper import messages as m
from leader_async.zookeeper import wire
from leader_async.zookeeper.session import PARTING_XID, Phase, Session
from leader_async.zookeeper.wire import server

from . import frames

LIMIT = 4096
"""Bytes of the largest frame that is taken."""
TIMEOUT = 6.0

ANSWERS: dict[type[m.Request], type[m.Reply]] = {type(asked): type(answer) for asked, answer in frames.EXCHANGES}
ANSWERS[m.Close] = m.Closed
UNSENDABLE: tuple[m.Request, ...] = (
    m.Delete("/a", 2**31),
    m.Create("/\ud800"),
    m.Multi((m.Check("/a"), m.Check("/a", -(2**40)))),
)
"""Requests that no frame can carry."""


class Supervised:
    """See the module's docstring. Each method is something that an owner or a server does."""

    def __init__(self) -> None:
        self.session = Session(TIMEOUT, frame_limit=LIMIT)
        self.now = 1_000_000.0
        self.zxid = 0
        self.answers = 0
        self.lost = 0
        self.expired: list[int] = []
        self.out = bytearray()  # what this connection has to carry to the server; the caller may empty it
        self._sent: deque[tuple[int, m.Request]] = deque()  # not yet answered
        self._written: deque[tuple[int, m.Request]] = deque()  # what the server has still to answer
        self._last_xid = 0
        self._open = self._connected = self._ended = False
        self._hello: m.Connect | None = None  # what this connection began with
        self._handle = 0  # id of the session that is had, 0 for none

    # -- what the owner does -------------------------------------------------------------------------------------------

    def open(self, patience: float) -> None:
        """A connection was made."""
        if self.session.phase is not Phase.DOWN:
            self._refused(lambda: self.session.open(self.now, patience), UsageError)
            return
        self.session.open(self.now, patience)
        self._open, self._hello = True, None
        self._written.clear()
        self.out.clear()
        self._check()

    def send(self, request: m.Request, within: float | None = None) -> None:
        """The owner asks for something."""
        if self.session.phase is not Phase.UP:
            self._refused(lambda: self.session.send(request, self.now, within), NotConnected)
        elif request in UNSENDABLE:
            self._refused(lambda: self.session.send(request, self.now, within), UsageError)
        else:
            xid = self.session.send(request, self.now, within)
            self._asked(xid, request)
            self._check()

    def _asked(self, xid: int, request: m.Request) -> None:
        assert xid == self._last_xid + 1, f"request {xid} after request {self._last_xid}"
        self._last_xid = xid
        self._sent.append((xid, request))

    def close(self) -> None:
        """The owner has had enough."""
        up = self.session.phase is Phase.UP
        self.session.close(self.now)
        if up:
            self._asked(self._last_xid + 1, m.Close())
        self._check()

    def tick(self) -> None:
        """The timer fires, or something else does."""
        self.session.tick(self.now)
        self._check()
        due = self.session.deadline()
        assert due is None or due > self.now, f"the deadline {due - self.now} s after a tick"

    def wait(self, seconds: float) -> None:
        """Time passes, and no timer fires: a busy machine."""
        self.now += seconds

    def wait_for_the_deadline(self) -> None:
        """Time passes until the timer fires."""
        due = self.session.deadline()
        if due is not None:
            self.now = max(self.now, due)
        self.tick()

    def drop(self) -> None:
        """The owner finds the connection broken."""
        self.session.drop("broken", m.Cause.NETWORK)
        self._check()

    # -- what the server does ------------------------------------------------------------------------------------------

    def hang_up(self) -> None:
        """The server ends the connection."""
        self.session.receive_eof(self.now)
        self._check()

    def hear(self, data: bytes, cuts: list[int] | None = None) -> None:
        """The server says something, in as many pieces as there are cuts and one."""
        places = sorted(min(cut, len(data)) for cut in cuts or [])
        for start, end in zip([0, *places], [*places, len(data)], strict=True):
            self.session.receive_data(data[start:end], self.now)
            self._check()

    def greeting(self, *, same: bool = True, timeout: float = TIMEOUT) -> bytes:
        """A server's answer to the handshake: for the session that was asked for, if there was one, or a new one."""
        hello = self._hello
        if same and hello is not None and hello.session_id:
            return server.encode_accepted(m.Accepted(hello.session_id, timeout, hello.password), modern=True)
        return server.encode_accepted(m.Accepted(self._handle + 1, timeout, bytes([1]) * 16), modern=True)

    def answer(self, error: int = 0) -> bytes:
        """The right answer to the request that is next, a pong if none is; `error`, if it is not 0, refuses it."""
        self.zxid += 1
        if not self._written:
            return server.encode_reply(wire.PING_XID, self.zxid, m.Ponged())
        xid, request = self._written.popleft()
        reply = m.Failed(error) if error else next((r for asked, r in frames.EXCHANGES if asked == request), m.Closed())
        return server.encode_reply(xid, self.zxid, m.Ponged() if isinstance(request, m.Ping) else reply)

    @property
    def is_asked(self) -> bool:
        """Whether the server has something to answer."""
        return self._open and bool(self._written)

    # -- the supervisor ------------------------------------------------------------------------------------------------

    def _refused(self, call: Callable[[], object], expected: type[Exception]) -> None:
        before = self.session.phase, self.session.deadline(), bytes(self.session._out)
        with pytest.raises((UsageError, NotConnected)) as told:
            call()
        assert told.type is expected, told.value
        assert before == (self.session.phase, self.session.deadline(), bytes(self.session._out))
        self._check()

    def _check(self) -> None:
        while (event := self.session.next_event()) is not None:
            self._heard(event)
        connected = self.session.phase in (Phase.UP, Phase.CLOSING)
        assert connected == self._connected, (self.session.phase, self._connected)
        assert self._open == (self.session.phase in (Phase.SHAKING, Phase.UP, Phase.CLOSING))
        assert self._ended == (self.session.phase is Phase.OVER)
        assert (self.session.deadline() is not None) == self._open
        if not self._open:
            assert not self._sent, f"never answered: {self._sent}"
        self._read_what_is_written()
        assert self.session._frames.pending < LIMIT + frames.INT.size or not self._open

    def _heard(self, event: m.Event) -> None:
        assert not self._ended, f"{event} after the end"
        match event:
            case m.Connected(session_id, timeout, resumed):
                assert self._open
                assert not self._connected, "connected twice"
                assert session_id != 0
                assert timeout > 0
                assert not resumed or session_id == self._handle
                self._connected, self._handle = True, session_id
            case m.Disconnected():
                assert self._open, "disconnected from nothing"
                self._open = self._connected = False
            case m.Expired(session_id):
                assert self._open
                assert not self._connected
                assert session_id == self._handle != 0
                self._handle = 0
                self.expired.append(session_id)
            case m.Ended():
                assert not self._open
                self._ended = True
            case m.Answered(xid, answer):
                due, request = self._sent.popleft()
                assert xid == due, f"an answer to {xid} where {due} is next"
                assert isinstance(answer, m.Lost) == (not self._open)
                assert isinstance(answer, m.Lost | m.Failed | ANSWERS[type(request)])
                if isinstance(answer, m.Failed):
                    assert answer.code not in (SessionMoved.code, SessionExpired.code), "such a server is left"
                self.answers, self.lost = self.answers + 1, self.lost + isinstance(answer, m.Lost)
            case m.Watched():
                assert self._connected

    def _read_what_is_written(self) -> None:
        data = self.session.data_to_send()
        self.out += data
        assert self._open or not data, "bytes for a connection that has ended"
        for frame in wire.FrameReader().feed(data):
            if self._hello is None:
                self._hello = server.decode_connect(frame).connect
                assert self._hello.session_id in (0, self._handle)
                continue
            xid, request = server.decode_request(frame)
            assert isinstance(request, m.Request), request
            if isinstance(request, m.Ping):
                assert xid == wire.PING_XID
            elif not self._connected:
                assert (xid, request) == (PARTING_XID, m.Close()), "asked before it is up"
                assert self._hello.session_id == self._hello.last_zxid == 0, "closed, and wanted"
            else:
                assert (xid, request) == (self._sent[-1] if self._sent else None), "not what was asked"
            self._written.append((xid, request))
