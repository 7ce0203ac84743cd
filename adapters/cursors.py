"""How far each running job is on each of its accounts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import args_row
from psycopg_pool import AsyncConnectionPool

from domain.message import Digest, WorkspaceId
from domain.workspace import Workspace

RUNNING = """
SELECT job_id, workspace, audience, accounts, parts, messages, seconds, number FROM job_progress
WHERE status = 'running' ORDER BY number
"""
CURSOR = "SELECT ordinal, queued FROM send_cursors WHERE job_id = %s AND audience = %s AND account_id = %s"
# What was between parts and lies behind the cursor: a late receipt may have made it so. Whose it is, the audience
# tells: a revision may have moved it since its first part.
BETWEEN = """
SELECT s.ordinal, s.delivery_id FROM send_progress s
JOIN frozen_audience f ON f.root = %s AND f.ordinal = s.ordinal AND f.account_id = %s
WHERE s.job_id = %s AND s.state = 'between' AND s.ordinal <= %s AND (s.not_before IS NULL OR s.not_before <= %s)
ORDER BY s.ordinal LIMIT %s
"""
PUT = """
INSERT INTO send_cursors (job_id, audience, account_id, ordinal, queued) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (job_id, audience, account_id) DO UPDATE SET ordinal = greatest(send_cursors.ordinal, excluded.ordinal),
    queued = greatest(send_cursors.queued, excluded.queued)
"""


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that may send, at a pace of its own if that is the slower one; the `number`s follow the submissions."""

    job_id: UUID
    workspace: WorkspaceId
    audience: Digest
    accounts: Sequence[UUID]
    parts: int
    messages: int
    seconds: int
    number: int

    def slower_than(self, rules: Workspace) -> bool:
        """Whether its own pace holds it back more than its workspace's does."""
        return self.messages * rules.seconds < rules.messages * self.seconds


@dataclass(frozen=True, slots=True)
class Cursor:
    """Each of the account's recipients up to `ordinal` has a delivery; so many messages were `queued`."""

    ordinal: int = 0
    queued: int = 0


class Cursors:
    """The dispatcher's tables. They may be wiped: it then finds out anew what has a delivery."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]]) -> None:
        self._pool = pool

    async def running(self) -> Sequence[RunningJob]:
        """The jobs that may send, as the reactors know it."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=args_row(RunningJob)) as cursor:
            await cursor.execute(RUNNING)
            return await cursor.fetchall()

    async def read(self, job: RunningJob, account: UUID) -> Cursor:
        """A cursor; at the beginning when there is none, as after a revision that froze another audience."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=args_row(Cursor)) as cursor:
            await cursor.execute(CURSOR, [job.job_id, job.audience, account])
            return await cursor.fetchone() or Cursor()

    async def between(self, job: RunningJob, account: UUID, upto: int, now: datetime, limit: int) -> dict[int, UUID]:
        """Deliveries whose next part may be sent now, by ordinal, behind the cursor."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(BETWEEN, [job.audience, account, job.job_id, upto, now, limit])
            return dict(await cursor.fetchall())

    async def put(self, job: RunningJob, account: UUID, cursor: Cursor) -> None:
        """Move a cursor on, never back."""
        async with self._pool.connection() as connection:
            await connection.execute(PUT, [job.job_id, job.audience, account, cursor.ordinal, cursor.queued])
