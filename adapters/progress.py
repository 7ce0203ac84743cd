"""What the reactors know of jobs and deliveries, moved on with their position in the log in one transaction."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import args_row
from psycopg_pool import AsyncConnectionPool

from adapters.timers import Timer, columns, drop_timers, put_timers
from domain.message import Digest, WaId, WorkspaceId, derive
from domain.reactors import Kind

POSITION = "SELECT position FROM reactor_position"
MOVE = "UPDATE reactor_position SET position = %s WHERE position = %s"
SENDS = """
SELECT delivery_id, job_id, ordinal, account_id, recipient_id, part, fence, state, not_before FROM send_progress
WHERE delivery_id = ANY(%s)
"""
PUT_SENDS = """
INSERT INTO send_progress (delivery_id, job_id, ordinal, account_id, recipient_id, part, fence, state,
    not_before)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::uuid[], %s::uuid[], %s::int[], %s::bigint[], %s::text[],
    %s::timestamptz[])
ON CONFLICT (delivery_id) DO UPDATE
SET account_id = excluded.account_id, part = excluded.part, fence = excluded.fence, state = excluded.state,
    not_before = excluded.not_before
"""
PUT_MESSAGES = """
INSERT INTO sent_messages (wa_id, delivery_id, part, workspace)
SELECT * FROM unnest(%s::text[], %s::uuid[], %s::int[], %s::text[]) ON CONFLICT DO NOTHING
"""
PUT_JOB = """
INSERT INTO job_progress (job_id, workspace, audience, accounts, parts, recipients, messages, seconds, status)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 'submitted') ON CONFLICT (job_id) DO UPDATE
SET audience = excluded.audience, accounts = excluded.accounts, parts = excluded.parts,
    recipients = excluded.recipients, messages = excluded.messages, seconds = excluded.seconds
