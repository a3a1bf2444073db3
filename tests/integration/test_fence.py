"""The fence in a real PostgreSQL, through asyncpg and psycopg: a stalled leader and its successor write."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
import psycopg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from psycopg.rows import class_row, dict_row

from leader_async import StaleToken, UsageError, connect, fence
from leader_async.testing import ZooKeeper, zookeeper
from leader_async.web import require_token

from ..conftest import need
from ..support.postgres import Postgres, programs
from ..support.readme import example

__all__ = ["zookeeper"]

pytestmark = pytest.mark.timeout(60)

Isolation = str
LEVELS = ["read_committed", "repeatable_read", "serializable"]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    need(
        None if programs() else "no PostgreSQL server here",
        "tests of the fence in PostgreSQL",
        "install Debian's package postgresql",
    )
    with Postgres() as server:
        yield server


@pytest.fixture
async def postgres(server: Postgres) -> Postgres:
    """The server, with a fence and a history that are empty."""
    connection = await asyncpg.connect(server.dsn)
    await connection.execute(f"DROP TABLE IF EXISTS leader_async_fence, history; {fence.CREATE_TABLE}")
    await connection.execute("CREATE TABLE history (position bigserial, token bigint, writer text)")
    await connection.close()
    return server


class Writer:
    """A connection of one of the two drivers."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    async def execute(self, text: str) -> None:
        await self.raw.execute(text)

    async def write(self, token: int, writer: str = "") -> None:
        await self.execute(f"INSERT INTO history (token, writer) VALUES ({token}, '{writer}')")

    def transaction(self, level: Isolation) -> AbstractAsyncContextManager[object]:
        transaction: AbstractAsyncContextManager[object] = self.raw.transaction(isolation=level)
        return transaction

    async def write_fenced(self, token: int) -> None:
        async with fence.postgres(self.raw, "reports", token):
            await self.write(token)

    async def pid(self) -> int:
        if isinstance(self.raw, asyncpg.Connection):
            return self.raw.get_server_pid()
        return int(self.raw.info.backend_pid)


@pytest.fixture(params=["asyncpg", "psycopg", "psycopg autocommit"])
async def pair(request: pytest.FixtureRequest, postgres: Postgres) -> AsyncIterator[tuple[Writer, Writer]]:
    """Two connections: of who led, and of who leads."""
    raws: list[Any] = []
    for _ in range(2):
        if request.param == "asyncpg":
            raws.append(await asyncpg.connect(postgres.dsn))
        else:
            options = {"autocommit": request.param.endswith("autocommit"), "row_factory": dict_row}
            raws.append(await psycopg.AsyncConnection.connect(postgres.dsn, **options))
    yield Writer(raws[0]), Writer(raws[1])
    for raw in raws:
        await raw.close()


Client = TestClient[web.Request, web.Application]


class Waiting:
    """Has a handler stall under one token."""

    def __init__(self) -> None:
        self.stalled = 0
        self.began, self.go_on = asyncio.Event(), asyncio.Event()

    async def wait(self, token: int) -> None:
        if token == self.stalled:
            self.began.set()
            await self.go_on.wait()


