from __future__ import annotations

import pytest

from leader_async.election.rules.candidate_data import CandidateData


@pytest.mark.parametrize(
    "said",
    [
        CandidateData(),
        CandidateData("me", "http://me", 1.5),
        CandidateData("me", term=3, version=8, heir="b-n_2", by_name=True, appointed="c-n_3"),
    ],
)
def test_what_was_written_is_read(said: CandidateData) -> None:
    assert CandidateData.decode(said.encode()) == said


def test_what_says_nothing_is_left_out() -> None:
    assert CandidateData("me", term=3).encode() == b'{"identity":"me","term":3}'


@pytest.mark.parametrize(
    "data", [b"", b"scribble", b"[]", b"7", b'{"term":"x"}', b'{"started_at":[]}', b'{"version":1e999}', b"\xff\xfe"]
)
def test_what_others_write_says_nothing(data: bytes) -> None:
    assert CandidateData.decode(data) == CandidateData()
