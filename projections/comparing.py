"""Whether two tables hold the same rows: a hash over each, and how many rows differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection, sql

from projections.table import COMMA

SHOWN = 3  # keys of differing rows that are named

KEY = """
SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)
WHERE indrelid = %s::regclass AND indisprimary ORDER BY attnum
"""
# The rows' own hashes, 32 bytes each, in key order: one value may have 1 GB, which are 30 million rows.
HASH = sql.SQL(
    "SELECT count(*), encode(sha256(coalesce(string_agg("
    "sha256(convert_to(t::text, 'UTF8')), ''::bytea ORDER BY {}), '')), 'hex') FROM {} t"
)
DIFFERING = sql.SQL(
    "SELECT count(*), coalesce((array_agg(concat_ws('/', {key}) ORDER BY {key}))[1:{shown}], '{{}}') "
    "FROM {} a FULL JOIN {} b USING ({key}) WHERE a::text IS DISTINCT FROM b::text"
)


@dataclass(frozen=True, slots=True)
class Compared:
    """A live table and the one beside it at the same position: rows, checksums, and where they differ."""

    table: str
    live_rows: int
    rows: int
    live_sha256: str
    sha256: str
    differing: int = 0
    keys: tuple[str, ...] = ()  # of the first rows that differ

    @property
    def same(self) -> bool:
        return self.live_sha256 == self.sha256


async def compared(connection: AsyncConnection, table: str, live: str, beside: str) -> Compared:
    """Compare two tables as one snapshot shows them."""
    there, here = sql.Identifier(live, table), sql.Identifier(beside, table)
    found = await (await connection.execute(KEY, [f"{live}.{table}"])).fetchall()
    key = COMMA.join(sql.Identifier(name) for (name,) in found)
    live_rows, live_hash = await one(connection, HASH.format(key, there))
    rows, its_hash = await one(connection, HASH.format(key, here))
    if live_hash == its_hash:
        return Compared(table, live_rows, rows, live_hash, its_hash)
    differing, keys = await one(connection, DIFFERING.format(there, here, key=key, shown=sql.Literal(SHOWN)))
    return Compared(table, live_rows, rows, live_hash, its_hash, differing, tuple(keys))


async def one(connection: AsyncConnection, query: sql.Composed) -> Sequence[Any]:
    row: Sequence[Any] | None = await (await connection.execute(query)).fetchone()
    assert row is not None
    return row
