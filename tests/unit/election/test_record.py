from __future__ import annotations

import json
from dataclasses import replace

import pytest

from leader_async.election.rules import ends
from leader_async.election.rules import record as r
from leader_async.election.rules.ends import End, Why
from leader_async.errors import RecordError
from leader_async.zookeeper import messages as m

HELD = r.Record(3, "u-n_0000000001", r.LeadState.HELD, 3.0, "me", "http://me")


def test_a_record_comes_back_as_it_was_written() -> None:
    assert r.decode(r.encode(HELD), 2, "/e") == HELD


def test_version_0_is_none_whatever_the_data() -> None:
    assert r.decode(b"created by hand", 0, "/e") == r.Record()
    assert r.Record().state is r.LeadState.NONE


def held(**fields: object) -> bytes:
    return json.dumps({**json.loads(r.encode(HELD)), **fields}).encode()


@pytest.mark.parametrize(
    ("data", "version", "complaint"),
    [
        (b"", 2, "it is not JSON"),
        (b"[]", 2, "it is no JSON object"),
        (b'{"term": 1}', 2, "it has no state"),
        (b"\xff", 2, "it is not UTF-8"),
        (b" " * (r.LIMIT + 1), 2, "bytes"),
        (r.encode(HELD), 3, "`held` does not stand at version 3"),
        (held(state="left"), 4, "`left` does not stand at version 4"),
        (held(state="none"), 4, "`none` does not stand at version 4"),
        (held(state="gone"), 4, "its state is unknown"),
        (held(lease=float("nan")), 4, "NaN is no number"),
        (held(lease=1e308), 4, "its lease is no number from 0.1 to 86400"),
        (held(lease=0.0), 4, "its lease"),
        (held(holder="history"), 4, "'history' is not a candidate's znode"),
        (held(behind=["jobs"]), 4, "'jobs' is not a candidate's znode"),
        (held(term=0), 4, "its term"),
        (held(token=2**63 - 1), 4, "its token"),
    ],
)
def test_what_this_library_did_not_write(data: bytes, version: int, complaint: str) -> None:
    with pytest.raises(RecordError, match=complaint) as caught:
        r.decode(data, version, "/e")
    assert str(caught.value).startswith("/e is not an election's record: ")
    assert str(caught.value).endswith("nobody leads until `leader-async doctor --repair` has put it right")
    assert (caught.value.path, caught.value.definite) == ("/e", True)


def test_only_the_latest_terms_are_read_and_of_them_what_can_be_kept() -> None:
    rows = [{"term": number, "detail": "\x1b", "new": "x"} for number in range(1, 40)]
    past = r.decode(held(past=rows), 2, "/e").past
    assert [row["term"] for row in past] == [*range(40 - r.ROWS, 40)]
    assert past[0] == {"term": 24, "detail": "\ufffd"}


def test_the_largest_record_that_is_written_is_read() -> None:
    most = "\U0001f600" * 256
    row: r.Row = dict.fromkeys(r.ROW, most) | {"term": 3}
    names = tuple(f"{number:032x}-n_{number:010}" for number in range(8))
    record = r.Record(
        3,
        names[0],
        r.LeadState.HELD,
        3.0,
        most,
        most,
        names,
        End(Why.OTHER, text=most[: r.WHY_LIMIT - 7]),
        1,
        (row,) * r.ROWS,
    )
    assert r.decode(r.encode(record), 2, "/e") == record


# -- why the term before has ended -------------------------------------------------------------------------------------

WRITTEN = {
    "resigned": ends.RESIGNED,
    "handed over by name": ends.TRANSFERRED,
    "left": ends.STOPPED,
    "the connection was closed": ends.CONNECTION_CLOSED,
    "the work is done": ends.WORK_DONE,
    "the work failed: OSError: [Errno 28] no space": End(Why.WORK_FAILED, text="OSError: [Errno 28] no space"),
    "the work was cancelled": ends.WORK_CANCELLED,
    "the process died": ends.PROCESS_DIED,
    "the record could not be read, and was put right": ends.PUT_RIGHT,
    "the session expired": ends.SESSION_EXPIRED,
}
"""What versions before this one write, and read, to the byte."""
ONLY_READ = {
    "resigned while claiming": ends.RESIGNED_WHILE_CLAIMING,
    "appointed while it was leaving": End(Why.OTHER, text="appointed while it was leaving"),
    "the work failed:": End(Why.WORK_FAILED),
    "resignedly": End(Why.OTHER, text="resignedly"),
    "": None,
}
"""What they write otherwise, or may."""


@pytest.mark.parametrize(("text", "end"), [*WRITTEN.items(), *ONLY_READ.items()])
def test_what_older_versions_write_is_read(text: str, end: End | None) -> None:
    assert r.decode(held(why=text), 2, "/e").end == end


def test_a_record_as_the_version_before_wrote_it() -> None:
    data = (
        b'{"term":3,"holder":"u-n_0000000001","state":"left","lease":3.0,"identity":"me","address":"http://me",'
        b'"behind":[],"why":"the work failed: OSError: no space","past":[{"term":2,"why":"work done"}]}'
    )
    left = replace(HELD, state=r.LeadState.LEFT, end=End(Why.WORK_FAILED, text="OSError: no space"))
    record = replace(left, past=({"term": 2, "why": "work done"},))
    assert r.decode(data, 3, "/e") == record
    assert r.encode(record) == data


@pytest.mark.parametrize(("text", "end"), WRITTEN.items())
def test_what_older_versions_read_is_written(text: str, end: End) -> None:
    assert json.loads(r.encode(replace(HELD, end=end)))["why"] == text


@pytest.mark.parametrize("why", [why for why in Why if why not in (Why.LEFT, Why.LOST)])
def test_every_end_is_read_as_it_was_written(why: Why) -> None:
    for end in (End(why, text="so: it was"), End(why, text="so")):
        assert r.decode(r.encode(replace(HELD, end=end)), 2, "/e").end == end
    assert r.end_of(r.text_of(ends.RESIGNED_WHILE_CLAIMING)) == End(Why.RESIGNED, text="while claiming")


@pytest.mark.parametrize(("version", "after"), [(0, 2), (1, 2), (2, 4), (3, 4)])
def test_claims_end_at_even_versions(version: int, after: int) -> None:
    transaction = r.claim("/e", HELD, version)
    check, *writes = transaction.operations
    assert check == m.Check("/e/u-n_0000000001")
    assert [write.version for write in writes if isinstance(write, m.SetData)] == list(range(version, after))
    assert r.version_after_claim(version) == after


def test_a_leave_deletes_and_writes_left_in_one_transaction() -> None:
    left = r.Record(3, "u-n_0000000001", r.LeadState.LEFT, 3.0)
    assert r.leave("/e", left, 4).operations == (m.Delete("/e/u-n_0000000001"), m.SetData("/e", r.encode(left), 4))


def test_a_confirm_checks_our_znode_and_the_records_version() -> None:
    assert r.confirm("/e", "u-n_0000000001", 4) == (m.Check("/e/u-n_0000000001"), m.Check("/e", 4))
