"""The fence in SQLite, through the standard library's `sqlite3`. See the package.

Rules: the block begins by taking SQLite's write lock, whatever the connection's transaction control. In a transaction
that has begun before, it is a savepoint of that one, and its writes land when that one is committed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import StaleToken, UsageError
from .statements import TABLE, statements

MARK = "leader_async_fence"


@contextmanager
def sqlite(connection: sqlite3.Connection, resource: str, token: int, *, table: str = TABLE) -> Iterator[None]:
    """A transaction whose writes land only if no higher token has written to this resource.

    Args:
        connection: to the database.
        resource: the name of what is written to.
        token: `term.token`.
        table: where tokens are kept.

    Raises:
        StaleToken: a higher token was here. The body was not run.
        UsageError: an argument cannot be used, or the body ended the transaction, so that what it wrote after that
            was not fenced.
        sqlite3.OperationalError: the database stayed locked for the connection's timeout.
    """
    sql = statements(resource, token, table, "?", "?")
    own = not connection.in_transaction
    if own:
        connection.execute("BEGIN IMMEDIATE")
    try:
        # Releasing it fails if the block has ended the transaction.
        connection.execute(f"SAVEPOINT {MARK}")
        try:
            _raise(connection, sql.raises, sql.seen, sql.hint, resource, token)
            yield
        except BaseException:
            if _has_mark(connection, f"ROLLBACK TO {MARK}"):
                connection.execute(f"RELEASE {MARK}")
            raise
        if not _has_mark(connection, f"RELEASE {MARK}"):
            raise UsageError("the block ended its own transaction: what it wrote after that was not fenced")
        if own:
            connection.execute("COMMIT")
    except BaseException:
        if own and connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _raise(connection: sqlite3.Connection, raises: str, seen: str, hint: str, resource: str, token: int) -> None:
    try:
        row = connection.cursor().execute(raises, (resource, token)).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            error.add_note(hint)
        raise
    if not row:
        cursor = connection.cursor()
        cursor.row_factory = None  # tuples, whatever the connection's row factory
        raise StaleToken(resource, token, cursor.execute(seen, (resource,)).fetchone()[0])


def _has_mark(connection: sqlite3.Connection, statement: str) -> bool:
    try:
        connection.execute(statement)
    except sqlite3.OperationalError as error:
        if "no such savepoint" in str(error):
            return False
        raise
    return True
