from __future__ import annotations

import struct

import pytest

from leader_async.errors import NotConnected, UsageError
from leader_async.zookeeper import messages as m
from leader_async.zookeeper import wire
from leader_async.zookeeper.identity import Digest
from leader_async.zookeeper.session import MAX_XID, PARTING_XID, PATIENCE, Credentials, Phase, Session

PASSWORD = b"0123456789abcdef"


def framed(payload: bytes) -> bytes:
    return struct.pack("!i", len(payload)) + payload


def accepted(session_id: int = 7, timeout: int = 6000, password: bytes = PASSWORD) -> bytes:
    return framed(struct.pack("!iiqi", 0, timeout, session_id, len(password)) + password + b"\0")


def reply(xid: int, zxid: int = 1, error: int = 0, body: bytes = b"") -> bytes:
    return framed(struct.pack("!iqi", xid, zxid, error) + body)


PONG = reply(-2)
DELETED = framed(struct.pack("!iqi", -1, -1, 0) + struct.pack("!ii", 2, 3) + b"\0\0\0\2/a")
STATE_ONLY = framed(struct.pack("!iqi", -1, -1, 0) + struct.pack("!ii", -1, 3) + b"\0\0\0\0")


def events(session: Session) -> list[m.Event]:
    found = []
    while (event := session.next_event()) is not None:
        found.append(event)
    return found


@pytest.fixture
def session() -> Session:
    """One that is up, with nothing left to take."""
    session = Session(6.0)
    session.open(0.0, 2.0)
    session.receive_data(accepted(), 0.0)
    session.data_to_send()
    events(session)
    return session


def reason(session: Session) -> str:
    (first, *_) = events(session)
    assert isinstance(first, m.Disconnected)
    return first.reason


def test_a_new_session() -> None:
    session = Session(6.0)
    assert session.deadline() is None
    session.open(10.0, 2.0)
    assert session.deadline() == 12.0
    assert struct.unpack_from("!iiqiq", session.data_to_send()) == (44 + 1, 0, 0, 6000, 0)
    session.receive_data(accepted(timeout=4000), 10.5)
    assert events(session) == [m.Connected(7, 4.0, resumed=False)]
    assert session.phase is Phase.UP
    assert session.timeout == 4.0


def test_a_handshake_is_not_waited_for_for_ever() -> None:
    session = Session(6.0)
    session.open(10.0, 2.0)
    session.tick(11.9)
    assert events(session) == []
    session.tick(12.0)
    assert reason(session) == "no answer to the handshake"
    assert session.phase is Phase.DOWN


def test_open_twice_is_the_callers_mistake(session: Session) -> None:
    with pytest.raises(UsageError, match="open"):
        session.open(1.0, 1.0)


def test_resuming_tells_id_password_and_zxid(session: Session) -> None:
    session.send(m.Delete("/a"), 1.0)
    session.receive_data(reply(1, zxid=55), 1.0)
    session.drop("cut", m.Cause.NETWORK)
    session.data_to_send()
    session.open(2.0, 2.0)
    sent = session.data_to_send()
    assert struct.unpack_from("!iiqiq", sent)[2:] == (55, 6000, 7)
    assert PASSWORD in sent
    session.receive_data(accepted(), 2.0)
    assert events(session)[-1] == m.Connected(7, 6.0, resumed=True)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            accepted(0, 0, bytes(16)),
            [m.Expired(7), m.Disconnected("the server refused the session: it has expired", m.Cause.REFUSED)],
        ),
        (accepted(8), [m.Expired(7), m.Connected(8, 6.0, resumed=False)]),
        (accepted(7, password=b"other"), [m.Expired(7), m.Connected(7, 6.0, resumed=False)]),
    ],
    ids=["refused", "a new one", "another password"],
)
def test_expiry_is_any_session_but_ours(session: Session, answer: bytes, expected: list[m.Event]) -> None:
    session.drop("cut", m.Cause.NETWORK)
    events(session)
    session.open(9.0, 2.0)
    session.receive_data(answer, 9.0)
    assert events(session) == expected


def hung_up_on(session: Session, now: float) -> bytes:
    """Greet a server that hangs up without a word; what it was asked."""
    session.open(now, 2.0)
    asked = session.data_to_send()
    session.receive_eof(now)
    events(session)
    return asked


