"""The fence in PostgreSQL, through asyncpg or psycopg 3. See the package.

Rules: neither driver is imported. The block is a transaction of its own, whatever the connection's autocommit mode; in
a transaction that was begun before, it is a savepoint of it, and what it wrote lands when that one is committed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any, Protocol, runtime_checkable

from ..errors import StaleToken, UsageError
from .statements import TABLE, Statements, statements

UNDEFINED_TABLE = "42P01"


@runtime_checkable
class Asyncpg(Protocol):
    """What is needed of an `asyncpg.Connection`, or of one from its pool."""

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """A transaction."""

    async def fetchval(self, query: str, *args: Any) -> Any:
        """The first column of the first row, None if there is no row."""


@runtime_checkable
class Psycopg(Protocol):
    """What is needed of a `psycopg.AsyncConnection`."""

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """A transaction."""

    def cursor(self) -> Any:
        """A cursor."""


class PsycopgSync(Protocol):
    """What is needed of a `psycopg.Connection`."""

    def transaction(self) -> AbstractContextManager[Any]:
        """A transaction."""

    def cursor(self) -> Any:
        """A cursor."""


@asynccontextmanager
async def postgres(
    connection: Asyncpg | Psycopg, resource: str, token: int, *, table: str = TABLE
) -> AsyncIterator[None]:
    """A transaction whose writes land only if no higher token has written to this resource.

    Args:
        connection: of asyncpg, or a `psycopg.AsyncConnection`.
        resource: the name of what is written to.
        token: `term.token`.
        table: where tokens are kept, `schema.table` if it is not to depend on the search path.

    Raises:
        StaleToken: a higher token was here. The body was not run.
        UsageError: an argument cannot be used.
    """
    if isinstance(connection, Asyncpg):
        sql = statements(resource, token, table, "$1", "$2")
        async with connection.transaction():
            with _hinted(sql):
                passed = await connection.fetchval(sql.raises, resource, token)
            if passed is None:
                raise StaleToken(resource, token, await connection.fetchval(sql.seen, resource))
            yield
    elif isinstance(connection, Psycopg):
        sql = statements(resource, token, table, "%s", "%s")
        async with connection.transaction():
            async with _plain(connection.cursor()) as cursor:
                with _hinted(sql):
                    await cursor.execute(sql.raises, (resource, token))
                if await cursor.fetchone() is None:
                    await cursor.execute(sql.seen, (resource,))
                    raise StaleToken(resource, token, (await cursor.fetchone())[0])
            yield
    else:
        raise UsageError(f"{type(connection).__name__} is neither a connection of asyncpg nor of psycopg 3; see help")


@contextmanager
def postgres_sync(connection: PsycopgSync, resource: str, token: int, *, table: str = TABLE) -> Iterator[None]:
    """`postgres` without asyncio.

    Args:
        connection: a `psycopg.Connection`.
        resource, token, table: see `postgres`.

    Raises:
        StaleToken, UsageError: see `postgres`.
    """
    sql = statements(resource, token, table, "%s", "%s")
    with connection.transaction():
        with _plain(connection.cursor()) as cursor:
            with _hinted(sql):
                cursor.execute(sql.raises, (resource, token))
            if cursor.fetchone() is None:
                cursor.execute(sql.seen, (resource,))
                raise StaleToken(resource, token, cursor.fetchone()[0])
        yield


def _plain(cursor: Any) -> Any:
    """The cursor, with rows as tuples whatever the connection makes of them."""
    cursor.row_factory = lambda _: tuple
    return cursor


@contextmanager
def _hinted(sql: Statements) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if getattr(error, "sqlstate", None) == UNDEFINED_TABLE:
            error.add_note(sql.hint)
        raise
