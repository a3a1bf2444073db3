"""One client's session with ZooKeeper, as a state machine without I/O. Pure.

The owner feeds it bytes and the time, and takes bytes to send, events, and the instant of the next `tick`. A session
outlives many connections: each begins with `open` and ends with a `Disconnected` event, after which the owner must
close the connection and dial again.

           open            Accepted,
                       Authenticated              close
    DOWN ────────► SHAKING ────────► UP ───────────────────► CLOSING
      ▲               │               │                         │
      └───────────────┴── any end, deadline, bad byte ──────────┴──► OVER (after close)

Rules:
1. Replies come in the order of the requests; any other reply ends the connection. So does a malformed byte.
2. Each request has an instant by which it must be answered; the first one missed ends the connection.
3. A request without a reply at the end of its connection is `Lost`, exactly once. Bytes of an old connection never
   count: the owner feeds those of the current one only.
4. While the session is not UP a request is refused at once (`NotConnected`); nothing is queued.
5. A handshake that is answered with another session means that the one to resume has expired.
6. A silent connection is pinged after a third of the session timeout: of the granted or of the asked one, whichever is
   shorter. So a server's silence is noticed as soon as the owner wants, whatever the server grants.
7. A server that ends a handshake without an answer does not serve, or is behind the last zxid that this session has
   seen. The latter may be for good: ZooKeeper's data may have been lost (aiozk#28). A trial finds out which:
   - After PATIENCE session timeouts of this, every other handshake asks for a new session, with zxid 0. A session that
     is granted then is never used. It is closed at once, by a quorum write.
   - Nothing is granted, or the close is not answered: nothing is known, and the handshakes continue.
   - The close has a lower zxid than the last one seen: the data was lost, and our session is over with it.
   - Otherwise servers serve again after an outage, which keeps sessions. The handshake is repeated as before, and our
     session is over only if that is refused (rule 5).
8. A server that answers that the session has moved or expired is disconnected: a handshake given up before may have
   reached another server late and moved the session there (ZOOKEEPER-710). The next handshake returns or ends it.
9. A session that was handed over (`resume`) is resumed or over: no other one follows it, and none is asked for.
10. With an identity a connection is UP only when the server has accepted that as well. The proof follows the
    handshake's answer: before, it would be answered out of order. A server that refuses it, or demands one that is
    missing, ends the session if no request was ever answered: that is a mistake of the caller's, to be raised at once.
    Later it ends the connection only.
11. A server that answers the handshake with TLS has that as the reason of the connection's end.

It never raises for what a server does, only `UsageError` and `NotConnected` for what the caller does. It does not
promise that a session which is UP is alive: a server that is cut off from its ensemble answers pings for a while.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, field

from ..errors import NotConnected, ProtocolError, SessionExpired, SessionMoved, UsageError, server_error
from . import messages as m
from . import wire
from .identity import Identity

MAX_XID = 2**31 - 1
PATIENCE = 5
"""Session timeouts after which servers that end the handshakes are asked for a new session; see rule 7."""

PARTING_XID = 1
"""The xid of the close of a new session by rule 7; it is that session's only request."""

IDENTITY_DEMANDED = -124
"""ZooKeeper's `SESSIONCLOSEDREQUIRESASLAUTH`: the server serves nobody without a proof (`enforce.auth`)."""

TLS_ALERT, TLS_HANDSHAKE = b"\x15\x03", b"\x16\x03"
"""How a TLS server's bytes begin."""

CLOSED = "closed by ourselves"
"""The reason of an end that this side wanted."""


