"""Timers: decisions that are due, now or at a time, about jobs and deliveries."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import args_row
from psycopg_pool import AsyncConnectionPool

from domain.message import WorkspaceId
from domain.schedule import ZoneName

PUT = """
INSERT INTO timers (id, workspace, kind, subject, serves, due_at, local_time, zone)
SELECT * FROM unnest(
    %s::uuid[], %s::text[], %s::text[], %s::uuid[], %s::int[], %s::timestamptz[], %s::text[], %s::text[]
) ON CONFLICT DO NOTHING
"""
DUE = """
SELECT t.id, t.workspace, t.kind, t.subject, t.serves, t.due_at, t.local_time, t.zone, coalesce(j.accounts, '{}')
FROM timers t LEFT JOIN job_progress j ON j.job_id = t.subject
WHERE t.due_at <= %s ORDER BY t.due_at, t.id LIMIT %s
"""
NEXT = "SELECT min(due_at) FROM timers"
PUT_OFF = "UPDATE timers SET due_at = %s WHERE id = %s"
DROP = """
DELETE FROM timers t USING unnest(%s::uuid[], %s::text[], %s::int[]) AS p (subject, kind, before)
WHERE t.subject = p.subject AND t.kind = p.kind AND t.serves < p.before
"""
EVER = 2**31 - 1  # before which all versions are
DONE = "DELETE FROM timers WHERE id = ANY(%s)"


@dataclass(frozen=True, slots=True)
class Timer:
    """A decision of a kind (as `domain.reactors.Kind`) about a subject, and what of it, due at a time.

    The id says what asked for it, at which version, so one cause asks once. A local time and its zone are told as they
    were asked for; the instant was settled with them.
    """

    id: UUID
    workspace: WorkspaceId
    kind: str
    subject: UUID
    serves: int
    due_at: datetime
    local_time: str | None = None
    zone: ZoneName | None = None


@dataclass(frozen=True, slots=True)
class DueTimer(Timer):
    """A timer to be fired, with the accounts of the job that it is about."""

    accounts: Sequence[UUID] = ()


class TimerTable:
    """The timers' rows; whoever adds some does it in a transaction of its own, by `put_timers`."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]]) -> None:
        self._pool = pool

    async def due(self, now: datetime, limit: int = 100) -> Sequence[DueTimer]:
        """What is due, the oldest first."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=args_row(DueTimer)) as cursor:
            await cursor.execute(DUE, [now, limit])
            return await cursor.fetchall()

    async def next_due(self) -> datetime | None:
        """When the next one is due."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(NEXT)).fetchone()
        return row[0] if row else None

    async def put_off(self, timer: UUID, until: datetime) -> None:
        """Let one be due later."""
        async with self._pool.connection() as connection:
            await connection.execute(PUT_OFF, [until, timer])

    async def done(self, timers: Collection[UUID]) -> None:
        """Forget timers that were fired."""
        async with self._pool.connection() as connection:
            await connection.execute(DONE, [list(timers)])


async def put_timers(connection: AsyncConnection[Any], timers: Sequence[Timer]) -> None:
    """Add timers in the caller's transaction; one that is there already stays as it is."""
    if timers:
        await connection.execute(PUT, columns(timers, Timer.__slots__))


async def drop_timers(connection: AsyncConnection[Any], pointless: Sequence[tuple[UUID, str, int]]) -> None:
    """Forget timers that would fire into nothing, by subject and kind: those that serve what was before a version."""
    if pointless:
        await connection.execute(DROP, [list(column) for column in zip(*pointless, strict=True)])


def columns(rows: Sequence[object], names: Sequence[str]) -> list[list[Any]]:
    """Rows as the arrays that `unnest` takes."""
    return [[getattr(row, name) for row in rows] for name in names]
