"""Fencing that reaches the resource: a write carries its term's token, and the resource refuses a lower one.

    from leader_async import fence

    async with fence.postgres(connection, "reports", term.token):       # a transaction: asyncpg or psycopg
        await connection.execute("UPDATE reports SET ...")              # not one of a leader that was replaced

    with fence.postgres_sync(connection, "reports", term.token): ...    # psycopg, without asyncio
    with fence.sqlite(connection, "reports", term.token): ...           # the standard library's sqlite3
    session.post(url, headers=fence.headers("reports", term.token))     # to `leader_async.web.require_token`

A process can be frozen between reading `is_leader` and writing, and no lease helps then. A fencing token does: it rises
from term to term, and the resource remembers the highest.

Rules:
- One row for each resource, in a table in the same database as what is written: `CREATE_TABLE`, to be run once. The
  first statement of the transaction raises the row's token to its own, or is refused if the row has a higher one.
- The row is locked from that statement to the end of the transaction. A block that ends its own transaction (`COMMIT`,
  `ROLLBACK`, `executescript`) raises a `UsageError` at its end, and what can still be rolled back is rolled back.

*Why no write of a lower token can land after one of a higher.* Both transactions change one row, so one of them has its
lock first. If that is the lower one, the higher waits until it has committed or rolled back: it landed before. If it is
the higher one, the lower waits, then finds the higher token and is refused, or takes its turn if the higher was rolled
back, which then wrote nothing. The primary key orders the first insertions of a row in the same way. This holds for
every isolation level: under REPEATABLE READ and SERIALIZABLE, PostgreSQL ends a transaction that waited for a changed
row with a serialization failure (an equal token is written anew for that), and a retry is compared again. SQLite has
one writer at a time. Token and writes are one transaction, so a crash or a failover keeps both or neither.

A leader that freezes inside its transaction keeps the row locked, and its successor waits: have PostgreSQL end such a
transaction (`idle_in_transaction_session_timeout`, above the longest pause between two statements).

It does not promise anything for writes outside the block; for a database that other writers reach without the fence;
for one resource under tokens of several elections, or of a ZooKeeper ensemble whose data was thrown away (its tokens
begin anew: delete the rows). Reads before the block may be older than its lock: read inside. Transactions under one
resource happen one after the other, so name resources as finely as you write to them.
"""

from .header import headers
from .postgres import postgres, postgres_store, postgres_sync
from .sqlite import sqlite
from .statements import CREATE_TABLE, TABLE, create_table, raise_token

__all__ = (
    "CREATE_TABLE",
    "TABLE",
    "create_table",
    "headers",
    "postgres",
    "postgres_store",
    "postgres_sync",
    "raise_token",
    "sqlite",
)