def seen(session: Session, zxid: int) -> None:
    """A server tells of this zxid; then the connection is lost."""
    xid = session.send(m.Delete("/a"), 1.0)
    session.receive_data(reply(xid, zxid=zxid), 1.0)
    session.drop("cut", m.Cause.NETWORK)
    session.data_to_send()
    events(session)


def parted(session: Session, now: float, answer: bytes) -> list[m.Event]:
    """Greet a server that grants a new session, and answers so to what follows."""
    session.open(now, 2.0)
    assert session.data_to_send() == wire.encode_connect(m.Connect(0, 6.0, 0, bytes(16)))
    session.receive_data(accepted(8, password=b"other"), now)
    assert session.data_to_send() == wire.encode_request(PARTING_XID, m.Close())
    assert session.phase is Phase.SHAKING
    session.receive_data(answer, now)
    return events(session)


def test_servers_that_have_lost_everything_are_asked_for_a_new_session_after_a_while(session: Session) -> None:
    seen(session, 55)
    for now in (10.0, 39.9):
        assert PASSWORD in hung_up_on(session, now)
    # Every other time from now on, until one of the two is granted.
    assert PASSWORD not in hung_up_on(session, 40.0)
    assert PASSWORD in hung_up_on(session, 41.0)
    lost = "the server has lost what we had been told"
    assert parted(session, 42.0, reply(PARTING_XID, zxid=54)) == [m.Expired(7), m.Disconnected(lost, m.Cause.REFUSED)]
    assert (session.last_zxid, session.serving) == (0, True)
    session.open(42.1, 2.0)
    session.receive_data(accepted(9), 42.1)
    assert events(session) == [m.Connected(9, 6.0, resumed=False)]


def test_a_new_session_that_is_granted_after_an_outage_is_not_the_end_of_ours(session: Session) -> None:
    seen(session, 55)
    hung_up_on(session, 10.0)
    again = "the server serves again: the handshake is repeated as before"
    assert parted(session, 40.0, reply(PARTING_XID, zxid=55)) == [m.Disconnected(again, m.Cause.CLOSED)]
    assert (session.session_id, session.last_zxid, session.serving) == (7, 55, True)
    session.open(40.1, 2.0)
    assert not session.serving
    assert session.data_to_send() == wire.encode_connect(m.Connect(55, 6.0, 7, PASSWORD))
    session.receive_data(accepted(), 40.1)
    assert events(session) == [m.Connected(7, 6.0, resumed=True)]


def test_who_has_no_session_any_more_finds_out_that_data_were_lost_as_well(session: Session) -> None:
    seen(session, 55)
    session.open(2.0, 2.0)
    session.receive_data(accepted(0, 0, bytes(16)), 2.0)
    session.data_to_send()
    events(session)
    hung_up_on(session, 10.0)
    lost = "the server has lost what we had been told"
    assert parted(session, 46.0, reply(PARTING_XID, zxid=3)) == [m.Disconnected(lost, m.Cause.REFUSED)]
    assert session.last_zxid == 0


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (reply(PARTING_XID, error=-1), "refused to close the session that it had just granted"),
        (reply(PARTING_XID + 1), "a reply to request 2 where that to the close is next"),
    ],
)
def test_a_new_session_that_is_not_closed_says_nothing_of_ours(session: Session, answer: bytes, complaint: str) -> None:
    seen(session, 55)
    hung_up_on(session, 10.0)
    (told,) = parted(session, 40.0, answer)
    assert isinstance(told, m.Disconnected)
    assert complaint in told.reason
    assert PASSWORD in hung_up_on(session, 41.0)
    assert parted(session, 42.0, reply(PARTING_XID, zxid=55))


def test_with_an_identity_it_is_proved_before_the_new_session_is_closed(known: Session) -> None:
    known.receive_data(PROVED, 0.6)
    seen(known, 55)
    hung_up_on(known, 10.0)
    known.open(40.0, 2.0)
    known.data_to_send()
    known.receive_data(accepted(8), 40.0)
    assert known.data_to_send() == wire.encode_request(wire.AUTH_XID, ME.proof)
    known.receive_data(PROVED, 40.1)
    assert known.data_to_send() == wire.encode_request(PARTING_XID, m.Close())
    known.receive_data(reply(PARTING_XID, zxid=56), 40.2)
    assert reason(known) == "the server serves again: the handshake is repeated as before"
    assert known.session_id == 7


