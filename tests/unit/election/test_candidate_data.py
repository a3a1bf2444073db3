from __future__ import annotations

import pytest

from leader_async.election.rules.candidate_data import Card, decode, encode


@pytest.mark.parametrize(
    "card",
    [
        Card(),
        Card("me", "http://me", 1.5),
        Card("me", term=3, version=8, heir="b-n_2", by_name=True, appointed="c-n_3"),
    ],
)
def test_what_was_written_is_read(card: Card) -> None:
    assert decode(encode(card)) == card


def test_what_says_nothing_is_left_out() -> None:
    assert encode(Card("me", term=3)) == b'{"identity":"me","term":3}'


@pytest.mark.parametrize(
    "data", [b"", b"scribble", b"[]", b"7", b'{"term":"x"}', b'{"started_at":[]}', b'{"version":1e999}', b"\xff\xfe"]
)
def test_what_others_write_says_nothing(data: bytes) -> None:
    assert decode(data) == Card()