"""
PUT_STATUS = """
UPDATE job_progress j SET status = t.status FROM unnest(%s::uuid[], %s::text[]) AS t (job_id, status)
WHERE j.job_id = t.job_id
"""
COUNT = """
UPDATE job_progress j SET terminal = j.terminal + t.terminal, unknown = j.unknown + t.unknown
FROM unnest(%s::uuid[], %s::int[], %s::int[]) AS t (job_id, terminal, unknown)
WHERE j.job_id = t.job_id
"""
OVER = """
SELECT job_id, workspace, recipients FROM job_progress
WHERE job_id = ANY(%s) AND terminal = recipients AND status IN ('running', 'paused')
"""
# Jobs that wait for an account to get ready; what is due then is what their timer is about.
DEFERRED = """
SELECT t.id, t.workspace, t.subject, t.serves FROM timers t JOIN job_progress j ON j.job_id = t.subject
WHERE t.kind = %s AND j.accounts && %s::uuid[]
"""
PUT_ACCOUNTS = """
INSERT INTO session_accounts (account_id, workspace, position)
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::bigint[]) ON CONFLICT DO NOTHING
"""
PUT_ERASED = """
INSERT INTO erasures (recipient_id, workspace) SELECT * FROM unnest(%s::uuid[], %s::text[]) ON CONFLICT DO NOTHING
"""
PUT_REMOVED = "UPDATE session_accounts SET removed = true WHERE account_id = ANY(%s)"
PUT_LEAVING = """
UPDATE session_accounts a SET leaving = t.leaving FROM unnest(%s::uuid[], %s::boolean[]) AS t (account_id, leaving)
WHERE a.account_id = t.account_id
"""
State = Literal["intended", "between", "terminal", "unknown"]


@dataclass(frozen=True, slots=True)
class Send:
    """A delivery that was begun, as the reactors saw it last."""

    delivery_id: UUID
    job_id: UUID
    ordinal: int
    account_id: UUID
    recipient_id: UUID
    part: int
    fence: int
    state: State
    not_before: datetime | None = None  # when its next part may be intended, if that has to wait


@dataclass(frozen=True, slots=True)
class SubmittedJob:
    """What dispatching needs of a job, as submitted or revised."""

    job_id: UUID
    workspace: WorkspaceId
    audience: Digest
    accounts: tuple[UUID, ...]
    parts: int
    recipients: int
    messages: int
    seconds: int


@dataclass(frozen=True, slots=True)
class SentMessage:
    """Which send a message id stands for."""

    wa_id: WaId
    delivery_id: UUID
    part: int
    workspace: WorkspaceId


@dataclass(slots=True)
class Changes:
    """What a page of the log comes to; `counts` are (terminal, unknown) to be added."""

    sends: dict[UUID, Send] = field(default_factory=dict)
    messages: list[SentMessage] = field(default_factory=list)
    jobs: list[SubmittedJob] = field(default_factory=list)
    statuses: dict[UUID, str] = field(default_factory=dict)
    counts: dict[UUID, tuple[int, int]] = field(default_factory=dict)
    accounts: list[tuple[UUID, WorkspaceId, int]] = field(default_factory=list)
    removed: list[UUID] = field(default_factory=list)  # accounts
    leaving: dict[UUID, bool] = field(default_factory=dict)  # accounts, that are to be unlinked, or were
    erased: list[tuple[UUID, WorkspaceId]] = field(default_factory=list)  # people
    timers: list[Timer] = field(default_factory=list)
    pointless: list[tuple[UUID, str, int]] = field(default_factory=list)  # timers, as `drop_timers` takes them
    perhaps_over: set[UUID] = field(default_factory=set)  # jobs
    ready: set[UUID] = field(default_factory=set)  # accounts


class Progress:
    """The reactors' tables."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]]) -> None:
        self._pool = pool

    async def position(self) -> int:
        """How far the log was taken in."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(POSITION)).fetchone()
        assert row is not None
        return int(row[0])

    async def sends(self, deliveries: Collection[UUID]) -> dict[UUID, Send]:
        """The rows of these deliveries; one that was never begun is left out."""
        if not deliveries:
            return {}
        async with self._pool.connection() as connection, connection.cursor(row_factory=args_row(Send)) as cursor:
            await cursor.execute(SENDS, [list(deliveries)])
            return {row.delivery_id: row async for row in cursor}

    async def move(self, before: int, after: int, changes: Changes, now: datetime) -> bool:
        """Take in what lies in (before, after]; False, and nothing done, if another process had moved on."""
        async with self._pool.connection() as connection, connection.transaction():
            if (await connection.execute(MOVE, [after, before])).rowcount != 1:
                return False
            await write(connection, changes)
            await put_timers(connection, changes.timers)
            await drop_timers(connection, changes.pointless)
            await put_timers(
                connection, [*await over(connection, changes, now), *await woken(connection, changes, now)]
            )
            return True


async def write(connection: AsyncConnection[Any], changes: Changes) -> None:
    """Everything but timers."""
    for job in changes.jobs:
        values = [job.job_id, job.workspace, job.audience, list(job.accounts), job.parts, job.recipients]
        await connection.execute(PUT_JOB, [*values, job.messages, job.seconds])
    if changes.statuses:
        await connection.execute(PUT_STATUS, [list(changes.statuses), list(changes.statuses.values())])
    if changes.sends:
        await connection.execute(PUT_SENDS, columns(list(changes.sends.values()), Send.__slots__))
    if changes.messages:
        await connection.execute(PUT_MESSAGES, columns(changes.messages, SentMessage.__slots__))
    if changes.accounts:
        await connection.execute(PUT_ACCOUNTS, [list(column) for column in zip(*changes.accounts, strict=True)])
    if changes.removed:
        await connection.execute(PUT_REMOVED, [changes.removed])
    if changes.leaving:
        await connection.execute(PUT_LEAVING, [list(changes.leaving), list(changes.leaving.values())])
    if changes.erased:
        await connection.execute(PUT_ERASED, [list(column) for column in zip(*changes.erased, strict=True)])
    if changes.counts:
        terminal, unknown = zip(*changes.counts.values(), strict=True)
        await connection.execute(COUNT, [list(changes.counts), list(terminal), list(unknown)])


async def over(connection: AsyncConnection[Any], changes: Changes, now: datetime) -> list[Timer]:
    """The completion of those jobs whose last delivery became terminal."""
    if not changes.perhaps_over:
        return []
    found = await (await connection.execute(OVER, [list(changes.perhaps_over)])).fetchall()
    return [
        Timer(derive("complete", job), workspace, Kind.COMPLETE, job, recipients, now)
        for job, workspace, recipients in found
    ]


async def woken(connection: AsyncConnection[Any], changes: Changes, now: datetime) -> list[Timer]:
    """The start of jobs that were put off and may start now."""
    if not changes.ready:
        return []
    found = await (await connection.execute(DEFERRED, [Kind.START_AGAIN, list(changes.ready)])).fetchall()
    return [
        Timer(derive("woken", timer, now), workspace, Kind.START_AGAIN, job, serves, now)
        for timer, workspace, job, serves in found
    ]