def test_a_server_that_grants_our_own_session_as_a_new_one_has_resumed_it(session: Session) -> None:
    seen(session, 55)
    hung_up_on(session, 10.0)
    session.open(40.0, 2.0)
    session.receive_data(accepted(), 40.0)
    assert events(session) == [m.Connected(7, 6.0, resumed=True)]


def test_a_session_is_kept_when_no_other_one_is_granted(session: Session) -> None:
    session.drop("cut", m.Cause.NETWORK)
    for now in (10.0, 50.0):
        hung_up_on(session, now)
    session.open(51.0, 2.0)
    session.receive_data(accepted(), 51.0)
    assert events(session)[-1] == m.Connected(7, 6.0, resumed=True)
    # Its end was told: the next time is a first time.
    session.drop("cut", m.Cause.NETWORK)
    hung_up_on(session, 60.0)
    assert PASSWORD in hung_up_on(session, 89.0)


def test_a_server_that_grants_no_new_session_says_nothing_of_the_old_one(session: Session) -> None:
    session.drop("cut", m.Cause.NETWORK)
    hung_up_on(session, 10.0)
    session.open(40.0, 2.0)
    events(session)
    session.receive_data(accepted(0, 0, bytes(16)), 40.0)
    assert reason(session) == "the server refused a session"
    assert session.session_id == 7


def test_a_server_that_refuses_a_new_session() -> None:
    session = Session(6.0)
    session.open(0.0, 1.0)
    session.receive_data(accepted(0, 0), 0.0)
    assert reason(session) == "the server refused a session"
    assert session.session_id == 0


def test_replies_and_watch_events_in_one_order(session: Session) -> None:
    first, second = session.send(m.Delete("/a"), 1.0), session.send(m.GetData("/b"), 1.0)
    session.receive_data(DELETED + STATE_ONLY + reply(first) + reply(second, error=-101), 1.1)
    assert events(session) == [
        m.Watched(m.EventType.DELETED, "/a"),
        m.Answered(first, m.Deleted()),
        m.Answered(second, m.Failed(-101)),
    ]


def test_one_byte_at_a_time(session: Session) -> None:
    xid = session.send(m.Delete("/a"), 1.0)
    for byte in DELETED + reply(xid):
        session.receive_data(bytes([byte]), 1.1)
    assert [type(event) for event in events(session)] == [m.Watched, m.Answered]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (reply(2), "a reply to request 2 where 1 is next"),
        (reply(1, body=b"x"), "1 bytes too many"),
        (PONG, "a ping that was not sent"),
        (framed(b"short"), "no reply header"),
        (struct.pack("!i", -5), "a frame of -5 bytes"),
        (struct.pack("!i", 2**30), "a frame of 1073741824 bytes"),
    ],
)
def test_a_broken_protocol_ends_the_connection_and_loses_what_is_unanswered(
    session: Session, data: bytes, complaint: str
) -> None:
    xid = session.send(m.Delete("/a"), 1.0)
    session.receive_data(data, 1.1)
    first, *rest = events(session)
    assert isinstance(first, m.Disconnected)
    assert complaint in first.reason
    assert rest == [m.Answered(xid, m.Lost())]
    assert session.deadline() is None


def test_a_reply_to_nothing(session: Session) -> None:
    session.receive_data(reply(1), 1.0)
    assert "nothing was asked" in reason(session)


@pytest.mark.parametrize("code", [-118, -112])
def test_a_server_that_does_not_serve_the_session_any_more_is_left(session: Session, code: int) -> None:
    session.send(m.Delete("/a"), 1.0)
    session.send(m.Delete("/b"), 1.0)
    session.receive_data(reply(1, error=code), 1.1)
    left, *lost = events(session)
    assert isinstance(left, m.Disconnected)
    assert "does not serve the session any more" in left.reason
    assert lost == [m.Answered(1, m.Lost()), m.Answered(2, m.Lost())]
    assert session.phase is Phase.DOWN


