from __future__ import annotations

import pytest

from leader_async.election import record as r
from leader_async.errors import RecordError
from leader_async.zookeeper import messages as m

HELD = r.Record(3, "u-n_0000000001", r.State.HELD, 3.0, "me", "http://me")


def test_a_record_comes_back_as_it_was_written() -> None:
    assert r.decode(r.encode(HELD), 2) == HELD


def test_version_0_is_none_whatever_the_data() -> None:
    assert r.decode(b"created by hand", 0) == r.Record()
    assert r.Record().state is r.State.NONE


@pytest.mark.parametrize(
    ("data", "version", "complaint"),
    [
        (b"", 2, "no record at version 2"),
        (b"[]", 2, "no record"),
        (b'{"term": 1}', 2, "no record"),
        (b"\xff", 2, "no record"),
        (r.encode(HELD), 3, "held at version 3"),
        (r.encode(r.Record(3, "a", r.State.LEFT, 3.0)), 4, "left at version 4"),
        (r.encode(r.Record(3, "a", r.State.NONE, 3.0)), 4, "none at version 4"),
        (r.encode(r.Record(3, "a", r.State.HELD, float("nan"))), 4, "a lease of nan s"),
        (r.encode(r.Record(3, "a", r.State.HELD, 0.0)), 4, "a lease of 0.0 s"),
    ],
)
def test_what_this_library_did_not_write(data: bytes, version: int, complaint: str) -> None:
    with pytest.raises(RecordError, match=complaint):
        r.decode(data, version)


@pytest.mark.parametrize(("version", "after"), [(0, 2), (1, 2), (2, 4), (3, 4)])
def test_claims_end_at_even_versions(version: int, after: int) -> None:
    transaction = r.claim("/e", HELD, version)
    check, *writes = transaction.operations
    assert check == m.Check("/e/u-n_0000000001")
    assert [write.version for write in writes if isinstance(write, m.SetData)] == list(range(version, after))
    assert r.version_after_claim(version) == after


def test_a_leave_deletes_and_writes_left_in_one_transaction() -> None:
    left = r.Record(3, "u-n_0000000001", r.State.LEFT, 3.0)
    assert r.leave("/e", left, 4).operations == (m.Delete("/e/u-n_0000000001"), m.SetData("/e", r.encode(left), 4))


def test_a_confirm_checks_our_znode_and_the_records_version() -> None:
    assert r.confirm("/e", "u-n_0000000001", 4) == (m.Check("/e/u-n_0000000001"), m.Check("/e", 4))
