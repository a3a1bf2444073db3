"""The one reader of all that others can write."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leader_async import stored
from leader_async.election.rules import history, record
from leader_async.election.rules.candidate_data import CandidateData
from leader_async.election.rules.ends import WORK_DONE
from leader_async.errors import LeaderAsyncError
from leader_async.guardian import protocol
from leader_async.schedule import ledger
from leader_async.sharding import assignment
from leader_async.sharding.member_data import MemberData
from leader_async.stored import Fields, Garbage

from ..support.garbage import GARBAGE, spoilt

T = TypeVar("T")


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_one_error(data: bytes) -> None:
    with pytest.raises(Garbage):
        Fields(stored.parse(data, 2**16)).text("identity")


def test_what_is_too_long_is_not_looked_at() -> None:
    assert stored.parse(b"[1]", 3) == [1]
    with pytest.raises(Garbage, match="it has 4 bytes, of 3 at most"):
        stored.parse(b"[12]", 3)


def fields(**said: Any) -> Fields:
    return Fields(said)


@pytest.mark.parametrize("value", [None, 1, True, "x" * 257, ["x"], {}])
def test_no_text(value: object) -> None:
    with pytest.raises(Garbage, match="its a is no text of 256 characters at most"):
        fields(a=value).text("a")


def test_text_is_one_line_that_can_be_printed() -> None:
    assert fields(a="Zoë").text("a") == "Zoë"
    assert fields(a="\x1b[2J\n\ud800").text("a") == "\ufffd[2J\ufffd\ufffd"
    assert fields(a="x" * 300).text("a", most=300) == "x" * 300
    assert fields().text("a", "-") == "-"
    with pytest.raises(Garbage, match="it has no a"):
        fields().text("a")


@pytest.mark.parametrize("value", [None, True, 1.0, "1", -1, 11, 10**400, float("nan")])
def test_no_whole_number(value: object) -> None:
    with pytest.raises(Garbage, match="its a is no whole number from 0 to 10"):
        fields(a=value).whole("a", 0, 10)


@pytest.mark.parametrize("value", [None, False, "1", -0.1, 10.1, 10**400, float("inf"), float("nan")])
def test_no_number(value: object) -> None:
    with pytest.raises(Garbage, match="its a is no number from 0 to 10"):
        fields(a=value).number("a", 0, 10)


def test_numbers_and_flags() -> None:
    assert fields(a=7).whole("a", 0, 10) == 7
    assert repr(fields(a=7).number("a", 0, 10)) == "7.0"
    assert fields().number("a", 0, 10, 2.5) == 2.5
    assert fields(a=True).flag("a") is True
    assert fields().flag("a", False) is False
    for value in (1, "true", None):
        with pytest.raises(Garbage, match="its a is neither true nor false"):
            fields(a=value).flag("a")


@pytest.mark.parametrize("value", [None, 1, "", "a/b", "a\nb", "a\ud800", "x" * 257])
def test_no_name_of_a_znode(value: object) -> None:
    with pytest.raises(Garbage, match="its a names no znode"):
        fields(a=value).name("a")
    with pytest.raises(Garbage, match="its a names no znode"):
        fields(a=["x", value]).names("a")


def test_names() -> None:
    assert fields(a="x").name("a") == "x"
    assert fields(a="").name("a", "") == ""
    assert fields().name("a", "") == ""
    assert fields(a=["x", "y"]).names("a") == ("x", "y")
    assert fields().names("a", []) == ()
    with pytest.raises(Garbage, match="its a is no list"):
        fields(a="xy").names("a")


def test_what_is_there() -> None:
    assert "a" in fields(a=0)
    assert "a" not in fields(a=None)
    assert "a" not in fields()


def test_of_a_row_only_what_can_be_kept() -> None:
    row = {"a": "x\n", "b": 1.5, "c": 2**63, "d": [1], "e": True, "f": float("nan"), "g": 7, "h": "x" * 257}
    assert stored.scalars(row, "abcdefh") == {"a": "x\ufffd", "b": 1.5}
    assert stored.scalars([row], "a") is None


# -- all readers -------------------------------------------------------------------------------------------------------


def readable(read: Callable[[], T], complaint: str) -> T | None:
    """What is read; None if that is refused with the typed error that names the znode."""
    try:
        return read()
    except (LeaderAsyncError, ValueError) as error:
        said = str(error)
    assert said.startswith(complaint)
    return None


def read_all(data: bytes) -> None:
    """Every reader of this library gives something whole, or its typed error; what is read may be written again."""
    for version in (1, 2):
        found = readable(partial(record.decode, data, version, "/e"), "/e is not an election's record: ")
        if found is not None:
            assert record.decode(record.encode(found), version, "/e") == found
            history.encode(history.in_record(found, 1, 1.0))
    assert CandidateData.decode(CandidateData.decode(data).encode()) == CandidateData.decode(data)
    terms = history.decode(data)
    assert history.decode(history.encode(terms)) == terms
    json.dumps([asdict(term) for term in history.complete(terms)], allow_nan=False)
    book = readable(lambda: ledger.decode(data, "/e/jobs/a"), "/e/jobs/a is not a job's ledger: ")
    assert book is None or ledger.decode(ledger.encode(book), "/e/jobs/a") == book
    owners = readable(lambda: assignment.decode(data, "/p"), "/p is not an assignment of partitions: ")
    assert owners is None or assignment.decode(assignment.encode(owners), "/p") == owners
    member = MemberData.decode(data)
    assert MemberData.decode(member.encode()) == member
    readable(
        lambda: list(protocol.MessageReader().feed(data + b"\n")),
        "a line that no version of this library's guardian knows",
    )


ROW = {"term": 3, "token": 9, "identity": "me", "began": 1.5, "ended": 2.5, "why": "left", "told_by": "holder"}
RECORD = record.Record(4, "a-n_1", record.LeadState.HELD, 3.0, "me", "", ("b-n_2",), WORK_DONE, 7)
ATTEMPT = {"slot": 1, "attempt": 1, "token": 5, "identity": "me", "began": 2, "manual": False}
REAL: dict[str, dict[str, Any]] = {
    "record": json.loads(record.encode(RECORD)) | {"past": [ROW]},
    "candidate": {"identity": "me", "address": "", "started_at": 1.5, "term": 2, "version": 4, "token": 9,
                  "lease": 3.0, "heir": "b-n_2", "by_name": True, "appointed": ""},
    "ledger": {"spec": "every 1 s", "slot": 1, "open": {**ATTEMPT, "again_at": 7},
               "past": [{**ATTEMPT, "ended": 3, "outcome": "failed", "error": "x"}]},
    "row": ROW,
    "assignment": {"members": ["a", "b"], "owners": [0, 1, 1]},
    "member": {"identity": "me", "address": "", "announced": "f0"},
    "begun": {"say": "begun", "servers": "a:1", "session": -7, "password": "00ff", "timeout": 6.0, "zxid": 1,
              "auth": {"user": "u", "password": "p", "readable": False}, "tls": None},
    "joined": {"say": "joined", "parent": "/e"},
    "closed": {"say": "closed", "confirmed": True},
}  # fmt: skip


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
def test_no_reader_stumbles_over_garbage(data: bytes) -> None:
    read_all(data)


@pytest.mark.parametrize("kind", REAL)
def test_no_reader_stumbles_over_a_field_that_is_spoilt(kind: str) -> None:
    read_all(json.dumps(REAL[kind]).encode())
    for data in spoilt(REAL[kind]):
        read_all(data)
        read_all(b"[" + data + b"]")


def test_a_reader_may_be_deep_in_the_stack() -> None:
    def deeper() -> None:
        try:
            deeper()
        except RecursionError:
            return

    limit = sys.getrecursionlimit()
    deeper()
    assert sys.getrecursionlimit() == limit
    read_all(GARBAGE["deep"])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(categories=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=200))
def test_no_reader_stumbles_over_bytes(data: bytes) -> None:
    read_all(data)


@given(st.sampled_from(sorted(REAL)), st.data())
def test_no_reader_stumbles_over_json(kind: str, data: st.DataObject) -> None:
    said = dict(REAL[kind])
    for name in data.draw(st.sets(st.sampled_from(sorted(said)), min_size=1)):
        said[name] = data.draw(json_values)
    read_all(json.dumps(said).encode())