class Phase(enum.Enum):
    """Where a session is with its connection."""

    DOWN = "down"
    SHAKING = "shaking hands"
    UP = "up"
    CLOSING = "closing"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What another process needs to resume a session. The password is never shown.

    Attributes:
        session_id: ZooKeeper's id of the session.
        password: proves the right to the session.
        timeout: the session timeout as granted, in seconds.
        last_zxid: the highest zxid seen on it.
    """

    session_id: int
    password: bytes = field(repr=False)
    timeout: float
    last_zxid: int


class Session:
    """See the module's docstring; rule 9 is on `resume`, rule 10 on `identity`.

    `timeout` is the session timeout to ask for, in seconds. A frame from a server has `frame_limit` bytes at most.
    """

    def __init__(
        self,
        timeout: float,
        *,
        frame_limit: int = wire.FRAME_LIMIT,
        resume: Credentials | None = None,
        identity: Identity | None = None,
    ) -> None:
        self.phase = Phase.DOWN
        self.timeout_asked = timeout
        self.timeout = timeout  # as granted, once a server has answered
        self.session_id = 0
        self.last_zxid = 0
        self._password = bytes(16)
        self._frame_limit = frame_limit
        self._xid = 0
        self._frames = wire.FrameReader(self._frame_limit)
        self._asked: deque[tuple[int, m.Request]] = deque()
        # (xid, instant), both ascending: a request that may wait longer than a later one is left out, since the later
        # one's answer cannot come first. So the head is the next deadline, found without looking at all of them.
        self._due: deque[tuple[int, float]] = deque()
        self._ping_due: float | None = None
        self._handshake_due = 0.0
        self._hung_up_since: float | None = None
        self._anew = False  # this handshake asks for a new session, to find out whether servers serve; rule 7
        self._parting = False  # that was granted, and its close is not answered yet
        self.serving = False  # the last handshake has found that servers serve: dial again without a pause
        self._last_sent = 0.0
        self._out = bytearray()
        self._events: deque[m.Event] = deque()
        self._handed_over = resume is not None
        self._identity = identity
        self._proving = False  # the server has accepted the session, and not yet answered the identity's proof
        self._served = False  # a request was answered, on any connection
        self._told = 0  # the session of the last `Connected` event
        if resume is not None:
            self.session_id, self._password, self.last_zxid = resume.session_id, resume.password, resume.last_zxid
            self._told = self.session_id

    @property
    def tolerance(self) -> float:
        """The shorter one of the granted and the asked session timeout, in seconds; it bounds a server's silence."""
        return min(self.timeout, self.timeout_asked)

    @property
    def credentials(self) -> Credentials | None:
        """What another process needs to resume this session, None while there is none."""
        return Credentials(self.session_id, self._password, self.timeout, self.last_zxid) if self.session_id else None

    # -- the connection ------------------------------------------------------------------------------------------------

    def open(self, now: float, patience: float) -> None:
        """Begin the handshake on a new connection; the server has `patience` seconds for its answer."""
        if self.phase is not Phase.DOWN:
            raise UsageError(f"open() while {self.phase.value}")
        self.phase, self._proving, self._parting, self.serving = Phase.SHAKING, False, False, False
        self._frames = wire.FrameReader(self._frame_limit)
        self._handshake_due = now + patience
        since = self._hung_up_since
        impatient = since is not None and now - since >= PATIENCE * self.timeout and not self._handed_over
        self._anew = impatient and not self._anew
        asked = (0, 0, bytes(16)) if self._anew else (self.last_zxid, self.session_id, self._password)
        self._out += wire.encode_connect(m.Connect(asked[0], self.timeout_asked, *asked[1:]))

    def receive_data(self, data: bytes, now: float) -> None:
        """Take bytes from the server; those of a connection that has ended are ignored."""
        if self.phase in (Phase.DOWN, Phase.OVER):
            return
        begins = self.phase is Phase.SHAKING and not (self._proving or self._frames.pending)
        if begins and data.startswith((TLS_ALERT, TLS_HANDSHAKE)):
            hint = "give tls=, --zookeeper-tls, or its plain clientPort"
            self.drop(f"the server speaks TLS on this port: {hint}", m.Cause.PROTOCOL)
            return
        try:
            for frame in self._frames.feed(data):
                self._receive_frame(frame, now)
                if self.phase in (Phase.DOWN, Phase.OVER):
                    return
        except ProtocolError as error:
            self.drop(f"the server broke the protocol: {error}", m.Cause.PROTOCOL)

    def receive_eof(self, now: float, hint: str = "") -> None:
        """The server has ended the connection; `hint` says what that may mean if it has never served this session."""
        mute = self.phase is Phase.SHAKING and not (self._proving or self._parting)
        if mute and (self.session_id or self.last_zxid) and self._hung_up_since is None:
            self._hung_up_since = now
        what = "inside the handshake" if self.phase is Phase.SHAKING else "of the connection"
        partial = f", inside a frame ({self._frames.pending} bytes of it came)" if self._frames.pending else ""
        perhaps = f"; {hint}" if hint and mute and not self._told else ""
        self.drop(f"end of stream {what}{partial}{perhaps}", m.Cause.END_OF_STREAM)

    def drop(self, reason: str, cause: m.Cause) -> None:
        """End the connection; requests without a reply are lost. The reason is for people, the cause for programs."""
        self._drop(reason, cause, confirmed=False)

    def _refuse(self, reason: str) -> None:
        """The server refuses this identity, or the lack of one; rule 10."""
        if self._served:
            self.drop(reason, m.Cause.REFUSED)
        else:
            self.phase = Phase.CLOSING
            self._drop(reason, m.Cause.REFUSED, confirmed=False, refused=reason)

    def _drop(self, reason: str, cause: m.Cause, *, confirmed: bool, refused: str | None = None) -> None:
        if self.phase in (Phase.DOWN, Phase.OVER):
            return
        closing = self.phase is Phase.CLOSING
        self.phase = Phase.OVER if closing else Phase.DOWN
        self._out.clear()
        self._due.clear()
        self._ping_due = None
        lost, self._asked = self._asked, deque()
        self._events.append(m.Disconnected(reason, cause))
        self._events.extend(m.Answered(xid, m.Lost()) for xid, _ in lost)
        if closing:
            self._events.append(m.Ended(confirmed, refused))

    # -- requests ------------------------------------------------------------------------------------------------------

    def send(self, request: m.Request, now: float, within: float | None = None) -> int:
        """Send a request (not a handshake or a ping); returns the xid under which an `Answered` event will follow.

        The answer must come `within` seconds, a third of `tolerance` if None. `now` was read before this call.

        Raises:
            NotConnected: nothing was sent.
            UsageError: it cannot be encoded.
        """
        if self.phase is not Phase.UP:
            raise NotConnected(f"no ZooKeeper server is connected ({self.phase.value})")
        xid = self._xid % MAX_XID + 1
        frame = wire.encode_request(xid, request if self._identity is None else self._identity.owning(request))
        self._xid = xid
        self._out += frame
        self._asked.append((xid, request))
        due = now + (self.tolerance / 3 if within is None else within)
        while self._due and self._due[-1][1] >= due:
            self._due.pop()
        self._due.append((xid, due))
        self._last_sent = now
        return xid

    def close(self, now: float) -> None:
        """End the session: the server deletes its ephemeral znodes. `Ended` follows, at once if none is connected."""
        if self.phase is Phase.UP:
            self.send(m.Close(), now)
            self.phase = Phase.CLOSING
        elif self.phase is Phase.SHAKING:
            self.phase = Phase.CLOSING
            self.drop(CLOSED, m.Cause.CLOSED)
        elif self.phase is Phase.DOWN:
            self.phase = Phase.OVER
            self._events.append(m.Ended())

    def data_to_send(self) -> bytes:
        """Return the bytes to write to the current connection, once."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def next_event(self) -> m.Event | None:
        """Remove and return the oldest event, None if there is none."""
        return self._events.popleft() if self._events else None

    # -- time ----------------------------------------------------------------------------------------------------------

    def deadline(self) -> float | None:
        """When to call `tick` next, None for not at all."""
        if self.phase is Phase.SHAKING:
            return self._handshake_due
        if self.phase not in (Phase.UP, Phase.CLOSING):
            return None
        answer_due = self._due[0][1] if self._due else None
        waiting = [due for due in (answer_due, self._ping_due) if due is not None]
        return min(waiting) if waiting else self._last_sent + self.tolerance / 3

    def tick(self, now: float) -> None:
        """Do what is due: give a silent server up, or ping it."""
        due = self.deadline()
        if due is None or now < due:
            return
        if self.phase is Phase.SHAKING:
            what = "our credentials" if self._proving else "the handshake"
            self.drop(f"no answer to {what}", m.Cause.NO_ANSWER)
        elif self._ping_due is not None or self._asked:
            what = type(self._asked[0][1]).__name__ if self._asked else "Ping"
            self.drop(f"no answer to {what}, the oldest request, in time", m.Cause.NO_ANSWER)
        else:
            self._out += wire.encode_request(wire.PING_XID, m.Ping())
            self._last_sent = now
            self._ping_due = now + self.tolerance / 3

    # -- frames from the server ----------------------------------------------------------------------------------------

    def _receive_frame(self, frame: bytes, now: float) -> None:
        if self.phase is Phase.SHAKING and not (self._proving or self._parting):
            self._receive_accepted(wire.decode_accepted(frame), now)
            return
        xid, zxid, _ = wire.decode_header(frame)
        if xid == wire.WATCH_XID:
            watched = wire.decode_watched(frame)
            if watched is not None:
                self._events.append(watched)
            return
        if self._proving:
            self._receive_proved(xid, frame, now)
            return
        if self._parting:
            self._receive_parted(xid, zxid, frame)
            return
        self.last_zxid = max(self.last_zxid, zxid)
        if xid == wire.PING_XID:
            if self._ping_due is None:
                raise ProtocolError("an answer to a ping that was not sent")
            self._ping_due = None
            return
        self._receive_reply(xid, frame)

    def _receive_reply(self, xid: int, frame: bytes) -> None:
        if not self._asked:
            raise ProtocolError(f"a reply to request {xid}, and nothing was asked")
        asked, request = self._asked[0]
        if xid != asked:
            raise ProtocolError(f"a reply to request {xid} where {asked} is next")
        reply = wire.decode_reply(request, frame)
        if isinstance(reply, m.Failed) and reply.code in (SessionMoved.code, SessionExpired.code):
            why = server_error(reply.code)
            self.drop(f"this server does not serve the session any more ({why})", m.Cause.REFUSED)
            return
        if isinstance(reply, m.Failed) and reply.code == IDENTITY_DEMANDED:
            self._refuse("the server serves only who proves who they are (its enforce.auth settings)")
            return
        self._served = True
        self._asked.popleft()
        if self._due and self._due[0][0] == xid:
            self._due.popleft()
        self._events.append(m.Answered(xid, reply))
        if isinstance(request, m.Close):
            self._drop(CLOSED, m.Cause.CLOSED, confirmed=True)

    def _receive_accepted(self, accepted: m.Accepted, now: float) -> None:
        ours = self.session_id
        same = accepted.session_id == ours and accepted.password == self._password
        if ours and not same and not self._anew:
            self._forget()
            self._events.append(m.Expired(ours))
            if self._handed_over:
                # The server may have begun another session instead: its timeout ends that.
                self.phase = Phase.CLOSING
                self.drop("the session has expired", m.Cause.REFUSED)
                return
        if accepted.session_id == 0 or accepted.timeout <= 0:
            what = "the session: it has expired" if ours and not self._anew else "a session"
            self.drop(f"the server refused {what}", m.Cause.REFUSED)
            return
        if same or not self._anew:
            self.session_id, self._password = accepted.session_id, accepted.password
            self.timeout = accepted.timeout
            self._hung_up_since, self._anew = None, False
        if self._identity is None:
            self._come_up(now)
        else:
            self._proving = True
            self._out += wire.encode_request(wire.AUTH_XID, self._identity.proof)

    def _receive_proved(self, xid: int, frame: bytes, now: float) -> None:
        assert self._identity is not None
        if xid != wire.AUTH_XID:
            raise ProtocolError(f"a reply to request {xid} where that to our credentials is next")
        self._proving = False
        if isinstance(wire.decode_reply(self._identity.proof, frame), m.Failed):
            self._refuse(f"the server does not accept {self._identity.label}")
        else:
            self._come_up(now)

    def _receive_parted(self, xid: int, zxid: int, frame: bytes) -> None:
        if xid != PARTING_XID:
            raise ProtocolError(f"a reply to request {xid} where that to the close is next")
        if isinstance(reply := wire.decode_reply(m.Close(), frame), m.Failed):
            why = server_error(reply.code)
            self.drop(f"the server refused to close the session that it had just granted ({why})", m.Cause.REFUSED)
            return
        self._hung_up_since = None
        self.serving = True
        if zxid >= self.last_zxid:
            self.drop("the server serves again: the handshake is repeated as before", m.Cause.CLOSED)
            return
        ours, self.last_zxid = self.session_id, 0
        if ours:
            self._forget()
            self._events.append(m.Expired(ours))
        self.drop("the server has lost what we had been told", m.Cause.REFUSED)

    def _come_up(self, now: float) -> None:
        if self._anew:
            self._parting = True
            self._out += wire.encode_request(PARTING_XID, m.Close())
            return
        self.phase = Phase.UP
        self._last_sent = now
        resumed, self._told = self._told == self.session_id, self.session_id
        self._events.append(m.Connected(self.session_id, self.timeout, resumed=resumed))

    def _forget(self) -> None:
        self.session_id, self._password, self._told = 0, bytes(16), 0