def test_an_end_of_stream_says_where(session: Session) -> None:
    session.receive_data(b"\0\0", 1.0)
    session.receive_eof(1.0)
    assert reason(session) == "end of stream of the connection, inside a frame (2 bytes of it came)"
    session.open(2.0, 1.0)
    session.receive_eof(1.0)
    assert reason(session) == "end of stream inside the handshake"


def test_nothing_is_heard_of_a_connection_that_is_down(session: Session) -> None:
    session.drop("cut", m.Cause.NETWORK)
    events(session)
    session.drop("again", m.Cause.NETWORK)
    session.receive_data(DELETED, 1.0)
    assert events(session) == []


def test_a_request_while_disconnected_fails_at_once() -> None:
    with pytest.raises(NotConnected, match="down"):
        Session(6.0).send(m.Delete("/a"), 0.0)


def test_a_request_that_cannot_be_encoded_leaves_no_trace(session: Session) -> None:
    with pytest.raises(UsageError):
        session.send(m.SetData("/a", b"", 2**40), 1.0)
    assert session.data_to_send() == b""
    assert session.send(m.Delete("/a"), 1.0) == 1


def test_xids_begin_again_before_they_overflow(session: Session) -> None:
    session._xid = MAX_XID
    assert session.send(m.Delete("/a"), 1.0) == 1


def test_a_silent_connection_is_pinged_and_a_ping_must_be_answered(session: Session) -> None:
    assert session.deadline() == 2.0
    session.tick(2.0)
    assert struct.unpack("!iii", session.data_to_send()) == (8, -2, 11)
    session.tick(3.9)
    session.receive_data(PONG, 3.95)
    assert session.deadline() == 4.0
    session.tick(4.0)
    session.tick(6.0)
    assert reason(session) == "no answer to Ping, the oldest request, in time"


def test_a_request_counts_as_a_sign_of_life(session: Session) -> None:
    xid = session.send(m.Delete("/a"), 1.5)
    session.receive_data(reply(xid), 1.6)
    assert session.deadline() == 3.5


def test_each_request_has_its_deadline_and_the_first_one_missed_ends_the_connection(session: Session) -> None:
    slow, quick = session.send(m.Delete("/a"), 1.0), session.send(m.Multi((m.Check("/a"),)), 1.0, within=0.6)
    assert session.deadline() == 1.6
    session.receive_data(reply(slow), 1.1)
    assert session.deadline() == 1.6
    session.tick(1.6)
    assert events(session) == [
        m.Answered(slow, m.Deleted()),
        m.Disconnected("no answer to Multi, the oldest request, in time", m.Cause.NO_ANSWER),
        m.Answered(quick, m.Lost()),
    ]


def test_deadlines_in_order_are_all_kept(session: Session) -> None:
    first, second = session.send(m.Delete("/a"), 1.0), session.send(m.Delete("/b"), 2.0)
    assert session.deadline() == 3.0
    session.receive_data(reply(first), 2.5)
    assert session.deadline() == 4.0
    session.receive_data(reply(second), 2.5)
    assert session.deadline() == 4.0  # a ping, two seconds after the last request


def test_closing_sends_close_and_ends(session: Session) -> None:
    session.close(1.0)
    assert struct.unpack("!iii", session.data_to_send()) == (8, 1, -11)
    session.receive_data(reply(1), 1.1)
    assert events(session) == [
        m.Answered(1, m.Closed()),
        m.Disconnected("closed by ourselves", m.Cause.CLOSED),
        m.Ended(confirmed=True),
    ]
    assert session.phase is Phase.OVER
    with pytest.raises(NotConnected, match="over"):
        session.send(m.Delete("/a"), 2.0)


def test_closing_does_not_wait_for_ever(session: Session) -> None:
    session.close(1.0)
    session.tick(3.0)
    assert [type(event) for event in events(session)] == [m.Disconnected, m.Answered, m.Ended]
    session.close(4.0)
    assert events(session) == []


