"""The fence in SQLite: real files, and connections that race with each other in an order that the tests choose."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leader_async import StaleToken, UsageError, fence

Open = Callable[..., sqlite3.Connection]
HISTORY = "CREATE TABLE history (position INTEGER PRIMARY KEY, token INTEGER)"


@pytest.fixture
def opens(tmp_path: Path) -> Iterator[Open]:
    """Opens connections to one database."""
    opened: list[sqlite3.Connection] = []

    def connect(**options: object) -> sqlite3.Connection:
        opened.append(sqlite3.connect(tmp_path / "db", timeout=0, **options))  # type: ignore[call-overload]
        return opened[-1]

    with closing(connect()) as first, first:
        first.execute(fence.CREATE_TABLE)
        first.execute(HISTORY)
    yield connect
    for connection in opened:
        connection.close()


def write(connection: sqlite3.Connection, token: int) -> None:
    connection.execute("INSERT INTO history (token) VALUES (?)", (token,))


def history(connection: sqlite3.Connection) -> list[int]:
    return [row[0] for row in connection.execute("SELECT token FROM history ORDER BY position")]


@pytest.mark.parametrize("mode", [{}, {"isolation_level": None}, {"isolation_level": "EXCLUSIVE"}])
def test_a_lower_token_is_refused_and_writes_nothing(opens: Open, mode: dict[str, object]) -> None:
    old, new = opens(**mode), opens(**mode)
    for token in (5, 5):
        with fence.sqlite(old, "reports", token):
            write(old, token)
    with fence.sqlite(new, "reports", 7):
        write(new, 7)
    with pytest.raises(StaleToken, match="reports: token 5 is refused, 7 has been here"), \
            fence.sqlite(old, "reports", 5):  # fmt: skip
        write(old, 5)
    with fence.sqlite(old, "mail", 5):  # another resource
        pass
    assert history(new) == [5, 5, 7]
    assert not old.in_transaction


def test_a_lower_one_that_stalls_inside_lands_before_or_not_at_all(opens: Open) -> None:
    old, new = opens(), opens()
    with fence.sqlite(old, "reports", 5):
        write(old, 5)
        # The higher one comes while the lower stalls: SQLite lets it wait for its timeout, which is 0 here.
        with pytest.raises(sqlite3.OperationalError, match="locked"), fence.sqlite(new, "reports", 7):
            pytest.fail("two writers at a time")
    with fence.sqlite(new, "reports", 7):
        write(new, 7)
        with pytest.raises(sqlite3.OperationalError, match="locked"), fence.sqlite(old, "reports", 5):
            pytest.fail("two writers at a time")
    with pytest.raises(StaleToken), fence.sqlite(old, "reports", 5):
        write(old, 5)
    assert history(new) == [5, 7]


def test_a_body_that_fails_leaves_nothing_not_even_its_token(opens: Open) -> None:
    connection = opens()
    with suppress(ZeroDivisionError), fence.sqlite(connection, "reports", 7):
        write(connection, 7)
        raise ZeroDivisionError
    with fence.sqlite(connection, "reports", 5):
        write(connection, 5)
    assert history(connection) == [5]


def test_in_a_transaction_that_was_begun_before_it_is_part_of_that(opens: Open) -> None:
    connection, other = opens(), opens()
    with connection:
        write(connection, 1)
        with fence.sqlite(connection, "reports", 5):
            write(connection, 5)
        with pytest.raises(StaleToken), fence.sqlite(connection, "reports", 4):
            write(connection, 4)
        assert history(other) == []
    assert history(other) == [1, 5]


def test_a_snapshot_that_has_grown_old_is_refused_by_sqlite(opens: Open) -> None:
    old, new = opens(isolation_level=None), opens()
    new.execute("PRAGMA journal_mode=WAL")
    old.execute("BEGIN")
    assert history(old) == []
    with fence.sqlite(new, "reports", 7):
        write(new, 7)
    with pytest.raises(sqlite3.OperationalError, match="locked"), fence.sqlite(old, "reports", 9):
        pytest.fail("it would have written on what it read before 7")


def begin_another(connection: sqlite3.Connection) -> None:
    connection.execute("COMMIT")
    connection.execute("BEGIN")


def stop_transactions(connection: sqlite3.Connection) -> None:
    connection.isolation_level = None  # it commits


def leave_block(connection: sqlite3.Connection) -> None:
    with connection:
        pass


ENDS: dict[str, Callable[[sqlite3.Connection], object]] = {
    "commit": sqlite3.Connection.commit,
    "rollback": sqlite3.Connection.rollback,
    "with connection": leave_block,
    "executescript": lambda connection: connection.executescript("SELECT 1"),
    "COMMIT and BEGIN": begin_another,
    "no transactions from now on": stop_transactions,
}


def end_transaction(connection: sqlite3.Connection, how: str, again: bool) -> None:
    ENDS[how](connection)
    if again:
        if not connection.in_transaction:
            connection.execute("BEGIN")
        write(connection, 5)


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("again", [False, True])
def test_a_body_that_ends_the_transaction_is_told(opens: Open, again: bool, how: str) -> None:
    connection = opens()
    with pytest.raises(UsageError, match="ended its own transaction"), fence.sqlite(connection, "reports", 5):
        end_transaction(connection, how, again)
    assert not connection.in_transaction
    assert history(connection) == []


def fail_after_rollback(connection: sqlite3.Connection) -> None:
    connection.rollback()
    raise ZeroDivisionError


def test_a_body_that_ends_the_transaction_and_fails_raises_what_it_raised(opens: Open) -> None:
    connection = opens()
    with pytest.raises(ZeroDivisionError), fence.sqlite(connection, "reports", 5):
        fail_after_rollback(connection)


def test_other_errors_of_the_database_come_through(opens: Open) -> None:
    connection = opens()

    def refuse(action: int, first: str | None, *_: object) -> int:
        return sqlite3.SQLITE_DENY if (action, first) == (sqlite3.SQLITE_SAVEPOINT, "RELEASE") else sqlite3.SQLITE_OK

    connection.set_authorizer(refuse)
    with pytest.raises(sqlite3.DatabaseError, match="not authorized"), fence.sqlite(connection, "reports", 5):
        pass
    assert not connection.in_transaction


def test_rows_of_another_shape_change_nothing(opens: Open) -> None:
    connection = opens()
    connection.row_factory = lambda cursor, row: {"never": "mind"}
    with fence.sqlite(connection, "reports", 5):
        pass
    with pytest.raises(StaleToken, match="5 has been here"), fence.sqlite(connection, "reports", 4):
        pass


def test_the_missing_table_is_named_with_its_remedy(opens: Open) -> None:
    with pytest.raises(sqlite3.OperationalError) as error, fence.sqlite(opens(), "reports", 5, table="other"):
        pass
    assert error.value.__notes__ == [
        f"the fence's table is missing here; create it once: {fence.create_table('other')}"
    ]


def test_the_plain_statement_for_other_libraries(opens: Open) -> None:
    connection = opens()
    for token, row in ((5, (5,)), (7, (7,)), (7, (7,)), (5, None)):
        parameters = {"resource": "reports", "token": token}
        assert connection.execute(fence.raise_token(), parameters).fetchone() == row


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.booleans()), max_size=40))
def test_no_order_of_writes_leaves_a_lower_token_after_a_higher_one(writes: list[tuple[int, int, bool]]) -> None:
    """Three connections; each step one of them writes under some token, and commits or fails."""
    refused: list[bool] = []
    connections = [sqlite3.connect("file:fence?mode=memory&cache=shared", uri=True) for _ in range(3)]
    try:
        with connections[0] as first:
            first.execute(fence.CREATE_TABLE)
            first.execute(HISTORY)
        for who, token, fails in writes:
            try:
                with fence.sqlite(connections[who], "reports", token):
                    write(connections[who], token)
                    if fails:
                        raise ZeroDivisionError
            except StaleToken:
                refused.append(max(history(connections[0])) > token)
            except ZeroDivisionError:
                pass
        assert all(refused), "one was refused that was not lower"
        assert history(connections[0]) == sorted(history(connections[0]))
    finally:
        for connection in connections:
            connection.close()
