"""Names, tokens, headers and the gate: everything of the fence that needs no database."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leader_async import StaleToken, UsageError, fence
from leader_async.fence import gate, header, statements


@pytest.mark.parametrize("table", ["", "a.b.c", 'x"; DROP TABLE y; --', "1a", "größe", "a.", "a" * 64, "a\n"])
def test_a_table_that_cannot_be_is_refused(table: str) -> None:
    with pytest.raises(UsageError, match=r"give `table` or `schema\.table`"):
        fence.create_table(table)
    with pytest.raises(UsageError):
        fence.raise_token(table=table)


def test_names_are_quoted_and_mean_what_they_would_unquoted() -> None:
    assert fence.create_table("Ops.Fence").startswith('CREATE TABLE "ops"."fence" (')
    assert fence.CREATE_TABLE.startswith('CREATE TABLE "leader_async_fence" (')
    assert 'INTO "user" AS' in fence.raise_token(table="user")


@pytest.mark.parametrize("token", [-1, 2**63, True, 1.0, "1", None])
def test_a_token_that_is_none_is_refused(token: object) -> None:
    with pytest.raises(UsageError, match=r"term\.token"):
        fence.headers("reports", token)  # type: ignore[arg-type]


@pytest.mark.parametrize("resource", ["", "a\0", None, 7])
def test_a_resource_that_is_none_is_refused(resource: object) -> None:
    with pytest.raises(UsageError, match="name what is written to"):
        statements.statements(resource, 1, fence.TABLE, "?", "?")  # type: ignore[arg-type]


def test_an_election_without_a_name_has_no_headers() -> None:
    with pytest.raises(UsageError, match="name of the election"):
        fence.headers("", 1)


@given(st.text(min_size=1), st.integers(0, 2**63 - 1))
def test_headers_arrive_as_they_left(election: str, token: int) -> None:
    try:
        election.encode()
    except UnicodeEncodeError:
        return  # lone surrogates are no text
    sent = fence.headers(election, token)
    assert all(value.isascii() and value.isprintable() for value in sent.values())
    assert header.token_of(sent["Leader-Token"]) == token
    assert header.election_of(sent["Leader-Election"]) == election


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "+1", "1.0", " 1", "1_0", "\u0661", "\u00b2", "0x1", str(2**63), "0" * 20]
)
def test_garbage_is_no_token(text: str) -> None:
    assert header.token_of(text) is None


def test_the_gate_lets_in_one_token_at_a_time_and_never_a_lower_one() -> None:
    door = gate.Gate("reports")
    assert door.enter(5)
    assert door.enter(5)
    assert not door.enter(7), "those under 5 have not ended"
    with pytest.raises(StaleToken, match="token 5 is refused, 7 has been here") as refused:
        door.enter(5)
    assert (refused.value.resource, refused.value.token, refused.value.seen) == ("reports", 5, 7)
    assert refused.value.definite
    assert not door.leave()
    assert not door.enter(7)
    assert door.leave()
    assert door.enter(7)


@given(st.lists(st.one_of(st.integers(0, 5), st.none()), max_size=60))
def test_whatever_comes_and_goes_nobody_ends_after_a_higher_one_began(steps: list[int | None]) -> None:
    """A number asks to enter, None lets the one that entered first leave."""
    door, began = gate.Gate("x"), 0
    inside: list[int] = []
    for token in steps:
        if token is None:
            if inside:
                assert inside[0] >= began, "a lower one was still writing"
                assert door.leave() == (len(inside) == 1)
                inside.pop(0)
            continue
        try:
            entered = door.enter(token)
        except StaleToken:
            assert token < door.seen
            continue
        if entered:
            assert token >= began
            began = token
            inside.append(token)
        else:
            assert inside
            assert min(inside) < token
