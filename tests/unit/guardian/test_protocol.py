"""What is said on the socketpair, and what is not a word of it."""

from __future__ import annotations

import pytest

from leader_async.guardian.protocol import (
    LINE_LIMIT,
    Begun,
    Closed,
    Helper,
    Joined,
    Message,
    MessageReader,
    Ready,
    encode,
)
from leader_async.zookeeper.identity import Digest
from leader_async.zookeeper.session import Credentials
from leader_async.zookeeper.tls import TLS

PASSWORD = b"0123456789abcdef"
BEGUN = Begun("a:1,b:2/app", Credentials(-7, PASSWORD, 6.0, 2**40))
SECURED = Begun("a:1", BEGUN.credentials, Digest("app", "geheim!", True), TLS("/ca.pem", "/cert.pem"))
ALL: list[Message] = [
    Ready(),
    BEGUN,
    SECURED,
    Joined("/ELECTION/\u00e9"),
    Closed(confirmed=True),
    Closed(confirmed=False),
    Helper(4711),
]


def test_what_is_said_is_heard_however_it_is_cut() -> None:
    sent = b"".join(map(encode, ALL))
    for step in (1, 7, len(sent)):
        reader = MessageReader()
        heard = [message for at in range(0, len(sent), step) for message in reader.feed(sent[at : at + step])]
        assert heard == ALL


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\n",
        b"[]\n",
        b"{}\n",
        b'{"say": "what"}\n',
        b'{"say": "joined"}\n',
        b'{"say": "begun", "servers": "a", "session": "secret!", "password": "61", "timeout": 1, "zxid": 0}\n',
        encode(SECURED).replace(b'"user": "app"', b'"user": "secret!:"'),
        b"secret!" * LINE_LIMIT,
    ],
)
def test_what_is_no_word_of_it_is_not_quoted(line: bytes) -> None:
    with pytest.raises(ValueError, match="line") as error:
        list(MessageReader().feed(line))
    assert "secret!" not in str(error.value)
    assert error.value.__cause__ is None


def test_the_password_is_not_shown() -> None:
    assert PASSWORD.decode() not in repr(BEGUN)
    assert PASSWORD.hex() not in repr(BEGUN)
    assert "geheim!" not in repr(SECURED)
