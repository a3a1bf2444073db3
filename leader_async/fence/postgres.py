"""The fence in PostgreSQL, through asyncpg or psycopg 3. See the package.

Rules: neither driver is imported. The block is a transaction of its own, whatever the connection's autocommit mode. In
a transaction that has begun before, it is a savepoint of that one, and its writes land when that one is committed. The
block begins with a mark (another savepoint): releasing it fails if the block has ended the transaction.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from inspect import iscoroutinefunction
from typing import Any, Protocol, runtime_checkable

from ..errors import StaleToken, UsageError
from .statements import TABLE, Statements, statements

UNDEFINED_TABLE = "42P01"
NO_MARK = "3B001", "25P01"
"""SQLSTATEs: there is no such savepoint, or no transaction at all."""
MARK = "leader_async_fence"


@runtime_checkable
class Asyncpg(Protocol):
    """What is needed of an `asyncpg.Connection`, or of one from its pool."""

    def transaction(self) -> AbstractAsyncContextManager[Any]: ...
    async def execute(self, query: str) -> Any: ...
    async def fetchval(self, query: str, *args: Any) -> Any: ...


@runtime_checkable
class Psycopg(Protocol):
    """What is needed of a `psycopg.AsyncConnection`; `execute` tells it from a `psycopg.Connection`."""

    @property
    def execute(self) -> Any: ...
    def transaction(self) -> AbstractAsyncContextManager[Any]: ...
    def cursor(self) -> Any: ...


@runtime_checkable
class PsycopgSync(Protocol):
    """What is needed of a `psycopg.Connection`."""

    @property
    def execute(self) -> Any: ...
    def transaction(self) -> AbstractContextManager[Any]: ...
    def cursor(self) -> Any: ...


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
        UsageError: an argument cannot be used, or the body ended the transaction (`COMMIT`, `ROLLBACK`), so that what
            it wrote after that was not fenced.
    """
    if isinstance(connection, Asyncpg):
        sql = statements(resource, token, table, "$1", "$2")
        async with connection.transaction():
            await connection.execute(f"SAVEPOINT {MARK}")
            with _hinted(sql):
                passed = await connection.fetchval(sql.raises, resource, token)
            if passed is None:
                raise StaleToken(resource, token, await connection.fetchval(sql.seen, resource))
            yield
            with _whole():
                await connection.execute(f"RELEASE {MARK}")
    elif isinstance(connection, Psycopg) and iscoroutinefunction(connection.execute):
        sql = statements(resource, token, table, "%s", "%s")
        async with connection.transaction():
            async with _plain(connection.cursor()) as cursor:
                await cursor.execute(f"SAVEPOINT {MARK}")
                with _hinted(sql):
                    await cursor.execute(sql.raises, (resource, token))
                if await cursor.fetchone() is None:
                    await cursor.execute(sql.seen, (resource,))
                    raise StaleToken(resource, token, (await cursor.fetchone())[0])
            yield
            with _whole():
                await connection.execute(f"RELEASE {MARK}")
    else:
        raise UsageError(
            f"{_name(connection)} is neither a connection of asyncpg nor an AsyncConnection of psycopg 3; "
            "fence.postgres_sync takes a Connection of psycopg, fence.sqlite one of sqlite3"
        )


@contextmanager
def postgres_sync(connection: PsycopgSync, resource: str, token: int, *, table: str = TABLE) -> Iterator[None]:
    """`postgres` without asyncio.

    Args:
        connection: a `psycopg.Connection`.
        resource, token, table: see `postgres`.

    Raises:
        StaleToken, UsageError: see `postgres`.
    """
    if not isinstance(connection, PsycopgSync) or iscoroutinefunction(connection.execute):
        raise UsageError(
            f"{_name(connection)} is no Connection of psycopg 3; `async with fence.postgres` takes async ones"
        )
    sql = statements(resource, token, table, "%s", "%s")
    with connection.transaction():
        with _plain(connection.cursor()) as cursor:
            cursor.execute(f"SAVEPOINT {MARK}")
            with _hinted(sql):
                cursor.execute(sql.raises, (resource, token))
            if cursor.fetchone() is None:
                cursor.execute(sql.seen, (resource,))
                raise StaleToken(resource, token, cursor.fetchone()[0])
        yield
        with _whole():
            connection.execute(f"RELEASE {MARK}")


def postgres_store(
    acquire: Callable[[], AbstractAsyncContextManager[Any]], *, table: str = TABLE
) -> Callable[[str, int], AbstractAsyncContextManager[None]]:
    """A store for `leader_async.web.require_token(store=…)`, which all processes of a server share.

        app = web.Application(middlewares=[require_token("reports", store=fence.postgres_store(pool.acquire))])

    A first transaction raises the token, which stays raised whatever becomes of the request. A second one locks the row
    while the request is handled. So a request with a higher token waits for that, in whichever process it arrives.

    Args:
        acquire: lends a connection: `pool.acquire` of asyncpg, `pool.connection` of psycopg_pool. Each request that is
            being handled has one.
        table: see `postgres`. An election's row is named `http:<election>`, so the handler may use a fence of its own.
    """

    @asynccontextmanager
    async def hold(election: str, token: int) -> AsyncIterator[None]:
        async with acquire() as connection:
            async with postgres(connection, f"http:{election}", token, table=table):
                pass
            async with postgres(connection, f"http:{election}", token, table=table):
                yield

    return hold


def _name(connection: object) -> str:
    return f"{type(connection).__module__}.{type(connection).__qualname__}"


def _plain(cursor: Any) -> Any:
    """The cursor, with rows as tuples, whatever the connection's row factory."""
    cursor.row_factory = lambda _: tuple
    return cursor


@contextmanager
def _whole() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if getattr(error, "sqlstate", None) in NO_MARK:
            raise UsageError("the block ended its own transaction: what it wrote after that was not fenced") from error
        raise


@contextmanager
def _hinted(sql: Statements) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if getattr(error, "sqlstate", None) == UNDEFINED_TABLE:
            error.add_note(sql.hint)
        raise
