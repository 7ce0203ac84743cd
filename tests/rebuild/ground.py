"""A database with a log, live read models of it, and what their tables look like."""

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool

from adapters.event_store import EventStore
from projections.apply import PROJECTIONS, ReadModels
from projections.comparing import Compared
from tests.projections.logs import long_log, written
from workers.rebuild import Rebuilt

EVENTS = 1_500  # of a test's log
TABLES = sorted(table for projection in PROJECTIONS for table in projection.tables)
# All that a table is beside its rows; what a rebuild would not take along shows as a difference.
LOOKS = """
SELECT 'column', attname, format_type(atttypid, atttypmod), attnotnull::text, attidentity::text, attstorage::text,
    attcompression::text, attstattarget::text, pg_get_expr(adbin, adrelid), col_description(attrelid, attnum)
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = %(table)s::regclass AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT 'constraint', conname, contype::text, pg_get_constraintdef(oid), NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_constraint WHERE conrelid = %(table)s::regclass
UNION ALL
SELECT 'index', relname, pg_get_indexdef(indexrelid), indisclustered::text, indisreplident::text, reloptions::text,
    NULL, NULL, NULL, NULL
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = %(table)s::regclass
UNION ALL
SELECT 'trigger', tgname, pg_get_triggerdef(oid), NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_trigger WHERE tgrelid = %(table)s::regclass
UNION ALL
SELECT 'statistics', stxname, pg_get_statisticsobjdef(oid), NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_statistic_ext WHERE stxrelid = %(table)s::regclass
UNION ALL
SELECT 'table', relname, relnamespace::regnamespace::text, relowner::regrole::text, relpersistence::text,
    reloptions::text, relacl::text, relrowsecurity::text, relreplident::text, obj_description(oid)
FROM pg_class WHERE oid = %(table)s::regclass
ORDER BY 1, 2
"""
HASH = "SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {} t"


@dataclass
class Ground:
    """What a test of rebuilding stands on."""

    url: str
    store: EventStore
    models: ReadModels
    pool: AsyncConnectionPool

    async def project(self, page: int = 100) -> None:
        """Bring the live read models up to the end of the log."""
        position = await self.models.position()
        while events := await self.store.page(position, page):
            position = await self.models.apply(position, events)

    async def run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as connection:
            cursor = await connection.execute(statement.encode(), values)
            return await cursor.fetchall() if cursor.description else []

    async def looks(self) -> Mapping[str, Any]:
        """What each table is, beside its rows."""
        async with self.pool.connection() as connection:
            return {table: await (await connection.execute(LOOKS, {"table": table})).fetchall() for table in TABLES}

    async def hashes(self) -> Mapping[str, str]:
        """A hash over each table's rows."""
        return {table: (await self.run(HASH.format(table)))[0][0] for table in TABLES}

    async def schemas(self) -> list[str]:
        """The schemas that people made."""
        found = await self.run(
            "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)' ORDER BY 1"
        )
        return [name for (name,) in found]


@asynccontextmanager
async def ground(database_url: str) -> AsyncIterator[Ground]:
    """What lies in a database, to be read and projected."""
    store = EventStore(database_url)
    store.start()
    pool = AsyncConnectionPool(
        database_url, min_size=1, max_size=6, kwargs={"autocommit": True}, timeout=10, open=False
    )
    try:
        async with pool:
            yield Ground(database_url, store, ReadModels(pool), pool)
    finally:
        await store.stop()


async def laid(database_url: str, events: int, seed: int = 20261121) -> None:
    """Put a log of so many events into a database, and project it."""
    written(database_url, long_log(random.Random(seed), events))
    async with ground(database_url) as made:
        await made.project()


def differing(rebuilt: Rebuilt) -> list[Compared]:
    """The tables that were not as a replay makes them."""
    return [table for table in rebuilt.tables if not table.same]


def kinds(looks: Mapping[str, Any], table: str, kind: str) -> set[str]:
    """The names of a table's indexes, constraints…"""
    return {row[1] for row in looks[table] if row[0] == kind}


async def connected(database_url: str) -> psycopg.AsyncConnection:
    """A connection of a test's own."""
    return await psycopg.AsyncConnection.connect(database_url, autocommit=True)
