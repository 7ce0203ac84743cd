"""New tables beside the live ones: filled from the log as those are, compared with them, put in their place.

They lie in a schema of their own under the names of the live ones, with a position of their own. A connection that
looks for names there first projects into them: by the very statements that project into the live ones.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql

from domain.message import Recorded
from projections.apply import POSITION, TAKE, apply
from projections.comparing import Compared, compared
from projections.likeness import Likeness, likeness
from projections.projection import Projection
from projections.table import COMMA

CatchUp = Callable[[int], Awaitable[None]]
"""Projects the log into the new tables up to a position."""

# Should this process hang within a transaction, the projector must not wait for it.
SESSION = "SET idle_in_transaction_session_timeout = '20s'"
HOLD = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
MIGRATED = "SELECT max(number) FROM schema_migrations"
# A reader that does not end holds off who wants its table alone, and all behind that one: ask briefly, again and again.
ALONE = "100ms"
PATIENCE = 120.0  # seconds of asking
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0  # seconds between
IN_TURN = "5s"  # for locks that hold nobody off; autovacuum gives way after one second


class RebuildRefused(Exception):
    """Nothing was rebuilt, and the live tables are as they were; the message says why."""


class Beside:
    """The new tables of some projections."""

    def __init__(
        self,
        connection: AsyncConnection,
        live_connection: AsyncConnection,
        projections: Sequence[Projection[Any]],
        live: str,
    ) -> None:
        self._connection = connection
        self._live_connection = live_connection
        self._projections = projections
        self.tables = [table for projection in projections for table in projection.tables]
        self._live, self._beside = live, beside_of(live)
        self._likenesses: list[Likeness] = []
        self._migrated: int | None = None
        self.projector_stood = self.readers_stood = 0.0  # the longest time in seconds

    async def make(self) -> None:
        """Make the tables, empty; what a rebuild left that died is removed."""
        await self.remove()
        self._migrated = await number(self._connection, MIGRATED)
        self._likenesses = [await likeness(self._connection, table, self._live, self._beside) for table in self.tables]
        schema = sql.Identifier(self._beside)
        async with self._connection.transaction():
            await self._connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
            for one in self._likenesses:
                await one.make(self._connection)
            positions = sql.Identifier(self._beside, "projected")
            await self._connection.execute(sql.SQL("CREATE TABLE {} AS SELECT 0::bigint AS position").format(positions))
        path = COMMA.join([schema, sql.Identifier(self._live)])
        await self._connection.execute(sql.SQL("SET search_path = {}").format(path))

    async def remove(self) -> None:
        """Remove the tables, if there are any."""
        await self._connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(self._beside)))

    async def position(self) -> int:
        """How far the log was taken into the new tables."""
        return await number(self._connection, POSITION)

    async def live_position(self) -> int:
        """How far it was taken into the live ones."""
        return await number(self._live_connection, POSITION)

    async def apply(self, after: int, page: Sequence[Recorded]) -> int:
        """Project a page of the log."""
        return await apply(self._connection, after, page, self._projections)

    async def finish(self) -> None:
        """Make the indexes, once most rows are there."""
        for one in self._likenesses:
            await one.finish(self._connection)

    async def compare(self, catch_up: CatchUp) -> tuple[int, list[Compared]]:
        """Bring both to one position, and compare them there while the live ones go on; returns that position too."""
        async with self._met(catch_up) as position:
            tables = [await compared(self._connection, table, self._live, self._beside) for table in self.tables]
        return position, tables

    @asynccontextmanager
    async def _met(self, catch_up: CatchUp) -> AsyncIterator[int]:
        """One snapshot in which both are at one position: the live ones stand still only until it is taken."""
        async with AsyncExitStack() as stack:
            async with self._live_connection.transaction():
                since = time.monotonic()
                position = await number(self._live_connection, TAKE)
                await catch_up(position)
                await stack.enter_async_context(self._connection.transaction())
                await self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                assert await self.position() == position
            self.projector_stood = max(self.projector_stood, time.monotonic() - since)
            yield position

    async def swap(self, catch_up: CatchUp) -> int:
        """Put the new tables in the place of the live ones, at the same position; returns it."""
        deadline, pause = time.monotonic() + PATIENCE, FIRST_PAUSE
        while True:
            try:
                position = await self._try_to_swap(catch_up)
            except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled, psycopg.errors.DeadlockDetected):
                if time.monotonic() > deadline:
                    raise RebuildRefused(
                        f"For {PATIENCE:.0f} seconds somebody was reading these tables without a pause: "
                        f"{', '.join(self.tables)}."
                    ) from None
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                await self.remove()
                return position

    async def _try_to_swap(self, catch_up: CatchUp) -> int:
        run = self._connection.execute
        live = COMMA.join(sql.Identifier(self._live, table) for table in self.tables)
        new = COMMA.join(sql.Identifier(self._beside, table) for table in self.tables)
        since = alone = None
        try:
            async with self._connection.transaction():
                await run(f"SET LOCAL lock_timeout = '{IN_TURN}'")
                await run(sql.SQL("LOCK TABLE {}, {} IN SHARE UPDATE EXCLUSIVE MODE").format(live, new))
                if await number(self._connection, MIGRATED) != self._migrated:
                    raise RebuildRefused("The database was migrated meanwhile: begin again.")
                projected = sql.Identifier(self._live, "projected")
                since = time.monotonic()
                taken = await run(sql.SQL("SELECT position FROM {} FOR UPDATE").format(projected))
                [(position,)] = await taken.fetchall()
                await catch_up(position)
                alone = time.monotonic()
                await run(self._change_places(live))
        finally:
            now = time.monotonic()
            self.projector_stood = max(self.projector_stood, now - (since or now))
            self.readers_stood = max(self.readers_stood, now - (alone or now))
        return int(position)

    def _change_places(self, live: sql.Composed) -> sql.Composed:
        """What puts the new tables in the place of the live ones, in one round trip; cancelled if it has to wait."""
        there = sql.Identifier(self._live)
        steps = [
            sql.SQL("SET LOCAL statement_timeout = {}").format(sql.Literal(ALONE)),
            sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(live),
            sql.SQL("SET LOCAL statement_timeout = 0"),
            sql.SQL("DROP TABLE {}").format(live),
        ]
        for table in self.tables:
            here = sql.Identifier(self._beside, table)
            steps.append(sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(here, there))
        steps.append(sql.SQL("SET LOCAL synchronous_commit TO DEFAULT"))  # what is told as done must last
        return sql.SQL("; ").join(steps)


def beside_of(live: str) -> str:
    """The schema beside a schema."""
    return f"{live}_rebuild"


async def number(connection: AsyncConnection, query: str) -> int:
    """The one number that a query asks for."""
    row = await (await connection.execute(query.encode())).fetchone()
    assert row is not None
    return int(row[0])


@asynccontextmanager
async def beside(database_url: str, projections: Sequence[Projection[Any]]) -> AsyncIterator[Beside]:
    """New tables, still empty, beside the live ones of a database; those not put in place are removed at the end.

    Raises RebuildRefused when another process rebuilds.
    """
    async with AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(
                await AsyncConnection.connect(database_url, autocommit=True, application_name="drumline-rebuild")
            )
            for _ in range(2)
        ]
        for connection in connections:
            await connection.execute(SESSION)
        [(live,)] = await (await connections[0].execute("SELECT current_schema()")).fetchall()
        [(held,)] = await (await connections[0].execute(HOLD, [beside_of(live)])).fetchall()
        if not held:
            raise RebuildRefused("Another rebuild runs on this database: wait for its end.")
        made = Beside(connections[0], connections[1], projections, live)
        await made.make()
        try:
            yield made
        finally:
            with suppress(psycopg.OperationalError):  # the server is away: the next rebuild removes them
                await made.remove()
