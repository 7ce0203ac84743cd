"""What is asked of deliveries: every recipient of a job in the audience's order, reached or not."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, sql

from domain import job as jobs
from domain.message import WorkspaceId
from domain.send import delivery_id
from projections import deliveries
from projections.deliveries import TABLE, Row, State
from projections.jobs import Job
from projections.table import COMMA


class Outcome(StrEnum):
    """Where a recipient of a job stands, as people are told."""

    PENDING = "pending"
    INTENDED = "intended"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    PARTIAL = "partial"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A recipient of a job; `row` is None until the delivery is begun."""

    id: UUID
    job_id: UUID
    recipient_id: UUID
    account_id: UUID
    ordinal: int
    outcome: Outcome
    row: Row | None


COLUMNS = COMMA.join(sql.Identifier("begun", column) for column in TABLE.columns)
ALL = sql.SQL(
    "SELECT audience.recipient_id, audience.account_id, audience.ordinal, {} FROM frozen_audience audience "
    "LEFT JOIN read_deliveries begun ON begun.job_id = %(job)s AND begun.ordinal = audience.ordinal "
    "WHERE audience.root = %(root)s AND audience.ordinal > %(after)s {} ORDER BY audience.ordinal LIMIT %(limit)s"
)
EVERYBODY = ALL.format(COLUMNS, sql.SQL("")).as_bytes()
NOT_BEGUN = ALL.format(COLUMNS, sql.SQL("AND begun.id IS NULL")).as_bytes()
IN_STATE = (
    TABLE.select
    + sql.SQL(
        " WHERE job_id = %(job)s AND ordinal > %(after)s AND state = ANY(%(states)s) ORDER BY ordinal LIMIT %(limit)s"
    )
).as_bytes()
STATUS = "SELECT status FROM read_jobs WHERE id = %s"


def outcome_of(row: Row | None, status: str | None) -> Outcome:
    """What people are told of a delivery, given its job's status."""
    stopped = status == jobs.Status.STOPPED
    if row is None:
        return Outcome.STOPPED if stopped else Outcome.PENDING
    if row.state == State.BETWEEN:  # one part was sent, the next will be, unless the job was stopped
        return Outcome.PARTIAL if stopped else Outcome.INTENDED
    return Outcome(row.state)


def states_of(outcome: Outcome, status: str) -> list[State]:
    """The states of begun deliveries that are told as this outcome."""
    between = Outcome.PARTIAL if status == jobs.Status.STOPPED else Outcome.INTENDED
    return [State(outcome), State.BETWEEN] if outcome is between else [State(outcome)]


def told(row: Row, status: str | None) -> Delivery:
    """A delivery that was begun."""
    outcome = outcome_of(row, status)
    return Delivery(row.id, row.job_id, row.recipient_id, row.account_id, row.ordinal, outcome, row)


async def of_job(
    connection: AsyncConnection, job: Job, after: int, limit: int, outcome: Outcome | None = None
) -> list[Delivery]:
    """Recipients of a job in order, of those behind ordinal `after`; perhaps only those with one outcome."""
    status = job.row.status
    values: dict[str, Any] = {"job": job.row.id, "root": job.row.audience, "after": after, "limit": limit}
    if outcome is None or outcome in (Outcome.PENDING, Outcome.STOPPED):
        if outcome is not None and outcome is not outcome_of(None, status):
            return []
        cursor = await connection.execute(NOT_BEGUN if outcome else EVERYBODY, values)
        return [in_audience(found, job) for found in await cursor.fetchall()]
    values["states"] = states_of(outcome, status)
    return [told(Row(*found), status) for found in await (await connection.execute(IN_STATE, values)).fetchall()]


def in_audience(found: Sequence[Any], job: Job) -> Delivery:
    """A member of the job's audience, with the delivery if it was begun."""
    recipient, account, ordinal, *begun = found
    row = Row(*begun) if begun[TABLE.columns.index("id")] is not None else None
    outcome = outcome_of(row, job.row.status)
    return Delivery(delivery_id(job.row.id, recipient), job.row.id, recipient, account, ordinal, outcome, row)


async def one(connection: AsyncConnection, workspace: WorkspaceId, id_: UUID) -> Delivery | None:
    """A delivery that was begun, by its id."""
    row = await deliveries.TABLE.one(connection, workspace, id_)
    if row is None:
        return None
    status = await (await connection.execute(STATUS, [row.job_id])).fetchone()
    return told(row, status[0] if status else None)