def test_closing_without_a_connection() -> None:
    session = Session(6.0)
    session.close(0.0)
    assert events(session) == [m.Ended()]
    shaking = Session(6.0)
    shaking.open(0.0, 1.0)
    shaking.close(0.5)
    assert events(shaking) == [m.Disconnected("closed by ourselves", m.Cause.CLOSED), m.Ended()]


def test_bytes_behind_the_end_count_for_nothing(session: Session) -> None:
    session.close(1.0)
    session.receive_data(reply(1) + DELETED, 1.1)
    assert [type(event) for event in events(session)] == [m.Answered, m.Disconnected, m.Ended]


def test_the_credentials_of_a_session_are_what_resumes_it_and_hide_the_password(session: Session) -> None:
    assert Session(6.0).credentials is None
    session.send(m.Delete("/a"), 1.0)
    session.receive_data(reply(1, zxid=9), 1.1)
    credentials = session.credentials
    assert credentials == Credentials(7, PASSWORD, 6.0, 9)
    heir = Session(6.0, resume=credentials)
    heir.open(2.0, 1.0)
    assert heir.data_to_send() == wire.encode_connect(m.Connect(9, 6.0, 7, PASSWORD))
    heir.receive_data(accepted(), 2.1)
    assert events(heir) == [m.Connected(7, 6.0, resumed=True)]
    shown = f"{credentials!r} {m.Connect(9, 6.0, 7, PASSWORD)!r} {m.Accepted(7, 6.0, PASSWORD)!r}"
    assert PASSWORD.decode() not in shown


@pytest.mark.parametrize("instead", [0, 8])
def test_a_session_that_was_handed_over_is_followed_by_no_other_one(instead: int) -> None:
    heir = Session(6.0, resume=Credentials(7, PASSWORD, 6.0, 9))
    heir.open(2.0, 1.0)
    heir.receive_data(accepted(instead), 2.1)
    assert events(heir) == [m.Expired(7), m.Disconnected("the session has expired", m.Cause.REFUSED), m.Ended()]
    assert heir.phase is Phase.OVER
    assert heir.credentials is None


def test_a_session_that_was_handed_over_never_asks_for_a_new_one() -> None:
    heir = Session(6.0, resume=Credentials(7, PASSWORD, 6.0, 9))
    for now in (0.0, PATIENCE * 6.0, 10 * PATIENCE * 6.0):
        heir.open(now, 1.0)
        assert heir.data_to_send() == wire.encode_connect(m.Connect(9, 6.0, 7, PASSWORD))
        heir.receive_eof(now)


# -- who we are --------------------------------------------------------------------------------------------------------

ME = Digest("app", "geheim")
PROVED = reply(-4, 0)
REFUSED = reply(-4, 0, -115)


@pytest.fixture
def known() -> Session:
    """One with an identity, whose handshake was answered and nothing else."""
    session = Session(6.0, identity=ME)
    session.open(0.0, 2.0)
    session.data_to_send()
    session.receive_data(accepted(), 0.5)
    return session


def test_the_identity_is_proved_before_anything_else_is_done(known: Session) -> None:
    assert known.data_to_send() == wire.encode_request(wire.AUTH_XID, ME.proof)
    assert events(known) == []
    assert known.phase is Phase.SHAKING
    with pytest.raises(NotConnected):
        known.send(m.Exists("/a"), 0.6)
    known.receive_data(PROVED, 0.7)
    assert events(known) == [m.Connected(7, 6.0, resumed=False)]
    known.send(m.Create("/a"), 0.8)
    assert known.data_to_send() == wire.encode_request(1, m.Create("/a", access=ME.access))


def test_it_is_proved_on_each_connection(known: Session) -> None:
    known.receive_data(PROVED, 0.7)
    known.drop("gone", m.Cause.NETWORK)
    events(known)
    known.open(1.0, 2.0)
    known.data_to_send()
    known.receive_data(accepted(), 1.1)
    assert known.data_to_send() == wire.encode_request(wire.AUTH_XID, ME.proof)
    known.receive_data(PROVED, 1.2)
    assert events(known) == [m.Connected(7, 6.0, resumed=True)]