async def rows(postgres: Postgres, query: str) -> list[int]:
    connection = await asyncpg.connect(postgres.dsn)
    try:
        return [row[0] for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def history(postgres: Postgres) -> list[int]:
    """The tokens in the order in which PostgreSQL committed their writes, by its own account."""
    order = "ORDER BY pg_xact_commit_timestamp(xmin), position"
    tokens = await rows(postgres, f"SELECT token FROM history {order}")
    assert tokens == await rows(postgres, "SELECT token FROM history ORDER BY position")
    return tokens


async def waits(postgres: Postgres, writer: Writer) -> None:
    """Return once this connection waits for somebody else's lock."""
    query = f"SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = {await writer.pid()}"
    async with asyncio.timeout(10):
        while await rows(postgres, query) != [1]:
            await asyncio.sleep(0.005)


async def test_a_lower_token_is_refused_and_writes_nothing(postgres: Postgres, pair: tuple[Writer, Writer]) -> None:
    old, new = pair
    for writer, token in ((old, 5), (old, 5), (new, 7)):
        async with fence.postgres(writer.raw, "reports", token):
            await writer.write(token)
    with pytest.raises(StaleToken, match="reports: token 5 is refused, 7 has been here"):
        async with fence.postgres(old.raw, "reports", 5):
            await old.write(5)
    async with fence.postgres(old.raw, 'it\'s "another" %s $1', 5):
        pass
    assert await history(postgres) == [5, 5, 7]


@pytest.mark.parametrize("known", [True, False], ids=["a row is there", "no row yet"])
async def test_a_lower_one_that_stalls_inside_lands_before_the_higher_one(
    postgres: Postgres, pair: tuple[Writer, Writer], known: bool
) -> None:
    old, new = pair
    if known:
        async with fence.postgres(old.raw, "reports", 5):
            pass

    async with fence.postgres(old.raw, "reports", 5):
        await old.write(5)
        successor = asyncio.create_task(new.write_fenced(7))
        await waits(postgres, new)
        await old.write(5)
    await successor
    assert await history(postgres) == [5, 5, 7]


async def test_a_lower_one_that_waits_for_the_higher_one_is_refused(
    postgres: Postgres, pair: tuple[Writer, Writer]
) -> None:
    old, new = pair

    async with fence.postgres(new.raw, "reports", 7):
        await new.write(7)
        straggler = asyncio.create_task(old.write_fenced(5))
        await waits(postgres, old)
    with pytest.raises(StaleToken):
        await straggler
    assert await history(postgres) == [7]


async def test_a_lower_one_takes_its_turn_when_the_higher_one_wrote_nothing(
    postgres: Postgres, pair: tuple[Writer, Writer]
) -> None:
    old, new = pair

    straggler = None
    with contextlib.suppress(ZeroDivisionError):
        async with fence.postgres(new.raw, "reports", 7):
            await new.write(7)
            straggler = asyncio.create_task(old.write_fenced(5))
            await waits(postgres, old)
            raise ZeroDivisionError
    assert straggler is not None
    await straggler
    assert await history(postgres) == [5]


async def test_who_freezes_inside_holds_its_successor_up_until_postgresql_ends_it(
    postgres: Postgres, pair: tuple[Writer, Writer]
) -> None:
    old, new = pair

    async def freeze() -> None:
        async with fence.postgres(old.raw, "reports", 5):
            await old.execute("SET LOCAL idle_in_transaction_session_timeout = '300ms'")
            await old.write(5)
            frozen.set()
            await asyncio.wait_for(thawed.wait(), 10)

    frozen, thawed = asyncio.Event(), asyncio.Event()
    freezing = asyncio.create_task(freeze())
    await frozen.wait()

    successor = asyncio.create_task(new.write_fenced(7))
    await waits(postgres, new)
    await successor
    thawed.set()
    gone = asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, psycopg.Error, OSError
    with pytest.raises(gone):  # asyncpg has several words for it
        await freezing
    assert await history(postgres) == [7]


async def test_without_the_fence_the_same_order_of_events_goes_wrong(postgres: Postgres) -> None:
    """What the tests above would see if the fence did nothing."""
    old, new = [Writer(await asyncpg.connect(postgres.dsn)) for _ in range(2)]
    async with old.transaction("read_committed"):
        await old.execute("SELECT 1")
        async with new.transaction("read_committed"):
            await new.write(7)
        await old.write(5)
    assert await history(postgres) == [7, 5]
    for writer in (old, new):
        await writer.raw.close()


@pytest.mark.parametrize("level", LEVELS[1:])
@pytest.mark.parametrize("token", [5, 7], ids=["the same token", "a higher one"])
async def test_who_waited_on_an_old_snapshot_must_try_again(postgres: Postgres, level: str, token: int) -> None:
    old, new = [Writer(await asyncpg.connect(postgres.dsn)) for _ in range(2)]

    async def succeed() -> None:
        async with new.transaction(level), fence.postgres(new.raw, "reports", token):
            await new.write(token)

    async with old.transaction(level), fence.postgres(old.raw, "reports", 5):
        await old.write(5)
        successor = asyncio.create_task(succeed())
        await waits(postgres, new)
    with pytest.raises(asyncpg.SerializationError):
        await successor
    await succeed()
    assert await history(postgres) == [5, token]
    for writer in (old, new):
        await writer.raw.close()


async def test_in_a_transaction_that_was_begun_before_it_is_part_of_that(postgres: Postgres) -> None:
    connection = Writer(await asyncpg.connect(postgres.dsn))
    async with connection.raw.transaction():
        async with fence.postgres(connection.raw, "reports", 5):
            await connection.write(5)
        with pytest.raises(StaleToken):
            async with fence.postgres(connection.raw, "reports", 4):
                await connection.write(4)
        assert await history(postgres) == []
    assert await history(postgres) == [5]
    await connection.raw.close()


ENDS = {
    "COMMIT": ("COMMIT",),
    "ROLLBACK": ("ROLLBACK",),
    "COMMIT and BEGIN": ("COMMIT", "BEGIN"),
    "COMMIT AND CHAIN": ("COMMIT AND CHAIN",),
    "in one string": ("SELECT 1; COMMIT; SELECT 1",),
}


@pytest.mark.parametrize("how", ENDS)
async def test_a_block_that_ends_its_transaction_is_told(
    postgres: Postgres, pair: tuple[Writer, Writer], how: str
) -> None:
    writer, _ = pair

    async def body() -> None:
        async with fence.postgres(writer.raw, "reports", 5):
            for statement in ENDS[how]:
                await writer.execute(statement)
            await writer.write(5)

    with pytest.raises(UsageError, match="ended its own transaction"):
        await body()
    own = "BEGIN" in how or "CHAIN" in how or getattr(writer.raw, "autocommit", True) is False
    assert await history(postgres) == ([] if own else [5]), "what can be rolled back is"
    if how == "COMMIT":  # the connection is of use afterwards
        async with fence.postgres(writer.raw, "reports", 6):
            await writer.write(6)
        assert (await history(postgres))[-1] == 6


async def test_a_block_that_goes_back_to_before_it_lands_nothing(
    postgres: Postgres, pair: tuple[Writer, Writer]
) -> None:
    writer, _ = pair

    async def body() -> None:
        async with writer.raw.transaction():
            await writer.execute("SAVEPOINT outside")
            async with fence.postgres(writer.raw, "reports", 5):
                await writer.execute("ROLLBACK TO SAVEPOINT outside")
                await writer.write(5)

    with pytest.raises((UsageError, asyncpg.PostgresError, psycopg.Error)):  # the driver misses a savepoint of its own
        await body()
    assert await history(postgres) == []


async def test_savepoints_and_fences_inside_are_none_of_its_business(
    postgres: Postgres, pair: tuple[Writer, Writer]
) -> None:
    writer, _ = pair
    async with fence.postgres(writer.raw, "reports", 5):
        await writer.execute("SAVEPOINT own")
        await writer.write(4)
        await writer.execute("ROLLBACK TO SAVEPOINT own")
        async with fence.postgres(writer.raw, "other", 7):
            await writer.write(7)
        with pytest.raises(StaleToken):
            async with fence.postgres(writer.raw, "other", 6):
                pass
        with contextlib.suppress(ZeroDivisionError):
            async with fence.postgres(writer.raw, "other", 8):
                await writer.write(8)
                raise ZeroDivisionError
        await writer.write(5)
    assert await history(postgres) == [7, 5]


async def test_a_block_that_ends_its_transaction_and_fails_raises_what_it_raised(
    pair: tuple[Writer, Writer],
) -> None:
    writer, _ = pair

    async def body() -> None:
        async with fence.postgres(writer.raw, "reports", 5):
            await writer.execute("COMMIT")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await body()


async def test_an_error_that_the_body_swallowed_comes_out_at_its_end(
    postgres: Postgres, pair: tuple[Writer, Writer]
) -> None:
    writer, _ = pair

    async def body() -> None:
        async with fence.postgres(writer.raw, "reports", 5):
            await writer.write(5)
            with contextlib.suppress(asyncpg.PostgresError, psycopg.Error):
                await writer.execute("SELECT no_such_thing")

    with pytest.raises((asyncpg.InFailedSQLTransactionError, psycopg.errors.InFailedSqlTransaction)):
        await body()
    assert await history(postgres) == [], "PostgreSQL would have rolled back without a word"


def test_without_asyncio(server: Postgres) -> None:
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute(fence.create_table("sync_fence"))
        with fence.postgres_sync(connection, "reports", 7, table="public.sync_fence"):
            pass
        with pytest.raises(StaleToken, match="7 has been here"), \
                fence.postgres_sync(connection, "reports", 5, table="sync_fence"):  # fmt: skip
            pytest.fail("let in")
        with pytest.raises(psycopg.errors.UndefinedTable) as error, \
                fence.postgres_sync(connection, "reports", 5, table="no.fence"):  # fmt: skip
            pass
        assert error.value.__notes__ == [
            f"the fence's table is missing here; create it once: {fence.create_table('no.fence')}"
        ]
        with pytest.raises(UsageError, match="ended its own transaction"), \
                fence.postgres_sync(connection, "reports", 8, table="sync_fence"):  # fmt: skip
            connection.execute("COMMIT")
        with connection.transaction():
            statement = fence.raise_token("%s", "%s", table="sync_fence")
            assert connection.execute(statement, ("reports", 6)).fetchone() is None


async def test_a_pool_and_the_wrong_connection(postgres: Postgres) -> None:
    async with asyncpg.create_pool(postgres.dsn, min_size=1) as pool, pool.acquire() as connection:
        async with fence.postgres(connection, "reports", 5):
            pass
        with pytest.raises(asyncpg.UndefinedTableError):
            async with fence.postgres(connection, "reports", 5, table="other"):
                pass
    one: Any
    with psycopg.connect(postgres.dsn) as one, pytest.raises(UsageError, match=r"psycopg\.Connection is neither"):
        async with fence.postgres(one, "reports", 5):
            pass
    async with await psycopg.AsyncConnection.connect(postgres.dsn) as one:
        with pytest.raises(UsageError, match="AsyncConnection is no Connection"), \
                fence.postgres_sync(one, "reports", 5):  # fmt: skip
            pass


@pytest.mark.parametrize("level", LEVELS)
async def test_whatever_the_order_no_lower_token_is_committed_after_a_higher_one(
    postgres: Postgres, level: str
) -> None:
    """Eight connections write under tokens that rise and fall, stall inside, fail, and try again."""
    chance = random.Random(level)
    rising = iter(range(1, 100_000))
    tokens = [next(rising)]
    refused = written = 0

    async def writes(number: int) -> None:
        nonlocal refused, written
        writer = Writer(await asyncpg.connect(postgres.dsn))
        for _ in range(40):
            if chance.random() < 0.2:
                tokens.append(next(rising))
            token = chance.choice(tokens[-3:])
            try:
                async with writer.transaction(level), fence.postgres(writer.raw, "reports", token):
                    await writer.write(token, str(number))
                    for _ in range(chance.randrange(3)):
                        await writer.execute("SELECT 1")
                    if chance.random() < 0.1:
                        raise ZeroDivisionError
                written += 1
            except StaleToken:
                refused += 1
            except (asyncpg.SerializationError, ZeroDivisionError):
                pass
        await writer.raw.close()

    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(writes(number))
    committed = await history(postgres)
    assert committed == sorted(committed)
    assert len(committed) == written
    assert written > 10
    assert refused


async def test_in_a_pipeline_and_with_rows_of_another_shape(postgres: Postgres) -> None:
    async with await psycopg.AsyncConnection.connect(postgres.dsn, row_factory=class_row(Postgres)) as connection:
        async with connection.pipeline():
            async with fence.postgres(connection, "reports", 7):
                pass
            with pytest.raises(StaleToken, match="7 has been here"):
                async with fence.postgres(connection, "reports", 5):
                    pass


@asynccontextmanager
async def serving(postgres: Postgres, patience: float = 10.0) -> AsyncIterator[tuple[Client, Waiting]]:
    """A server's process, as far as it matters: a middleware and a pool of its own. Its handler writes the token."""
    waiting = Waiting()

    async def write(request: web.Request) -> web.Response:
        token = int(request.headers["Leader-Token"])
        await waiting.wait(token)
        connection = Writer(await asyncpg.connect(postgres.dsn))
        async with fence.postgres(connection.raw, "reports", token) if request.query else contextlib.nullcontext():
            await connection.write(token)
        await connection.raw.close()
        if token == 8:
            raise web.HTTPBadRequest
        return web.Response()

    async with asyncpg.create_pool(postgres.dsn, min_size=1) as pool:
        store = fence.postgres_store(pool.acquire)
        app = web.Application(middlewares=[require_token("reports", store=store, patience=patience)])
        app.router.add_post("/", write)
        async with TestClient(TestServer(app)) as client:
            yield client, waiting


async def test_a_higher_token_at_another_process_of_the_server_waits_for_the_lower_one(postgres: Postgres) -> None:
    async with serving(postgres) as (one, waiting), serving(postgres) as (two, _):
        waiting.stalled = 5
        lower = asyncio.create_task(one.post("/", headers=fence.headers("reports", 5)))
        await waiting.began.wait()
        higher = asyncio.create_task(two.post("/", headers=fence.headers("reports", 6)))
        waiters = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        async with asyncio.timeout(10):
            while await rows(postgres, waiters) != [1]:
                await asyncio.sleep(0.005)
        waiting.go_on.set()
        assert (await lower).status == (await higher).status == 200
        assert (await one.post("/", headers=fence.headers("reports", 5))).status == 409
        assert (await one.post("/?fenced", headers=fence.headers("reports", 7))).status == 200
        # Whatever comes of a request, its token was here.
        assert (await one.post("/", headers=fence.headers("reports", 8))).status == 400
        assert (await two.post("/", headers=fence.headers("reports", 7))).status == 409
    assert await history(postgres) == [5, 6, 7, 8]


async def test_who_waits_too_long_for_another_process_is_told_to_come_back(postgres: Postgres) -> None:
    async with serving(postgres) as (one, waiting), serving(postgres, patience=0.2) as (two, _):
        waiting.stalled = 5
        lower = asyncio.create_task(one.post("/", headers=fence.headers("reports", 5)))
        await waiting.began.wait()
        assert (await two.post("/", headers=fence.headers("reports", 6))).status == 503
        waiting.go_on.set()
        assert (await lower).status == 200
        assert (await two.post("/", headers=fence.headers("reports", 6))).status == 200
    assert await history(postgres) == [5, 6]


async def test_the_pages_example_runs(postgres: Postgres, zookeeper: ZooKeeper) -> None:
    names: dict[str, Any] = {}
    code = example("Fencing").replace("postgresql://db/reports", postgres.dsn)
    exec(compile(code, "deploy/docs/fencing.md", "exec"), names)
    connection = await asyncpg.connect(postgres.dsn)
    await connection.execute("DROP TABLE IF EXISTS reports; CREATE TABLE reports (made_by bigint)")
    await connection.execute("INSERT INTO reports VALUES (0)")
    async with connect(zookeeper.address, timeout=1.0) as zk:
        election = zk.election("reports")
        await election.run(names["make_reports"])
        made_by = await connection.fetchval("SELECT made_by FROM reports")
        assert made_by == await connection.fetchval("SELECT token FROM leader_async_fence WHERE resource = 'reports'")
        assert made_by > 0
        async with fence.postgres(connection, "reports", made_by + 1000):  # a later term was here
            pass
        with pytest.raises(StaleToken):
            await election.run(names["make_reports"])
    await connection.close()
