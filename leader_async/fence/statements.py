"""The SQL of the fence, for PostgreSQL and for SQLite 3.35 and later. Pure.

Rules: a table's name is checked and quoted; all else is a parameter. The update writes an equal token anew: a
transaction that has read before and waited for the row must find it changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import UsageError

TABLE = "leader_async_fence"
HIGHEST = 2**63 - 1
"""ZooKeeper's zxids and SQL's bigint end here."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def quoted(table: str) -> str:
    """A table's name, quoted; unquoted it would mean the same. Raises a UsageError unless it is plain."""
    parts = table.split(".")
    if len(parts) > 2 or not all(_NAME.fullmatch(part) for part in parts):
        raise UsageError(f"table={table!r}: give `table` or `schema.table`, of ASCII letters, digits and underscores")
    return ".".join(f'"{part.lower()}"' for part in parts)


def create_table(table: str = TABLE) -> str:
    """The statement that creates the table of fences; for a migration, not for every start.

    Args:
        table: its name, `schema.table` if it is not to depend on the search path.

    Raises:
        UsageError: no table can have this name.
    """
    return f"CREATE TABLE {quoted(table)} (resource text PRIMARY KEY, token bigint NOT NULL)"


CREATE_TABLE = create_table()


def raise_token(resource: str = ":resource", token: str = ":token", table: str = TABLE) -> str:
    """The statement that lets a token through or refuses it, for libraries that have no function here.

    Execute it first in a transaction (never in autocommit mode) and fetch its row. With a row, write and commit.
    Without one a higher token was here, so roll back; `leader_async.StaleToken` is the error to raise.

    Args:
        resource: the placeholder for the resource's name, as your library writes it: `:resource`, `%s`, `$1`, `?`.
        token: the placeholder for the token.
        table: where the tokens are kept.

    Raises:
        UsageError: no table can have this name.
    """
    return (
        f"INSERT INTO {quoted(table)} AS fence (resource, token) VALUES ({resource}, {token}) "
        "ON CONFLICT (resource) DO UPDATE SET token = excluded.token WHERE fence.token <= excluded.token "
        "RETURNING token"
    )


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements of a fence, with a driver's own placeholders.

    Attributes:
        raises: takes the resource and the token; returns a row, or none if the token is refused.
        seen: takes the resource; returns the higher token.
        hint: the note on the error when the table is missing.
    """

    raises: str
    seen: str
    hint: str


def statements(resource: str, token: int, table: str, first: str, second: str) -> Statements:
    """The statements of one fence, for a driver with these placeholders; raises a UsageError for a bad argument."""
    if not isinstance(resource, str) or not resource or "\0" in resource:
        raise UsageError(f"resource={resource!r}: name what is written to, like 'reports'")
    check_token(token)
    return Statements(
        raise_token(first, second, table),
        f"SELECT token FROM {quoted(table)} WHERE resource = {first}",
        f"the fence's table is missing here; create it once: {create_table(table)}",
    )


def check_token(token: int) -> None:
    """Raise a UsageError unless this can be a token."""
    if not isinstance(token, int) or isinstance(token, bool) or not 0 <= token <= HIGHEST:
        raise UsageError(f"token={token!r}: give the number of a term, `term.token`")