def test_a_session_that_was_begun_but_not_told_of_is_told_of_as_new(known: Session) -> None:
    known.receive_eof(0.6)
    assert reason(known) == "end of stream inside the handshake"
    known.open(1.0, 2.0)
    known.receive_data(accepted(), 1.1)
    known.receive_data(PROVED, 1.2)
    assert events(known) == [m.Connected(7, 6.0, resumed=False)]


def test_credentials_that_never_worked_end_all(known: Session) -> None:
    known.receive_data(REFUSED, 0.6)
    why = "the server does not accept the digest of user 'app'"
    assert events(known) == [m.Disconnected(why, m.Cause.REFUSED), m.Ended(refused=why)]
    assert known.phase is Phase.OVER


def test_credentials_that_worked_once_are_tried_elsewhere(known: Session) -> None:
    known.receive_data(PROVED, 0.6)
    known.send(m.Exists("/a"), 0.7)
    known.receive_data(reply(1, error=-101), 0.8)
    known.drop("gone", m.Cause.NETWORK)
    events(known)
    known.open(1.0, 2.0)
    known.receive_data(accepted() + REFUSED, 1.1)
    assert reason(known) == "the server does not accept the digest of user 'app'"
    assert known.phase is Phase.DOWN


def test_a_server_that_wants_a_proof_that_we_have_not(session: Session) -> None:
    session.send(m.Exists("/a"), 0.1)
    session.receive_data(reply(1, error=-124), 0.2)
    told, lost, ended = events(session)
    assert isinstance(told, m.Disconnected)
    assert isinstance(ended, m.Ended)
    assert lost == m.Answered(1)
    assert ended.refused == told.reason == "the server serves only who proves who they are (its enforce.auth settings)"


def test_a_server_that_says_nothing_about_the_proof(known: Session) -> None:
    known.tick(2.0)
    assert reason(known) == "no answer to our credentials"


def test_an_answer_to_something_else_than_the_proof(known: Session) -> None:
    known.receive_data(reply(1), 0.6)
    assert "a reply to request 1 where that to our credentials is next" in reason(known)


@pytest.mark.parametrize("start", [b"\x15\x03\x01\x00\x02\x02\x50", b"\x16\x03\x01"])
def test_a_server_that_speaks_tls(start: bytes) -> None:
    session = Session(6.0)
    session.open(0.0, 2.0)
    session.receive_data(start, 0.1)
    assert reason(session).startswith("the server speaks TLS on this port: give tls=")


def test_a_password_may_hold_what_tls_begins_with() -> None:
    session, answer = Session(6.0), accepted(password=b"01234567" + b"\x15\x03" + b"abcdef")
    session.open(0.0, 2.0)
    session.receive_data(answer[:-9], 0.1)
    session.receive_data(answer[-9:], 0.1)
    assert events(session) == [m.Connected(7, 6.0, resumed=False)]


def test_a_server_that_hangs_up_on_the_first_handshake() -> None:
    session = Session(6.0)
    for hint, expected in (
        ("a hint", "end of stream inside the handshake; a hint"),
        ("", "end of stream inside the handshake"),
    ):
        session.open(0.0, 2.0)
        session.receive_eof(0.1, hint)
        assert reason(session) == expected
    session.open(0.0, 2.0)
    session.receive_data(accepted(), 0.1)
    events(session)
    session.receive_eof(0.2, "a hint")
    assert reason(session) == "end of stream of the connection"


def test_a_server_that_grants_years_is_not_waited_for_longer_than_was_asked_for() -> None:
    session = Session(6.0)
    session.open(0.0, 2.0)
    session.receive_data(accepted(timeout=2**31 - 1), 0.0)
    assert (session.timeout, session.tolerance) == ((2**31 - 1) / 1000, 6.0)
    assert session.deadline() == 2.0, "it is pinged"
    session.send(m.Exists("/"), 1.0)
    assert session.deadline() == 3.0
    session.close(1.0)
    assert session.deadline() == 3.0
    session.tick(3.0)
    assert session.phase is Phase.OVER


def test_a_server_that_grants_less_is_not_waited_for_longer_than_it_waits_for_us() -> None:
    session = Session(6.0)
    session.open(0.0, 2.0)
    session.receive_data(accepted(timeout=3000), 0.0)
    assert (session.tolerance, session.deadline()) == (3.0, 1.0)
